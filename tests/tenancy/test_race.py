"""Two who add the same department at once: one wins, the other says why, and there is one department."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fedschema.errors import DepartmentExists, FedschemaError
from tests.conftest import Database
from tests.tenancy.conftest import Spawn, eventually, held_up, sessions
from tests.tenancy.inventory import WHOLE, traces

ROUNDS = 12


def _add_at(barrier: threading.Barrier, database: Database, department_id: str) -> FedschemaError | None:
    barrier.wait(10)
    try:
        database.add(department_id)
    except FedschemaError as error:
        return error
    return None


def test_of_two_threads_one_wins_and_the_other_says_why(database: Database) -> None:
    database.add("warm")  # compiled once, so that the two really meet in the database
    for number in range(ROUNDS):
        department_id = f"race{number}"
        barrier = threading.Barrier(2)
        with ThreadPoolExecutor(2) as pool:
            attempts = [pool.submit(_add_at, barrier, database, department_id) for _ in range(2)]
            outcomes = [attempt.result(30) for attempt in attempts]

        refusals = [error for error in outcomes if error is not None]
        assert [type(error) for error in refusals] == [DepartmentExists], refusals
        assert "exists already" in refusals[0].message
        assert "nothing was changed" in refusals[0].message
        assert refusals[0].hint == f"fedschema tenant show {department_id}"
        assert traces(database, department_id) == WHOLE


def test_of_two_processes_one_wins_and_the_other_says_why(database: Database, spawn: Spawn) -> None:
    with held_up(database, "hr"), database.connect() as watcher:  # both are in their transactions when they may go on
        processes = [spawn("tenant", "add", "hr", "--name", name) for name in ("One", "Two")]
        assert eventually(lambda: len(sessions(watcher, waiting=True)) == 2)

    ended = [(process.communicate(timeout=30), process.returncode) for process in processes]

    assert sorted(status for _, status in ended) == [0, 1]
    ((stdout, stderr),) = [streams for streams, status in ended if status == 1]
    assert stdout == ""
    assert stderr == "error: department hr exists already; nothing was changed\nhint: fedschema tenant show hr\n"
    assert traces(database, "hr") == WHOLE


def test_password_of_the_winner_is_the_one_that_works(database: Database, spawn: Spawn) -> None:
    with held_up(database, "hr"), database.connect() as watcher:
        processes = {
            word: spawn("tenant", "add", "hr", "--password-stdin", stdin=word) for word in ("a" * 20, "b" * 20)
        }
        assert eventually(lambda: len(sessions(watcher, waiting=True)) == 2)
    for process in processes.values():
        process.communicate(timeout=30)

    ((winner, _),) = [(word, process) for word, process in processes.items() if process.returncode == 0]
    database.passwords["hr_role"] = winner
    with database.login("hr_role") as connection:
        assert connection.execute("SELECT session_user").fetchone() == ("hr_role",)


def test_two_that_add_different_departments_do_not_disturb_each_other(database: Database) -> None:
    barrier = threading.Barrier(4)
    names = [f"dept{number}" for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda name: _add_at(barrier, database, name), names))

    assert outcomes == [None] * 4
    assert [traces(database, name) for name in names] == [WHOLE] * 4


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_refusal_is_the_same_whatever_the_default_isolation(database: Database, isolation: str) -> None:
    with database.connect() as connection:
        connection.execute(f"ALTER DATABASE {database.name} SET default_transaction_isolation = '{isolation}'")
    barrier = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        attempts = [pool.submit(_add_at, barrier, database, "hr") for _ in range(2)]
        outcomes = [attempt.result(30) for attempt in attempts]

    refusals = [error for error in outcomes if error is not None]
    assert [type(error) for error in refusals] == [DepartmentExists], refusals
    assert traces(database, "hr") == WHOLE
