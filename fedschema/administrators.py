"""The people of federation_admin_role: a login for each, with a password of their own; there is no default one."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from fedschema import events, logins, registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.errors import LoginExists, UnknownLogin
from fedschema.logins import LoginKind
from fedschema.passwords import Password


@dataclass(frozen=True, slots=True)
class Administrator:
    """A login that sees the rows of every department.

    Attributes:
        login_role: its name.
        made_here: fedschema made it, for this database, and may drop it.
    """

    login_role: str
    made_here: bool


def create(conninfo: str, compiler: Compiler, login: str, password: Password) -> None:
    """Make a login that is a member of federation_admin_role, or nothing.

    Args:
        conninfo: the database.
        compiler: the project.
        login: see `logins.parse_login`.
        password: its password. Only a verifier reaches the server.

    Raises:
        LoginExists: there is a role of that name.
    """
    with connect(conninfo) as connection:
        verifier = password.verifier(connection, login)
        with owner_transaction(connection, f"making administrator {login}"):
            registry.require_control_plane(connection, compiler.blueprint.control_plane)
            if logins.look(connection, login):
                raise LoginExists(login)
            logins.ensure(connection, LoginKind.ADMINISTRATOR, login, verifier)
            events.record(connection, "ADMINISTRATOR_CREATED", login=login)


def rotate(conninfo: str, compiler: Compiler, login: str, password: Password) -> None:
    """Give an administrator's login another password; see `logins.rotate`."""
    logins.rotate(conninfo, compiler, LoginKind.ADMINISTRATOR, login, password)


def remove(conninfo: str, compiler: Compiler, login: str) -> bool:
    """Take a login out of federation_admin_role.

    Returns:
        whether the login was dropped: only one that was made here is.

    Raises:
        UnknownLogin
    """
    with connect(conninfo) as connection, owner_transaction(connection, f"removing administrator {login}"):
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        found = logins.require(connection, LoginKind.ADMINISTRATOR, login)
        if not found.can_login:
            raise UnknownLogin(login, LoginKind.ADMINISTRATOR.word)
        gone = logins.retire(connection, LoginKind.ADMINISTRATOR, login)
        events.record(connection, "ADMINISTRATOR_REMOVED", login=login)
        return gone


def administrators(conninfo: str, compiler: Compiler) -> list[Administrator]:
    """Return the logins that were given federation_admin_role."""
    with connect(conninfo) as connection, owner_transaction(connection, "reading the administrators"):
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        with connection.cursor(row_factory=class_row(Administrator)) as cursor:
            return cursor.execute(
                """
                SELECT login.rolname::text AS login_role,
                       coalesce(pg_catalog.shobj_description(login.oid, 'pg_authid'), '')
                           = 'fedschema: administrator of database ' || pg_catalog.current_database() AS made_here
                FROM pg_catalog.pg_auth_members AS membership
                JOIN pg_catalog.pg_roles AS login ON login.oid = membership.member
                WHERE membership.roleid = 'federation_admin_role'::regrole AND login.rolcanlogin
                GROUP BY login.rolname, login.oid
                ORDER BY 1
                """
            ).fetchall()
