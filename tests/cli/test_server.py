"""`fedschema server …`: the embedded PostgreSQL of the working directory, and commands that find it by themselves."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fedschema.embedded import EmbeddedServer
from tests.cli.conftest import document
from tests.cli.typing_in import type_in
from tests.conftest import Finished

KEYS = {"state", "directory", "version", "pid", "host", "port", "url"}


class Directory:
    """A working directory in which commands are typed that name no database."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def types(self, *arguments: str, stdin: str = "") -> Finished:
        return type_in(*arguments, stdin=stdin, cwd=self.path)


def _directory() -> Path:
    """Make a directory with a short path that everybody can enter, in memory where there is any."""
    memory = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(prefix="fsc-", dir=memory if memory.is_dir() else "/tmp"))
    made.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def directory() -> Iterator[Directory]:
    """One directory for all tests here, since making a cluster takes a second; each test says where it begins."""
    path = _directory()
    yield Directory(path)
    EmbeddedServer(path / ".fedschema").stop()
    shutil.rmtree(path)


@pytest.fixture
def fresh() -> Iterator[Directory]:
    """A directory in which nothing was ever typed."""
    path = _directory()
    yield Directory(path)
    EmbeddedServer(path / ".fedschema").stop()
    shutil.rmtree(path)


def test_server_that_was_never_made_is_absent(fresh: Directory) -> None:
    shown, machine = fresh.types("server", "status"), fresh.types("server", "status", "--json")

    assert shown.status == machine.status == 0
    assert shown.stdout.splitlines()[0].split() == ["state", "absent"]
    assert set(document(machine)) >= KEYS
    assert document(machine)["url"] is None
    assert list(fresh.path.iterdir()) == []


def test_stopping_what_does_not_run_says_so(fresh: Directory) -> None:
    assert fresh.types("server", "stop") == Finished(0, "was not running\n", "")
    assert list(fresh.path.iterdir()) == []


@pytest.mark.parametrize("as_json", [False, True])
def test_url_of_what_does_not_run_is_refused_and_says_what_to_type(fresh: Directory, as_json: bool) -> None:
    done = fresh.types("server", "url", *(["--json"] if as_json else []))

    assert done.status in {1, 2}
    assert "server start" in done.stdout + done.stderr
    assert list(fresh.path.iterdir()) == []
    if as_json:
        assert set(document(done)["error"]) == {"code", "message", "hint"}


def test_generating_sql_starts_no_server(fresh: Directory) -> None:
    for typed in (("tenant", "sql", "hr"), ("tenant", "add", "hr", "--dry-run"), ("history", "--revisions")):
        done = fresh.types(*typed)
        assert (done.status, done.stderr) == (0, ""), typed
    assert list(fresh.path.iterdir()) == []


@pytest.mark.parametrize("words", [("tenant", "add", "Hr"), ("tenant", "add"), ("downgrade", "hr")], ids=" ".join)
def test_wrong_usage_starts_no_server(fresh: Directory, words: tuple[str, ...]) -> None:
    assert fresh.types(*words).status == 2
    assert list(fresh.path.iterdir()) == []


def test_start_says_where_it_runs_and_what_comes_next(directory: Directory) -> None:
    done = directory.types("server", "start")

    status = document(directory.types("server", "status", "--json"))
    assert done.status == 0, done.stderr
    assert done.stdout == (f"running on {status['host']}:{status['port']}, data in {directory.path / '.fedschema'}\n")
    assert done.stderr == "next: fedschema init\n"
    assert status["state"] == "running"
    assert status["directory"] == str(directory.path / ".fedschema")


def test_start_as_a_document(directory: Directory) -> None:
    started = document(directory.types("server", "start", "--json"))

    assert started["state"] == "running"
    assert isinstance(started["port"], int)
    with psycopg.connect(started["url"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_starting_again_changes_nothing(directory: Directory) -> None:
    directory.types("server", "start")
    before = document(directory.types("server", "status", "--json"))

    assert directory.types("server", "start").status == 0

    assert document(directory.types("server", "status", "--json")) == before


def test_url_connects_without_a_password(directory: Directory) -> None:
    directory.types("server", "start")

    done = directory.types("server", "url")

    assert (done.status, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    with psycopg.connect(done.stdout.strip()) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("fedschema",)


def test_server_without_its_command_line_is_shown_with_its_facts(directory: Directory) -> None:
    directory.types("server", "start")

    shown = dict(line.split(maxsplit=1) for line in directory.types("server", "status").stdout.splitlines())

    assert shown["state"] == "running"
    assert {"directory", "PostgreSQL", "process", "url", "log"} <= shown.keys()


def test_commands_find_it_start_it_and_say_so_in_one_line(directory: Directory) -> None:
    directory.types("server", "stop")

    made = directory.types("init")
    listed = directory.types("tenant", "list", "--json")

    announced = f"using the embedded PostgreSQL in {directory.path / '.fedschema'}"
    assert made.status == listed.status == 0, made.stderr
    assert [line.startswith(announced) for line in made.stderr.splitlines()].count(True) == 1
    assert [line.startswith(announced) for line in listed.stderr.splitlines()] == [True]
    assert document(listed) == []
    assert document(directory.types("server", "status", "--json"))["state"] == "running"


def test_settings_of_a_deployment_go_over_tcp(directory: Directory) -> None:
    directory.types("init")
    added = directory.types("tenant", "add", "hr", "--password-file", str(directory.path / "hr.password"))
    assert added.status == 0, added.stderr

    lines = dict(
        line.split("=", 1)
        for line in directory.types(
            "tenant", "env", "hr", "--password-file", str(directory.path / "hr.password")
        ).stdout.splitlines()
    )

    with psycopg.connect(lines["DATABASE_URL"].strip("'")) as connection:
        assert connection.execute("SELECT session_user, inet_server_addr() IS NOT NULL").fetchone() == ("hr_role", True)


def test_stop_says_so_and_keeps_the_data(directory: Directory) -> None:
    directory.types("init")
    directory.types("tenant", "add", "kept")

    assert directory.types("server", "stop") == Finished(0, "stopped\n", "")

    stopped = document(directory.types("server", "status", "--json"))
    assert (stopped["state"], stopped["url"], stopped["pid"]) == ("stopped", None, None)
    assert "kept" in [found["department_id"] for found in document(directory.types("tenant", "list", "--json"))]


@pytest.mark.parametrize("words", [("server", "stop"), ("server", "url")], ids=" ".join)
def test_every_command_that_shows_something_takes_json(directory: Directory, words: tuple[str, ...]) -> None:
    directory.types("server", "start")

    done = directory.types(*words, "--json")

    assert done.status == 0, done
    document(done)


@pytest.mark.parametrize("command", ["start", "stop", "status", "url"])
def test_directory_that_is_a_file_is_one_message(fresh: Directory, command: str) -> None:
    (fresh.path / ".fedschema").write_text("something else")

    done = fresh.types("server", command)

    assert done.status == 0 or done.stderr.startswith("error: "), done
    assert (fresh.path / ".fedschema").read_text() == "something else"
    (fresh.path / ".fedschema").unlink()
