"""A release may be interrupted at any moment: each department is wholly old or wholly new; running again finishes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from fedschema import federation, releases
from fedschema.addresses import conninfo_of
from fedschema.cli.interrupts import halting
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.embedded import EmbeddedServer
from fedschema.errors import NeedsConfirmation
from fedschema.releases import Direction, Outcome, Release
from fedschema.settings import DatabaseChoice
from fedschema.workers import Halt
from tests.conftest import PROJECT, ROOT, Database, Server
from tests.embedded.conftest import project, system_home, workshop
from tests.fleet.conftest import DOWN, NEW, OLD, SCHEMA, SLOWLY, Fleet, MakeFleet, Start, sleeping, statuses
from tests.migrations.conftest import CopiedProject
from tests.tenancy.conftest import eventually, sessions
from tests.tenancy.proxy import CountingProxy, counting_proxy

__all__ = ["project", "system_home", "workshop"]

KILLS = 50
CRASHES = 10


def _finishes(fleet: Fleet, url: str | None = None) -> None:
    """Run it again, and look whether all departments have what they should, once."""
    assert fleet.type_in("upgrade", "--jobs", "2", url=url).status == 0
    assert fleet.states() == dict.fromkeys(fleet.ids, NEW)
    assert {count for count, _ in fleet.applied().values()} == {1}


# --------------------------------------------------------------------------------------------------- lost connections


def test_department_whose_connection_is_lost_is_taken_along_all_the_same(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(4, after=SLOWLY.format(0.4))
    with fleet.database.connect() as watcher, ThreadPoolExecutor(1) as pool:
        upgrade = pool.submit(fleet.upgrade, "--jobs", "2")
        assert eventually(lambda: len(sleeping(watcher)) == 2)
        watcher.execute("SELECT pg_terminate_backend(%s)", (sleeping(watcher)[0],))
        results = upgrade.result(30)

    assert statuses(results) == {"upgraded": list(fleet.ids)}
    assert fleet.states() == dict.fromkeys(fleet.ids, NEW)
    assert fleet.applied() == dict.fromkeys(fleet.ids, (1, 0))


def _cut_the_commit_of_a_migration(proxy: CountingProxy, watcher: psycopg.Connection, fleet: Fleet) -> bool:
    """Keep the answer to COMMIT from who migrates now, and from nobody else."""
    if not eventually(lambda: bool(sleeping(watcher))):
        return False
    proxy._cut_after = b"COMMIT\0"
    committed = eventually(lambda: NEW in fleet.states().values())
    proxy._cut_after = None
    return committed


def test_department_whose_commit_was_not_answered_is_not_taken_along_twice(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(1, after=SLOWLY.format(0.4))
    server = fleet.database.server
    with (
        counting_proxy(server.host, server.port) as proxy,
        fleet.database.connect() as watcher,
        ThreadPoolExecutor(1) as pool,
    ):
        login = f"{server.user}:{server.password}"
        url = f"postgresql://{login}@127.0.0.1:{proxy.port}/{fleet.database.name}?sslmode=disable"
        upgrade = pool.submit(fleet.upgrade, url=url)
        assert _cut_the_commit_of_a_migration(proxy, watcher, fleet)
        results = upgrade.result(30)

    assert statuses(results) == {"upgraded": ["d00"]}
    assert fleet.states() == {"d00": NEW}
    assert fleet.applied() == {"d00": (1, 0)}


# ------------------------------------------------------------------------------------------------------------ signals


def _under_way(fleet: Fleet, start: Start, watcher: psycopg.Connection) -> subprocess.Popen[str]:
    process = start(fleet, "upgrade", "--jobs", "2")
    assert eventually(lambda: len(sleeping(watcher)) == 2)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_finishes_what_runs_and_begins_nothing_new(
    make_fleet: MakeFleet, start: Start, number: signal.Signals
) -> None:
    fleet = make_fleet(6, after=SLOWLY.format(0.6))
    with fleet.database.connect() as watcher:
        process = _under_way(fleet, start, watcher)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)

    assert process.returncode == 1
    assert [line.split(" tenant")[0].split(",")[0] for line in sorted(stdout.splitlines())] == [
        "d00: upgraded",
        "d01: upgraded",
        *(f"{department}: skipped" for department in fleet.ids[2:]),
    ]
    assert stderr.splitlines() == [
        "finishing what runs, and beginning nothing new; to cancel that too: Ctrl-C again",
        "2 of 6 departments are done; not done: d02 (skipped), d03 (skipped), d04 (skipped), d05 (skipped)",
    ]
    assert fleet.states() == {**dict.fromkeys(fleet.ids, OLD), "d00": NEW, "d01": NEW}
    fleet.revise()  # as fast as it can
    _finishes(fleet)


def test_second_interrupt_cancels_what_runs(make_fleet: MakeFleet, start: Start) -> None:
    fleet = make_fleet(6, after=SLOWLY.format(30))
    with fleet.database.connect() as watcher:
        process = _under_way(fleet, start, watcher)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=10)

    assert process.returncode == 1
    assert "error: upgrade of department d00 was cancelled; nothing was changed" in stderr
    assert stderr.splitlines()[-1].startswith("0 of 6 departments are done; not done: ")
    assert stderr.count("(failed)") == 2
    assert fleet.states() == dict.fromkeys(fleet.ids, OLD)
    assert fleet.applied() == dict.fromkeys(fleet.ids, (0, 0))  # somebody's wish is no failure
    fleet.revise()
    _finishes(fleet)


def test_second_termination_cancels_nothing(make_fleet: MakeFleet, start: Start) -> None:
    fleet = make_fleet(2, after=SLOWLY.format(0.8))
    with fleet.database.connect() as watcher:
        process = _under_way(fleet, start, watcher)
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        process.communicate(timeout=30)

    assert process.returncode == 0  # both ran already
    assert fleet.states() == dict.fromkeys(fleet.ids, NEW)


def test_third_interrupt_waits_for_nobody() -> None:
    halt = Halt()
    with pytest.raises(KeyboardInterrupt), halting(halt):
        os.kill(os.getpid(), signal.SIGINT)
        assert (halt.stopping, halt.cancelling) == (True, False)
        os.kill(os.getpid(), signal.SIGINT)
        assert eventually(lambda: halt.cancelling)
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


#: Sends the second signal at each step that Python takes while it handles the first.
AT_EVERY_STEP = """
import os, signal, sys
from fedschema.cli.interrupts import halting
from fedschema.workers import Halt

def second_at(step):
    left = iter(range(step))
    def trace(frame, event, _):
        if event == "line" and next(left, None) is None and not sent:
            sent.append(frame.f_lineno)
            os.kill(os.getpid(), signal.SIGINT)
        return trace
    return trace

lines = set()
for step in range(100):
    halt, sent = Halt(), []
    with halting(halt):
        sys.settrace(second_at(step))
        os.kill(os.getpid(), signal.SIGINT)
        sys.settrace(None)
    if not sent:
        break
    assert halt.stopping and halt.cancelling, (step, sent)
    lines |= set(sent)
assert len(lines) > 3, lines
print("heard")
"""


def test_second_interrupt_while_the_first_is_handled_is_heard() -> None:
    """It was not, once: both waited for the lock of the same event, and the command hung until it was killed."""
    done = subprocess.run(
        [sys.executable, "-c", AT_EVERY_STEP], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )

    assert (done.stdout, done.returncode) == ("heard\n", 0), done.stderr


def test_cancelling_reaches_what_somebody_was_asked_about(make_fleet: MakeFleet) -> None:
    """Such a department is not given to the workers: it runs where the question was put."""
    fleet = make_fleet(1)
    fleet.upgrade()
    with fleet.database.connect() as connection:
        connection.execute("INSERT INTO d00_tenant.contacts (contact_id, nickname) VALUES ('1', 'Bob')")
    fleet.project.add_revision(
        "tenant", "tenant_9001_nickname", SCHEMA + "pass", SCHEMA + SLOWLY.format(0.8) + DOWN, after=OLD[0]
    )
    halt, asked = Halt(), threading.Event()

    def yes(_: Department, __: NeedsConfirmation) -> bool:
        asked.set()
        return True

    def cancel_after_the_answer() -> bool:
        with fleet.database.connect() as watcher:
            found = asked.wait(20) and eventually(lambda: bool(sleeping(watcher)))
        halt.cancel()
        return found

    with ThreadPoolExecutor(1) as pool:
        cancelled = pool.submit(cancel_after_the_answer)
        conninfo = conninfo_of(DatabaseChoice("the test", fleet.database.url))
        release = Release(Direction.DOWNGRADE, "-1")
        (result,) = releases.migrate(conninfo, fleet.project.compiler(), [], release, yes, halt=halt)
        assert cancelled.result(30)

    assert result.outcome is Outcome.FAILED
    assert result.error is not None
    assert result.error.code == "cancelled"
    assert fleet.states() == {"d00": NEW}


# -------------------------------------------------------------------------------------------------- ends without a word


def test_killed_client_leaves_every_department_old_or_new(make_fleet: MakeFleet, start: Start) -> None:
    fleet = make_fleet(12, after=SLOWLY.format(0.06))
    chance = random.Random(20240607)  # noqa: S311 - no secret
    half_way = 0
    with fleet.database.connect() as watcher:
        for _ in range(KILLS):
            process = start(fleet, "upgrade", "--jobs", "2")
            assert eventually(lambda: bool(sleeping(watcher)))
            time.sleep(chance.uniform(0, 0.25))
            process.kill()
            assert eventually(lambda: not sessions(watcher))

            states = fleet.states()
            assert set(states.values()) <= {OLD, NEW}
            assert fleet.applied() == {name: (int(state == NEW), 0) for name, state in states.items()}
            half_way += len(set(states.values())) == 2
            if OLD not in states.values():  # it was done already, or nearly
                assert fleet.type_in("downgrade", "--all", "--to", "-1").status == 0
    assert half_way, "nobody was killed in the middle"
    _finishes(fleet)


@pytest.fixture
def crashing(project: Path, system_home: Path, copied_project: CopiedProject) -> Iterator[tuple[EmbeddedServer, Fleet]]:
    """A server of its own with a fleet, which may crash and start again."""
    embedded = EmbeddedServer(project / ".fedschema", system_home=system_home)
    embedded.ensure_running()
    try:
        given = conninfo_to_dict(embedded.url())
        host, user, password, name = (str(given.get(key) or "") for key in ("host", "user", "password", "dbname"))
        server = Server(host, int(str(given["port"])), user, password)
        database = Database(server, name, Compiler(PROJECT))
        federation.initialise(database.conninfo, database.compiler)
        ids = tuple(f"d{number:02}" for number in range(8))
        for department in ids:
            database.add(department)
        fleet = Fleet(database, copied_project, ids)
        fleet.revise(after=SLOWLY.format(0.1))
        yield embedded, fleet
    finally:
        embedded.stop()


def test_crash_of_the_server_leaves_every_department_old_or_new(crashing: tuple[EmbeddedServer, Fleet]) -> None:
    embedded, fleet = crashing
    url = embedded.url()
    chance = random.Random(20261124)  # noqa: S311 - no secret
    half_way = 0
    for _ in range(CRASHES):
        postmaster = embedded.status().pid
        assert postmaster is not None
        with closing(fleet.database.connect()) as watcher, ThreadPoolExecutor(1) as pool:
            upgrade = pool.submit(fleet.type_in, "upgrade", "--jobs", "2", url=url)
            assert eventually(lambda: bool(sleeping(watcher)))
            time.sleep(chance.uniform(0, 0.4))
            os.kill(postmaster, signal.SIGQUIT)  # pg_ctl stop -m immediate
            done = upgrade.result(60)
        assert eventually(lambda: embedded.status().pid is None)

        assert "Traceback" not in done.stderr
        embedded.ensure_running()
        states = fleet.states()
        assert set(states.values()) <= {OLD, NEW}
        half_way += len(set(states.values())) == 2
        if OLD not in states.values():  # it was done already, or nearly
            assert fleet.type_in("downgrade", "--all", "--to", "-1", url=url).status == 0
        else:
            assert done.status == 1
    assert half_way, "it never crashed in the middle"
    _finishes(fleet, url)
