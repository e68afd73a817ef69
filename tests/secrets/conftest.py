"""What the tests of secrets share: keys, commands that have one, processes, a server that writes down all it hears."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fedschema import credentials
from fedschema.credentials import ApiKey, OAuthClient, SecretName
from fedschema.department import Department
from fedschema.encryption import Key
from tests.cli.typing_in import type_in
from tests.conftest import ROOT, Database, Finished, Run

VALUE = "sk-live Geheimnis ß '\"\\ 7f3a"
CLIENT = OAuthClient("client-1", "client secret 1", "refresh token 1", "Mail", ("mail.read", "mail.send"))

Spawn = Callable[..., "subprocess.Popen[str]"]
Rows = list[tuple[Any, ...]]


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OAUTH_ENCRYPTION_KEY", "OAUTH_ENCRYPTION_KEY_NEW"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def key() -> Key:
    """The key that the test's secrets are under."""
    return Key.generate()


@pytest.fixture
def other_key() -> Key:
    return Key.generate()


def given_key(patch: pytest.MonkeyPatch, key: Key, variable: str = "OAUTH_ENCRYPTION_KEY") -> None:
    """Put a key where commands look for it."""
    patch.setenv(variable, key.material.hex())


@pytest.fixture
def command(database: Database, key: Key, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Type `fedschema …` inside this process, on the test's database and with the test's key."""
    given_key(monkeypatch, key)

    def run(*arguments: str, stdin: str = "", url: str | None = None) -> Finished:
        return type_in(*arguments, url=url or database.url, stdin=stdin, cwd=ROOT)

    return run


@pytest.fixture
def spawn(database: Database) -> Iterator[Spawn]:
    """Start `fedschema …` and go on; it is ended after the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, stdin: str = "", **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "fedschema", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "FEDSCHEMA_DATABASE_URL": database.url, **environment},
        )
        processes.append(process)
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def private_file(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a file with a mode."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def named(database: Database, department_id: str, service: str, key_name: str | None = None) -> SecretName:
    """Name a secret of a department, which is added if it is not there yet."""
    with database.connect() as connection:
        known = connection.execute(
            "SELECT FROM federation.departments WHERE department_id = %s AND status = 'ACTIVE'", (department_id,)
        )
        if not known.rowcount:
            database.add(department_id)
    return SecretName.parse(Department.parse(department_id), service, key_name)


def keep(database: Database, key: Key, name: SecretName, secret: ApiKey | OAuthClient | None = None) -> None:
    """Store a secret; by default the one that tests know."""
    usual = CLIENT if name.key_name is None else ApiKey(VALUE)
    credentials.store(database.conninfo, database.compiler, key, name, secret or usual)


def read(database: Database, key: Key, name: SecretName, part: credentials.Part | None = None) -> str:
    return credentials.reveal(database.conninfo, database.compiler, key, name, part)


def every_value(database: Database, *department_ids: str) -> Rows:
    """Every row that holds a secret, as a superuser sees it."""
    with database.connect() as connection:
        found = connection.execute("SELECT * FROM federation.oauth_credentials ORDER BY id").fetchall()
        for department_id in department_ids:
            table = psycopg.sql.Identifier(f"{department_id}_tenant", "api_keys")
            found += connection.execute(psycopg.sql.SQL("SELECT * FROM {} ORDER BY id").format(table)).fetchall()
    return found


def audited(database: Database) -> Rows:
    """The rows that secrets left in the security audit."""
    with database.connect() as connection:
        return connection.execute(
            """
            SELECT event_type, source_department_id, user_role, details FROM federation.security_audit
            WHERE event_type LIKE 'SECRET%' ORDER BY created_at, details ->> 'table', source_department_id
            """
        ).fetchall()
