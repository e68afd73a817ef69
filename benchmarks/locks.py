"""How many locks one transaction holds at its end, which is the most: locks are kept until then.

The server's lock table has a place for max_locks_per_transaction times max_connections of them (manual, "Lock
Management"), shared by all transactions of the moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import psycopg

from benchmarks.findings import Finding
from benchmarks.ground import Ground, draw_department, new
from fedschema import batches, positions
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department


def findings(ground: Ground, compiler: Compiler, fleet: Sequence[Department], jobs: int) -> Iterator[Finding]:
    """Count the locks of each kind of transaction, and roll it back; the departments do not have the release yet.

    A department's transaction may have what is left for each of the connections that work at the same time.
    """
    with connect(ground.conninfo) as connection:
        room = _room(connection)
        for what, work in _transactions(connection, ground, compiler, fleet[0]):
            yield Finding(f"locks: {what} a department", "locks", _held(connection, work), limit=room // jobs)
        looking = _held(connection, lambda: positions.read(connection, compiler, []))
        yield Finding(f"locks: looking where {len(fleet)} are", "locks", looking, limit=room)


def _transactions(
    connection: psycopg.Connection, ground: Ground, compiler: Compiler, department: Department
) -> Iterator[tuple[str, Callable[[], object]]]:
    templates, another = ground.compiler.templates, new(draw_department())
    creation = ground.compiler.creation(another.department)
    release = compiler.upgrade(department, creation.end, "head")
    for what, batch in (
        ("creating", batches.creation(templates, another.department, another.name, None, creation)),
        ("a release to", batches.migration(department, release)),
        ("dropping", batches.removal(templates, department)),
    ):
        yield what, partial(batches.execute, connection, batch)


def _held(connection: psycopg.Connection, work: Callable[[], object]) -> int:
    """Do something as the owner, count the locks, and undo it."""
    with connection.transaction(force_rollback=True), owner_transaction(connection, "counting locks"):
        work()
        row = connection.execute("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()").fetchone()
    assert row is not None  # noqa: S101 - a count is a row
    return int(row[0])


def _room(connection: psycopg.Connection) -> int:
    row = connection.execute(
        """
        SELECT current_setting('max_locks_per_transaction')::integer
            * (current_setting('max_connections')::integer + current_setting('max_prepared_transactions')::integer)
        """
    ).fetchone()
    assert row is not None  # noqa: S101 - as above
    return int(row[0])
