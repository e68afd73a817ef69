"""Where things are printed: readers that go away, terminals with colour and without, what a terminal cannot show."""

from __future__ import annotations

import errno
import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

import pytest

from tests.conftest import ROOT, Database, Run
from tests.tenancy.inventory import WHOLE, traces

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def _environment(url: str, **more: str) -> dict[str, str]:
    """What an operator's shell has; PYTHONUNBUFFERED would hide what happens when buffers are emptied."""
    hidden = {"PYTHONUNBUFFERED", "NO_COLOR", "FORCE_COLOR", "PYTHONIOENCODING"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**kept, "FEDSCHEMA_DATABASE_URL": url, **more}


def _start(arguments: Sequence[str], url: str, stdout: int, stderr: int, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fedschema", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
        cwd=ROOT,
        env=_environment(url, **more),
    )


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("upgrade",), 0, "hr: unchanged"),
        (("tenant", "show", "hr"), 0, "hr"),
        (("tenant", "drop", "hr"), 2, "error: "),
    ],
    ids=str,
)
def test_closed_input_is_nobody_to_ask(database: Database, words: tuple[str, ...], status: int, said: str) -> None:
    database.add("hr")
    before = traces(database, "hr")

    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-m", "fedschema", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=_environment(database.url),
        timeout=60,
        check=False,
    )

    assert done.returncode == status, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert traces(database, "hr") == before


@pytest.mark.parametrize(
    "words",
    [
        ("tenant", "list"),
        ("tenant", "sql", "hr"),
        ("--version",),
        ("tenant", "show", "nosuch", "--json"),
    ],
    ids=" ".join,
)
def test_reader_that_has_gone_is_no_traceback(database: Database, words: tuple[str, ...]) -> None:
    database.add("hr")
    reading, writing = os.pipe()
    os.close(reading)

    with _start(words, database.url, writing, subprocess.PIPE) as process:
        os.close(writing)
        _, stderr = process.communicate(timeout=30)

    assert stderr == ""
    assert process.returncode in {0, 1, 2, 141}


def test_first_line_can_be_read_alone(database: Database) -> None:
    database.add("hr")
    script = f"{sys.executable} -m fedschema tenant sql hr | head -n 1; exit ${{PIPESTATUS[0]}}"

    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=ROOT, env=_environment(database.url), check=False
    )

    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert done.returncode in {0, 1, 141}


def test_full_disk_is_one_message(database: Database) -> None:
    database.add("hr")
    full = os.open("/dev/full", os.O_WRONLY)

    with _start(("tenant", "sql", "hr"), database.url, full, subprocess.PIPE) as process:
        os.close(full)
        _, stderr = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr
    assert os.strerror(errno.ENOSPC) in stderr


def test_closed_output_is_no_traceback(database: Database) -> None:
    database.add("hr")
    script = f"exec {sys.executable} -m fedschema tenant list >&-"

    done = subprocess.run(
        ["sh", "-c", script], stderr=subprocess.PIPE, text=True, cwd=ROOT, env=_environment(database.url), check=False
    )

    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("tenant", "list"), ("tenant", "list", "--json")], ids=" ".join)
def test_name_that_the_terminal_cannot_show_is_no_traceback(database: Database, words: tuple[str, ...]) -> None:
    database.add("hr", "Größe 🦄")

    with _start(words, database.url, subprocess.PIPE, subprocess.PIPE, PYTHONIOENCODING="ascii") as process:
        stdout, stderr = process.communicate(timeout=30)

    assert (process.returncode, stderr) == (0, "")
    assert "hr_tenant" in stdout
    if "--json" in words:
        assert json.loads(stdout)[0]["department_name"] == "Größe 🦄"


def test_password_is_told_also_where_the_name_cannot_be_shown(database: Database) -> None:
    words = ("tenant", "add", "hr", "--name", "Größe 🦄")

    with _start(words, database.url, subprocess.PIPE, subprocess.PIPE, PYTHONIOENCODING="ascii") as process:
        stdout, stderr = process.communicate(timeout=30)

    assert (process.returncode, stderr) == (0, "")
    assert traces(database, "hr") == WHOLE
    database.passwords["hr_role"] = stdout.rsplit(maxsplit=1)[-1]
    with database.login("hr_role") as connection:
        assert connection.execute("SELECT session_user").fetchone() == ("hr_role",)


class Terminal:
    """A terminal at which a command is typed; what appears on it is one text, as people see it."""

    def __init__(self, words: Sequence[str], url: str, more: Mapping[str, str]) -> None:
        self._ours, theirs = os.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fedschema", *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=ROOT,
            env=_environment(url, TERM="xterm-256color", **more),
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Read until a text appears."""
        deadline = time.monotonic() + 30
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            self._read()

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def end(self) -> int:
        """Read to the end and return the exit status."""
        while self._read():
            pass
        return self._process.wait(30)

    def take_away(self) -> None:
        """End whatever still runs there."""
        self._process.kill()
        self._process.wait(30)
        os.close(self._ours)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], 30)
        assert ready, f"nothing more appears: {self.shown}"
        data = b""
        with suppress(OSError):  # Linux ends a terminal that nobody writes to any more with an error
            data = os.read(self._ours, 65536)
        self.shown += data.decode(errors="replace")
        return bool(data)


Open = Callable[..., Terminal]


@pytest.fixture
def terminal(database: Database) -> Iterator[Open]:
    """Type a command on the test's database at a terminal, which is taken away after the test."""
    opened: list[Terminal] = []

    def start(*words: str, **more: str) -> Terminal:
        opened.append(Terminal(words, database.url, more))
        return opened[-1]

    yield start
    for one in opened:
        one.take_away()


def test_terminal_gets_colour(terminal: Open) -> None:
    screen = terminal("tenant", "show", "nosuch")

    assert screen.end() == 2
    assert COLOUR.search(screen.shown)
    assert "error: unknown department nosuch" in COLOUR.sub("", screen.shown)


@pytest.mark.parametrize(
    "words", [("tenant", "show", "nosuch"), ("tenant", "list"), ("tenant", "nosuch"), ("--help",)], ids=" ".join
)
def test_terminal_gets_no_colour_where_no_color_is_set(
    database: Database, terminal: Open, words: tuple[str, ...]
) -> None:
    database.add("hr")
    screen = terminal(*words, NO_COLOR="1")

    screen.end()

    assert not re.search(r"\x1b\[[0-9;]*[34]\d", screen.shown), "a colour is set"


def test_dropping_asks_at_the_terminal(database: Database, terminal: Open) -> None:
    database.add("hr")
    screen = terminal("tenant", "drop", "hr")
    screen.wait_for("type hr to drop it")
    screen.type("hr\n")

    assert screen.end() == 0, screen.shown
    assert "department hr dropped" in screen.shown
    assert traces(database, "hr").schemas == 0


def test_ctrl_d_at_the_question_keeps_the_department(database: Database, terminal: Open) -> None:
    database.add("hr")
    screen = terminal("tenant", "drop", "hr")
    screen.wait_for("type hr to drop it")
    screen.type("\x04")

    assert screen.end() == 2, screen.shown
    message = [line for line in COLOUR.sub("", screen.shown).splitlines() if "error:" in line]
    assert [line.startswith("error:") for line in message] == [True], "the message has no line of its own"
    assert traces(database, "hr") == WHOLE


def test_password_is_asked_for_twice_and_not_echoed(database: Database, terminal: Open) -> None:
    screen = terminal("tenant", "add", "hr", "--password-stdin")
    screen.wait_for("assword")
    time.sleep(0.1)  # the terminal's echo is switched off just after the question appears
    screen.type("correct horse battery\n")
    screen.wait_for("epeat")
    time.sleep(0.1)
    screen.type("correct horse battery\n")

    assert screen.end() == 0, screen.shown
    assert "correct horse" not in screen.shown
    database.passwords["hr_role"] = "correct horse battery"
    with database.login("hr_role") as connection:
        assert connection.execute("SELECT session_user").fetchone() == ("hr_role",)


def test_losing_rows_is_asked_about_at_the_terminal(database: Database, terminal: Open) -> None:
    database.add("hr")
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO hr_tenant.feature_flags (feature_name) VALUES ('x')",
        )
    screen = terminal("downgrade", "hr", "--to", "tenant_0005_workflows")
    screen.wait_for("type hr to lose")
    assert "feature_flags (1 row)" in screen.shown
    screen.type("hr\n")

    assert screen.end() == 0, screen.shown
    assert traces(database, "hr").versions == ("tenant_0005_workflows",)


def test_losing_rows_is_not_asked_about_where_nobody_can_answer(database: Database, command: Run) -> None:
    database.add("hr")
    with database.connect() as connection:
        connection.execute("INSERT INTO hr_tenant.feature_flags (feature_name) VALUES ('x')")

    done = command("downgrade", "hr", "--to", "tenant_0005_workflows", stdin="hr\n")

    assert done.status == 1
    assert "feature_flags (1 row)" in done.stderr
    assert traces(database, "hr") == WHOLE
