"""Writes into federation.security_audit what commands do; for grants and entitlements triggers do it."""

from __future__ import annotations

import psycopg
from psycopg.types.json import Jsonb

from fedschema.department import Department


def record(connection: psycopg.Connection, event: str, department: Department | None = None, **details: object) -> None:
    """Add a row in the caller's transaction, with the login that does it; never a password, a key or a secret.

    Args:
        connection: inside an owner's transaction.
        event: its type; docs/reference/events.md lists them.
        department: the one that it is about, or None.
        details: what else there is to know.
    """
    connection.execute(
        """
        INSERT INTO federation.security_audit (event_type, source_department_id, user_role, details, created_at)
        VALUES (%s, %s, session_user, %s, clock_timestamp())
        """,
        (event, department.id if department else None, Jsonb(details) if details else None),
    )
