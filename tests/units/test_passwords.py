"""Passwords come strong or from outside, and never show."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from fedschema import passwords
from fedschema.errors import InvalidPassword
from fedschema.passwords import MAX_LENGTH, MIN_LENGTH, Password
from tests.conftest import Server

GOOD = "correct horse battery"


def write(path: Path, content: bytes | str, mode: int = 0o600) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def test_generated_password_is_long_random_and_needs_no_quoting() -> None:
    made = {passwords.generate().text for _ in range(100)}

    assert len(made) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", text) for text in made)
    text = made.pop()
    assert conninfo_to_dict(f"postgresql://u:{text}@h/d")["password"] == text
    assert passwords.generate().generated


def test_password_does_not_show() -> None:
    for password in (Password(GOOD), passwords.generate(), passwords.parse(GOOD)):
        assert password.text not in repr(password)
        assert password.text not in str(password)
        assert password.text not in f"{password}"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (GOOD, GOOD),
        (f"{GOOD}\n", GOOD),
        (f"{GOOD}\r\n", GOOD),
        (f" {GOOD} ", f" {GOOD} "),
        (f"{GOOD}\t", f"{GOOD}\t"),
        ("påßwörd 密碼 🔑", "påßwörd 密碼 🔑"),
        ("'; DROP ROLE x --", "'; DROP ROLE x --"),
        ("x" * MIN_LENGTH, "x" * MIN_LENGTH),
        ("x" * MAX_LENGTH, "x" * MAX_LENGTH),
    ],
)
def test_password_is_one_line_taken_as_it_is(given: str, taken: str) -> None:
    password = passwords.parse(given)

    assert (password.text, password.generated, password.file) == (taken, False, None)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        ("\r\n", "is empty"),
        ("x" * (MIN_LENGTH - 1), f"has {MIN_LENGTH - 1} characters"),
        ("x" * (MAX_LENGTH + 1), f"has {MAX_LENGTH + 1} characters"),
        (f"{GOOD}\n{GOOD}\n", "has more than one line"),
        (f"{GOOD}\n\n", "has more than one line"),
        (f"{GOOD}\rx", "has more than one line"),
        (f"{GOOD}\0", "more than one line"),
    ],
)
def test_password_that_cannot_be_used_is_refused_and_not_repeated(given: str, reason: str) -> None:
    with pytest.raises(InvalidPassword, match=reason) as caught:
        passwords.parse(given)

    assert caught.value.exit_status == 2
    assert GOOD not in caught.value.message
    assert "xxx" not in caught.value.message


def test_file_that_is_not_there_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "password"
    before = os.umask(0)
    try:
        made = passwords.from_file(path)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text(encoding="utf-8") == f"{made.text}\n"
    assert (made.generated, made.file) == (True, path)
    again = passwords.from_file(path)
    assert (again.text, again.generated, again.file) == (made.text, False, path)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_file_of_its_owner_is_read(mode: int, tmp_path: Path) -> None:
    path = write(tmp_path / "password", f"{GOOD}\n", mode)

    for read in (passwords.read_file, passwords.from_file):
        assert (read(path).text, read(path).file) == (GOOD, path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o606, 0o610, 0o777])
def test_file_that_others_reach_is_refused_with_the_cure(mode: int, tmp_path: Path) -> None:
    path = write(tmp_path / "password", GOOD, mode)

    with pytest.raises(InvalidPassword, match=f"chmod 600 {path}") as caught:
        passwords.read_file(path)

    assert GOOD not in caught.value.message


@pytest.mark.parametrize("content", ["", "\n", "short", b"\xff\xfe" + b"x" * 40, f"{GOOD}\n{GOOD}"])
def test_file_without_a_password_is_refused_and_left_as_it_is(content: str | bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "password", content)
    before = path.read_bytes()

    with pytest.raises(InvalidPassword) as caught:
        passwords.from_file(path)

    assert path.read_bytes() == before
    assert GOOD not in caught.value.message
    assert "xx" not in caught.value.message


def test_file_that_cannot_be_reached_is_one_clear_message(tmp_path: Path) -> None:
    for path in (tmp_path / "absent" / "password", tmp_path, write(tmp_path / "file", "x") / "password"):
        with pytest.raises(InvalidPassword, match=re.escape(str(path))):
            passwords.from_file(path)
    with pytest.raises(InvalidPassword, match="cannot be read"):
        passwords.read_file(tmp_path / "absent")


def test_dangling_link_is_not_followed_to_a_new_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(InvalidPassword):
        passwords.from_file(tmp_path / "link")

    assert not (tmp_path / "elsewhere").exists()


def test_server_gets_a_verifier_that_lets_the_password_in(server: Server) -> None:
    for text in (GOOD, "påßwörd 密碼 🔑", 'it\'s \\ a "test" %s'):
        with server.connect() as connection:
            verifier = Password(text).verifier(connection, "fedschema_test_verified")
            assert verifier.startswith("SCRAM-SHA-256$")
            assert text not in verifier
            connection.execute(f"CREATE ROLE fedschema_test_verified LOGIN PASSWORD '{verifier}'".encode())
            try:
                # What is stored is what was sent: the server did not take it for a password and hash it again.
                stored = connection.execute(
                    "SELECT rolpassword FROM pg_authid WHERE rolname = 'fedschema_test_verified'"
                ).fetchone()
                assert stored == (verifier,)
            finally:
                connection.execute("DROP ROLE fedschema_test_verified")


def test_same_password_never_gives_the_same_verifier(server: Server) -> None:
    with server.connect() as connection:
        made = {Password(GOOD).verifier(connection, "hr_role") for _ in range(3)}
    assert len(made) == 3
