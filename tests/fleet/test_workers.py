"""Workers share a list over a few connections; what they do for each is theirs to settle."""

from __future__ import annotations

import psycopg

from fedschema.workers import Halt, Workers
from tests.conftest import Database


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
