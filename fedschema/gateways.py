"""The logins that ask on behalf of departments, and which departments each may speak for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from fedschema import logins, registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import UnknownEntitlement
from fedschema.logins import LoginKind
from fedschema.passwords import Password

#: The department of an entitlement to speak for all of them.
_EVERY: list[str | None] = [None]


@dataclass(frozen=True, slots=True)
class Entitlement:
    """One row of federation.gateway_entitlements; no department means all of them."""

    login_role: str
    department_id: str | None
    granted_by: str
    granted_at: datetime


def add(conninfo: str, compiler: Compiler, login: str, departments: Sequence[Department], password: Password) -> bool:
    """Entitle a login to speak for departments (none named: for all, now and later), making the login if need be.

    Args:
        conninfo: the database.
        compiler: the project.
        login: see `logins.parse_login`.
        departments: whom it may speak for; empty for all of them, a recorded act of trust.
        password: for a login that is made; an existing one keeps its own.

    Returns:
        whether the login was made.

    Raises:
        LoginUnsuitable: the name is a department's role, or a role that walls do not bind.
        UnknownDepartment
    """
    with connect(conninfo) as connection:
        verifier = password.verifier(connection, login)
        with owner_transaction(connection, f"entitling gateway {login}"):
            registry.require_control_plane(connection, compiler.blueprint.control_plane)
            if departments:
                registry.live(connection, departments)
            made = logins.ensure(connection, LoginKind.GATEWAY, login, verifier)
            for department_id in [department.id for department in departments] or _EVERY:
                connection.execute(
                    """
                    INSERT INTO federation.gateway_entitlements (login_role, department_id) VALUES (%s, %s)
                    ON CONFLICT DO NOTHING
                    """,
                    (login, department_id),
                )
    return made


def remove(conninfo: str, compiler: Compiler, login: str, departments: Sequence[Department]) -> bool:
    """Take entitlements away, all of them when no department is named; with the last one the login itself goes.

    A login whose entitlements went with their departments goes too.

    Returns:
        whether the login was dropped: only one that was made here is.

    Raises:
        UnknownEntitlement: it has no such entitlement.
    """
    with connect(conninfo) as connection, owner_transaction(connection, f"removing gateway {login}"):
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        wanted = [department.id for department in departments]
        gone = connection.execute(
            """
            DELETE FROM federation.gateway_entitlements
            WHERE login_role = %(login)s AND (%(all)s OR department_id = ANY(%(wanted)s))
            """,
            {"login": login, "all": not wanted, "wanted": wanted},
        )
        if not gone.rowcount and (wanted or login not in _idle(connection)):
            raise UnknownEntitlement(login, wanted)
        left = connection.execute("SELECT FROM federation.gateway_entitlements WHERE login_role = %s LIMIT 1", (login,))
        if left.rowcount:
            return False
        return logins.retire(connection, LoginKind.GATEWAY, login)


def rotate(conninfo: str, compiler: Compiler, login: str, password: Password) -> None:
    """Give a gateway's login another password; see `logins.rotate`."""
    logins.rotate(conninfo, compiler, LoginKind.GATEWAY, login, password)


def _idle(connection: psycopg.Connection) -> list[str]:
    rows = connection.execute(
        """
        SELECT login.rolname::text
        FROM pg_catalog.pg_roles AS login
        WHERE pg_catalog.shobj_description(login.oid, 'pg_authid')
                = 'fedschema: gateway of database ' || pg_catalog.current_database()
          AND NOT EXISTS (
              SELECT FROM federation.gateway_entitlements AS entitlement WHERE entitlement.login_role = login.rolname
          )
        ORDER BY 1
        """
    )
    return [login for (login,) in rows]


def entitlements(conninfo: str, compiler: Compiler) -> tuple[list[Entitlement], list[str]]:
    """Return who may speak for whom, and the gateways that may speak for nobody: their departments were dropped."""
    with connect(conninfo) as connection, owner_transaction(connection, "reading the gateways"):
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        return read_entitlements(connection), _idle(connection)


def read_entitlements(connection: psycopg.Connection) -> list[Entitlement]:
    """Return who may speak for whom, inside an owner's transaction."""
    with connection.cursor(row_factory=class_row(Entitlement)) as cursor:
        return cursor.execute(
            """
            SELECT login_role::text, department_id, granted_by, granted_at
            FROM federation.gateway_entitlements ORDER BY login_role, department_id NULLS FIRST
            """
        ).fetchall()
