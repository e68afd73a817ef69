"""Notices when a migration would take rows with it, whatever SQL it does that with.

The migration is rehearsed inside the transaction that is going to do it, and the catalogue is compared before and
after: a table or a column that is gone and held something is a loss. Nobody can add a row between the count and the
real step, since what would go is locked before it is counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import psycopg
from psycopg import sql

from fedschema import catalogue
from fedschema.department import Department
from fedschema.errors import WouldLoseRows
from fedschema.plans import Plan
from fedschema.versions import FEDERATION

#: Nothing disappears without one of these; SQL that has none of them needs no rehearsal.
_DESTRUCTIVE = re.compile(
    r"""
      \bdrop\b
    | \bdo\s+(?:language\b|\$|e?')
    | \bexecute\b(?!\s+(?:function|procedure|on)\b)
    | \bcall\b(?!\s+federation\.)
    """,
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Loss:
    """What would be gone.

    Attributes:
        table: the table's name.
        column: the column, or None for the whole table.
        rows: how many rows hold something there.
    """

    table: str
    column: str | None
    rows: int

    def __str__(self) -> str:
        what = f"column {self.table}.{self.column}" if self.column else f"table {self.table}"
        return f"{what} ({self.rows} row{'' if self.rows == 1 else 's'})"


def may_lose_rows(migration: str) -> bool:
    """Tell whether SQL could drop anything at all; True when in doubt."""
    return bool(_DESTRUCTIVE.search(migration))


def refuse_losses(  # noqa: PLR0913, PLR0917 - what is done, how, and what may go
    connection: psycopg.Connection,
    department: Department,
    plan: Plan,
    rehearse: Callable[[], None],
    hint: str,
    accepted: Collection[tuple[str, str | None]] = (),
) -> None:
    """Refuse a migration that would lose rows, before it is done.

    Args:
        connection: inside the migration's transaction, as federation_owner, with the department held.
        department: whose tables are watched.
        plan: what is done; a column whose values it gives to another that stays may go.
        rehearse: does the migration; what it does is rolled back.
        hint: how to confirm, shown with the refusal.
        accepted: tables, each with None, and columns, each with its table, that may go whatever they hold.

    Raises:
        WouldLoseRows: naming each table and column with its rows.
    """
    before = catalogue.columns(connection, department.schema)
    with connection.transaction(force_rollback=True):
        rehearse()
        after = catalogue.columns(connection, department.schema)
    tables, columns = gone(plan, before, after)
    tables = [table for table in tables if (table, None) not in accepted]
    columns = [column for column in columns if column not in accepted]
    if losses := _counted(connection, department, tables, columns):
        raise WouldLoseRows(department.id, [str(loss) for loss in losses], hint)


def gone(
    plan: Plan, before: Iterable[catalogue.Column], after: Iterable[catalogue.Column]
) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the tables that a plan takes away, and of those that stay the columns, each with its table.

    A column whose values another has is none of them, as long as that other one stands in the end.

    Args:
        plan: what was done.
        before: the columns that there were.
        after: those that there are.
    """
    remaining = {column.key: column for column in after}
    tables = {column.table_oid for column in remaining.values()}
    missing = [column for column in before if column.key not in remaining]
    # What bears the name of a column that went is another one.
    heirs = {(column.table_oid, column.column_name) for column in remaining.values()}
    heirs -= {(column.table_oid, column.column_name) for column in missing}
    return (
        sorted({column.table_name for column in missing if column.table_oid not in tables}),
        sorted(
            (column.table_name, column.column_name)
            for column in missing
            if column.table_oid in tables
            and (column.table_oid, plan.heir(column.table_name, column.column_name)) not in heirs
        ),
    )


def _counted(
    connection: psycopg.Connection,
    department: Department,
    dropped_tables: list[str],
    dropped_columns: list[tuple[str, str]],
) -> list[Loss]:
    """Lock what would go, count what it holds, and leave out what holds nothing."""
    _lock(connection, department, {*dropped_tables, *(table for table, _ in dropped_columns)})
    rows = catalogue.count_rows(connection, department.schema, dropped_tables)
    losses = [Loss(table, None, rows[table]) for table in dropped_tables]
    losses += [
        Loss(table, column, catalogue.count_values(connection, department.schema, table, column))
        for table, column in dropped_columns
    ]
    return [loss for loss in losses if loss.rows]


def _lock(connection: psycopg.Connection, department: Department, tables: set[str]) -> None:
    if tables:
        names = sql.SQL(", ").join(sql.Identifier(department.schema, table) for table in sorted(tables))
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))


def refuse_control_plane_losses(connection: psycopg.Connection, hint: str) -> None:
    """Refuse to take the control plane away while it knows departments.

    Raises:
        WouldLoseRows: naming each of its tables that holds rows.
    """
    own = {
        "resources",
        "schema_migrations",
    }  # filled by the control plane itself; what departments left is told by others
    tables = [table for table in catalogue.tables(connection, FEDERATION) if table not in own]
    rows = catalogue.count_rows(connection, FEDERATION, tables)
    if losses := [str(Loss(table, None, count)) for table, count in rows.items() if count]:
        raise WouldLoseRows(FEDERATION, losses, hint)
