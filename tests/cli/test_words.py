"""What can be typed: commands and their help, the version, global options anywhere, and what is wrong usage."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys

import pytest

import fedschema as package
from fedschema.cli.app import app
from tests.cli.conftest import document
from tests.cli.typing_in import type_in
from tests.conftest import ROOT, Database, Finished, Run

COMMANDS = [
    ("init",),
    ("demo",),
    ("new",),
    ("upgrade",),
    ("downgrade",),
    ("status",),
    ("history",),
    ("revision",),
    ("revision", "check"),
    ("lint",),
    ("grant",),
    ("revoke",),
    ("grants",),
    ("audit",),
    ("validate",),
    ("drift",),
    ("report",),
    ("metrics",),
    ("doctor",),
    *(("tenant", name) for name in ("add", "list", "show", "sql", "env", "rotate-password")),
    *(("tenant", name) for name in ("adopt", "suspend", "resume", "rename", "archive", "restore", "drop")),
    *(("backup", name) for name in ("make", "verify", "restore")),
    *(("gateway", name) for name in ("add", "list", "rotate", "remove")),
    *(("admin", name) for name in ("create", "list", "rotate", "remove")),
    *(("secret", name) for name in ("set", "get", "list", "remove", "rotate-key")),
    *(("retention", name) for name in ("set", "list", "show", "run", "export", "schedule")),
    *(("server", name) for name in ("start", "stop", "status", "url")),
]
GROUPS = [(), ("tenant",), ("backup",), ("gateway",), ("admin",), ("secret",), ("retention",), ("server",)]
COLOUR = re.compile(r"\x1b\[")


def test_every_command_is_listed_here() -> None:
    registered = [f"{command.name}" for command in app.registered_commands]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        registered += [f"{group.name}"] if group.typer_instance.info.invoke_without_command is True else []
        registered += [
            f"{group.name} {command.name or getattr(command.callback, '__name__', '')}"
            for command in group.typer_instance.registered_commands
        ]

    assert sorted(registered) == sorted(" ".join(words) for words in COMMANDS)


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("words", [*GROUPS, *COMMANDS], ids=" ".join)
def test_help_explains_and_touches_nothing(nowhere: Run, words: tuple[str, ...], option: str) -> None:
    done = nowhere(*words, option)

    assert (done.status, done.stderr) == (0, "")
    assert f"Usage: fedschema {' '.join(words)}".rstrip() in done.stdout
    assert "--help" in done.stdout


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_of_a_command_says_what_it_does(nowhere: Run, words: tuple[str, ...]) -> None:
    usage, _, rest = nowhere(*words, "--help").stdout.strip().partition("\n")

    assert usage.strip().startswith("Usage:")
    assert re.search(r"[A-Z][a-z]+ .*[.;:]", rest)


@pytest.mark.parametrize("words", [words for words in COMMANDS if words != ("demo",)], ids=" ".join)
def test_every_command_that_shows_something_takes_json(nowhere: Run, words: tuple[str, ...]) -> None:
    assert "--json" in nowhere(*words, "--help").stdout


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_group_alone_shows_its_help_and_is_wrong_usage(nowhere: Run, words: tuple[str, ...]) -> None:
    done = nowhere(*words)

    assert done.status == 2
    assert f"Usage: fedschema {' '.join(words)}".rstrip() in done.stdout + done.stderr


def test_version_is_one_line(nowhere: Run) -> None:
    assert nowhere("--version") == Finished(0, f"fedschema {package.__version__}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ("nosuch",),
        ("tenant", "nosuch"),
        ("tenant", "add"),
        ("tenant", "add", "hr", "sales"),
        ("tenant", "add", "hr", "--nosuch"),
        ("tenant", "show"),
        ("tenant", "sql", "hr", "--policy-type", "nosuch"),
        ("downgrade",),
        ("downgrade", "hr"),
        ("downgrade", "--to", "base"),
        ("downgrade", "hr", "--all", "--to", "base"),
        ("upgrade", "--on-error", "nosuch"),
        ("history", "--limit", "0"),
        ("history", "--limit", "many"),
        ("status", "--check", "--nosuch"),
        ("grant", "hr", "sales"),
        ("grant", "hr", "sales", "--type", "nosuch", "--resource", "emails"),
        ("gateway", "add"),
        ("audit", "--limit", "0"),
        ("validate", "--probe", "--sample", "1"),
        ("secret", "get", "hr"),
        ("tenant", "restore", "hr"),
        ("backup", "--all"),
        ("backup", "hr"),
        ("backup", "--to", "nowhere"),
        ("backup", "verify"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_one_message(nowhere: Run, words: tuple[str, ...]) -> None:
    plain, machine = nowhere(*words), nowhere(*words, "--json")

    assert (plain.status, plain.stdout) == (2, "")
    assert plain.stderr
    assert "Traceback" not in plain.stderr
    assert (machine.status, machine.stderr) == (2, "")
    error = document(machine)["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["code"] == "usage"
    assert error["message"]
    assert error["hint"]


def test_misspelt_option_is_answered_with_the_right_one(nowhere: Run) -> None:
    assert "--database-url" in nowhere("--databse-url", "x", "tenant", "list").stderr


GLOBAL_PLACES = [
    ("{option}", "tenant", "list"),
    ("tenant", "{option}", "list"),
    ("tenant", "list", "{option}"),
    ("tenant", "list", "--json", "{option}"),
    ("tenant", "list", "{option}", "--json"),
]


def test_global_option_is_taken_anywhere(database: Database) -> None:
    for words in GLOBAL_PLACES:
        for option in (["--database-url", database.url], [f"--database-url={database.url}"]):
            typed = itertools.chain.from_iterable(option if word == "{option}" else [word] for word in words)

            done = type_in(*typed, url="postgresql://u@127.0.0.1:1/none", cwd=ROOT)

            assert done.status == 0, (words, done.stderr)


def test_config_is_taken_anywhere(database: Database, command: Run) -> None:
    for typed in (
        ("--config", str(ROOT / "alembic.ini"), "status"),
        ("status", "--config", str(ROOT / "alembic.ini")),
        ("status", f"--config={ROOT / 'alembic.ini'}", "--database-url", database.url),
    ):
        assert command(*typed).status == 0, typed


def test_what_follows_two_dashes_is_no_option(command: Run) -> None:
    done = command("tenant", "show", "--", "--database-url")

    assert done.status == 2
    assert "'--database-url' cannot be a department id" in done.stderr


@pytest.mark.parametrize("option", ["--database-url", "--config"])
def test_global_option_without_its_value_is_named(nowhere: Run, option: str) -> None:
    done = nowhere("tenant", "list", option)

    assert done.status == 2
    assert option in done.stderr, "the message is about something that was not typed"


def test_option_goes_before_the_environment(database: Database) -> None:
    done = type_in("status", "--database-url", database.url, url="postgresql://u@127.0.0.1:1/none", cwd=ROOT)

    assert done.status == 0, done.stderr


def test_fedschemas_own_variable_goes_before_the_common_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@127.0.0.1:1/none")

    assert type_in("status", url=database.url, cwd=ROOT).status == 0
    assert type_in("status", cwd=ROOT).status == 1


@pytest.mark.parametrize("variable", ["FEDSCHEMA_DATABASE_URL", "DATABASE_URL"])
def test_url_is_taken_as_operators_have_it(database: Database, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    for scheme in ("postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2", "postgres+psycopg"):
        url = f"{scheme}{database.url.removeprefix('postgresql')}"
        if variable == "DATABASE_URL":
            monkeypatch.setenv(variable, url)

        done = type_in("status", url=url if variable == "FEDSCHEMA_DATABASE_URL" else None, cwd=ROOT)

        assert done.status == 0, (scheme, done.stderr)


def test_url_may_hold_libpq_options(database: Database, command: Run) -> None:
    server = database.server
    hosts = f"127.0.0.1:1,{server.host}:{server.port}"
    url = f"postgresql://{server.user}:{server.password}@{hosts}/{database.name}?sslmode=disable&connect_timeout=3"

    done = command("status", url=url)

    assert done.status == 0, done.stderr


def test_libpq_variables_are_enough(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    server = database.server
    for name, value in {
        "PGHOST": server.host,
        "PGPORT": str(server.port),
        "PGUSER": server.user,
        "PGPASSWORD": server.password,
        "PGDATABASE": database.name,
    }.items():
        monkeypatch.setenv(name, value)

    done = type_in("status", cwd=ROOT)

    assert (done.status, done.stdout) == (0, "")
    assert "there are no departments yet" in done.stderr


def _process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fedschema", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize("words", [("--help",), ("tenant", "add")], ids=" ".join)
def test_nothing_is_coloured_where_no_terminal_is(words: tuple[str, ...]) -> None:
    done = _process(*words)

    assert not COLOUR.search(done.stdout + done.stderr)


def test_process_ends_with_the_status_of_its_command() -> None:
    assert _process("tenant", "add", "Legal").returncode == 2
    assert _process("status", FEDSCHEMA_DATABASE_URL="postgresql://u@127.0.0.1:1/none").returncode == 1
