"""Values and keys stay in the process: the server hears ciphertext, and no message repeats a secret."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest

from fedschema import credentials
from fedschema.encryption import Key
from tests.conftest import Database, Overheard, Run
from tests.secrets.conftest import CLIENT, VALUE, Spawn, given_key, keep, named, private_file, read
from tests.tenancy.conftest import eventually, sessions

SECRETS = (VALUE, "client secret 1", "refresh token 1")


def assert_silent(text: str, *keys: Key) -> None:
    for secret in (*SECRETS, *(key.material.hex() for key in keys)):
        for form in (secret, secret.encode().hex(), repr(secret)[1:-1], secret.replace("'", "''")):
            assert form not in text


def test_server_hears_ciphertext_only(overheard: Overheard, key: Key, other_key: Key) -> None:
    heard = overheard.database
    for name in (named(heard, "hr", "openai", "default"), named(heard, "hr", "google")):
        for _ in range(7):  # from the sixth time on the driver prepares the statements
            keep(heard, key, name)
        read(heard, key, name)
    credentials.rotate(heard.conninfo, heard.compiler, key, other_key)

    log = overheard.log.read_text(encoding="utf-8")
    assert "UPDATE federation.oauth_credentials SET" in log, "the test would not have seen it"
    assert f"x01{key.id.hex()}" in log, "the test would not have seen parameters"
    assert f"x01{other_key.id.hex()}" in log, "the test would not have seen parameters"
    assert_silent(log, key, other_key)


def test_failing_statement_reveals_nothing(overheard: Overheard, command: Run, key: Key, tmp_path: Path) -> None:
    heard = overheard.database
    named(heard, "hr", "google")
    with heard.connect() as connection:
        connection.execute("ALTER TABLE hr_tenant.api_keys ADD CONSTRAINT never CHECK (api_key_name <> 'default')")
        connection.execute(
            "ALTER TABLE federation.oauth_credentials ADD CONSTRAINT never CHECK (oauth_client_id = 'x')"
        )
    files = [private_file(tmp_path / f"{number}", text) for number, text in enumerate(SECRETS)]

    failed = [
        command("secret", "set", "hr", "openai", "--key", "default", "--secret-file", str(files[0]), url=heard.url),
        command(
            "secret", "set", "hr", "google", "--client-id", "client-1", "--secret-file", str(files[1]),
            "--refresh-token-file", str(files[2]), url=heard.url,
        ),
    ]  # fmt: skip

    log = overheard.log.read_text(encoding="utf-8")
    assert log.count('violates check constraint "never"') >= 2, "the test would not have seen it"
    for done in failed:
        assert done.status == 1
        assert "never" in done.stderr
        assert_silent(done.stdout + done.stderr, key)
    assert_silent(log, key)


def test_exception_of_a_failing_statement_holds_no_secret(database: Database, key: Key) -> None:
    name = named(database, "hr", "google")
    with database.connect() as connection:
        connection.execute(
            "ALTER TABLE federation.oauth_credentials ADD CONSTRAINT never CHECK (oauth_client_id = 'x')"
        )

    with pytest.raises(Exception, match="never") as caught:
        keep(database, key, name, CLIENT)

    error: BaseException | None = caught.value
    while error is not None:
        diagnosis = getattr(error, "diag", None)
        texts = [str(error), repr(error), repr(error.args)]
        texts += [str(getattr(diagnosis, part, "")) for part in ("message_detail", "context", "internal_query")]
        assert_silent("".join(texts), key)
        error = error.__cause__ or error.__context__


def test_process_that_stores_a_secret_shows_it_nowhere(database: Database, spawn: Spawn, key: Key) -> None:
    named(database, "hr", "openai", "default")
    with psycopg.connect(database.conninfo) as holder, database.connect() as watcher:
        holder.execute("LOCK TABLE hr_tenant.api_keys IN SHARE MODE")
        process = spawn(
            "secret", "set", "hr", "openai", "--key", "default", "--secret-stdin",
            stdin=VALUE, OAUTH_ENCRYPTION_KEY=key.material.hex(),
        )  # fmt: skip
        assert eventually(lambda: bool(sessions(watcher, waiting=True)))

        arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        rows = watcher.execute("SELECT query FROM pg_stat_activity WHERE query IS NOT NULL").fetchall()
    stdout, stderr = process.communicate(timeout=30)

    assert process.returncode == 0, stderr
    assert any("INSERT INTO" in query and "api_keys" in query for (query,) in rows), "the test would not have seen it"
    assert_silent(repr(rows) + arguments.decode() + stdout + stderr, key)


def test_no_error_about_a_key_repeats_it(
    command: Run, database: Database, key: Key, other_key: Key, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keep(database, key, named(database, "hr", "openai", "default"))
    given_key(monkeypatch, other_key)
    monkeypatch.setenv("OAUTH_ENCRYPTION_KEY_NEW", f"{key.material.hex()}0")
    readable = private_file(tmp_path / "key", key.material.hex(), 0o644)
    os.chmod(readable, 0o644)  # noqa: PTH101 - whatever the umask

    shown = [command("secret", "get", "hr", "openai", "--key", "default"), command("secret", "rotate-key")]
    monkeypatch.delenv("OAUTH_ENCRYPTION_KEY_NEW")
    shown.append(command("secret", "rotate-key", "--new-key-file", str(readable)))

    assert [done.status for done in shown] == [1, 2, 2]
    for done in shown:
        assert_silent(done.stdout + done.stderr, key, other_key)
