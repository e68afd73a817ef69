"""Reads and changes how long rows are kept: the rules for everybody, and the periods of one department."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from fedschema import registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import NotExpirable

#: Intervals are shown as PostgreSQL writes them, whatever the login's own style: ``2 years``.
_STYLE = "SET LOCAL intervalstyle = 'postgres'"


@dataclass(frozen=True, slots=True)
class Period:
    """How long a table's rows are kept.

    Attributes:
        table_name: the table.
        time_column: the column from which a row's age is counted.
        kept_for: an interval as PostgreSQL writes it; None for good.
        archive_table: where the rows go then; None when they are deleted.
        set_by: who decided that for the department; None where it is the rule for everybody.
        set_at: when.
    """

    table_name: str
    time_column: str
    kept_for: str | None
    archive_table: str | None
    set_by: str | None
    set_at: datetime | None


@dataclass(frozen=True, slots=True)
class OwnPeriod:
    """One row of federation.retention_periods, by the columns' own names, and what the rule says instead."""

    department_id: str
    table_name: str
    kept_for: str | None
    default_kept_for: str | None
    set_by: str
    set_at: datetime


def rules(conninfo: str, compiler: Compiler) -> list[Period]:
    """Return how long each table's rows are kept unless a department says otherwise."""
    with connect(conninfo) as connection, owner_transaction(connection, "reading how long rows are kept"):
        _look(connection, compiler)
        return _rules(connection)


def periods(conninfo: str, compiler: Compiler, department: Department) -> list[Period]:
    """Return how long a department keeps the rows of each table that it has.

    Raises:
        UnknownDepartment
    """
    with connect(conninfo) as connection, owner_transaction(connection, f"reading how long {department} keeps rows"):
        _look(connection, compiler)
        registry.select(registry.entries(connection), [department])
        with connection.cursor(row_factory=class_row(Period)) as cursor:
            return cursor.execute(
                """
                SELECT table_name, time_column, kept_for::text, archive_table, set_by, set_at
                FROM federation.retention_of(%s) ORDER BY table_name
                """,
                (department.id,),
            ).fetchall()


def own_periods(conninfo: str, compiler: Compiler) -> list[OwnPeriod]:
    """Return the periods that departments have of their own."""
    with connect(conninfo) as connection, owner_transaction(connection, "reading how long rows are kept"):
        _look(connection, compiler)
        with connection.cursor(row_factory=class_row(OwnPeriod)) as cursor:
            return cursor.execute(
                """
                SELECT own.department_id, own.table_name, own.kept_for::text, rule.kept_for::text AS default_kept_for,
                       own.set_by, own.set_at
                FROM federation.retention_periods AS own
                JOIN federation.retention_rules AS rule ON rule.table_name = own.table_name
                ORDER BY own.department_id, own.table_name
                """
            ).fetchall()


def set_period(
    conninfo: str, compiler: Compiler, department: Department, table: str, kept_for: str | None
) -> OwnPeriod:
    """Let a department keep a table's rows for so long; a second time replaces the first. A trigger records it.

    Args:
        conninfo: the database.
        compiler: the project.
        department: whose rows.
        table: which ones.
        kept_for: an interval, from `fedschema.durations.parse_period`; None for good.

    Raises:
        UnknownDepartment, NotExpirable
    """
    with connect(conninfo) as connection, owner_transaction(connection, f"setting how long {department} keeps {table}"):
        rule = _rule(connection, compiler, department, table)
        row = connection.execute(
            """
            INSERT INTO federation.retention_periods (department_id, table_name, kept_for)
            VALUES (%s, %s, %s::interval)
            ON CONFLICT (department_id, table_name) DO UPDATE SET
                kept_for = excluded.kept_for, set_by = excluded.set_by, set_at = excluded.set_at
            RETURNING kept_for::text, set_by, set_at
            """,
            (department.id, table, kept_for),
        ).fetchone()
        assert row is not None  # noqa: S101 - an upsert without WHERE always gives its row
    kept, set_by, set_at = row
    return OwnPeriod(department.id, table, kept, rule.kept_for, set_by, set_at)


def use_default(conninfo: str, compiler: Compiler, department: Department, table: str) -> Period:
    """Take a department's own period for a table away and return the rule that holds now.

    Raises:
        UnknownDepartment, NotExpirable
    """
    with connect(conninfo) as connection, owner_transaction(connection, f"setting how long {department} keeps {table}"):
        rule = _rule(connection, compiler, department, table)
        connection.execute(
            "DELETE FROM federation.retention_periods WHERE department_id = %s AND table_name = %s",
            (department.id, table),
        )
    return rule


def _look(connection: psycopg.Connection, compiler: Compiler) -> None:
    registry.require_control_plane(connection, compiler.blueprint.control_plane)
    connection.execute(_STYLE)


def _rule(connection: psycopg.Connection, compiler: Compiler, department: Department, table: str) -> Period:
    """Return the rule of a table, for a department that there is."""
    _look(connection, compiler)
    registry.select(registry.entries(connection), [department])
    known = {rule.table_name: rule for rule in _rules(connection)}
    if table not in known:
        raise NotExpirable(table, list(known))
    return known[table]


def _rules(connection: psycopg.Connection) -> list[Period]:
    with connection.cursor(row_factory=class_row(Period)) as cursor:
        return cursor.execute(
            """
            SELECT table_name, time_column, kept_for::text, archive_table, NULL AS set_by, NULL AS set_at
            FROM federation.retention_rules ORDER BY table_name
            """
        ).fetchall()
