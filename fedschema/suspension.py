"""Takes a department out of service for a while, and puts it back: `fedschema tenant suspend` and `resume`.

One privilege makes the difference: without USAGE on its schema a role reaches nothing by name, also in sessions and
with plans that it has already. The role cannot log in either, and its sessions are ended. Tables, policies and
privileges on tables stay as they are, so that nothing waits for a lock and migrations go on.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.errors import InternalError_, LockNotAvailable

from fedschema import events, logins, registry, sessions
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import DepartmentDamaged, PrivilegeMissing, SessionsOpen, WallsMissing, WrongStatus

#: How long the registry's row is waited for: whoever migrates the department holds it.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s'"
#: How often a department that holds its own role is ended.
_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Suspension:
    """What `suspend` or `resume` came to.

    Attributes:
        department: which one.
        status: what the registry says now.
        changed: it said otherwise before.
        can_log_in: the department's role can log in now.
        sessions_ended: how many sessions were ended.
    """

    department: Department
    status: str
    changed: bool
    can_log_in: bool
    sessions_ended: int = 0


def suspend(
    conninfo: str, compiler: Compiler, department: Department, reason: str | None = None, *, gateways: bool = False
) -> Suspension:
    """Take a department out of service; safe to repeat, which also does what an interrupted call left undone.

    Args:
        conninfo: the database.
        compiler: the project.
        department: which one.
        reason: why, for the record.
        gateways: also end the sessions of the gateways that speak for it, or for those with a grant on it: their open
            cursors and older snapshots live on otherwise.

    Raises:
        UnknownDepartment
        WrongStatus: it is neither in service nor suspended.
        DepartmentDamaged: its role is missing or somebody else's.
        LockTimeout: it is being migrated; nothing was changed.
        SessionsOpen: it is suspended, and sessions could not be ended.
        WallsMissing: it is suspended, and its role comes in by another way, through PUBLIC or a membership.
    """
    what = f"suspending department {department}"
    with connect(conninfo) as connection:
        with owner_transaction(connection, what):
            entry, could_log_in = _hold(connection, compiler, department)
            if entry.status not in {registry.ACTIVE, registry.SUSPENDED}:
                raise WrongStatus(department.id, entry.status, "suspended")
            _close(connection, department)
            shut_out = _take_login(connection, department)
            changed = _set_status(connection, department, registry.SUSPENDED)
            if changed:
                details = {"could_log_in": could_log_in} | ({"reason": reason} if reason else {})
                events.record(connection, "DEPARTMENT_SUSPENDED", department, **details)
            asking = _gateways(connection, department) if gateways else []
            let_in = _still_comes_in(connection, department)
        ended = 0 if shut_out else _shut_out(connection, department, what)
        ended += sum(_end(connection, department, login, what) for login in (department.role, *asking))
    if let_in:
        raise WallsMissing(
            f"department {department} is suspended, but its role still reaches schema {department.schema}: somebody "
            "gave it, or everybody, another way in",
            f"fedschema validate {department}",
        )
    return Suspension(department, registry.SUSPENDED, changed, can_log_in=False, sessions_ended=ended)


def suspend_within(connection: psycopg.Connection, department: Department, reason: str) -> None:
    """Take a department out of service that was made in the same transaction, so that nobody has a session of it.

    Args:
        connection: inside `owner_transaction`.
        department: which one.
        reason: why, for the record.
    """
    _close(connection, department)
    connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(department.role)))
    _set_status(connection, department, registry.SUSPENDED)
    events.record(connection, "DEPARTMENT_SUSPENDED", department, could_log_in=True, reason=reason)


def resume(conninfo: str, compiler: Compiler, department: Department) -> Suspension:
    """Put a suspended department back in service, if its walls stand; safe to repeat.

    Its role can log in again, if it could before: password and connection limit were never touched.

    Args:
        conninfo: the database.
        compiler: the project.
        department: which one.

    Raises:
        UnknownDepartment
        WrongStatus: it is neither suspended nor in service.
        DepartmentDamaged: its role is missing or somebody else's.
        WallsMissing: it would be open; it stays suspended.
        LockTimeout: it is being migrated; nothing was changed.
    """
    with connect(conninfo) as connection, owner_transaction(connection, f"resuming department {department}"):
        entry, can_log_in = _hold(connection, compiler, department)
        if entry.status not in {registry.ACTIVE, registry.SUSPENDED}:
            raise WrongStatus(department.id, entry.status, "resumed")
        changed = _set_status(connection, department, registry.ACTIVE)
        if changed:
            can_log_in = _could_log_in(connection, department)
            _open(connection, department, log_in=can_log_in)
            connection.execute("CALL federation.assert_walls(%s)", (department.id,))
            events.record(connection, "DEPARTMENT_RESUMED", department)
    return Suspension(department, registry.ACTIVE, changed, can_log_in=can_log_in)


def _hold(
    connection: psycopg.Connection, compiler: Compiler, department: Department
) -> tuple[registry.RegistryEntry, bool]:
    """Hold a department's row until the transaction ends; return it, and whether the department's role can log in."""
    connection.execute(_LOCK_TIMEOUT)
    registry.require_control_plane(connection, compiler.blueprint.control_plane)
    registry.live(connection, [department])
    connection.execute("CALL federation.lock_department(%s)", (department.id,))
    entry = registry.live(connection, [department])[0]
    return entry, logins.require_department(connection, department).can_login


def _close(connection: psycopg.Connection, department: Department) -> None:
    """Take from a department's role what lets it reach its schema; nothing that the department has open holds it up."""
    if _has_schema(connection, department):
        schema, role = sql.Identifier(department.schema), sql.Identifier(department.role)
        connection.execute(sql.SQL("REVOKE USAGE ON SCHEMA {} FROM {}").format(schema, role))


def _open(connection: psycopg.Connection, department: Department, *, log_in: bool) -> None:
    """Give a department's role back what it needs to reach its schema, and to log in."""
    if not _has_schema(connection, department):
        raise DepartmentDamaged(department.id, f"its schema {department.schema} is missing")
    schema, role = sql.Identifier(department.schema), sql.Identifier(department.role)
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role))
    connection.execute(sql.SQL("ALTER ROLE {} {}").format(role, sql.SQL("LOGIN" if log_in else "NOLOGIN")))


def _take_login(connection: psycopg.Connection, department: Department) -> bool:
    """Keep a department's role from logging in; tell whether that could be done.

    A department may change its own password; until that is committed, nobody else changes the role.
    """
    try:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '300ms'")
            connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(department.role)))
    except (LockNotAvailable, InternalError_):  # the latter: it committed at that moment
        return False
    return True


def _shut_out(connection: psycopg.Connection, department: Department, what: str) -> int:
    """Keep a department's role from logging in, against its own sessions, which are ended as often as need be.

    Returns:
        how many were ended.
    """
    ended = 0
    for _ in range(_ATTEMPTS):
        ended += _end(connection, department, department.role, what)
        with owner_transaction(connection, what):
            connection.execute(_LOCK_TIMEOUT)
            connection.execute("CALL federation.lock_department(%s)", (department.id,))
            entry = registry.live(connection, [department])[0]
            # Somebody may have resumed it meanwhile: then the role is theirs to open.
            if entry.status != registry.SUSPENDED or _take_login(connection, department):
                return ended
    raise SessionsOpen(department.id, department.role, "it logs in again and again, and holds its own role")


def _has_schema(connection: psycopg.Connection, department: Department) -> bool:
    """Tell whether a department's schema is there."""
    found = connection.execute("SELECT FROM pg_catalog.pg_namespace WHERE nspname = %s", (department.schema,))
    return bool(found.rowcount)


def _still_comes_in(connection: psycopg.Connection, department: Department) -> bool:
    """Tell whether a department's role reaches its schema, by whatever way."""
    if not _has_schema(connection, department):
        return False
    row = connection.execute(
        "SELECT pg_catalog.has_schema_privilege(%s::name, %s, 'USAGE')", (department.role, department.schema)
    ).fetchone()
    return row is not None and bool(row[0])


def _set_status(connection: psycopg.Connection, department: Department, status: str) -> bool:
    """Write the status into the registry; tell whether it was another."""
    update = "UPDATE federation.departments SET status = %s WHERE department_id = %s AND status <> %s"
    return bool(connection.execute(update, (status, department.id, status)).rowcount)


def _could_log_in(connection: psycopg.Connection, department: Department) -> bool:
    """Tell whether a department's role could log in when it was suspended; where nothing is on record, it could."""
    row = connection.execute(
        """
        SELECT (details ->> 'could_log_in')::boolean FROM federation.security_audit
        WHERE event_type = 'DEPARTMENT_SUSPENDED' AND source_department_id = %s
        ORDER BY created_at DESC LIMIT 1
        """,
        (department.id,),
    ).fetchone()
    return row is None or row[0] is not False


def _gateways(connection: psycopg.Connection, department: Department) -> list[str]:
    """Return the logins that may ask in a department's name, or in the name of one that may see something of it."""
    rows = connection.execute(
        """
        SELECT DISTINCT entitlement.login_role::text
        FROM federation.gateway_entitlements AS entitlement
        WHERE entitlement.department_id IS NULL OR entitlement.department_id = %(id)s OR entitlement.department_id IN (
            SELECT source_department_id FROM federation.cross_dept_permissions WHERE target_department_id = %(id)s
        )
        """,
        {"id": department.id},
    )
    return [login for (login,) in rows]


def _end(connection: psycopg.Connection, department: Department, login: str, what: str) -> int:
    """End the sessions of a login; return how many there were."""
    try:
        everywhere = login == department.role  # a gateway may serve other databases
        found, remaining = sessions.end(connection, login, what, everywhere=everywhere)
    except PrivilegeMissing as error:
        raise SessionsOpen(department.id, login, error.message) from error
    if remaining:
        raise SessionsOpen(department.id, login, f"{remaining} did not answer within seconds")
    return found
