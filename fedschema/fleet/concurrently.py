"""Makes and drops indexes without keeping anybody from writing, and repairs what an earlier attempt left behind.

CREATE INDEX CONCURRENTLY can be in no transaction, so that no transaction can say that it is done, and it leaves an
invalid index when it fails. What tells the truth is the index itself, while nobody builds on its table: a build holds a
lock there from its beginning to its end, whether its client lives or not. That lock is looked for and never waited for,
since a build waits for the transactions of others, and whoever waited for it in one would be in a deadlock with it.
"""

from __future__ import annotations

import secrets
from enum import Enum

import psycopg
from psycopg import sql
from psycopg.errors import DuplicateTable

from fedschema.connections import owner_transaction
from fedschema.errors import Cancelled, ConnectionLost, FedschemaError, LockTimeout, StatementFailed
from fedschema.fleet.apart_step import ApartStep
from fedschema.nontransactional import IndexChange

#: How long to wait before looking again whether somebody still builds, seconds.
_LOOK_AGAIN = 0.2
#: How often an index is made again that somebody else made, or spoilt, meanwhile.
_ATTEMPTS = 5
#: What an invalid index is called while it waits to be dropped: the beginning of its name, and this much more.
_MARK = "_broken_"
_KEPT_CHARACTERS = 63 - len(_MARK) - 8


class _State(Enum):
    ABSENT = "absent"
    INVALID = "invalid"
    VALID = "valid"


def change_index(session: psycopg.Connection, step: ApartStep[IndexChange]) -> None:
    """Make or drop the index, and say so in the version table and the history.

    Args:
        session: from `fedschema.reach.Reach.session`.
        step: what is to be done.

    Raises:
        DepartmentMoved: another command did it.
        StatementFailed, StatementTimeout, …: the department is where it was; an invalid index may be left, which the
            next attempt repairs.
    """
    _set_timeouts(session, step)
    with owner_transaction(session, step.what):
        began = step.begin(session)
    for attempt in range(_ATTEMPTS):
        while _somebody_builds(session, step):
            step.pause(_LOOK_AGAIN)
        try:
            if _settle(session, step, began):
                return
            _drop_broken(session, step)
            _run(session, step)
        except LockTimeout:  # somebody else began to build, or to drop, at the same moment
            step.pause(step.pace.pause_before(attempt))
    reason = f"index {step.work.index} was made {_ATTEMPTS} times, and something spoilt or dropped it each time"
    raise StatementFailed(step.what, reason, step.revision)


def _set_timeouts(session: psycopg.Connection, step: ApartStep[IndexChange]) -> None:
    """Let a build wait as long as it has to, for transactions that began before it; nobody waits for it."""
    milliseconds = round((step.pace.statement_timeout or 0) * 1000)
    session.execute(
        "SELECT set_config('lock_timeout', '0', false), set_config('statement_timeout', %s, false)",
        (f"{milliseconds}ms",),
    )


def _somebody_builds(session: psycopg.Connection, step: ApartStep[IndexChange]) -> bool:
    """Tell whether an index is being made or dropped on the table, by anybody; of others only the pid can be seen."""
    row = session.execute(
        """
        SELECT EXISTS (
            SELECT FROM pg_catalog.pg_locks AS held
            WHERE held.locktype = 'relation' AND held.mode = 'ShareUpdateExclusiveLock' AND held.granted
              AND held.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
              AND held.relation = pg_catalog.to_regclass(%s)
              AND held.pid IN (SELECT pid FROM pg_catalog.pg_stat_progress_create_index)
        )
        """,
        (step.table.as_string(session),),
    ).fetchone()
    return bool(row and row[0])


def _settle(session: psycopg.Connection, step: ApartStep[IndexChange], began: str) -> bool:
    """Look at the index: say that the step is done if it is, and put aside what is invalid.

    One that is there and valid counts as done: an earlier attempt made it, or somebody made it beforehand. One that is
    invalid, and then nobody builds, was left behind: whoever builds it began before it was there.
    """
    with owner_transaction(session, step.what):
        step.begin(session)
        state = _state(session, step)
        if state is (_State.VALID if step.work.builds else _State.ABSENT):
            step.complete(session, began)
            return True
        if state is _State.INVALID:
            _put_aside(session, step)
    return False


def _state(session: psycopg.Connection, step: ApartStep[IndexChange]) -> _State:
    row = session.execute(
        """
        SELECT index.indisvalid AND index.indisready
        FROM pg_catalog.pg_class AS class
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
        JOIN pg_catalog.pg_index AS index ON index.indexrelid = class.oid
        WHERE namespace.nspname = %s AND class.relname = %s
        """,
        (step.department.schema, step.work.index),
    ).fetchone()
    if row is None:
        return _State.ABSENT
    return _State.VALID if row[0] else _State.INVALID


def _put_aside(session: psycopg.Connection, step: ApartStep[IndexChange]) -> None:
    """Give an index that was left invalid another name: nobody builds under it, so anybody can drop it."""
    if _somebody_builds(session, step) or _state(session, step) is not _State.INVALID:
        return
    mark = f"{step.work.index[:_KEPT_CHARACTERS]}{_MARK}{secrets.token_hex(4)}"
    session.execute(
        sql.SQL("ALTER INDEX {} RENAME TO {}").format(
            sql.Identifier(step.department.schema, step.work.index), sql.Identifier(mark)
        )
    )


def _drop_broken(session: psycopg.Connection, step: ApartStep[IndexChange]) -> None:
    """Drop the invalid indexes that were put aside, by this attempt or another."""
    rows = session.execute(
        """
        SELECT class.relname
        FROM pg_catalog.pg_class AS class
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
        JOIN pg_catalog.pg_index AS index ON index.indexrelid = class.oid
        WHERE namespace.nspname = %s AND class.relname ~ '^.+_broken_[0-9a-f]{8}$'
          AND pg_catalog.starts_with(class.relname, %s) AND NOT index.indisvalid
        """,
        (step.department.schema, f"{step.work.index[:_KEPT_CHARACTERS]}{_MARK}"),
    ).fetchall()
    for (name,) in rows:
        identifier = sql.Identifier(step.department.schema, name)
        _execute(session, step, sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(identifier))


def _run(session: psycopg.Connection, step: ApartStep[IndexChange]) -> None:
    """Run the statement; whatever it leaves is looked at afterwards."""
    try:
        _execute(session, step, sql.SQL(step.work.sql))
    except (Cancelled, ConnectionLost):
        raise  # nobody waits for a repair: the next attempt makes it
    except FedschemaError:
        _repair(session, step)
        raise


def _execute(session: psycopg.Connection, step: ApartStep[IndexChange], statement: sql.SQL | sql.Composed) -> None:
    try:
        session.execute(statement)
    except DuplicateTable:
        return  # somebody else has begun it: it is looked at again
    except psycopg.Error as error:
        raise step.failed(error, step.work.sql) from error


def _repair(session: psycopg.Connection, step: ApartStep[IndexChange]) -> None:
    """Leave no invalid index where a build failed; what keeps this from succeeding is left to the next attempt."""
    try:
        with owner_transaction(session, step.what):
            _put_aside(session, step)
        _drop_broken(session, step)
    except FedschemaError:
        return
