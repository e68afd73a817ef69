"""Tests with programs that are no Python packages and not in every PostgreSQL; `make test-programs` runs them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.conftest import Database


@dataclass(frozen=True)
class Pool:
    """A running PgBouncer in transaction mode, with one connection to the server for each login."""

    port: int
    database: Database

    def conninfo(self, login: str) -> str:
        password = self.database.passwords[login]
        return make_conninfo(
            host="127.0.0.1",
            port=self.port,
            dbname=self.database.name,
            user=login,
            password=password,
            sslmode="disable",
        )

    def login(self, login: str) -> psycopg.Connection:
        """Connect as a client of the pool; nothing is prepared, since the next transaction may be elsewhere."""
        return psycopg.connect(self.conninfo(login), autocommit=True, prepare_threshold=None)


StartPool = Callable[..., Pool]


@pytest.fixture
def start_pool(database: Database, tmp_path: Path) -> Iterator[StartPool]:
    """Start PgBouncer for the logins that the test's database knows by then."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "these tests need PgBouncer: apt-get install pgbouncer"
    running: list[subprocess.Popen[bytes]] = []

    def start(*settings: str) -> Pool:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        users = tmp_path / "users.txt"
        users.write_text("".join(f'"{login}" "{password}"\n' for login, password in database.passwords.items()))
        server = database.server
        configuration = tmp_path / "pgbouncer.ini"
        lines = [
            "[databases]",
            f"{database.name} = host={server.host} port={server.port} dbname={database.name}",
            "[pgbouncer]",
            "listen_addr = 127.0.0.1",
            f"listen_port = {port}",
            "unix_socket_dir =",
            "auth_type = scram-sha-256",
            f"auth_file = {users}",
            "pool_mode = transaction",
            "default_pool_size = 1",
            *settings,
        ]
        if os.geteuid() == 0:
            lines.append("user = nobody")
            for directory in (tmp_path, *tmp_path.parents[:2]):
                directory.chmod(0o755)
        configuration.write_text("\n".join(lines) + "\n")
        with (tmp_path / "pgbouncer.log").open("wb") as log:
            running.append(subprocess.Popen([program, configuration], stdout=log, stderr=log))
        _wait_for(port, tmp_path / "pgbouncer.log")
        return Pool(port, database)

    yield start
    for process in running:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(port: int, log: Path) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"PgBouncer did not start: {log.read_text()}")
