"""One tool on a ground of its own: it makes a fleet, ships a release, and is asked again when all is done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks import contestants, findings, processes
from benchmarks.errors import BenchmarkFailed
from benchmarks.findings import Finding
from benchmarks.ground import Ground
from benchmarks.others.script import SLOT_ID, Script
from benchmarks.pairs import Pair, seconds
from fedschema.department import Department

_PROJECTS = Path(__file__).with_name("projects")


@dataclass(frozen=True, slots=True)
class Tool:
    """What is compared.

    Attributes:
        name: in the report.
        project: its directory below `projects`.
        migrate: the command that takes every department to the newest revision.
        prepare: commands that are run first and are not timed.
        revisions: where its revisions are in the project.
    """

    name: str
    project: str
    migrate: tuple[str, ...]
    prepare: tuple[tuple[str, ...], ...]
    revisions: str


def tools(programs: Path) -> list[Tool]:
    """Return the tools, as they are installed in a directory of programs."""
    django = (str(programs / "python"), "manage.py")
    migrate = (*django, "migrate_schemas", "--tenant", "--verbosity", "0")
    prepare = (
        (*django, "makemigrations", "registry", "--verbosity", "0"),
        (*django, "migrate_schemas", "--shared", "--verbosity", "0"),
        (*django, "register"),
    )
    alembic = (str(programs / "alembic"), "upgrade", "head")
    return [
        Tool("django-tenants", "django", (*migrate, "--executor=standard"), prepare, "assistant"),
        Tool("django-tenants, 4 processes", "django", (*migrate, "--executor=multiprocessing"), prepare, "assistant"),
        Tool("a loop of Alembic", "alembic", alembic, (), "."),
    ]


def run(tool: Tool, ground: Ground, script: Script, fleet: Sequence[Department], floor: int) -> Iterator[Finding]:
    """Measure a tool; the schemas of the fleet are made before and are not timed.

    Args:
        tool: which.
        ground: a database without departments.
        script: what is applied.
        fleet: the departments.
        floor: how many of psql's are timed.
    """
    root = ground.directory / tool.project
    shutil.copytree(_PROJECTS / tool.project, root)
    (root / "departments.json").write_text(json.dumps([department.id for department in fleet]))
    parts = {"slot": SLOT_ID, "tables": script.tables, "release": script.release}
    (root / "statements.json").write_text(json.dumps(parts))
    apart = [Department.parse(f"bench_floor_{number:04}") for number in range(floor)]
    _make_schemas(ground, [*apart, *fleet])
    for words in tool.prepare:
        contestants.run(words, ground, root)

    def migrate() -> float:
        return processes.finish(tool.migrate, ground, root).seconds

    def against(what: str, part: list[str]) -> Finding:
        each = _with_psql(ground, script, part, apart)
        return findings.ratio(f"{tool.name}: {what}", [Pair(each * len(fleet), migrate())], None)

    size = len(fleet)
    yield against(f"create {size}", script.tables)
    shutil.copy(next((root / tool.revisions / "later").iterdir()), _versions(root / tool.revisions))
    yield against(f"release to {size}", script.release)
    yield Finding(f"{tool.name}: nothing to do", "s", migrate())
    _check(tool, ground, fleet)


def _versions(directory: Path) -> Path:
    return next(found for name in ("migrations", "versions") if (found := directory / name).is_dir())


def _check(tool: Tool, ground: Ground, fleet: Sequence[Department]) -> None:
    """See that every department has what it should have: what was not done was not measured.

    Raises:
        BenchmarkFailed
    """
    with psycopg.connect(ground.conninfo) as connection:
        row = connection.execute(
            """
            SELECT count(*) FILTER (WHERE relkind = 'r' AND relrowsecurity AND relforcerowsecurity),
                   count(*) FILTER (WHERE relname = 'idx_contacts_benchmark')
            FROM pg_class JOIN unnest(%s::text[]) AS schema ON relnamespace = to_regnamespace(schema)
            """,
            ([department.schema for department in fleet],),
        ).fetchone()
    walled = len(ground.compiler.blueprint.plan.walls) * len(fleet)
    if row != (walled, len(fleet)):
        raise BenchmarkFailed(f"{tool.name} made {row} tables and indexes, not {(walled, len(fleet))}")


def _make_schemas(ground: Ground, departments: Sequence[Department]) -> None:
    """Make empty schemas."""
    with psycopg.connect(ground.conninfo, autocommit=True) as connection:
        for department in departments:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(department.schema)))


def _with_psql(ground: Ground, script: Script, part: list[str], departments: Sequence[Department]) -> float:
    """Apply a part with psql, a process for each department; returns seconds a department."""
    commands = []
    for department in departments:
        path = ground.directory / f"{department}.sql"
        path.write_text(script.text(part, department))
        commands.append([str(ground.psql), "-X", "-v", "ON_ERROR_STOP=1", "-q", "-f", str(path)])
    return seconds(lambda: [contestants.run(words, ground) for words in commands]) / len(departments)
