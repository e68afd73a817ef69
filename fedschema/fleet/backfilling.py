"""Changes the rows of a table that need it, a few pages at a time, each in a short transaction of its own.

Where it is, the rows themselves say: one that is done does not meet the condition any more. So it can be killed, and
begun again by anybody.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from fedschema.connections import owner_transaction
from fedschema.errors import BackfillStuck
from fedschema.fleet.apart_step import ApartStep
from fedschema.nontransactional import Backfill

#: What a page holds before anybody has looked, rows; and how many pages are looked through at once at most.
_ROWS_A_PAGE = 50
_MOST_PAGES = 4096


def fill(connection: psycopg.Connection, step: ApartStep[Backfill]) -> None:
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
    with owner_transaction(connection, step.what):
        began = step.begin(connection)
    while _pass(connection, step):
        pass
    with owner_transaction(connection, step.what):
        step.begin(connection)
        step.complete(connection, began)


def _pass(connection: psycopg.Connection, step: ApartStep[Backfill]) -> int:
    """Go through the table once, from the first page to what was the last, and return how many rows were changed."""
    last = _pages(connection, step)
    page, at_once, changed = 0, max(1, step.work.batch_rows // _ROWS_A_PAGE), 0
    while page < last:
        done = _patiently(connection, step, page, at_once)
        changed += done
        if done < step.work.batch_rows:  # nothing is left on these pages
            page += at_once
            at_once = min(at_once * 2, _MOST_PAGES) if done < step.work.batch_rows // 2 else at_once
        else:
            at_once = max(1, at_once // 2)
        if done:
            step.pause(step.work.pause)
    return changed


def _pages(connection: psycopg.Connection, step: ApartStep[Backfill]) -> int:
    with owner_transaction(connection, step.what):
        row = connection.execute(
            """
            SELECT pg_catalog.pg_relation_size(pg_catalog.to_regclass(%s))
                / pg_catalog.current_setting('block_size')::integer
            """,
            (step.table.as_string(connection),),
        ).fetchone()
    return int(row[0] or 0) if row else 0


def _patiently(connection: psycopg.Connection, step: ApartStep[Backfill], first: int, pages: int) -> int:
    """Change rows of some pages, in one transaction that is tried again when it cannot have its locks."""
    return step.pace.patiently(lambda: _batch(connection, step, first, pages), step.wait)


def _batch(connection: psycopg.Connection, step: ApartStep[Backfill], first: int, pages: int) -> int:
    backfill = step.work
    own = {
        "assignments": sql.SQL(backfill.assignments),
        "condition": sql.SQL(backfill.condition),
    }
    update = sql.SQL(
        """
        WITH changed AS (
            UPDATE ONLY {table} SET {assignments}
            WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM ONLY {table}
                WHERE ctid >= {first}::tid AND ctid < {after}::tid AND ({condition})
                LIMIT {rows}
            )) AND ({condition})
            RETURNING ({condition}) IS TRUE AS unchanged
        )
        SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE unchanged) FROM changed
        """
    ).format(table=step.table, first=f"({first},0)", after=f"({first + pages},0)", rows=backfill.batch_rows, **own)
    with step.pace.held_briefly(connection, step.department), owner_transaction(connection, step.what):
        step.pace.apply(connection)
        connection.execute("SET LOCAL ROLE federation_admin_role")  # FORCE hides the rows from the owner
        try:
            row = connection.execute(update).fetchone()
        except psycopg.Error as error:
            statement = f"UPDATE {backfill.table} SET {backfill.assignments}"  # noqa: S608 - for a message
            raise step.failed(error, statement) from error
        changed, unchanged = row or (0, 0)
        if unchanged:
            raise BackfillStuck(step.what, step.revision, backfill.table)
    return int(changed)
