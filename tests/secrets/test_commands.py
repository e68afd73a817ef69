"""`fedschema secret …` as it is typed: values come in and go out in private, and JSON never has one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fedschema.credentials import Part
from fedschema.encryption import Key
from tests.cli.conftest import document
from tests.conftest import ROOT, Database, Run
from tests.secrets.conftest import VALUE, audited, every_value, given_key, keep, named, private_file, read


@pytest.fixture(autouse=True)
def _departments(database: Database) -> None:
    database.add("hr")


def test_api_key_is_set_and_got_by_a_process_of_its_own(
    fedschema: Run, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_key(monkeypatch, key)
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")

    done = fedschema("secret", "set", "hr", "openai", "--key", "default", "--secret-stdin", stdin=f"{VALUE}\n")
    got = fedschema("secret", "get", "hr", "openai", "--key", "default")

    assert done.status == 0, done.stderr
    assert done.stdout == f"API key openai/default of department hr is stored, under key {key.id.hex()}\n"
    assert (got.status, got.stdout, got.stderr) == (0, f"{VALUE}\n", "")


def test_client_is_set_from_files_and_got_part_by_part(command: Run, tmp_path: Path) -> None:
    secret = private_file(tmp_path / "secret", "client secret\n")
    token = private_file(tmp_path / "token", "refresh token\n")

    done = command(
        "secret", "set", "hr", "google", "--client-id", "client-1", "--app-name", "Mail", "--scopes", "a.read, b.send",
        "--expires", "2031-01-31", "--secret-file", str(secret), "--refresh-token-file", str(token),
    )  # fmt: skip

    assert done.status == 0, done.stderr
    assert command("secret", "get", "hr", "google").stdout == "client secret\n"
    assert command("secret", "get", "hr", "google", "--refresh-token").stdout == "refresh token\n"
    shown = document(command("secret", "get", "hr", "google", "--json"))
    assert shown["scopes"] == ["a.read", "b.send"]
    assert shown["oauth_app_name"] == "Mail"
    assert shown["token_expires_at"] == "2031-01-31T00:00:00.000Z"


def test_new_refresh_token_needs_nothing_else(command: Run, database: Database, key: Key, tmp_path: Path) -> None:
    keep(database, key, named(database, "hr", "google"))
    token = private_file(tmp_path / "token", "refresh token 2")

    done = command("secret", "set", "hr", "google", "--refresh-token-file", str(token))

    assert done.status == 0, done.stderr
    assert read(database, key, named(database, "hr", "google"), Part.REFRESH_TOKEN) == "refresh token 2"
    assert read(database, key, named(database, "hr", "google")) == "client secret 1"


def test_json_of_every_command_has_no_value(command: Run, key: Key, other_key: Key, tmp_path: Path) -> None:
    secret = private_file(tmp_path / "secret", VALUE)
    new = private_file(tmp_path / "key", other_key.material.hex())
    word = ("--key", "default", "--json")
    done = [
        command("secret", "set", "hr", "openai", *word, "--secret-file", str(secret)),
        command("secret", "get", "hr", "openai", *word),
        command("secret", "get", "hr", "openai", *word, "--output", str(tmp_path / "out")),
        command("secret", "list", "--json"),
        command("secret", "rotate-key", "--json", "--new-key-file", str(new)),
        command("secret", "remove", "hr", "openai", *word, "--yes"),
    ]

    assert [one.status for one in done] == [0] * 6, done
    for one in done:
        document(one)
        for never in (VALUE, json.dumps(VALUE)[1:-1], key.material.hex(), other_key.material.hex()):
            assert never not in one.stdout + one.stderr
    assert "never in JSON" in done[1].stderr
    assert (tmp_path / "out").read_text() == f"{VALUE}\n"


def test_metadata_alone_need_no_key_and_are_not_recorded_as_read(
    command: Run, database: Database, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(database, key, named(database, "hr", "google"))
    monkeypatch.delenv("OAUTH_ENCRYPTION_KEY")

    assert command("secret", "get", "hr", "google", "--json").status == 0
    listed = command("secret", "list")

    assert listed.status == 0
    assert key.id.hex() in listed.stdout
    assert [row[0] for row in audited(database)] == ["SECRET_STORED"]


def test_list_shows_what_is_stored_in_aligned_columns(command: Run, database: Database, key: Key) -> None:
    keep(database, key, named(database, "hr", "google"))
    keep(database, key, named(database, "hr", "openai", "default"))

    heading, oauth, api_key = command("secret", "list", "hr").stdout.splitlines()

    assert heading.split() == ["DEPARTMENT", "SERVICE", "KIND", "NAME", "KEY", "EXPIRES", "CREATED", "ROTATED"]
    assert oauth.split()[:5] == ["hr", "google", "oauth", "client-1", key.id.hex()]
    assert api_key.split()[:6] == ["hr", "openai", "api", "key", "default", key.id.hex()]


def test_list_of_nothing_says_how_to_store_something(command: Run) -> None:
    done = command("secret", "list")

    assert (done.status, done.stdout) == (0, "")
    assert "fedschema secret set" in done.stderr


def test_secret_goes_to_a_file_that_nobody_else_can_read(
    command: Run, database: Database, key: Key, tmp_path: Path
) -> None:
    keep(database, key, named(database, "hr", "openai", "default"))
    file = tmp_path / "value"
    before = os.umask(0)
    try:
        done = command("secret", "get", "hr", "openai", "--key", "default", "--output", str(file))
    finally:
        os.umask(before)

    assert (done.status, done.stdout) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == f"{VALUE}\n"


@pytest.mark.parametrize("there", ["file", "dangling link"])
def test_file_that_is_there_is_not_overwritten_and_nothing_is_read(
    command: Run, database: Database, key: Key, tmp_path: Path, there: str
) -> None:
    keep(database, key, named(database, "hr", "openai", "default"))
    file = tmp_path / "value"
    if there == "file":
        file.write_text("mine")
    else:
        file.symlink_to(tmp_path / "elsewhere")

    done = command("secret", "get", "hr", "openai", "--key", "default", "--output", str(file))

    assert done.status == 2
    assert "exists already" in done.stderr
    assert not (tmp_path / "elsewhere").exists()
    assert [row[0] for row in audited(database)] == ["SECRET_STORED"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
@pytest.mark.parametrize("option", ["--secret-file", "--refresh-token-file"])
def test_file_that_others_can_read_is_refused(command: Run, tmp_path: Path, mode: int, option: str) -> None:
    file = private_file(tmp_path / "secret", VALUE, mode)

    done = command("secret", "set", "hr", "google", "--client-id", "x", option, str(file))

    assert done.status == 2
    assert f"hint: chmod 600 {file}" in done.stderr
    assert VALUE not in done.stdout + done.stderr


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"a\0b", b"x" * 65537, b"x" * 100000])
def test_what_cannot_be_a_secret_is_refused_and_stored_nowhere(
    command: Run, database: Database, tmp_path: Path, content: bytes
) -> None:
    file = private_file(tmp_path / "secret", "")
    file.write_bytes(content)

    done = command("secret", "set", "hr", "openai", "--key", "default", "--secret-file", str(file), "--json")

    assert done.status == 2
    assert document(done)["error"]["code"] == "invalid_secret"
    assert every_value(database, "hr") == []


def test_missing_file_is_refused(command: Run, tmp_path: Path) -> None:
    done = command("secret", "set", "hr", "x", "--key", "y", "--secret-file", str(tmp_path / "none"))

    assert done.status == 2
    assert "cannot be read: No such file" in done.stderr


def test_without_terminal_the_secret_has_to_be_handed_in(command: Run, database: Database) -> None:
    done = command("secret", "set", "hr", "openai", "--key", "default", stdin="not asked for\n")

    assert done.status == 2
    assert "--secret-stdin" in done.stderr
    assert every_value(database, "hr") == []


def test_secret_is_typed_at_a_terminal_without_being_shown(
    database: Database, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_key(monkeypatch, key)
    program = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    words = [sys.executable, "-m", "fedschema", "secret", "set", "hr", "openai", "--key", "default"]
    environment = {**os.environ, "FEDSCHEMA_DATABASE_URL": database.url}
    with subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        shown = b""
        for _ in range(2):
            while not shown.endswith(b": "):
                shown += os.read(process.stdout.fileno(), 1)
            time.sleep(0.2)  # what is typed before the terminal stops showing it is thrown away
            process.stdin.write(b"typed secret\n")
            process.stdin.flush()
            shown += b"."
        shown += process.stdout.read()

    assert process.returncode == 0, shown
    assert b"typed secret" not in shown
    assert read(database, key, named(database, "hr", "openai", "default")) == "typed secret"


@pytest.mark.parametrize(
    "words",
    [
        ("set", "hr", "openai", "--key", "k", "--client-id", "x", "--secret-stdin"),
        ("set", "hr", "openai", "--secret-stdin", "--secret-file", "f"),
        ("set", "hr", "openai", "--key", "k", "--secret-stdin", "--expires", "2001-01-01"),
        ("set", "hr", "openai", "--key", "k", "--secret-stdin", "--scopes", "a,,b"),
        ("set", "hr", "openai", "--client-id", "", "--secret-stdin"),
        ("set", "hr", "", "--key", "k", "--secret-stdin"),
        ("set", "HR", "openai", "--key", "k", "--secret-stdin"),
        ("set", "hr", "openai", "--key", "k", "--secret", VALUE),
        ("set", "hr", "openai", "--key", "k", VALUE),
        ("set", "nobody", "openai", "--key", "k", "--secret-stdin"),
        ("set", "hr", "openai", "--secret-stdin"),
        ("get", "hr", "openai", "--key", "k", "--refresh-token"),
        ("get", "hr", "openai"),
        ("get", "nobody", "openai"),
        ("list", "nobody"),
        ("remove", "hr", "openai", "--yes"),
        ("rotate-key",),
    ],
)
def test_wrong_usage_touches_nothing(command: Run, database: Database, words: tuple[str, ...]) -> None:
    done = command("secret", *words, stdin="value")

    assert done.status == 2, done
    assert done.stdout == ""
    assert every_value(database, "hr") == audited(database) == []


@pytest.mark.parametrize("value", ["", "abc", "not hex " * 8])
@pytest.mark.parametrize(
    "words", [("set", "hr", "x", "--key", "y", "--secret-stdin"), ("get", "hr", "x"), ("rotate-key",)]
)
def test_without_a_good_key_nothing_is_done_and_the_key_is_not_repeated(
    command: Run, database: Database, monkeypatch: pytest.MonkeyPatch, value: str, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("OAUTH_ENCRYPTION_KEY", value)

    done = command("secret", *words, stdin="value", url="postgresql://u@127.0.0.1:1/none")

    assert done.status == 2
    assert "openssl rand -hex 32" in done.stderr
    assert "OAUTH_ENCRYPTION_KEY" in done.stderr
    assert not value or value not in done.stderr


def test_wrong_key_is_told_by_its_id(
    command: Run, database: Database, key: Key, other_key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(database, key, named(database, "hr", "openai", "default"))
    given_key(monkeypatch, other_key)

    for words in (("get", "hr", "openai", "--key", "default"), ("set", "hr", "x", "--key", "y", "--secret-stdin")):
        done = command("secret", *words, stdin="value")
        assert (done.status, done.stdout) == (1, "")
        assert f"is under key {key.id.hex()}, and the key given is {other_key.id.hex()}" in done.stderr
        assert f"hint: set OAUTH_ENCRYPTION_KEY to key {key.id.hex()}" in done.stderr


def test_removal_has_to_be_confirmed(command: Run, database: Database, key: Key) -> None:
    keep(database, key, named(database, "hr", "openai", "default"))
    words = ("secret", "remove", "hr", "openai", "--key", "default")

    refused = command(*words, stdin="sales\n")
    assert refused.status == 2
    assert "fedschema secret remove hr openai --key default --yes" in refused.stderr
    assert len(every_value(database, "hr")) == 1

    done = command(*words, stdin="hr\n")
    assert (done.status, done.stdout) == (0, "API key openai/default of department hr is deleted\n")
    assert every_value(database, "hr") == []
