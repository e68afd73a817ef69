"""Who may see what of whom: grants between departments.

What must hold is held by the database (constraints and triggers of federation.cross_dept_permissions), since operators
also write there with plain SQL; these functions add clear reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import psycopg
from psycopg.rows import class_row

from fedschema import registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import GrantMissing, NotShareable, SameDepartment, SessionsRemain

#: Infinity, and years that Python does not know, are as good as never and long ago.
_GRANTS = """
    SELECT source_department_id, target_department_id, permission_type, resource_type, enabled, granted_by, granted_at,
           CASE WHEN expires_at < '9999-01-01Z' THEN greatest(expires_at, '0001-01-02Z') END AS expires_at
    FROM federation.cross_dept_permissions
"""


class PermissionType(StrEnum):
    """The three things that can be granted."""

    READ = "read"
    SEARCH = "search"
    AGGREGATE = "aggregate"


class GrantState(StrEnum):
    """Whether a grant admits anything, as far as the grant goes."""

    IN_FORCE = "in_force"
    EXPIRED = "expired"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Grant:
    """One row of federation.cross_dept_permissions, by the columns' own names."""

    source_department_id: str
    target_department_id: str
    permission_type: str
    resource_type: str
    enabled: bool
    granted_by: str
    granted_at: datetime
    expires_at: datetime | None

    def state(self, moment: datetime) -> GrantState:
        """Say whether it is in force at a moment; one that is disabled stays so, whenever it ends."""
        if not self.enabled:
            return GrantState.DISABLED
        return GrantState.EXPIRED if self.expires_at and self.expires_at <= moment else GrantState.IN_FORCE


@dataclass(frozen=True, slots=True)
class Resource:
    """What can be shared, from federation.resources.

    Attributes:
        resource_type: its canonical name, or ``*``.
        table_name: the table behind it; None for ``*``.
        searchable: `search` finds something in it.
        aggregate_keys: by what `aggregate` can count it.
    """

    resource_type: str
    table_name: str | None
    searchable: bool
    aggregate_keys: list[str]

    def admits(self, permission: PermissionType) -> bool:
        """A grant of this type has an effect."""
        if self.table_name is None or permission is PermissionType.READ:
            return True
        return self.searchable if permission is PermissionType.SEARCH else bool(self.aggregate_keys)


@dataclass(frozen=True, slots=True)
class Sharing:
    """What is to be granted or revoked.

    Attributes:
        source: the department that may look.
        target: the department whose data it is.
        permission: read, search or aggregate.
        resource: a canonical name, a table's name, or ``*``.
    """

    source: Department
    target: Department
    permission: PermissionType
    resource: str


def grant(
    conninfo: str, compiler: Compiler, sharing: Sharing, granted_by: str | None, expires_at: datetime | None
) -> Grant:
    """Let one department have a kind of access to a resource of another; a second time renews it.

    Args:
        conninfo: the database.
        compiler: the project.
        sharing: what is granted.
        granted_by: who decided, for the record; the login when None.
        expires_at: when it ends, or None for never.

    Raises:
        SameDepartment, UnknownDepartment, NotShareable
    """
    what = f"granting {sharing.source} {sharing.permission} on {sharing.resource} of {sharing.target}"
    with connect(conninfo) as connection, owner_transaction(connection, what):
        resource = _checked(connection, compiler, sharing)
        connection.execute("SELECT set_config('fedschema.decided_by', %s, true)", (granted_by or "",))
        with connection.cursor(row_factory=class_row(Grant)) as cursor:
            cursor.execute(
                """
                INSERT INTO federation.cross_dept_permissions AS known
                    (source_department_id, target_department_id, permission_type, resource_type, granted_by, expires_at)
                VALUES (%(source)s, %(target)s, %(permission)s, %(resource)s, coalesce(%(by)s, session_user), %(until)s)
                ON CONFLICT (source_department_id, target_department_id, permission_type, resource_type) DO UPDATE SET
                    enabled = true, granted_by = excluded.granted_by, granted_at = now(),
                    expires_at = excluded.expires_at
                RETURNING source_department_id, target_department_id, permission_type, resource_type, enabled,
                          granted_by, granted_at, expires_at
                """,
                _values(sharing, resource) | {"by": granted_by, "until": expires_at},
            )
            made = cursor.fetchone()
        assert made is not None  # noqa: S101 - an upsert without WHERE always gives its row
    return made


def revoke(
    conninfo: str, compiler: Compiler, sharing: Sharing, revoked_by: str | None, *, terminate: bool = False
) -> tuple[Grant, ...]:
    """Take a grant back; from the next statement on it admits nothing.

    Args:
        conninfo: the database.
        compiler: the project.
        sharing: what is revoked.
        revoked_by: who decided, for the record; the login when None.
        terminate: also end the sessions of the source's gateways, whose open cursors and older snapshots live on.

    Returns:
        the grants that still admit what was revoked: those on ``*``.

    Raises:
        GrantMissing: nothing of the kind was granted.
    """
    what = f"revoking {sharing.permission} on {sharing.resource} of {sharing.target} from {sharing.source}"
    with connect(conninfo) as connection, owner_transaction(connection, what):
        resource = _checked(connection, compiler, sharing)
        values = _values(sharing, resource)
        connection.execute("SELECT set_config('fedschema.decided_by', %s, true)", (revoked_by or "",))
        gone = connection.execute(
            """
            DELETE FROM federation.cross_dept_permissions
            WHERE source_department_id = %(source)s AND target_department_id = %(target)s
              AND permission_type = %(permission)s AND resource_type = %(resource)s
            """,
            values,
        )
        remaining = _still_admitting(connection, values) if resource != "*" else []
        if not gone.rowcount:
            raise GrantMissing(what, [found.resource_type for found in remaining])
    if terminate:
        _end_sessions(conninfo, sharing.source)
    return tuple(remaining)


def grants(conninfo: str, compiler: Compiler) -> list[Grant]:
    """Return every grant, also those that are disabled or have expired."""
    with connect(conninfo) as connection, owner_transaction(connection, "reading the grants"):
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        return read_grants(connection)


def resources(conninfo: str, compiler: Compiler) -> list[Resource]:
    """Return what can be shared."""
    with connect(conninfo) as connection, owner_transaction(connection, "reading what can be shared"):
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        return _resources(connection)


def read_grants(connection: psycopg.Connection) -> list[Grant]:
    """Do as `grants` does, inside an owner's transaction."""
    order = "ORDER BY source_department_id, target_department_id, permission_type, resource_type"
    with connection.cursor(row_factory=class_row(Grant)) as cursor:
        return cursor.execute(_GRANTS + order).fetchall()


def _checked(connection: psycopg.Connection, compiler: Compiler, sharing: Sharing) -> str:
    """Refuse with a reason what the constraints would refuse without one; return the resource's canonical name."""
    registry.require_control_plane(connection, compiler.blueprint.control_plane)
    if sharing.source == sharing.target:
        raise SameDepartment(sharing.source.id)
    registry.live(connection, [sharing.source, sharing.target])
    known = _resources(connection)
    for found in known:
        if sharing.resource in {found.resource_type, found.table_name}:
            return found.resource_type
    raise NotShareable(sharing.resource, [found.resource_type for found in known])


def _resources(connection: psycopg.Connection) -> list[Resource]:
    with connection.cursor(row_factory=class_row(Resource)) as cursor:
        return cursor.execute(
            """
            SELECT resource_type, table_name, id_column IS NOT NULL AS searchable, aggregate_keys
            FROM federation.resources ORDER BY resource_type
            """
        ).fetchall()


def _still_admitting(connection: psycopg.Connection, values: Mapping[str, object]) -> list[Grant]:
    """Return the grant on everything that is in force for the same pair and kind, if there is one."""
    in_force = """
        WHERE source_department_id = %(source)s AND target_department_id = %(target)s
          AND permission_type = %(permission)s AND resource_type = '*'
          AND enabled AND (expires_at IS NULL OR expires_at > clock_timestamp())
    """
    with connection.cursor(row_factory=class_row(Grant)) as cursor:
        return cursor.execute(_GRANTS + in_force, values).fetchall()


def _values(sharing: Sharing, resource: str) -> dict[str, object]:
    return {
        "source": sharing.source.id,
        "target": sharing.target.id,
        "permission": sharing.permission.value,
        "resource": resource,
    }


def _end_sessions(conninfo: str, source: Department) -> None:
    """End the sessions of the logins that may speak for a department, as the login itself.

    Raises:
        SessionsRemain: the login may not end them.
    """
    what = f"ending the sessions that speak for {source}"
    with connect(conninfo) as connection:
        with owner_transaction(connection, what):
            rows = connection.execute(
                """
                SELECT login_role::text FROM federation.gateway_entitlements
                WHERE department_id = %s OR department_id IS NULL
                """,
                (source.id,),
            ).fetchall()
        try:
            connection.execute(
                """
                SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
                WHERE usename = ANY(%s) AND datname = pg_catalog.current_database()
                  AND pid <> pg_catalog.pg_backend_pid()
                """,
                ([row[0] for row in rows],),
            )
        except psycopg.errors.InsufficientPrivilege as error:
            raise SessionsRemain(source.id, str(error).splitlines()[0]) from error
