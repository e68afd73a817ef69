"""The ways to add a department that race each other. What is not part of the work is done before the clock starts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.errors import BenchmarkFailed
from benchmarks.ground import ROOT, Ground
from fedschema.department import Department

#: Makes everything ready to add a department, and returns what adds it.
Contestant = Callable[[Department], Callable[[], object]]

_LAST_LINES = 5


def psql(ground: Ground) -> Contestant:
    """Apply the generated script with psql: the floor.

    ``-X`` and ON_ERROR_STOP cost nothing: a .psqlrc is kept out, and a script that fails counts as failed.
    """

    def prepare(department: Department) -> Callable[[], object]:
        script = ground.write_script(department)
        options = ["-X", "-v", "ON_ERROR_STOP=1", "-1", "-q", "-f", str(script)]
        return lambda: run([str(ground.psql), *options], ground)

    return prepare


def in_process(ground: Ground) -> Contestant:
    """Add a department in this process, with the revisions compiled already."""
    return lambda department: lambda: ground.add(department)


def command(ground: Ground) -> Contestant:
    """Run `fedschema tenant add`, the whole process, where an earlier command kept what it compiled."""
    return lambda department: lambda: run(command_line(department), ground)


def first_command(ground: Ground) -> Contestant:
    """Run `fedschema tenant add`, the whole process, where no command has kept what it compiled."""

    def prepare(department: Department) -> Callable[[], object]:
        untouched = ground.without_cache()
        return lambda: run(command_line(department), untouched)

    return prepare


def command_line(department: Department) -> list[str]:
    """Return `fedschema tenant add ID`, by the console script of this interpreter."""
    return [str(console_script()), "tenant", "add", department.id]


def console_script() -> Path:
    """Find the console script that was installed beside this interpreter."""
    script = Path(sys.executable).with_name("fedschema")
    if not script.exists():
        raise BenchmarkFailed(f"{script} is not installed: pip install --editable .")
    return script


def run(words: Sequence[str], ground: Ground, directory: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a program on the ground, in a directory, and return what it wrote.

    Raises:
        BenchmarkFailed: it ended with another status than 0.
    """
    done = subprocess.run(
        words,
        cwd=directory,
        env=ground.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = "\n".join(done.stderr.splitlines()[-_LAST_LINES:])
        raise BenchmarkFailed(f"{Path(words[0]).name} ended with {done.returncode}:\n{said}")
    return done
