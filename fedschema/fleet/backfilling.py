"""Changes the rows of a table that need it, a few pages at a time, each in a short transaction of its own.

Where it is, the rows themselves say: one that is done does not meet the condition any more. So it can be killed, and
begun again by anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg import sql

from fedschema import batches
from fedschema.connections import owner_transaction, translate
from fedschema.department import Department
from fedschema.errors import BackfillStuck, Cancelled
from fedschema.fleet.pace import Pace
from fedschema.nontransactional import Backfill
from fedschema.plans import Plan

#: What a page holds before anybody has looked, rows; and how many pages are looked through at once at most.
_ROWS_A_PAGE = 50
_MOST_PAGES = 4096


@dataclass(frozen=True, slots=True)
class BackfillStep:
    """What one department's rows are to become.

    Attributes:
        department: whose.
        leg: the step, by itself.
        backfill: what it does, filled in.
        pace: how hard it may press.
        wait: waits so many seconds; true when that is cut short and all ends.
    """

    department: Department
    leg: Plan
    backfill: Backfill
    pace: Pace
    wait: Callable[[float], bool]

    @property
    def what(self) -> str:
        """The operation, for messages."""
        return f"{self.leg.steps[0].direction} of department {self.department}"

    @property
    def table(self) -> sql.Identifier:
        """The table, qualified."""
        return sql.Identifier(self.department.schema, self.backfill.table)


def fill(connection: psycopg.Connection, step: BackfillStep) -> None:
    """Change all rows that need it, and say so in the version table and the history.

    Rows that come meanwhile are found as well: it is over when nothing is left to do from the first page to the last.

    Args:
        connection: an autocommit connection; each transaction may be on another session of a pool.
        step: what is to be done.

    Raises:
        DepartmentMoved: another command did it.
        BackfillStuck: a row that was done still meets the condition; nothing was changed.
        Cancelled, LockTimeout, StatementFailed, …: what was done by then stays done, and the next attempt goes on.
    """
    began = _begin(connection, step)
    while _pass(connection, step):
        pass
    with owner_transaction(connection, step.what):
        step.pace.apply(connection)
        _require_start(connection, step)
        batches.execute(connection, batches.completion(step.department, step.leg.steps[0], began), step.leg)


def _begin(connection: psycopg.Connection, step: BackfillStep) -> str:
    """Check that it is to be done, and return when it began."""
    with owner_transaction(connection, step.what):
        step.pace.apply(connection)
        _require_start(connection, step)
        row = connection.execute("SELECT pg_catalog.clock_timestamp()::text").fetchone()
    assert row is not None  # noqa: S101 - it always gives one
    return str(row[0])


def _require_start(connection: psycopg.Connection, step: BackfillStep) -> None:
    connection.execute("CALL federation.begin_migration(%s, %s::text[])", (step.department.id, list(step.leg.start)))


def _pass(connection: psycopg.Connection, step: BackfillStep) -> int:
    """Go through the table once, from the first page to what was the last, and return how many rows were changed."""
    last = _pages(connection, step)
    page, at_once, changed = 0, max(1, step.backfill.batch_rows // _ROWS_A_PAGE), 0
    while page < last:
        done = _patiently(connection, step, page, at_once)
        page += at_once
        changed += done
        if done < step.backfill.batch_rows // 2:
            at_once = min(at_once * 2, _MOST_PAGES)
        elif done > step.backfill.batch_rows:
            at_once = max(1, at_once // 2)
        if done and step.wait(step.backfill.pause):
            raise Cancelled(step.what)
    return changed


def _pages(connection: psycopg.Connection, step: BackfillStep) -> int:
    with owner_transaction(connection, step.what):
        row = connection.execute(
            """
            SELECT pg_catalog.pg_relation_size(pg_catalog.to_regclass(%s))
                / pg_catalog.current_setting('block_size')::integer
            """,
            (step.table.as_string(connection),),
        ).fetchone()
    return int(row[0] or 0) if row else 0


def _patiently(connection: psycopg.Connection, step: BackfillStep, first: int, pages: int) -> int:
    """Change what is on some pages, as one transaction that is tried again when it cannot have its locks."""
    return step.pace.patiently(lambda: _batch(connection, step, first, pages), step.wait)


def _batch(connection: psycopg.Connection, step: BackfillStep, first: int, pages: int) -> int:
    backfill = step.backfill
    own = {
        "assignments": sql.SQL(backfill.assignments),
        "condition": sql.SQL(backfill.condition),
    }
    update = sql.SQL(
        """
        WITH changed AS (
            UPDATE ONLY {table} SET {assignments}
            WHERE ctid >= {first}::tid AND ctid < {after}::tid AND ({condition})
            RETURNING ({condition}) IS TRUE AS unchanged
        )
        SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE unchanged) FROM changed
        """
    ).format(table=step.table, first=f"({first},0)", after=f"({first + pages},0)", **own)
    with step.pace.held_briefly(connection, step.department), owner_transaction(connection, step.what):
        step.pace.apply(connection)
        connection.execute("SET LOCAL ROLE federation_admin_role")  # FORCE hides the rows from the owner
        try:
            row = connection.execute(update).fetchone()
        except psycopg.Error as error:
            statement = f"UPDATE {backfill.table} SET {backfill.assignments}"  # noqa: S608 - for a message
            raise translate(error, step.what, step.leg.steps[0].revision, statement) from error
        changed, unchanged = row or (0, 0)
        if unchanged:
            raise BackfillStuck(step.what, step.leg.steps[0].revision, backfill.table)
    return int(changed)
