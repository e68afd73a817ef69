"""Whoever adds a department may die at any moment: the department is whole then, or there is nothing of it."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psycopg

from fedschema import passwords, tenancy
from fedschema.department import Department
from fedschema.errors import ConnectionLost, FedschemaError, ServerUnreachable
from fedschema.tenancy import NewDepartment
from tests.conftest import Database, Run
from tests.tenancy.conftest import Inventory, Spawn, as_operator, eventually, held_up, sessions
from tests.tenancy.inventory import NOTHING, WHOLE, traces
from tests.tenancy.proxy import counting_proxy

KILLS = 15
TERMINATIONS = 15
#: Adding takes some 80 ms on the server; the moments are spread over a little more than that.
SPREAD_SECONDS = 0.12


def _moments(count: int) -> list[float]:
    """Spread moments over the time that adding takes, each a little off, the same ones in every run."""
    chance = random.Random(20240607)  # noqa: S311 - no secret
    return [SPREAD_SECONDS * (number + chance.random()) / count for number in range(count)]


def test_killed_client_leaves_all_or_nothing(database: Database, fork: Callable[..., int]) -> None:
    interrupted = 0
    with database.connect() as watcher:
        for number, moment in enumerate(_moments(KILLS)):
            department_id = f"kill{number}"
            process = fork("tenant", "add", department_id)
            assert eventually(lambda: bool(sessions(watcher)) or traces(database, f"kill{number}") == WHOLE)  # noqa: B023
            time.sleep(moment)
            with suppress(ProcessLookupError):  # it was done already
                os.kill(process, signal.SIGKILL)
            assert eventually(lambda: not sessions(watcher))

            left = traces(database, department_id)
            assert left in {NOTHING, WHOLE}, f"killed after {moment:.3f} s"
            if left == NOTHING:
                interrupted += 1
                database.add(department_id)
                assert traces(database, department_id) == WHOLE
    assert interrupted, "no process was killed early enough to prove anything"


def test_client_killed_inside_its_transaction_leaves_nothing(
    database: Database, spawn: Spawn, everything: Inventory
) -> None:
    before = everything()
    with held_up(database, "hr"), database.connect() as watcher:
        process = spawn("tenant", "add", "hr")
        assert eventually(lambda: bool(sessions(watcher, waiting=True)))
        process.kill()
        process.communicate(timeout=30)
    with database.connect() as watcher:
        assert eventually(lambda: not sessions(watcher))

    assert everything() == before
    database.add("hr")
    assert traces(database, "hr") == WHOLE


def _add(database: Database, department_id: str) -> FedschemaError | None:
    new = NewDepartment(Department(department_id), "Somebody")
    try:
        tenancy.add(as_operator(database), database.compiler, new, passwords.generate())
    except FedschemaError as error:
        return error
    return None


def _terminated_after(
    database: Database, watcher: psycopg.Connection, department_id: str, moment: float
) -> FedschemaError | None:
    """Add a department, end its session on the server at that moment, and return what became of the call."""
    with ThreadPoolExecutor(1) as pool:
        attempt: Future[FedschemaError | None] = pool.submit(_add, database, department_id)
        eventually(lambda: attempt.done() or bool(sessions(watcher)))
        time.sleep(moment)
        for pid in sessions(watcher):
            watcher.execute("SELECT pg_terminate_backend(%s)", (pid,))
        return attempt.result(30)


def test_ended_session_leaves_all_or_nothing_and_says_so(database: Database) -> None:
    database.add("warm")
    lost = 0
    with database.connect() as watcher:
        for number, moment in enumerate(_moments(TERMINATIONS)):
            department_id = f"ended{number}"
            error = _terminated_after(database, watcher, department_id, moment)
            assert eventually(lambda: not sessions(watcher))

            left = traces(database, department_id)
            assert left in {NOTHING, WHOLE}, f"ended after {moment:.3f} s: {error}"
            if error is None:
                assert left == WHOLE
                continue
            lost += 1
            assert isinstance(error, ConnectionLost | ServerUnreachable), error
            assert error.hint is not None
            if left == NOTHING:
                database.add(department_id)
                assert traces(database, department_id) == WHOLE
    assert lost, "no session was ended early enough to prove anything"


def test_command_whose_session_was_ended_says_so_without_traceback(
    database: Database, spawn: Spawn, everything: Inventory
) -> None:
    before = everything()
    with held_up(database, "hr"), database.connect() as watcher:
        process = spawn("tenant", "add", "hr")
        assert eventually(lambda: bool(sessions(watcher, waiting=True)))
        for pid in sessions(watcher):
            watcher.execute("SELECT pg_terminate_backend(%s)", (pid,))
        stdout, stderr = process.communicate(timeout=30)

    assert (process.returncode, stdout) == (1, "")
    error, hint = stderr.splitlines()
    assert error.startswith("error: the connection was lost during adding department hr: ")
    assert hint.startswith("hint: fedschema status")
    assert everything() == before


def test_password_file_stays_when_nobody_knows_whether_the_department_came(
    database: Database, command: Run, tmp_path: Path
) -> None:
    server, file = database.server, tmp_path / "hr.password"
    with counting_proxy(server.host, server.port, cut_after=b"COMMIT\0") as proxy:
        through = f"postgresql://{server.user}:{server.password}@127.0.0.1:{proxy.port}/{database.name}?sslmode=disable"

        done = command("tenant", "add", "hr", "--password-file", str(file), url=through)

    assert done.status == 1
    assert done.stderr.startswith("error: the connection was lost during adding department hr: ")
    assert traces(database, "hr") == WHOLE  # it came, and only the answer was lost
    assert file.exists(), "the only copy of the password is gone"
    database.passwords["hr_role"] = file.read_text().removesuffix("\n")
    with database.login("hr_role") as connection:
        assert connection.execute("SELECT session_user").fetchone() == ("hr_role",)


def test_interrupt_from_the_keyboard_rolls_back_and_says_so(
    database: Database, spawn: Spawn, everything: Inventory
) -> None:
    before = everything()
    with held_up(database, "hr"), database.connect() as watcher:
        process = spawn("tenant", "add", "hr")
        assert eventually(lambda: bool(sessions(watcher, waiting=True)))
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    with database.connect() as watcher:
        assert eventually(lambda: not sessions(watcher))

    assert (process.returncode, stdout) == (130, "")
    assert stderr == "error: interrupted; what had begun was rolled back\n"
    assert everything() == before


def test_failed_adding_leaves_no_row_of_history(database: Database, everything: Inventory) -> None:
    department = Department("hr")
    with database.connect() as connection:
        connection.execute("CREATE SCHEMA elsewhere")
        connection.execute(
            """
            CREATE FUNCTION elsewhere.refuse() RETURNS event_trigger LANGUAGE plpgsql
            AS $$ BEGIN IF tg_tag = 'CREATE POLICY' THEN RAISE EXCEPTION 'not today'; END IF; END $$
            """
        )
        connection.execute("CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION elsewhere.refuse()")
        before = everything()

        error = _add(database, department.id)

        assert error is not None
        assert "not today" in error.message
        assert "nothing was changed" in error.message
        assert everything() == before
        connection.execute("DROP EVENT TRIGGER refuse")
    database.add(department.id)
    assert traces(database, department.id) == WHOLE
