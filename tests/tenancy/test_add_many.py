"""Many departments at once: nothing is touched before all of them can be made, and each is whole or not there."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fedschema import intake, passwords
from fedschema.department import Department
from fedschema.errors import ConnectionLost, DepartmentsTaken, NameTaken, ServerUnreachable, StatementFailed
from fedschema.intake import Outcome, Result
from fedschema.passwords import Password
from fedschema.tenancy import NewDepartment
from fedschema.workers import Halt
from tests.conftest import ROOT, Database, Finished, Run
from tests.tenancy.conftest import Inventory, Spawn, as_operator, eventually, held_up, sessions
from tests.tenancy.inventory import NOTHING, WHOLE, traces
from tests.tenancy.proxy import counting_proxy

THIRTY = [f"many{number:02}" for number in range(30)]
NO_PASSWORDS = "nobody can log in"


def _roster(directory: Path, ids: Sequence[str]) -> str:
    file = directory / "departments.csv"
    file.write_text("department_id\n" + "".join(f"{department_id}\n" for department_id in ids))
    return str(file)


def _survey(database: Database, *ids: str, skip_existing: bool = False) -> intake.Intake:
    wanted = [NewDepartment(Department(name), name.title()) for name in ids]
    return intake.survey(as_operator(database), database.compiler, wanted, skip_existing=skip_existing)


def _add_all(database: Database, found: intake.Intake, halt: Halt | None = None, **options: Any) -> list[Result]:
    @contextmanager
    def password_of(department: Department) -> Iterator[Password]:
        made = passwords.generate()
        database.passwords[department.role] = made.text
        yield made

    conninfo = as_operator(database)
    return list(intake.add_all(conninfo, database.compiler, found, password_of, halt or Halt(), **options))


def _outcomes(results: Sequence[Result]) -> dict[str, str]:
    return {result.department.id: result.outcome.value for result in results}


def _logs_in(database: Database, ids: Sequence[str], directory: Path) -> None:
    """Log in over TCP as each, with the password in its file."""
    for department_id in ids:
        role = f"{department_id}_role"
        database.passwords[role] = (directory / f"{department_id}.password").read_text().removesuffix("\n")
        with database.login(role) as connection:
            assert connection.execute("SELECT session_user").fetchone() == (role,)


@contextmanager
def _refusing(database: Database, department_id: str) -> Iterator[None]:
    """Let the schema of a department fail, which no question beforehand can know."""
    with database.connect() as connection:
        connection.execute("CREATE SCHEMA elsewhere")
        connection.execute(
            f"""
            CREATE FUNCTION elsewhere.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = '{department_id}_tenant')
                THEN RAISE EXCEPTION 'not today'; END IF;
            END $$
            """
        )
        connection.execute(
            """
            CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE SCHEMA')
            EXECUTE FUNCTION elsewhere.refuse()
            """
        )
        yield
        connection.execute("DROP EVENT TRIGGER refuse")
        connection.execute("DROP SCHEMA elsewhere CASCADE")


@contextmanager
def _held_up_at_its_tables(database: Database, department_id: str) -> Iterator[None]:
    """Let a department wait at its first table, as long as the block lasts."""
    with database.connect() as connection:
        connection.execute("CREATE SCHEMA elsewhere")
        connection.execute(
            f"""
            CREATE FUNCTION elsewhere.wait() RETURNS event_trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF EXISTS (
                    SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '{department_id}\\_tenant.%'
                ) THEN PERFORM pg_advisory_xact_lock(1); END IF;
            END $$
            """
        )
        connection.execute(
            """
            CREATE EVENT TRIGGER wait ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
            EXECUTE FUNCTION elsewhere.wait()
            """
        )
        connection.execute("SELECT pg_advisory_lock(1)")
        yield
        connection.execute("DROP EVENT TRIGGER wait")
        connection.execute("DROP SCHEMA elsewhere CASCADE")


# ---------------------------------------------------------------------------------------------------------- all of them


def test_thirty_departments_are_made_by_one_command(database: Database, command: Run, tmp_path: Path) -> None:
    directory = tmp_path / "secret" / "passwords"

    done = command("tenant", "add", "--from", _roster(tmp_path, THIRTY), "--password-dir", str(directory))

    assert done.status == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == THIRTY
    assert all(line.partition(": ")[2].startswith("added (") for line in lines)
    assert done.stderr == f"passwords: in {directory}, a file for each department\n"
    assert [traces(database, name) for name in THIRTY] == [WHOLE] * 30
    assert sorted(file.name for file in directory.iterdir()) == [f"{name}.password" for name in THIRTY]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()} == {0o600}
    _logs_in(database, THIRTY, directory)
    assert not any(password in done.stdout + done.stderr for password in database.passwords.values())


def test_names_and_addresses_come_from_the_list(database: Database, fedschema: Run) -> None:
    text = '\ufeffid;name;admin_email\r\nhr;"=Büro; ""O\'Brien""";hr@example.com\r\nlegal;;\r\n'

    done = fedschema("tenant", "add", "--from", "-", stdin=text)

    assert done.status == 0, done.stderr
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT department_id, department_name, admin_email FROM federation.departments ORDER BY 1"
        ).fetchall()
    assert rows == [("hr", '=Büro; "O\'Brien"', "hr@example.com"), ("legal", "Legal", None)]


def test_document_has_the_order_of_the_list(database: Database, command: Run, tmp_path: Path) -> None:
    database.add("kept")
    roster = _roster(tmp_path, ["zoo", "kept", "art"])

    done = command("tenant", "add", "--from", roster, "--skip-existing", "--json")

    results = json.loads(done.stdout)["results"]
    assert done.status == 0
    assert [(each["department_id"], each["status"], each["error"]) for each in results] == [
        ("zoo", "added", None),
        ("kept", "unchanged", None),
        ("art", "added", None),
    ]
    assert results[0]["duration_seconds"] > 0
    assert NO_PASSWORDS in done.stderr


def test_without_a_directory_roles_have_no_password(database: Database, command: Run, tmp_path: Path) -> None:
    done = command("tenant", "add", "--from", _roster(tmp_path, ["hr"]))

    assert done.status == 0
    assert NO_PASSWORDS in done.stderr
    with database.connect() as connection:
        assert connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'hr_role'").fetchone() == (None,)
    file = tmp_path / "hr.password"
    assert command("tenant", "rotate-password", "hr", "--password-file", str(file)).status == 0
    _logs_in(database, ["hr"], tmp_path)


def test_department_with_a_password_file_gets_that_password(database: Database, command: Run, tmp_path: Path) -> None:
    file = tmp_path / "hr.password"
    file.write_text("handed-in-by-somebody\n")
    file.chmod(0o600)

    done = command("tenant", "add", "--from", _roster(tmp_path, ["hr", "it"]), "--password-dir", str(tmp_path))

    assert done.status == 0, done.stderr
    assert file.read_text() == "handed-in-by-somebody\n"
    _logs_in(database, ["hr", "it"], tmp_path)


def test_departments_that_were_dropped_can_come_again(database: Database, command: Run, tmp_path: Path) -> None:
    database.add("hr")
    command("tenant", "drop", "hr", "--yes")

    done = command("tenant", "add", "--from", _roster(tmp_path, ["hr"]), "--skip-existing")

    assert (done.status, done.stdout[:10]) == (0, "hr: added ")


def test_department_that_is_held_up_in_the_middle_holds_up_no_other(database: Database) -> None:
    found = _survey(database, *THIRTY[:6])
    with _held_up_at_its_tables(database, THIRTY[0]), database.connect() as watcher:
        halt = Halt()
        patience = threading.Timer(20, halt.cancel)
        patience.start()
        seen: list[Result] = []
        for result in intake.add_all(as_operator(database), database.compiler, found, _nothing, halt, jobs=3):
            seen.append(result)
            if len(seen) == 5:  # all but the one that is held up
                assert eventually(lambda: len(sessions(watcher, waiting=True)) == 1)
                assert traces(database, THIRTY[0]) == NOTHING
                halt.cancel()
        patience.cancel()

    assert {result.outcome for result in seen[:5]} == {Outcome.ADDED}
    assert (seen[5].department.id, seen[5].outcome) == (THIRTY[0], Outcome.FAILED)


def test_run_that_nobody_waits_for_begins_nothing_new(database: Database) -> None:
    found = _survey(database, *THIRTY)
    stream = intake.add_all(as_operator(database), database.compiler, found, _nothing, Halt(), jobs=2)
    next(stream)
    assert isinstance(stream, Generator)
    stream.close()

    with database.connect() as watcher:
        assert eventually(lambda: not sessions(watcher))
    made = [traces(database, name) for name in THIRTY]
    assert set(made) == {WHOLE, NOTHING}


@contextmanager
def _nothing(department: Department) -> Iterator[None]:
    yield None


# ------------------------------------------------------------------------------------------------- looked at beforehand


def test_what_is_in_the_way_of_some_touches_none(
    database: Database, command: Run, everything: Inventory, tmp_path: Path
) -> None:
    database.add("hr")
    database.create_login("many03_role")
    with database.connect() as connection:
        connection.execute("CREATE SCHEMA many07_tenant")
    before = everything()
    arguments = ("tenant", "add", "--from", _roster(tmp_path, [*THIRTY[:10], "hr"]), "--password-dir")

    refused = [command(*arguments, str(tmp_path / "new"), *more) for more in ((), ("--skip-existing",), ("--dry-run",))]

    assert [done.status for done in refused] == [1, 1, 1]
    assert [done.stdout for done in refused] == [""] * 3
    taken = [
        "error: not all of the departments can be added; nothing was changed:",
        f"  the role many03_role exists already (department none of database {database.name})",
        "  a schema many07_tenant exists already and is not in the registry",
    ]
    assert refused[0].stderr.splitlines()[:4] == [*taken, "  department hr exists already (ACTIVE)"]
    assert refused[0].stderr.splitlines()[4].endswith("add --skip-existing")
    assert refused[1].stderr.splitlines()[:3] == taken
    assert everything() == before
    assert not (tmp_path / "new").exists()


def test_only_departments_in_service_are_left_out(database: Database) -> None:
    database.add("hr")
    with database.connect() as connection:
        connection.execute("UPDATE federation.departments SET status = 'SUSPENDED'")

    with pytest.raises(DepartmentsTaken, match=r"department hr exists already \(SUSPENDED\)"):
        _survey(database, "hr", "it", skip_existing=True)


def test_wrong_rows_touch_nothing_and_ask_no_database(nowhere: Run, tmp_path: Path) -> None:
    done = nowhere("tenant", "add", "--from", _roster(tmp_path, ["hr", "Legal", "hr"]), "--json")

    error = json.loads(done.stdout)["error"]
    assert (done.status, error["code"]) == (2, "invalid_roster")
    assert "line 3: 'Legal' cannot be a department id" in error["message"]
    assert "line 4: hr is in line 2 already" in error["message"]


@pytest.fixture
def nowhere(command: Run) -> Run:
    """Type `fedschema …` where no database can be reached."""

    def run(*arguments: str) -> Finished:
        return command(*arguments, url="postgresql://u@127.0.0.1:1/none")

    return run


def test_one_question_looks_at_all_of_them(database: Database) -> None:
    database.compiler.creation(Department("warm"))
    trips = []
    for ids in (THIRTY[:1], THIRTY):
        with counting_proxy(database.server.host, database.server.port) as proxy:
            conninfo = f"{database.conninfo} host=127.0.0.1 port={proxy.port} sslmode=disable"
            wanted = [NewDepartment(Department(name), name) for name in ids]
            intake.survey(conninfo, database.compiler, wanted, skip_existing=False)
            trips.append(proxy.round_trips)

    assert trips[0] == trips[1]


def test_dry_run_shows_what_would_be_made_and_touches_nothing(
    database: Database, command: Run, everything: Inventory, tmp_path: Path
) -> None:
    database.add("kept")
    before = everything()
    arguments = ("tenant", "add", "--from", _roster(tmp_path, ["kept", "hr"]), "--skip-existing", "--dry-run")

    shown = command(*arguments, "--password-dir", str(tmp_path / "new"))
    document = json.loads(command(*arguments, "--json").stdout)

    assert (shown.status, shown.stderr) == (0, "")
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["DEPARTMENT", "hr"]
    assert document == {
        "departments": [
            {"department_id": "hr", "department_name": "Hr", "tenant_schema": "hr_tenant", "admin_email": None}
        ]
    }
    assert everything() == before
    assert not (tmp_path / "new").exists()


def test_directory_that_others_may_change_is_refused(command: Run, everything: Inventory, tmp_path: Path) -> None:
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(0o777)
    before = everything()

    done = command("tenant", "add", "--from", _roster(tmp_path, ["hr"]), "--password-dir", str(directory))

    assert done.status == 2
    assert done.stderr.splitlines()[1] == f"hint: chmod 700 {directory}"
    assert everything() == before


def test_password_files_are_looked_at_before_the_first_is_made(
    command: Run, everything: Inventory, tmp_path: Path
) -> None:
    (tmp_path / "hr.password").write_text("readable-by-all-of-us\n")
    (tmp_path / "hr.password").chmod(0o644)
    (tmp_path / "it.password").touch(0o600)
    (tmp_path / "fin.password").symlink_to(tmp_path / "nowhere")
    before = everything()

    done = command("tenant", "add", "--from", _roster(tmp_path, ["hr", "it", "fin"]), "--password-dir", str(tmp_path))

    assert done.status == 2
    assert [line.split()[-1] for line in done.stderr.splitlines()[1:3]] == [str(tmp_path / "hr.password"), "empty"]
    assert "fin.password cannot be read" in done.stderr
    assert "readable-by-all" not in done.stderr
    assert everything() == before


@pytest.mark.parametrize(
    "words",
    [
        ("hr", "--from", "x.csv"),
        ("--from", "x.csv", "--name", "X"),
        ("--from", "x.csv", "--admin-email", "x@example.com"),
        ("--from", "x.csv", "--password-stdin"),
        ("--from", "x.csv", "--password-file", "x"),
        ("--from", "x.csv", "--jobs", "0"),
        ("--from", "x.csv", "--jobs", "17"),
        ("hr", "--jobs", "2"),
        ("hr", "--password-dir", "x"),
        ("hr", "--skip-existing"),
        ("hr", "--on-error", "stop"),
        (),
    ],
)
def test_options_of_one_and_of_many_exclude_each_other(nowhere: Run, words: tuple[str, ...]) -> None:
    assert nowhere("tenant", "add", *words).status == 2


# ------------------------------------------------------------------------------------------------------- one that fails


def test_failed_department_ends_the_run_and_the_others_stay(database: Database, command: Run, tmp_path: Path) -> None:
    roster = _roster(tmp_path, THIRTY[:5])
    arguments = ("tenant", "add", "--from", roster, "--jobs", "1", "--password-dir", str(tmp_path))
    with _refusing(database, "many02"):
        done = command(*arguments)

    assert done.status == 1
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        *(["many00:", "added"], ["many01:", "added"], ["many03:", "skipped"], ["many04:", "skipped"])
    ]
    assert "not today" in done.stderr
    summary = "2 of 5 departments are done; not done: many02 (failed), many03 (skipped), many04 (skipped)"
    assert summary in done.stderr.splitlines()
    assert [traces(database, name) for name in THIRTY[:5]] == [WHOLE, WHOLE, NOTHING, NOTHING, NOTHING]
    assert [(tmp_path / f"{name}.password").exists() for name in THIRTY[:3]] == [True, True, False]

    again = command(*arguments, "--skip-existing")

    assert again.status == 0, again.stderr
    assert [traces(database, name) for name in THIRTY[:5]] == [WHOLE] * 5
    _logs_in(database, THIRTY[:5], tmp_path)


def test_failed_department_stops_no_other_on_request(database: Database, command: Run, tmp_path: Path) -> None:
    roster = _roster(tmp_path, THIRTY[:6])
    with _refusing(database, "many02"):
        done = command("tenant", "add", "--from", roster, "--on-error", "continue", "--json")

    results = {each["department_id"]: each for each in json.loads(done.stdout)["results"]}
    assert done.status == 1
    assert [name for name in THIRTY[:6] if results[name]["status"] == "added"] == [
        *("many00", "many01", "many03", "many04", "many05")
    ]
    assert results["many02"]["error"]["code"] == StatementFailed.code
    assert traces(database, "many02") == NOTHING


def test_role_made_by_somebody_meanwhile_fails_only_its_department(database: Database) -> None:
    found = _survey(database, *THIRTY[:4])
    database.create_login("many01_role")

    results = _add_all(database, found, stop_at_failure=False)

    failed = {result.department.id: result.error for result in results if result.error}
    assert set(failed) == {"many01"}
    assert isinstance(failed["many01"], NameTaken)
    assert [traces(database, name) for name in (THIRTY[0], *THIRTY[2:4])] == [WHOLE] * 3


def test_sessions_that_are_ended_fail_only_their_departments(database: Database) -> None:
    found = _survey(database, *THIRTY[:12])
    ended = 0
    results: list[Result] = []
    with database.connect() as watcher:
        stream = intake.add_all(
            as_operator(database), database.compiler, found, _nothing, Halt(), jobs=3, stop_at_failure=False
        )
        for result in stream:
            results.append(result)
            if len(results) == 3:
                ended = len([watcher.execute("SELECT pg_terminate_backend(%s)", (pid,)) for pid in sessions(watcher)])
        assert eventually(lambda: not sessions(watcher))

    assert ended
    failed = [result for result in results if result.error]
    assert failed, "no session was ended early enough to prove anything"
    assert {type(result.error) for result in failed} <= {ConnectionLost, ServerUnreachable}
    assert len(results) == 12
    for result in results:
        expected = {WHOLE} if result.outcome is Outcome.ADDED else {WHOLE, NOTHING}
        assert traces(database, result.department.id) in expected


def test_run_without_a_server_says_so_once(database: Database) -> None:
    found = _survey(database, *THIRTY[:3])

    with pytest.raises(ServerUnreachable):
        list(intake.add_all("host=127.0.0.1 port=1", database.compiler, found, _nothing, Halt()))


# ---------------------------------------------------------------------------------------------------------- interrupted


def test_killed_client_leaves_each_whole_or_not_there_and_runs_again(
    database: Database, fork: Callable[..., int], command: Run, tmp_path: Path
) -> None:
    arguments = ("tenant", "add", "--from", _roster(tmp_path, THIRTY), "--password-dir", str(tmp_path / "secret"))
    with database.connect() as watcher:

        def registered() -> int:
            row = watcher.execute("SELECT count(*) FROM federation.departments").fetchone()
            assert row is not None
            return int(row[0])

        process = fork(*arguments)
        assert eventually(lambda: registered() >= 5)
        os.kill(process, signal.SIGKILL)
        assert eventually(lambda: not sessions(watcher))

    left = [traces(database, name) for name in THIRTY]
    assert {*left} == {WHOLE, NOTHING}

    again = command(*arguments, "--skip-existing")

    assert again.status == 0, again.stderr
    assert again.stdout.count(": unchanged") == left.count(WHOLE)
    assert [traces(database, name) for name in THIRTY] == [WHOLE] * 30
    _logs_in(database, THIRTY, tmp_path / "secret")


def _waits(watcher: psycopg.Connection, process: subprocess.Popen[str], done: int) -> bool:
    """Tell whether so many are done and the next one is held up."""
    row = watcher.execute("SELECT count(*) FROM federation.departments").fetchone()
    return process.poll() is None and row == (done,) and len(sessions(watcher, waiting=True)) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_finishes_what_runs_and_begins_nothing_new(
    database: Database, spawn: Spawn, tmp_path: Path, number: signal.Signals
) -> None:
    roster = _roster(tmp_path, THIRTY[:5])
    with held_up(database, "many02"), database.connect() as watcher:
        process = spawn("tenant", "add", "--from", roster, "--jobs", "1", "--password-dir", str(tmp_path))
        assert eventually(lambda: _waits(watcher, process, 2))
        process.send_signal(number)
        assert process.stderr is not None
        assert process.stderr.readline().startswith("finishing what runs")
    stdout, stderr = process.communicate(timeout=30)

    assert process.returncode == 1
    assert [line.split()[1] for line in stdout.splitlines()] == ["added", "added", "added", "skipped", "skipped"]
    assert "3 of 5 departments are done" in stderr
    assert [traces(database, name) for name in THIRTY[:5]] == [WHOLE, WHOLE, WHOLE, NOTHING, NOTHING]
    _logs_in(database, THIRTY[:3], tmp_path)


def test_second_interrupt_cancels_what_runs(database: Database, spawn: Spawn, tmp_path: Path) -> None:
    roster = _roster(tmp_path, THIRTY[:4])
    with held_up(database, "many02"), database.connect() as watcher:
        process = spawn("tenant", "add", "--from", roster, "--jobs", "1", "--json", "--password-dir", str(tmp_path))
        assert eventually(lambda: _waits(watcher, process, 2))
        assert process.stderr is not None
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            assert process.stderr.readline()
        stdout, _ = process.communicate(timeout=30)  # while it is still held up

    results = json.loads(stdout)["results"]
    assert process.returncode == 1
    assert [each["status"] for each in results] == ["added", "added", "failed", "skipped"]
    assert results[2]["error"]["code"] == "cancelled"
    assert [traces(database, name) for name in THIRTY[:4]] == [WHOLE, WHOLE, NOTHING, NOTHING]
    assert [(tmp_path / f"{name}.password").exists() for name in THIRTY[:4]] == [True, True, False, False]


def test_reader_that_goes_away_breaks_no_department(database: Database, tmp_path: Path) -> None:
    roster = _roster(tmp_path, THIRTY[:8])
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "fedschema", "tenant", "add", "--from", roster],
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "FEDSCHEMA_DATABASE_URL": database.url},
    )
    os.close(writing)
    _, stderr = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "Traceback" not in stderr
    with database.connect() as watcher:
        assert eventually(lambda: not sessions(watcher))
    assert {traces(database, name) for name in THIRTY[:8]} <= {WHOLE, NOTHING}
