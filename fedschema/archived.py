"""Whether a department's last archive has all that it holds now: what `fedschema tenant drop` wants to know."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg

from fedschema import contents, events, registry
from fedschema.bundles import Manifest, Row
from fedschema.department import Department
from fedschema.errors import ChangedSinceArchive
from fedschema.versions import Heads

EVENT = "DEPARTMENT_ARCHIVED"

_LAST = """
    SELECT event.created_at, event.details ->> 'file', event.details ->> 'state'
    FROM federation.security_audit AS event
    JOIN federation.departments AS known ON known.id::text = event.details ->> 'department_uuid'
    WHERE known.department_id = %(id)s AND event.source_department_id = %(id)s AND event.event_type = %(event)s
    ORDER BY event.created_at DESC
    LIMIT 1
"""


#: What the control plane has of a department, each row as JSON.
_RECORDS = {
    "department": "SELECT to_jsonb(entry) FROM federation.departments AS entry WHERE department_id = %(id)s",
    "grants": """
        SELECT to_jsonb(entry) FROM federation.cross_dept_permissions AS entry
        WHERE source_department_id = %(id)s OR target_department_id = %(id)s ORDER BY granted_at, id
    """,
    "gateways": """
        SELECT to_jsonb(entry) FROM federation.gateway_entitlements AS entry
        WHERE department_id = %(id)s ORDER BY granted_at, id
    """,
    "credentials": """
        SELECT to_jsonb(entry) FROM federation.oauth_credentials AS entry
        WHERE department_id = %(id)s ORDER BY service_name
    """,
    "periods": """
        SELECT to_jsonb(entry) FROM federation.retention_periods AS entry
        WHERE department_id = %(id)s ORDER BY table_name
    """,
    "history": """
        SELECT to_jsonb(entry) FROM federation.schema_migrations AS entry WHERE department_id = %(id)s ORDER BY id
    """,
}
#: What of that is gone with the department.
_GOING = ("grants", "gateways", "credentials", "periods")


@dataclass(frozen=True, slots=True)
class LastArchive:
    """The last archive of a department.

    Attributes:
        moment: when it was made.
        file: where it was written then.
        complete: it has every row, grant, gateway, secret and period that the department has now, and no other.
    """

    moment: datetime
    file: str
    complete: bool


def records(connection: psycopg.Connection, department: Department) -> dict[str, tuple[Row, ...]]:
    """Return what the control plane has of a department, by the names that a manifest has for it.

    Args:
        connection: inside an owner's transaction, after `contents.PORTABLE`.
        department: which one.
    """
    given = {"id": department.id}
    return {
        name: tuple(row for (row,) in connection.execute(question.encode(), given))
        for name, question in _RECORDS.items()
    }


def record(connection: psycopg.Connection, department: Department, manifest: Manifest, path: Path, sha256: str) -> None:
    """Put on record that a department was archived, with what it held, in the owner's transaction."""
    rows = ((table.name, table.rows, table.digest) for table in manifest.tables)
    events.record(
        connection,
        EVENT,
        department,
        file=str(path.absolute()),
        sha256=sha256,
        rows=manifest.rows,
        department_uuid=str(manifest.department_uuid),
        state=_state(manifest.revisions, rows, [getattr(manifest, name) for name in _GOING]),
    )


def last(connection: psycopg.Connection, department: Department) -> LastArchive | None:
    """Return the last archive of a department that is there; all its rows are read. None when it was never archived.

    Args:
        connection: inside an owner's transaction.
        department: which one.
    """
    found = connection.execute(_LAST, {"id": department.id, "event": EVENT}).fetchone()
    if found is None:
        return None
    moment, file, state = found
    return LastArchive(moment, str(file), complete=state == state_of(connection, department))


def state_of(connection: psycopg.Connection, department: Department) -> str:
    """Return what stands for all that goes with a department: revisions, rows, grants, gateways, secrets, periods."""
    contents.untimed(connection)
    connection.execute(contents.PORTABLE)
    found = []
    for shape in contents.department_tables(connection, department):
        digest = contents.read_department(connection, department, shape, contents.forget)
        found.append((shape.name, digest.rows, digest.hex))
    known = records(connection, department)
    heads = registry.revisions(connection, [department])[department] or ()
    return _state(heads, found, [known[name] for name in _GOING])


def _state(heads: Heads, tables: Iterable[tuple[str, int, str]], known: Sequence[Sequence[Row]]) -> str:
    listed = [*sorted(heads), *(f"{name} {rows} {digest}" for name, rows, digest in sorted(tables))]
    text = "\n".join([*listed, json.dumps(known, sort_keys=True)])
    return hashlib.sha256(text.encode()).hexdigest()


def require_unchanged(connection: psycopg.Connection, department: Department) -> None:
    """Keep a department from being written until the transaction ends, and look whether its archive has it all.

    Raises:
        ChangedSinceArchive
        LockTimeout: somebody writes in it.
    """
    connection.execute("CALL federation.lock_department(%s)", (department.id,))  # in the order in which releases do
    tables = [table for table in contents.tables(connection, department.schema) if table.ours]
    contents.hold(connection, department.schema, tables, against_writing=True)
    found = last(connection, department)
    if found is None or not found.complete:
        raise ChangedSinceArchive(department.id)
