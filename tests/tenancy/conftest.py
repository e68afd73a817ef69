"""What the tests of coming and going share: looking before and after, processes, servers of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from fedschema.addresses import conninfo_of
from fedschema.embedded import throwaway_server
from fedschema.embedded.throwaway import ThrowawayServer
from fedschema.settings import DatabaseChoice
from tests.conftest import ROOT, Database, programs
from tests.tenancy.inventory import Rows, inventory

#: What `fedschema` calls its sessions in pg_stat_activity.
APPLICATION = "fedschema"

Inventory = Callable[[], dict[str, Rows]]
Spawn = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def everything(database: Database) -> Inventory:
    """Look at all that a command could have changed."""
    return lambda: inventory(database.server, database.name)


@pytest.fixture
def spawn(database: Database) -> Iterator[Spawn]:
    """Start `fedschema …` on the test's database and go on; it is ended after the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, stdin: str | None = None) -> subprocess.Popen[str]:
        environment = {**os.environ, "FEDSCHEMA_DATABASE_URL": database.url}
        process = subprocess.Popen(
            [sys.executable, "-m", "fedschema", *arguments],
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        processes.append(process)
        if stdin is not None:
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.close()
            process.stdin = None
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def fork(database: Database) -> Iterator[Callable[..., int]]:
    """Start `fedschema …` on the test's database in a process that costs no start of Python; return its id."""
    with forking(database) as start:
        yield start


@contextmanager
def forking(database: Database) -> Iterator[Callable[..., int]]:
    """Give what starts `fedschema …` on a database in processes that are there to be killed."""
    environment = {**os.environ, "FEDSCHEMA_DATABASE_URL": database.url}
    nursery = subprocess.Popen(
        [sys.executable, "-m", "tests.tenancy.nursery"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    requests, answers = nursery.stdin, nursery.stdout

    def start(*arguments: str) -> int:
        requests.write(" ".join(arguments) + "\n")
        requests.flush()
        return int(answers.readline())

    try:
        yield start
    finally:
        nursery.communicate(timeout=30)


def as_operator(database: Database) -> str:
    """The connection string as the command line makes it, which names its sessions."""
    return conninfo_of(DatabaseChoice("the test", database.url))


@contextmanager
def held_up(database: Database, department_id: str) -> Iterator[psycopg.Connection]:
    """Make whoever adds this department wait in the middle of its transaction, as long as the block lasts."""
    with psycopg.connect(database.conninfo) as connection:
        connection.execute("SET ROLE federation_owner")
        connection.execute("CALL federation.register_department(%s, 'somebody else', NULL)", (department_id,))
        yield connection
        connection.rollback()


def sessions(watcher: psycopg.Connection, *, waiting: bool = False) -> list[int]:
    """List the server processes of fedschema's sessions in this database; with `waiting` those that wait for a lock."""
    rows = watcher.execute(
        """
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = %s AND (NOT %s OR wait_event_type = 'Lock')
        """,
        (APPLICATION, waiting),
    ).fetchall()
    return [pid for (pid,) in rows]


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Tell whether something comes true within a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


@pytest.fixture(scope="module")
def untouched_server() -> Iterator[ThrowawayServer]:
    """A server whose cluster has never seen a platform role."""
    with throwaway_server(programs()) as running:
        yield running
