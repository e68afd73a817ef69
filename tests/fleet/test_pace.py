"""How hard a release presses: how long it waits for a lock, how long it holds one, how often it tries again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import LockHeldTooLong
from fedschema.fleet.pace import Pace
from tests.conftest import Database
from tests.fleet.conftest import NEW, OLD, SLOWLY, Fleet, MakeFleet, Start, statuses
from tests.tenancy.conftest import eventually


@contextmanager
def _in_use(database: Database, department: str, seconds: float) -> Iterator[None]:
    """Read a department's contacts in a transaction that stays open for a while."""
    read, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with psycopg.connect(database.conninfo) as connection:
            connection.execute(sql.SQL("SELECT FROM {}").format(sql.Identifier(f"{department}_tenant", "contacts")))
            read.set()
            may_end.wait(seconds)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert read.wait(10)
        yield
        may_end.set()
        holding.result(10)


def test_department_in_use_is_tried_again_until_it_is_free(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(4)
    with _in_use(fleet.database, "d01", 4.0):
        results = fleet.upgrade("--jobs", "2", "--lock-timeout", "200ms", "--retries", "30")

    assert statuses(results) == {"upgraded": list(fleet.ids)}
    assert results["d01"]["duration_seconds"] > 0.6
    assert fleet.applied() == dict.fromkeys(fleet.ids, (1, 0))


def test_department_in_use_fails_once_where_nobody_may_try_again_and_the_others_do_not(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(4)
    with _in_use(fleet.database, "d01", 30):
        began = time.monotonic()
        results = fleet.upgrade("--jobs", "2", "--lock-timeout", "200ms", "--retries", "0", "--on-error", "continue")
        took = time.monotonic() - began

    assert statuses(results) == {"failed": ["d01"], "upgraded": ["d00", "d02", "d03"]}
    assert results["d01"]["error"]["code"] == "lock_timeout"
    assert took < 15
    assert fleet.states() == {**dict.fromkeys(fleet.ids, NEW), "d01": OLD}
    assert fleet.applied() == {**dict.fromkeys(fleet.ids, (1, 0)), "d01": (0, 1)}


def _longest_wait_of_a_reader(fleet: Fleet, department: str, until: threading.Event) -> float:
    longest = 0.0
    with fleet.database.login(f"{department}_role") as connection:
        while not until.is_set():
            began = time.monotonic()
            connection.execute("SELECT count(*) FROM contacts")
            longest = max(longest, time.monotonic() - began)
            time.sleep(0.005)
    return longest


@pytest.mark.parametrize("in_use", [0.0, 0.3], ids=["free", "in use"])
def test_reader_waits_no_longer_than_lock_timeout_and_max_lock_hold(make_fleet: MakeFleet, in_use: float) -> None:
    fleet = make_fleet(1, after=SLOWLY.format(20))
    done = threading.Event()
    with _in_use(fleet.database, "d00", in_use), ThreadPoolExecutor(1) as pool:
        reader = pool.submit(_longest_wait_of_a_reader, fleet, "d00", done)
        results = fleet.upgrade("--lock-timeout", "500ms", "--max-lock-hold", "700ms")
        done.set()
        waited = reader.result(10)

    assert results["d00"]["error"]["code"] == "lock_held_too_long"
    assert "longer than 0.7 s" in results["d00"]["error"]["message"]
    assert 0.3 < waited < 0.5 + 0.7 + 3  # of the 20 that the revision would take
    assert fleet.states() == {"d00": OLD}
    assert fleet.applied() == {"d00": (0, 1)}


def test_transaction_is_cancelled_also_when_time_runs_out_between_two_statements(database: Database) -> None:
    """The server forgets a cancellation that finds nothing running."""
    pace = Pace(lock_timeout=0.1, max_lock_hold=0.1)
    with connect(database.conninfo) as connection:
        began = time.monotonic()
        with (
            pytest.raises(LockHeldTooLong),
            pace.held_briefly(connection, Department("hr")),
            owner_transaction(connection, "the test"),
        ):
            time.sleep(0.3)
            connection.execute("SELECT pg_catalog.pg_sleep(20)")
        assert time.monotonic() - began < 10
        assert connection.execute("SELECT 1").fetchone() == (1,)  # the connection serves the next department


def test_statement_that_runs_too_long_is_ended(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(1, after=SLOWLY.format(20))
    began = time.monotonic()

    results = fleet.upgrade("--statement-timeout", "300ms")

    assert results["d00"]["error"]["code"] == "statement_timeout"
    assert time.monotonic() - began < 15
    assert fleet.states() == {"d00": OLD}
    assert fleet.applied() == {"d00": (0, 1)}


def test_department_in_a_deadlock_is_tried_again(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(1, before='op.execute(f"LOCK TABLE {schema}.email_logs")\n')
    with (
        psycopg.connect(fleet.database.conninfo) as opponent,
        fleet.database.connect() as watcher,
        ThreadPoolExecutor(1) as pool,
    ):
        opponent.execute("SET deadlock_timeout = '1h'")  # so that it is the migration that is refused
        opponent.execute("LOCK TABLE d00_tenant.contacts")
        upgrade = pool.submit(fleet.upgrade)
        assert eventually(lambda: _waits(watcher))
        opponent.execute("LOCK TABLE d00_tenant.email_logs")  # comes through when the migration is refused
        assert not upgrade.done()
        opponent.rollback()
        results = upgrade.result(20)

    assert statuses(results) == {"upgraded": ["d00"]}
    assert fleet.applied() == {"d00": (1, 0)}


def _waits(watcher: psycopg.Connection) -> bool:
    row = watcher.execute(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'd00_tenant.contacts'::regclass)"
    ).fetchone()
    return row == (True,)


def test_of_two_upgrades_at_once_each_department_is_upgraded_once(make_fleet: MakeFleet, start: Start) -> None:
    fleet = make_fleet(12, after=SLOWLY.format(0.05))
    # Both have made their plans, and stand before the same department.
    with psycopg.connect(fleet.database.conninfo) as holder, fleet.database.connect() as watcher:
        holder.execute("SELECT FROM federation.departments FOR UPDATE")
        processes = [start(fleet, "upgrade", "--jobs", "2") for _ in range(2)]
        assert eventually(lambda: _waiting(watcher) == 4)
        holder.rollback()
    ended = [(*process.communicate(timeout=60), process.returncode) for process in processes]

    assert [status for *_, status in ended] == [0, 0], ended
    assert fleet.states() == dict.fromkeys(fleet.ids, NEW)
    assert fleet.applied() == dict.fromkeys(fleet.ids, (1, 0))


def _waiting(watcher: psycopg.Connection) -> int:
    row = watcher.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchone()
    assert row is not None
    return int(row[0])
