"""Whoever archives or restores may die at any moment: there is all of it, or nothing, and the same command goes on."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.archive.conftest import Archive, manifest_of
from tests.archive.filling import held
from tests.conftest import Database, Run
from tests.tenancy.conftest import eventually, sessions
from tests.tenancy.inventory import NOTHING, WHOLE, traces

KILLS = 4


def _moments(count: int, spread: float) -> list[float]:
    """Spread moments, each a little off, the same ones in every run."""
    chance = random.Random(20261124)  # noqa: S311 - no secret
    return [spread * (number + chance.random()) / count for number in range(count)]


def _killed(database: Database, process: int, moment: float) -> None:
    """Kill a process so long after its first session began, and wait until the server knows."""
    with database.connect() as watcher:
        eventually(lambda: bool(sessions(watcher)))
        time.sleep(moment)
        with suppress(ProcessLookupError):  # it was done already
            os.kill(process, signal.SIGKILL)
        assert eventually(lambda: not sessions(watcher))


def test_killed_restoring_leaves_all_or_nothing_and_the_same_command_goes_on(
    full: Database, archive: Archive, fork: Callable[..., int], command: Run
) -> None:
    file, before = archive(), held(full, "hr")
    began = time.monotonic()
    assert command("tenant", "restore", "hr", "--from", str(file), "--as", "first").status == 0
    took = time.monotonic() - began
    interrupted = 0
    for number, moment in enumerate(_moments(KILLS, took)):
        copy = f"copy{number}"
        _killed(full, fork("tenant", "restore", "hr", "--from", str(file), "--as", copy), moment)

        left = traces(full, copy)
        assert left in {NOTHING, WHOLE}, f"killed after {moment:.3f} s"
        if left == NOTHING:
            interrupted += 1
    assert interrupted, "no process was killed early enough to prove anything"
    done = command("tenant", "restore", "hr", "--from", str(file), "--as", "copy0")
    assert done.status == (0 if traces(full, "copy0") == NOTHING else 1) or held(full, "copy0") == before
    assert held(full, "copy0") == before


def test_killed_archiving_leaves_no_bundle_under_its_name_and_no_record(
    full: Database, archive: Archive, fork: Callable[..., int], tmp_path: Path
) -> None:
    directory = tmp_path / "killed"
    for moment in _moments(KILLS, 0.6):
        _killed(full, fork("tenant", "archive", "hr", "--to", str(directory)), moment)
    whole = list(directory.glob("*.zip"))

    with full.connect() as connection:
        recorded = connection.execute(
            "SELECT details ->> 'file' FROM federation.security_audit WHERE event_type = 'DEPARTMENT_ARCHIVED'"
        ).fetchall()
    assert {Path(file) for (file,) in recorded} <= set(whole)
    for file in whole:  # one that has its name is whole
        assert manifest_of(file).rows > 0
    assert archive().exists()
