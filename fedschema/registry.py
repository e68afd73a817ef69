"""The registry and the history: the rows of federation.departments and federation.schema_migrations.

Everything here runs inside `connections.owner_transaction`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import psycopg
from psycopg import sql
from psycopg.errors import InvalidSchemaName, UndefinedTable
from psycopg.rows import class_row

from fedschema import catalogue
from fedschema.department import Department
from fedschema.errors import ControlPlaneAhead, ControlPlaneBehind, UnknownDepartment
from fedschema.versions import VERSION_TABLE, ControlPlaneRevisions, Heads

ACTIVE = "ACTIVE"
SUSPENDED = "SUSPENDED"
DEPROVISIONED = "DEPROVISIONED"

#: How often a look at version tables is repeated because a department was dropped in the middle of it.
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """One row of the registry, by the columns' own names."""

    department_id: str
    department_name: str
    status: str
    tenant_schema: str
    admin_email: str | None
    created_at: datetime
    updated_at: datetime
    deprovisioned_at: datetime | None

    @property
    def department(self) -> Department:
        """The department that the row is about."""
        return Department(self.department_id)

    @property
    def is_live(self) -> bool:
        """It has a schema: everything but a department that was dropped."""
        return self.status != DEPROVISIONED


@dataclass(frozen=True, slots=True)
class MigrationRecord:
    """One row of the history, by the columns' own names."""

    department_id: str
    migration_name: str
    direction: str
    applied_at: datetime
    duration_seconds: Decimal | None
    applied_by: str
    success: bool
    error_message: str | None
    checksum: str | None


def require_control_plane(connection: psycopg.Connection, expected: ControlPlaneRevisions) -> None:
    """Check that the control plane is at the revision that this fedschema was made for.

    Raises:
        ControlPlaneBehind, ControlPlaneAhead; a missing one shows as a missing role or schema already.
    """
    rows = connection.execute("SELECT version_num FROM federation.alembic_version").fetchall()
    check_control_plane(tuple(row[0] for row in rows), expected)


def control_plane_heads(connection: psycopg.Connection) -> Heads | None:
    """Return the rows of the control plane's version table; None when there is no control plane at all.

    The transaction becomes the owner's, if there is one to become.
    """
    if connection.execute("SELECT FROM pg_catalog.pg_roles WHERE rolname = 'federation_owner'").rowcount == 0:
        return None
    connection.execute("SET LOCAL ROLE federation_owner")
    if not catalogue.schemas_with(connection, VERSION_TABLE, ["federation"]):
        return None
    rows = connection.execute("SELECT version_num FROM federation.alembic_version").fetchall()
    return tuple(row[0] for row in rows)


def check_control_plane(found: Heads, expected: ControlPlaneRevisions) -> None:
    """Compare the control plane's version rows with the revisions that this fedschema has.

    Raises:
        ControlPlaneBehind, ControlPlaneAhead
    """
    if not expected.known.issuperset(found):
        raise ControlPlaneAhead(", ".join(found))
    if set(found) != set(expected.heads):
        raise ControlPlaneBehind(", ".join(found) or "base", ", ".join(expected.heads))


def entries(connection: psycopg.Connection, named: Sequence[Department] = ()) -> list[RegistryEntry]:
    """Return the rows of the registry, by id: of the departments that are named, or every one."""
    with connection.cursor(row_factory=class_row(RegistryEntry)) as cursor:
        return cursor.execute(
            """
            SELECT department_id, department_name, status, tenant_schema, admin_email,
                   created_at, updated_at, deprovisioned_at
            FROM federation.departments
            WHERE %(ids)s::text[] IS NULL OR department_id = ANY (%(ids)s)
            ORDER BY department_id
            """,
            {"ids": [department.id for department in named] or None},
        ).fetchall()


def live(connection: psycopg.Connection, wanted: Sequence[Department] = ()) -> list[RegistryEntry]:
    """Read the live departments that are named, in that order, or all of them; a named one costs the same among many.

    Raises:
        UnknownDepartment
    """
    known = entries(connection, wanted)
    if {entry.department for entry in known if entry.is_live}.issuperset(wanted):
        return select(known, wanted)
    return select(entries(connection), wanted)


def select(known: Sequence[RegistryEntry], wanted: Iterable[Department]) -> list[RegistryEntry]:
    """Return the live departments that were named, in the order in which they were; all of them when none was.

    Raises:
        UnknownDepartment: naming those that the registry does not have, and listing those that it has.
    """
    live = {entry.department: entry for entry in known if entry.is_live}
    named = list(dict.fromkeys(wanted))
    if unknown := [department.id for department in named if department not in live]:
        raise UnknownDepartment(unknown, [department.id for department in live])
    return [live[department] for department in named] if named else list(live.values())


def revisions(connection: psycopg.Connection, departments: Sequence[Department]) -> dict[Department, Heads | None]:
    """Read the version tables of many departments, two queries for all of them.

    Returns:
        the rows of each department's version table; None for one that has no such table.
    """
    for _ in range(_ATTEMPTS - 1):
        # One that was dropped after it was seen is not there any more: look again.
        with suppress(UndefinedTable, InvalidSchemaName), connection.transaction():
            return _revisions(connection, departments)
    return _revisions(connection, departments)


def _revisions(connection: psycopg.Connection, departments: Sequence[Department]) -> dict[Department, Heads | None]:
    present = catalogue.schemas_with(connection, VERSION_TABLE, [department.schema for department in departments])
    parts = [
        sql.SQL("SELECT {}, version_num::text FROM {}").format(
            sql.Literal(department.id), sql.Identifier(department.schema, "alembic_version")
        )
        for department in departments
        if department.schema in present
    ]
    found: dict[str, list[str]] = {department.id: [] for department in departments}
    if parts:
        for department_id, revision in connection.execute(sql.SQL(" UNION ALL ").join(parts)):
            found[department_id].append(revision)
    return {
        department: tuple(sorted(found[department.id])) if department.schema in present else None
        for department in departments
    }


def history(connection: psycopg.Connection, department_id: str | None, limit: int) -> list[MigrationRecord]:
    """Return the newest rows of the history, newest first: of one department, or of all."""
    with connection.cursor(row_factory=class_row(MigrationRecord)) as cursor:
        return cursor.execute(
            """
            SELECT department_id, migration_name, direction, applied_at, duration_seconds, applied_by, success,
                   error_message, checksum
            FROM federation.schema_migrations
            WHERE %(department_id)s::text IS NULL OR department_id = %(department_id)s
            ORDER BY applied_at DESC, id DESC
            LIMIT %(limit)s
            """,
            {"department_id": department_id, "limit": limit},
        ).fetchall()


def applied_checksums(connection: psycopg.Connection) -> list[tuple[str, str, str]]:
    """Return what stands, and of which SQL it is: the owner's id, the revision, the checksum of its upgrade.

    A revision that was taken back, stamped, or run without a text of its SQL is left out.
    """
    return connection.execute(
        """
        SELECT department_id, migration_name, checksum
        FROM (
            SELECT DISTINCT ON (department_id, migration_name) department_id, migration_name, direction, checksum
            FROM federation.schema_migrations
            WHERE success
            ORDER BY department_id, migration_name, applied_at DESC, id DESC
        ) AS last
        WHERE direction = 'upgrade' AND checksum IS NOT NULL
        ORDER BY department_id, migration_name
        """
    ).fetchall()


def record_failure(connection: psycopg.Connection, owner: str, revision: str, direction: str, message: str) -> None:
    """Add the row of a step that failed, in whatever transaction the caller has: one of its own."""
    connection.execute(
        """
        INSERT INTO federation.schema_migrations (department_id, migration_name, direction, success, error_message)
        VALUES (%s, %s, %s, false, %s)
        """,
        (owner, revision, direction, message),
    )
