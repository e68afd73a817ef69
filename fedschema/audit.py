"""Reads the record of cross-department attempts: `fedschema audit`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from fedschema import registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of federation.cross_dept_audit, by the columns' own names."""

    id: UUID
    created_at: datetime
    source_department_id: str | None
    target_department_id: str | None
    query_type: str
    resource_type: str | None
    query_params: Any
    requester_login: str | None
    requester_session_id: str | None
    requester_ip: IPv4Address | IPv6Address | IPv4Interface | IPv6Interface | None
    results_returned: int | None
    success: bool
    error_message: str | None
    latency_ms: int | None


def attempts(
    conninfo: str, compiler: Compiler, *, denied_only: bool, since: datetime | None, limit: int
) -> list[Attempt]:
    """Return the newest attempts, newest first.

    Args:
        conninfo: the database.
        compiler: the project.
        denied_only: leave out what was granted.
        since: how far back, or None for all that is kept.
        limit: at most so many.
    """
    with connect(conninfo) as connection, owner_transaction(connection, "reading the audit"):
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        with connection.cursor(row_factory=class_row(Attempt)) as cursor:
            return cursor.execute(
                """
                SELECT id, created_at, source_department_id, target_department_id, query_type, resource_type,
                       query_params, requester_login, requester_session_id, requester_ip, results_returned, success,
                       error_message, latency_ms
                FROM federation.cross_dept_audit
                WHERE (NOT %(denied)s OR NOT success)
                  AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s::timestamptz)
                ORDER BY created_at DESC, id
                LIMIT %(limit)s
                """,
                {"denied": denied_only, "since": since, "limit": limit},
            ).fetchall()
