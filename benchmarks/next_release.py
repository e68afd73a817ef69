"""The release that a fleet is measured with: a column and an index more on one table, for every department."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import contestants
from benchmarks.errors import BenchmarkFailed
from benchmarks.ground import PROJECT, Ground
from benchmarks.pairs import seconds
from fedschema import batches, releases
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.releases import Direction, Release
from fedschema.settings import Project

#: What it does, as a template: the others that are compared get the same.
UP = """ALTER TABLE {{ department.schema | ident }}.contacts ADD COLUMN benchmark text;
CREATE INDEX idx_contacts_benchmark ON {{ department.schema | ident }}.contacts (benchmark);
"""
_DOWN = "ALTER TABLE {{ department.schema | ident }}.contacts DROP COLUMN benchmark;\n"
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
_SHIP = Release(Direction.UPGRADE, "head")
_TAKE_BACK = Release(Direction.DOWNGRADE, "-1", all_confirmed=True)


@contextmanager
def released_project() -> Iterator[Project]:
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
        (templates / "up.sql.j2").write_text(UP)
        (templates / "down.sql.j2").write_text(_DOWN)
        yield Project(root / "alembic.ini")


def ship(ground: Ground, compiler: Compiler, fleet: Sequence[Department]) -> None:
    """Ship it to departments that have not got it, in this process."""
    _migrate(ground, compiler, fleet, _SHIP)


def take_back(ground: Ground, compiler: Compiler, fleet: Sequence[Department]) -> None:
    """Take it back from departments that have it, in this process."""
    _migrate(ground, compiler, fleet, _TAKE_BACK)


def _migrate(ground: Ground, compiler: Compiler, fleet: Sequence[Department], release: Release) -> None:
    results = list(releases.migrate(ground.conninfo, compiler, fleet, release))
    left = [result for result in results if result.outcome is not release.direction.outcome]
    if left or len(results) != len(fleet):
        raise BenchmarkFailed(f"{len(left)} of {len(fleet)} departments were not taken along: {left[:1]}")


def ship_with_psql(ground: Ground, compiler: Compiler, fleet: Sequence[Department]) -> float:
    """Ship it with psql, a process for each department, one after another: the floor.

    Returns:
        seconds a department.
    """
    scripts = []
    for department in fleet:
        plan = compiler.upgrade(department, ground.compiler.blueprint.plan.end, "head")
        path = ground.directory / f"release_{department}.sql"
        path.write_text(batches.as_script(batches.migration(department, plan)))
        scripts.append([str(ground.psql), "-X", "-v", "ON_ERROR_STOP=1", "-q", "-f", str(path)])
    return seconds(lambda: [contestants.run(script, ground) for script in scripts]) / len(fleet)
