"""The life of a persistent server: made, started, joined, stopped, killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from fedschema.embedded import EmbeddedServer, placement
from fedschema.embedded.errors import (
    DataVersionMismatch,
    DiskFull,
    EmbeddedServerNotPermitted,
    InitializationFailed,
    ServerNotRunning,
    ServerStartFailed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from fedschema.embedded.account import Account
    from fedschema.embedded.binaries import Binaries

    from .conftest import RunPython, Serve

    Eventually = Callable[[Callable[[], bool]], bool]

START = """
import sys
from pathlib import Path
from fedschema.embedded import EmbeddedServer
bindir = Path(sys.argv[3]) if len(sys.argv) > 3 else None
print(EmbeddedServer(Path(sys.argv[1]), system_home=Path(sys.argv[2]), bindir=bindir).ensure_running().url())
"""


def value(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def postmaster_of(server: EmbeddedServer) -> int:
    pid = server.status().pid
    assert pid is not None
    return pid


def replace_program(bindir: Path, packaged: Binaries, name: str, script: str) -> Path:
    """Make a directory of the packaged programs with a script in place of one of them."""
    bindir.mkdir()
    for program in packaged.directory.iterdir():
        (bindir / program.name).symlink_to(program)
    (bindir / name).unlink()
    (bindir / name).write_text(f"#!/bin/sh\n{script}\n")
    (bindir / name).chmod(0o755)
    return bindir


def test_first_start_makes_a_database_that_the_operator_enters_without_a_password(project: Path, serve: Serve) -> None:
    server = serve(project / ".fedschema")
    assert server.status().state == "absent"

    endpoint = server.ensure_running()

    assert server.status().state == "running"
    assert endpoint.url() == server.url()
    assert value(server.url(), "SELECT current_user || '@' || current_database()") == "postgres@fedschema"
    assert value(server.url("postgres"), "SELECT current_database()") == "postgres"
    assert value(server.url(), "SELECT lower('ÄÖ') || (SELECT 'a' > 'B')::text") == "äötrue"
    assert (project / ".fedschema" / ".gitignore").read_text() == "*\n"


def test_server_is_durable_and_knows_no_trust(running: EmbeddedServer) -> None:
    settings = {
        name: value(running.url(), f"SHOW {name}")
        for name in ("fsync", "synchronous_commit", "password_encryption", "jit", "listen_addresses", "server_encoding")
    }
    methods = value(running.url(), "SELECT array_agg(DISTINCT auth_method ORDER BY auth_method) FROM pg_hba_file_rules")

    assert settings == {
        "fsync": "on",
        "synchronous_commit": "on",
        "password_encryption": "scram-sha-256",
        "jit": "off",
        "listen_addresses": "127.0.0.1",
        "server_encoding": "UTF8",
    }
    assert methods == ["peer", "scram-sha-256"]
    assert value(running.url(), "SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL") == 0


def test_files_are_private_whatever_the_umask(copied: Path, serve: Serve) -> None:
    previous = os.umask(0)
    try:
        serve(copied).ensure_running()
    finally:
        os.umask(previous)

    place = placement.load(copied)
    assert place is not None
    private = [place.data, place.sockets, place.alive, copied / "server.json", copied / "server.log", copied / "lock"]
    assert [path for path in private if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_a_strict_umask_does_not_lock_the_server_out(project: Path, serve: Serve) -> None:
    previous = os.umask(0o077)
    try:
        serve(project / ".fedschema").ensure_running()
    finally:
        os.umask(previous)


def test_restart_keeps_the_port_and_the_data(running: EmbeddedServer) -> None:
    before = running.ensure_running()
    with psycopg.connect(running.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")

    stopped = running.stop()
    state = running.status().state
    after = running.ensure_running()

    assert (stopped, state, after) == (True, "stopped", before)
    assert value(running.url(), "SELECT one FROM kept") == 1


def test_restart_takes_another_port_when_the_old_one_is_taken(running: EmbeddedServer) -> None:
    before = running.ensure_running()
    running.stop()
    with socket.create_server((before.host, before.port)):
        after = running.ensure_running()

    assert after.port != before.port
    assert value(running.url(), "SELECT 1") == 1


def test_a_lost_race_for_the_port_is_run_again(copied: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], placement.choose_port()])
        monkeypatch.setattr(placement, "choose_port", lambda _previous: next(ports))
        endpoint = serve(copied).ensure_running()
        assert endpoint.port != taken.getsockname()[1]

    assert value(endpoint.url(), "SELECT 1") == 1


def test_joining_a_running_server_starts_no_process(running: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = running.ensure_running()
    monkeypatch.setattr(subprocess, "Popen", None)
    durations = []
    for _ in range(10):
        began = time.perf_counter()
        assert EmbeddedServer(running.directory).ensure_running() == expected
        durations.append(time.perf_counter() - began)

    assert min(durations) < 0.01


def test_server_outlives_the_command_that_started_it(
    copied: Path, serve: Serve, system_home: Path, run_python: RunPython
) -> None:
    server = serve(copied)
    output, errors = run_python(START, copied, system_home).communicate(timeout=30)

    assert (output.strip(), errors) == (server.url(), "")
    assert value(server.url(), "SELECT 1") == 1


def test_concurrent_first_starts_share_one_initdb(
    project: Path, serve: Serve, system_home: Path, packaged: Binaries, run_python: RunPython
) -> None:
    counter = project / "initialisations"
    counter.touch()
    counter.chmod(0o666)
    count = f'[ "$1" = --sync-only ] || echo once >> {counter}\nexec {packaged.program("initdb")} "$@"'
    bindir = replace_program(project / "bin", packaged, "initdb", count)
    server = serve(project / ".fedschema", bindir)

    commands = [run_python(START, server.directory, system_home, bindir) for _ in range(2)]
    outputs = [command.communicate(timeout=60) for command in commands]

    assert outputs == [(server.url() + "\n", "")] * 2
    assert counter.read_text() == "once\n"
    assert server.status().log.read_text().count("starting PostgreSQL") == 1


def test_a_command_killed_during_initdb_leaves_nothing_half_made(
    project: Path, serve: Serve, packaged: Binaries, run_python: RunPython, eventually: Eventually
) -> None:
    server = serve(project / ".fedschema")
    slow = f'sleep 0.3\nexec {packaged.program("initdb")} "$@"'
    bindir = replace_program(project / "bin", packaged, "initdb", slow)
    command = run_python(START, server.directory, server.system_home, bindir)
    assert eventually(lambda: list(server.directory.glob("data.new-*")) != [])

    command.send_signal(signal.SIGKILL)
    command.wait()
    assert not (server.directory / "data").exists()
    server.ensure_running()

    assert value(server.url(), "SELECT 1") == 1
    assert list(server.directory.glob("data.new-*")) == []


def test_a_killed_server_is_recovered(running: EmbeddedServer, eventually: Eventually) -> None:
    with psycopg.connect(running.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")

    os.kill(postmaster_of(running), signal.SIGKILL)
    assert eventually(lambda: running.running() is None)
    running.ensure_running()

    assert value(running.url(), "SELECT one FROM kept") == 1


def test_a_pid_file_that_names_a_foreign_process_is_stale(
    running: EmbeddedServer, account: Account, eventually: Eventually
) -> None:
    place = placement.load(running.directory)
    assert place is not None
    pid = postmaster_of(running)
    pid_file, socket_lock = place.data / "postmaster.pid", Path(f"{place.socket}.lock")
    remnants = {path: path.read_text() for path in (pid_file, socket_lock)}
    running.stop()

    foreign = subprocess.Popen(["sleep", "60"], **account.identity)
    try:
        for path, text in remnants.items():
            path.write_text(text.replace(str(pid), str(foreign.pid), 1))
            os.chown(path, account.uid, account.gid)
        assert running.status().state == "stopped"
        assert running.stop() is False
        running.ensure_running()
        unharmed = foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()

    assert unharmed
    assert eventually(lambda: postmaster_of(running) != foreign.pid)
    assert value(running.url(), "SELECT 1") == 1


def test_an_empty_pid_file_is_stale(copied: Path, serve: Serve) -> None:
    pid_file = copied / "data" / "postmaster.pid"
    pid_file.touch()
    shutil.copystat(copied / "data" / "PG_VERSION", pid_file)

    serve(copied).ensure_running()


def test_stop_ends_open_sessions(running: EmbeddedServer) -> None:
    with psycopg.connect(running.url()) as connection:
        assert running.stop() is True
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_a_stopped_server_has_no_url(copied: Path, serve: Serve) -> None:
    server = serve(copied)

    assert server.running() is None
    assert server.stop() is False
    with pytest.raises(ServerNotRunning) as caught:
        server.url()
    assert caught.value.hint == "fedschema server start"


def test_a_directory_never_started_can_be_asked_and_is_not_made(project: Path, serve: Serve) -> None:
    server = serve(project / ".fedschema")

    assert (server.status().state, server.running(), server.stop()) == ("absent", None, False)
    assert not server.directory.exists()


def test_the_environment_of_the_command_stays_with_it(
    copied: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGDATA", "/nonexistent")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("OAUTH_ENCRYPTION_KEY", "only for the command")
    server = serve(copied)
    server.ensure_running()
    monkeypatch.undo()
    with psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TEMPORARY TABLE seen (line text)")
        connection.execute("COPY seen FROM PROGRAM 'env'")
        seen = {row[0].partition("=")[0] for row in connection.execute("SELECT line FROM seen")}

    assert "PATH" in seen
    assert seen.isdisjoint({"OAUTH_ENCRYPTION_KEY", "PGPORT"})


def test_a_failed_start_shows_the_end_of_the_log(copied: Path, serve: Serve) -> None:
    with (copied / "data" / "postgresql.conf").open("a") as file:
        file.write("nonsense = 1\n")

    with pytest.raises(ServerStartFailed, match='unrecognized configuration parameter "nonsense"') as caught:
        serve(copied).ensure_running()
    assert caught.value.hint == f"tail -n 50 {copied}/server.log"
    assert caught.value.code == "embedded_start_failed"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo 'initdb: could not write: No space left on device' >&2; exit 1", DiskFull),
        ("echo 'initdb: sabotage' >&2; exit 1", InitializationFailed),
    ],
)
def test_a_failed_initdb_is_explained_and_leaves_nothing(
    project: Path, serve: Serve, packaged: Binaries, script: str, error: type[Exception]
) -> None:
    server = serve(project / ".fedschema", replace_program(project / "bin", packaged, "initdb", script))

    with pytest.raises(error):
        server.ensure_running()
    assert list(server.directory.glob("data*")) == []
    assert server.status().state == "absent"


def test_data_of_another_major_version_are_left_alone(copied: Path, serve: Serve) -> None:
    (copied / "data" / "PG_VERSION").write_text("17\n")

    with pytest.raises(DataVersionMismatch, match="written by PostgreSQL 17"):
        serve(copied).ensure_running()


def test_another_users_server_is_refused_with_a_reason(running: EmbeddedServer, run_unprivileged: RunPython) -> None:
    ask = """
try:
    EmbeddedServer(Path(sys.argv[1])).ensure_running()
except EmbeddedServerError as error:
    print(error.code, error)
"""
    state = running.directory / placement.STATE_FILE
    state.chmod(0)  # what another user's file is like, even if we should be its owner

    output, errors = run_unprivileged(ask, running.directory).communicate(timeout=30)
    state.chmod(0o600)

    assert errors == ""
    assert output.startswith(f"{EmbeddedServerNotPermitted.code} no access to the embedded server in")
