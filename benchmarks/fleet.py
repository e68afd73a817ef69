"""Measures a release over a fleet against psql applying the same SQL, one process a department, one after another.

    python -m benchmarks.fleet [--departments N] [--bindir DIR | --url URL] [--json]

The release adds a column and an index to one table. psql is timed on the first `--floor` departments and its time is
taken per department, so that a thousand need not be waited for. Everything happens in one run, on one server.

Exit status: 0 within all limits, 1 over one, 2 nothing could be measured.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from benchmarks import command, contestants
from benchmarks.errors import BenchmarkFailed
from benchmarks.findings import Finding
from benchmarks.ground import PROJECT, Ground, new, prepared_ground
from benchmarks.pairs import seconds
from benchmarks.report import Report
from fedschema import batches, passwords, releases, tenancy
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.releases import Direction, Outcome, Release
from fedschema.settings import Project
from fedschema.workers import Halt, Workers

#: What is promised: times psql's time.
CREATE_RATIO = 0.5
IN_PROCESS_RATIO = 0.2
COMMAND_RATIO = 0.5
#: Seconds over `fedschema --version` for an upgrade with nothing to do.
NOTHING_TO_DO_SECONDS = 1.0

_JOBS = 4
_REVISION = '''"""A column and an index more, for the benchmark."""

from alembic import op

revision = "tenant_9001_benchmark"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute_template("tenant/benchmark/up")


def downgrade() -> None:
    op.execute_template("tenant/benchmark/down")
'''
_UP = """ALTER TABLE {{ department.schema | ident }}.contacts ADD COLUMN benchmark text;
CREATE INDEX idx_contacts_benchmark ON {{ department.schema | ident }}.contacts (benchmark);
"""
_DOWN = "ALTER TABLE {{ department.schema | ident }}.contacts DROP COLUMN benchmark;\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    options = command.parser("benchmarks.fleet", __doc__)
    options.add_argument(
        "--departments", type=command.positive, default=100, metavar="N", help="size of the fleet (100)"
    )
    options.add_argument(
        "--floor", type=command.positive, default=20, metavar="N", help="departments that psql is timed on (20)"
    )
    return command.run(options, measure, arguments)


def measure(options: argparse.Namespace) -> Report:
    """Run everything on one server.

    Raises:
        BenchmarkFailed, FedschemaError, psycopg.Error: nothing can be said.
    """
    with prepared_ground(options.bindir, options.url) as ground, _released_project() as project:
        fleet = [Department(f"bench_fleet_{number:04}") for number in range(options.departments)]
        lines = [*_create(ground, fleet, options.floor), *_release(ground, Compiler(project), fleet, options.floor)]
        lines.append(Finding("memory of this process at its peak", "MB", _peak_megabytes()))
        return Report(ground.server_version, f"{ground.psql}, one process a department", 1, 0, (0.0, 0.0), lines)


@contextmanager
def _released_project() -> Iterator[Project]:
    """Copy the project and add the release to it."""
    with tempfile.TemporaryDirectory(prefix="fedschema-bench-") as temporary:
        root = Path(temporary)
        for name in ("alembic.ini", "alembic", "templates"):
            source = PROJECT.root / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, root / name)
        head = Compiler(PROJECT).blueprint.plan.end[0]
        (root / "alembic/versions/tenant/9001_benchmark.py").write_text(_REVISION.format(head=head))
        templates = root / "templates/tenant/benchmark"
        templates.mkdir()
        (templates / "up.sql.j2").write_text(_UP)
        (templates / "down.sql.j2").write_text(_DOWN)
        yield Project(root / "alembic.ini")


def _create(ground: Ground, fleet: list[Department], floor: int) -> Iterator[Finding]:
    """Create the fleet over a few connections; psql creates some departments that are dropped again."""
    psql = contestants.psql(ground)
    apart = [Department(f"bench_floor_{number:04}") for number in range(floor)]
    ready = [psql(department) for department in apart]
    per_department = seconds(lambda: [apply() for apply in ready]) / floor
    ground.drop(apart)
    made = [(new(department), passwords.generate()) for department in fleet]
    ground.compiler.creation(fleet[0])

    def add(_: psycopg.Connection, one: tuple[tenancy.NewDepartment, passwords.Password]) -> None:
        tenancy.add(ground.conninfo, ground.compiler, *one)

    took = seconds(lambda: list(Workers(ground.conninfo, _JOBS, add, Halt()).run(made)))
    yield _times(f"create {len(fleet)} departments", per_department * len(fleet), took, CREATE_RATIO)


def _release(ground: Ground, compiler: Compiler, fleet: list[Department], floor: int) -> Iterator[Finding]:
    """Ship the release in this process, take it back, ship it by the command; then ask for what is done already."""
    per_department = _psql_release(ground, compiler, fleet[:floor]) / floor
    expected = per_department * len(fleet)
    _migrate(ground, compiler, Release(Direction.DOWNGRADE, "-1", all_confirmed=True), fleet[:floor])
    took = seconds(lambda: _migrate(ground, compiler, Release(Direction.UPGRADE, "head"), fleet))
    yield _times(f"release to {len(fleet)}, in a running process", expected, took, IN_PROCESS_RATIO)
    _migrate(ground, compiler, Release(Direction.DOWNGRADE, "-1", all_confirmed=True), fleet)
    upgrade = [str(contestants.console_script()), "--config", str(compiler.project.ini), "upgrade"]
    took = seconds(lambda: contestants.run(upgrade, ground))
    yield _times(f"release to {len(fleet)}, the whole command", expected, took, COMMAND_RATIO)
    version = [str(contestants.console_script()), "--version"]
    floor_seconds = min(seconds(lambda: contestants.run(version, ground)) for _ in range(3))
    nothing = min(seconds(lambda: contestants.run(upgrade, ground)) for _ in range(3))
    yield Finding(
        f"upgrade of {len(fleet)} with nothing to do, over --version", "s", nothing - floor_seconds,
        limit=NOTHING_TO_DO_SECONDS,
    )  # fmt: skip


def _psql_release(ground: Ground, compiler: Compiler, departments: list[Department]) -> float:
    """Apply the release with psql, department by department; returns the seconds of all."""
    head = ground.compiler.blueprint.plan.end
    scripts = []
    for department in departments:
        plan = compiler.upgrade(department, head, "head")
        path = ground.directory / f"release_{department}.sql"
        path.write_text(batches.as_script(batches.migration(department, plan)))
        scripts.append([str(ground.psql), "-X", "-v", "ON_ERROR_STOP=1", "-q", "-f", str(path)])

    def apply() -> None:
        for script in scripts:
            subprocess.run(script, env=ground.environment, check=True, capture_output=True)

    return seconds(apply)


def _migrate(ground: Ground, compiler: Compiler, release: Release, departments: list[Department]) -> None:
    results = list(releases.migrate(ground.conninfo, compiler, departments, release))
    if any(result.outcome in {Outcome.FAILED, Outcome.SKIPPED, Outcome.UNCHANGED} for result in results):
        raise BenchmarkFailed(f"not every department was taken along: {results[0].error}")


def _times(what: str, floor: float, ours: float, limit: float) -> Finding:
    return Finding(f"{what}, times psql's {floor:.2f} s ({ours:.2f} s)", "times", ours / floor, limit=limit)


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
