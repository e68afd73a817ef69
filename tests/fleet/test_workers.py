"""Workers share a list over a few connections; what they do for each is theirs to settle."""

from __future__ import annotations

import psycopg
import pytest

from fedschema import batches, connections
from fedschema.workers import Halt, Workers
from tests.conftest import Database
from tests.fleet.conftest import sleeping
from tests.tenancy.conftest import eventually


def test_nothing_is_prepared_on_a_connection_that_is_used_for_many(database: Database) -> None:
    """Behind a pool the next transaction may be on a session that has another statement of that name."""

    def prepared(connection: psycopg.Connection, _: int) -> int:
        row = connection.execute("SELECT count(*) FROM pg_catalog.pg_prepared_statements").fetchone()
        assert row is not None
        return int(row[0])

    outcomes = dict(Workers(database.conninfo, 1, prepared, Halt()).run(range(20)))

    assert outcomes == dict.fromkeys(range(20), 0)


def test_halted_before_it_began_does_nothing(database: Database) -> None:
    halt = Halt()
    halt.stop()

    def work(_: psycopg.Connection, item: int) -> int:
        return item

    assert list(Workers(database.conninfo, 2, work, halt).run([1, 2, 3])) == []


def test_what_nobody_expected_is_raised_after_the_others_have_finished(database: Database) -> None:
    done = []

    def work(connection: psycopg.Connection, item: int) -> int:
        if item == 1:
            raise LookupError("not expected")
        connection.execute("SELECT pg_catalog.pg_sleep(0.3)")
        done.append(item)
        return item

    try:
        list(Workers(database.conninfo, 2, work, Halt()).run([1, 2, 3, 4]))
    except LookupError:
        assert done == [2]
    else:
        raise AssertionError("it was lost")


def test_interrupt_just_after_a_batch_was_sent_leaves_nothing_running(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """psycopg cancels for an interrupt while it waits; one that comes before is seen by nobody else."""

    with database.connect() as watcher, database.connect() as connection:

        def interrupted(*_: object) -> None:
            assert eventually(lambda: bool(sleeping(watcher)))
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), connection.transaction():
            patch.setattr(connection, "wait", interrupted)
            batches.execute(connection, batches.Batch("sleeping", "SELECT pg_catalog.pg_sleep(60)"))

        assert connection.closed
        assert eventually(lambda: not sleeping(watcher))


@pytest.mark.parametrize("error", [psycopg.OperationalError, OSError, ValueError])
def test_cancellation_that_nobody_hears_is_said_and_not_raised(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def deaf(**_: object) -> None:
        raise error("gone")

    with database.connect() as connection:
        assert connections.cancel(connection)
        monkeypatch.setattr(connection, "cancel_safe", deaf)
        assert not connections.cancel(connection)
