"""The password of a department's role is told once, to whoever asked for the department, and to nobody else."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Database, Overheard, Run
from tests.tenancy.conftest import Inventory, Spawn, eventually, held_up, sessions

SECRET = "Corr3ct-horse_battery.staple"
SHOWN = re.compile(r"^password of hr_role, shown only now: (\S+)$", re.MULTILINE)


def test_password_from_stdin_is_the_one_that_works(database: Database, command: Run) -> None:
    done = command("tenant", "add", "hr", "--password-stdin", stdin=f"{SECRET}\n")

    assert done.status == 0, done.stderr
    database.passwords["hr_role"] = SECRET
    with database.login("hr_role") as connection:
        assert connection.execute("SELECT session_user").fetchone() == ("hr_role",)


def test_generated_password_is_shown_once_and_works(database: Database, command: Run) -> None:
    done = command("tenant", "add", "hr")

    (password,) = SHOWN.findall(done.stdout)
    assert len(password) >= 32
    assert (done.stdout + done.stderr).count(password) == 1
    database.passwords["hr_role"] = password
    with database.login("hr_role") as connection:
        assert connection.execute("SELECT session_user").fetchone() == ("hr_role",)


def test_each_generated_password_is_another(command: Run) -> None:
    shown = [command("tenant", "add", name).stdout.rsplit(maxsplit=1)[-1] for name in ("hr", "sales")]

    assert len(set(shown)) == 2


@pytest.mark.parametrize("given", ["stdin", "file"])
def test_password_that_was_handed_in_is_not_shown(command: Run, tmp_path: Path, given: str) -> None:
    file = tmp_path / "hr.password"
    file.touch(mode=0o600)
    file.write_text(f"{SECRET}\n")
    option = ("--password-stdin",) if given == "stdin" else ("--password-file", str(file))

    done = command("tenant", "add", "hr", *option, stdin=SECRET)

    assert done.status == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert file.read_text() == f"{SECRET}\n"


def test_json_never_holds_the_password(command: Run) -> None:
    done = command("tenant", "add", "hr", "--json")

    document = json.loads(done.stdout)
    assert not [key for key in document if "password" in key]
    (password,) = SHOWN.findall(done.stderr)  # a person has to learn it all the same
    assert password not in done.stdout


def test_password_is_in_no_argument_and_no_environment(database: Database, spawn: Spawn) -> None:
    with held_up(database, "hr"), database.connect() as watcher:
        process = spawn("tenant", "add", "hr", "--password-stdin", stdin=SECRET)
        assert eventually(lambda: bool(sessions(watcher, waiting=True)))

        for place in ("cmdline", "environ"):
            assert SECRET.encode() not in Path(f"/proc/{process.pid}/{place}").read_bytes()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        assert children.split() == []  # so that there is no other argument list either


def test_option_takes_no_password_as_its_value(command: Run, everything: Inventory) -> None:
    before = everything()

    done = command("tenant", "add", "hr", f"--password={SECRET}")

    assert done.status == 2
    assert everything() == before


def test_password_reaches_neither_log_nor_activity(overheard: Overheard, spawn: Spawn) -> None:
    heard = overheard.database
    with held_up(heard, "hr"), heard.connect() as watcher:
        process = spawn("tenant", "add", "hr", "--password-stdin", "--database-url", heard.url, stdin=SECRET)
        assert eventually(lambda: bool(sessions(watcher, waiting=True)))
        rows = watcher.execute("SELECT query FROM pg_stat_activity WHERE query IS NOT NULL").fetchall()
    _, stderr = process.communicate(timeout=30)

    assert process.returncode == 0, stderr
    log = overheard.log.read_text(encoding="utf-8")
    assert any("CREATE ROLE hr_role" in query for (query,) in rows), "the test would not have seen it"
    assert "CREATE ROLE hr_role" in log, "the test would not have seen it"
    assert SECRET not in log
    assert SECRET not in "".join(query for (query,) in rows)
    assert log.count("SCRAM-SHA-256$") >= 1  # what the server may know: a verifier


def test_password_that_the_server_refuses_reaches_no_log(overheard: Overheard, command: Run) -> None:
    heard = overheard.database
    with heard.connect() as connection:
        connection.execute("CREATE ROLE hr_role")
        connection.execute("COMMENT ON ROLE hr_role IS 'fedschema: nothing of database overheard'")  # it goes with it

    done = command("tenant", "add", "hr", "--password-stdin", stdin=SECRET, url=heard.url)

    assert done.status == 1
    assert SECRET not in done.stdout + done.stderr + overheard.log.read_text(encoding="utf-8")


def test_password_and_its_verifier_are_in_no_row(database: Database, command: Run) -> None:
    done = command("tenant", "add", "hr", "--password-stdin", stdin=SECRET)

    assert done.status == 0, done.stderr
    with database.connect() as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname ~ '^(federation|hr_tenant)$'"
        ).fetchall()
        rows = [connection.execute(f"SELECT row_data::text FROM {table} AS row_data").fetchall() for (table,) in tables]
    text = "".join(row for found in rows for (row,) in found)
    assert "tenant_0001_core" in text, "the test would not have seen it"
    assert SECRET not in text
    assert "SCRAM-SHA-256" not in text


def test_failing_statement_does_not_quote_the_verifier(database: Database, command: Run) -> None:
    with database.connect() as connection:
        connection.execute("CREATE SCHEMA elsewhere")
        connection.execute(
            """
            CREATE FUNCTION elsewhere.refuse() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN IF NEW.status = 'ACTIVE' THEN RAISE EXCEPTION 'not today'; END IF; RETURN NEW; END $$
            """
        )
        connection.execute(
            """
            CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON federation.departments
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION elsewhere.refuse()
            """
        )

    done = command("tenant", "add", "hr", "--password-stdin", stdin=SECRET)

    assert done.status == 1
    assert "not today" in done.stderr
    assert SECRET not in done.stderr
    assert "SCRAM-SHA-256" not in done.stderr


def test_generated_password_file_is_for_its_owner_alone(database: Database, command: Run, tmp_path: Path) -> None:
    file = tmp_path / "hr.password"
    before = os.umask(0)
    try:
        done = command("tenant", "add", "hr", "--password-file", str(file))
    finally:
        os.umask(before)

    assert done.status == 0, done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    password = file.read_text().removesuffix("\n")
    assert password not in done.stdout + done.stderr
    assert str(file) in done.stdout
    database.passwords["hr_role"] = password
    with database.login("hr_role") as connection:
        assert connection.execute("SELECT session_user").fetchone() == ("hr_role",)


def test_generated_password_file_vanishes_when_adding_fails(database: Database, command: Run, tmp_path: Path) -> None:
    database.add("hr")

    done = command("tenant", "add", "hr", "--password-file", str(tmp_path / "hr.password"))

    assert done.status == 1
    assert list(tmp_path.iterdir()) == []


def test_password_file_that_was_there_stays_when_adding_fails(database: Database, command: Run, tmp_path: Path) -> None:
    database.add("hr")
    file = tmp_path / "hr.password"
    file.touch(mode=0o600)
    file.write_text(SECRET)

    done = command("tenant", "add", "hr", "--password-file", str(file))

    assert done.status == 1
    assert file.read_text() == SECRET


def test_file_that_is_a_link_to_nowhere_is_not_written_through(command: Run, tmp_path: Path) -> None:
    (tmp_path / "hr.password").symlink_to(tmp_path / "elsewhere")

    done = command("tenant", "add", "hr", "--password-file", str(tmp_path / "hr.password"))

    assert done.status == 2
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "elsewhere").exists()


def test_password_file_that_a_killed_adding_left_serves_the_next(
    database: Database, spawn: Spawn, command: Run, tmp_path: Path
) -> None:
    file = tmp_path / "hr.password"
    with held_up(database, "hr"), database.connect() as watcher:
        process = spawn("tenant", "add", "hr", "--password-file", str(file))
        assert eventually(lambda: bool(sessions(watcher, waiting=True)))
        process.kill()
        process.communicate(timeout=30)
    left = file.read_text()

    done = command("tenant", "add", "hr", "--password-file", str(file))

    assert done.status == 0, done.stderr
    assert file.read_text() == left
    database.passwords["hr_role"] = left.removesuffix("\n")
    with database.login("hr_role") as connection:
        assert connection.execute("SELECT session_user").fetchone() == ("hr_role",)


def test_password_with_every_kind_of_character_works(database: Database, command: Run) -> None:
    secret = "pä\\ss'w\"ö %41:@/?#&$x$ 🦄"

    done = command("tenant", "add", "hr", "--password-stdin", stdin=secret)

    assert done.status == 0, done.stderr
    login = psycopg.connect(database.server.conninfo(database.name, "hr_role", secret))
    with login as connection:
        assert connection.execute("SELECT session_user").fetchone() == ("hr_role",)


def test_environment_lines_with_the_password_file_connect(database: Database, command: Run, tmp_path: Path) -> None:
    secret = "pä ss'w\"ö%41:@/?#&$x"
    file = tmp_path / "hr.password"
    file.touch(mode=0o600)
    file.write_text(secret)
    added = command("tenant", "add", "hr", "--password-file", str(file))
    assert added.status == 0, added.stderr

    done = command("tenant", "env", "hr", "--password-file", str(file))

    assert done.status == 0, done.stderr
    environment = _read_by_a_shell(done.stdout)
    assert environment["DB_PASSWORD"] == secret
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT session_user, current_schema()").fetchone() == ("hr_role", "hr_tenant")


def _read_by_a_shell(lines: str) -> dict[str, str]:
    """Return what a shell makes of the lines of an .env file."""
    script = f"set -a\n{lines}\nexec env -0"
    done = subprocess.run(["sh", "-c", script], capture_output=True, env={}, check=True)
    return dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if line)
