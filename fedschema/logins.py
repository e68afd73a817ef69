"""Logins other than the departments' own, gateways and administrators: how they are made, what must not become one.

All but `rotate` runs inside `connections.owner_transaction`. Roles are of the whole cluster, so the comment of a role
says which database it was made for; one that was not made here is never dropped.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import Enum

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from fedschema import events, registry
from fedschema.compiler import Compiler
from fedschema.connections import BECOME_OWNER, connect, owner_transaction
from fedschema.department import NAME_BYTES, Department
from fedschema.errors import DepartmentDamaged, InvalidLogin, LoginStays, LoginUnsuitable, UnknownLogin
from fedschema.passwords import Password

_KEPT_BY_POSTGRESQL = frozenset({"public", "none", "current_user", "session_user", "current_role", "user"})
_DEPARTMENTS_SUFFIX = "_role"
#: Predefined roles that see or do what no grant of ours gives (manual, section "Predefined Roles").
_PREDEFINED = (
    "pg_read_all_data",
    "pg_write_all_data",
    "pg_read_server_files",
    "pg_write_server_files",
    "pg_execute_server_program",
)


class LoginKind(Enum):
    """What a login is for: the role that it is a member of, and the word for it in comments and messages."""

    GATEWAY = ("cross_dept_query_role", "gateway")
    ADMINISTRATOR = ("federation_admin_role", "administrator")

    def __init__(self, role: str, word: str) -> None:
        self.role = role
        self.word = word


@dataclass(frozen=True, slots=True)
class Login:
    """A role that is there.

    Attributes:
        name: its name.
        can_login: it may log in.
        is_dangerous: it is, or may become, somebody whom no wall binds, or reads what has no policies.
        roles: the platform's roles and departments' roles that it is a member of, directly or not.
        given: the roles that it was given directly.
        comment: what PostgreSQL keeps about it for the whole cluster.
        database: the database that is asked.
    """

    name: str
    can_login: bool
    is_dangerous: bool
    roles: list[str]
    given: list[str]
    comment: str
    database: str

    def was_made_here(self, kind: LoginKind) -> bool:
        """It was made by fedschema, as this kind, for this database."""
        return self.comment == _comment(kind, self.database)


def parse_login(text: str) -> str:
    """Check the name of a login and return it.

    Raises:
        InvalidLogin: when PostgreSQL would cut it or keeps it to itself, or it is a department's or the platform's.
    """
    if not text or len(text.encode("utf-8", "surrogatepass")) > NAME_BYTES:
        raise InvalidLogin(text, f"a name has 1 to {NAME_BYTES} bytes")
    if text != text.strip() or any(unicodedata.category(character)[0] == "C" for character in text):
        raise InvalidLogin(text, "a name has no control characters and no spaces at its ends")
    folded = text.lower()
    if folded.startswith("pg_") or folded in _KEPT_BY_POSTGRESQL:
        raise InvalidLogin(text, "PostgreSQL keeps it to itself")
    if folded.startswith(("federation_", "cross_dept")):
        raise InvalidLogin(text, "the platform keeps names like that to itself")
    if folded.endswith(_DEPARTMENTS_SUFFIX):
        raise InvalidLogin(text, "names that end in _role are the departments'")
    return text


def look(connection: psycopg.Connection, name: str) -> Login | None:
    """Return what is there under a name, or None."""
    with connection.cursor(row_factory=class_row(Login)) as cursor:
        return cursor.execute(
            """
            SELECT rolname::text AS name, rolcanlogin AS can_login,
                   EXISTS (
                       SELECT FROM pg_catalog.pg_roles AS other
                       WHERE pg_catalog.pg_has_role(role.oid, other.oid, 'MEMBER')
                         AND (other.rolsuper OR other.rolbypassrls OR other.rolcreaterole OR other.rolreplication
                              OR other.rolname = ANY (%(predefined)s))
                   ) AS is_dangerous,
                   ARRAY(
                       SELECT other.rolname::text FROM pg_catalog.pg_roles AS other
                       WHERE other.oid <> role.oid AND pg_catalog.pg_has_role(role.oid, other.oid, 'MEMBER')
                         AND pg_catalog.shobj_description(other.oid, 'pg_authid') LIKE 'fedschema: %%'
                       ORDER BY 1
                   ) AS roles,
                   ARRAY(
                       SELECT DISTINCT pg_catalog.pg_get_userbyid(membership.roleid)::text
                       FROM pg_catalog.pg_auth_members AS membership WHERE membership.member = role.oid
                   ) AS given,
                   coalesce(pg_catalog.shobj_description(oid, 'pg_authid'), '') AS comment,
                   pg_catalog.current_database()::text AS database
            FROM pg_catalog.pg_roles AS role
            WHERE rolname = %(name)s
            """,
            {"name": name, "predefined": list(_PREDEFINED)},
        ).fetchone()


def ensure(connection: psycopg.Connection, kind: LoginKind, name: str, verifier: str) -> bool:
    """Make a login of this kind, or let one that is there become it.

    Args:
        connection: inside an owner's transaction.
        kind: what it is for.
        name: see `parse_login`.
        verifier: of the password of one that is made; one that is there keeps its own.

    Returns:
        whether it was made.

    Raises:
        LoginUnsuitable: there is a role of that name that must not become one.
    """
    found = look(connection, name)
    if found is None:
        identifier = sql.Identifier(name)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(identifier, sql.Literal(verifier)))
        comment = sql.Literal(_comment(kind, connection.info.dbname))
        connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(identifier, comment))
    else:
        _refuse_unsuitable(found, kind)
    if found is None or kind.role not in found.given:
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(kind.role), sql.Identifier(name)))
    return found is None


def retire(connection: psycopg.Connection, kind: LoginKind, name: str) -> bool:
    """Take from a login what made it one of this kind; one that was made here goes altogether.

    Returns:
        whether the role itself was dropped.

    Raises:
        LoginStays: somebody else gave it what it has, and only they can take it back.
    """
    found = look(connection, name)
    if found is None:
        return False
    if kind.role in found.given:
        _revoke(connection, kind.role, name)
    if not found.was_made_here(kind):
        return False
    connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
    return True


def _revoke(connection: psycopg.Connection, role: str, member: str) -> None:
    """Take a role from a member, whoever gave it.

    From PostgreSQL 16 on each grantor's grant stands for itself, and a REVOKE of another's is only a warning. What the
    owner did not grant, the login takes back in the grantor's name, if it may act for it.

    Raises:
        LoginStays: somebody gave it for whom the login may not act.
    """
    revoke = sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(role), sql.Identifier(member))
    connection.execute(revoke)
    for grantor in _grantors(connection, role, member):
        theirs = _granted_by(revoke, grantor)
        connection.execute("RESET ROLE")
        try:
            connection.execute(theirs)
        except psycopg.errors.InsufficientPrivilege as error:
            raise LoginStays(member, role, grantor, theirs.as_string()) from error
        connection.execute(BECOME_OWNER.encode())
    if remaining := _grantors(connection, role, member):
        raise LoginStays(member, role, remaining[0], _granted_by(revoke, remaining[0]).as_string())


def _granted_by(revoke: sql.Composed, grantor: str) -> sql.Composed:
    return revoke + sql.SQL(" GRANTED BY {}").format(sql.Identifier(grantor))


def _grantors(connection: psycopg.Connection, role: str, member: str) -> list[str]:
    rows = connection.execute(
        """
        SELECT pg_catalog.pg_get_userbyid(membership.grantor)::text
        FROM pg_catalog.pg_auth_members AS membership
        WHERE membership.roleid = pg_catalog.to_regrole(pg_catalog.quote_ident(%s))
          AND membership.member = pg_catalog.to_regrole(pg_catalog.quote_ident(%s))
        """,
        (role, member),
    )
    return [grantor for (grantor,) in rows]


def rotate(conninfo: str, compiler: Compiler, kind: LoginKind, name: str, password: Password) -> None:
    """Give a login of this kind another password; sessions that are open go on.

    Args:
        conninfo: the database.
        compiler: the project.
        kind: what the login is for.
        name: its name.
        password: the new one. Only a verifier reaches the server.

    Raises:
        UnknownLogin: there is none of that name and kind.
    """
    with connect(conninfo) as connection:
        verifier = password.verifier(connection, name)
        with owner_transaction(connection, f"rotating the password of {kind.word} {name}"):
            registry.require_control_plane(connection, compiler.blueprint.control_plane)
            require(connection, kind, name)
            set_password(connection, name, verifier)
            events.record(connection, f"{kind.name}_PASSWORD_ROTATED", login=name)


def set_password(connection: psycopg.Connection, name: str, verifier: str) -> None:
    """Give a login another password; only its verifier is sent."""
    connection.execute(password_statement(name, verifier))


def password_statement(name: str, verifier: str) -> sql.Composed:
    """Return what `set_password` sends, for a batch that goes in one message."""
    return sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(verifier))


def require(connection: psycopg.Connection, kind: LoginKind, name: str) -> Login:
    """Return a login of this kind.

    Raises:
        UnknownLogin: there is none of that name.
    """
    found = look(connection, name)
    if found is None or kind.role not in found.given:
        raise UnknownLogin(name, kind.word)
    return found


def require_department(connection: psycopg.Connection, department: Department) -> Login:
    """Return a department's role.

    Raises:
        DepartmentDamaged: it is not there, or not this department's.
    """
    found = look(connection, department.role)
    if found is None or found.comment != f"fedschema: department {department} of database {found.database}":
        raise DepartmentDamaged(department.id, f"its role {department.role} is missing or is somebody else's")
    return found


def _comment(kind: LoginKind, database: str) -> str:
    return f"fedschema: {kind.word} of database {database}"


def _refuse_unsuitable(found: Login, kind: LoginKind) -> None:
    """Let only an ordinary login become a gateway or an administrator: one that the walls bind, of no other kind."""
    if found.comment.startswith("fedschema: department "):
        raise LoginUnsuitable(found.name, "it is a department's role", kind.word)
    if found.is_dangerous:
        raise LoginUnsuitable(
            found.name,
            "it is, or may become, a role that no wall binds (superuser, BYPASSRLS, CREATEROLE, a predefined role)",
            kind.word,
        )
    if not found.can_login:
        raise LoginUnsuitable(found.name, "it is a role that cannot log in", kind.word)
    if found.comment.startswith("fedschema: ") and not found.was_made_here(kind):
        raise LoginUnsuitable(found.name, f"it is there for something else ({found.comment[11:]})", kind.word)
    if others := [role for role in found.roles if role != kind.role]:
        raise LoginUnsuitable(found.name, f"it is a member of {', '.join(others)}", kind.word)
