"""Fleets of departments with one revision more to come, and what became of each of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
import pytest
from psycopg import sql

from tests.cli.typing_in import type_in
from tests.conftest import ROOT, Database, Finished
from tests.migrations.conftest import CopiedProject, copied_project

__all__ = ["copied_project"]

BEFORE = "tenant_0007_retention"
AFTER = "tenant_9001_nickname"
SCHEMA = "schema = op.get_context().version_table_schema\n"
UP = """
op.execute(f"ALTER TABLE {schema}.contacts ADD COLUMN nickname text")
op.execute(f"CREATE INDEX idx_contacts_nickname ON {schema}.contacts (nickname)")
"""
DOWN = 'op.execute(f"ALTER TABLE {schema}.contacts DROP COLUMN nickname")'
#: Takes as long as a client needs to be interrupted, with the lock held.
SLOWLY = 'op.execute("SELECT pg_catalog.pg_sleep({})")\n'

OLD = (BEFORE, False, False)
NEW = (AFTER, True, True)
State = tuple[str, bool, bool]


@dataclass(frozen=True)
class Fleet:
    """Departments at the revision before the one that comes."""

    database: Database
    project: CopiedProject
    ids: tuple[str, ...]

    def revise(self, *, before: str = "", after: str = "") -> None:
        """Write the revision that comes: a column and an index, with more statements around them."""
        self.project.add_revision("tenant", AFTER, SCHEMA + before + UP + after, SCHEMA + DOWN, after=BEFORE)

    def type_in(self, *words: str, url: str | None = None) -> Finished:
        """Type `fedschema …` inside this process."""
        return type_in(*words, url=url or self.database.url, cwd=self.project.directory)

    def upgrade(self, *words: str, url: str | None = None) -> dict[str, dict[str, Any]]:
        """Upgrade with --json, and return each department's result."""
        done = self.type_in("upgrade", *words, "--json", url=url)
        results = json.loads(done.stdout)["results"]
        undone = any(result["status"] in {"failed", "skipped"} for result in results)
        assert done.status == int(undone), done
        return {result["department_id"]: result for result in results}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start `fedschema …` as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "fedschema", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.project.directory,
            env={**os.environ, "FEDSCHEMA_DATABASE_URL": self.database.url},
        )

    def states(self) -> dict[str, State]:
        """Return of each department, by its catalogue: its revision, whether the column is there, and the index."""
        with self.database.connect() as connection:
            return {department: _state(connection, department) for department in self.ids}

    def applied(self, revision: str = AFTER) -> dict[str, tuple[int, int]]:
        """Return how often the history of each department has a revision: applied and not taken back, failed."""
        with self.database.connect() as connection:
            rows = connection.execute(
                """
                SELECT department_id, CASE WHEN success THEN direction ELSE 'failed' END
                FROM federation.schema_migrations WHERE migration_name = %s
                """,
                (revision,),
            ).fetchall()
        count = Counter(rows)
        return {name: (count[name, "upgrade"] - count[name, "downgrade"], count[name, "failed"]) for name in self.ids}


def _state(connection: psycopg.Connection, department: str) -> State:
    schema = f"{department}_tenant"
    row = connection.execute(
        sql.SQL(
            """
            SELECT (SELECT string_agg(version_num, ',') FROM {version}),
                EXISTS (SELECT FROM pg_attribute WHERE attrelid = {contacts}::regclass AND attname = 'nickname'),
                to_regclass({index}) IS NOT NULL
            """
        ).format(
            version=sql.Identifier(schema, "alembic_version"),
            contacts=sql.Literal(f"{schema}.contacts"),
            index=sql.Literal(f"{schema}.idx_contacts_nickname"),
        )
    ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


class MakeFleet(Protocol):
    """Add so many departments, and write the revision that comes."""

    def __call__(self, count: int, *, before: str = "", after: str = "") -> Fleet: ...


@pytest.fixture
def make_fleet(database: Database, copied_project: CopiedProject) -> MakeFleet:
    def make(count: int, *, before: str = "", after: str = "") -> Fleet:
        ids = tuple(f"d{number:02}" for number in range(count))
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(database.add, ids))
        fleet = Fleet(database, copied_project, ids)
        fleet.revise(before=before, after=after)
        return fleet

    return make


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `fedschema …` for a fleet; it is ended after the test."""
    processes: list[subprocess.Popen[str]] = []

    def begin(fleet: Fleet, *words: str) -> subprocess.Popen[str]:
        processes.append(fleet.start(*words))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


Start = Callable[..., "subprocess.Popen[str]"]


def statuses(results: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Turn results round: which departments have which status."""
    turned: dict[str, list[str]] = {}
    for department, result in results.items():
        turned.setdefault(result["status"], []).append(department)
    return turned


#: A CHECK that the departments of `spoil` do not stand.
CHECK = "op.execute(f\"ALTER TABLE {schema}.contacts ADD CONSTRAINT sober CHECK (notes <> 'spoilt')\")\n"


def spoil(database: Database, *departments: str) -> None:
    """Put a row into departments that CHECK does not take."""
    with database.connect() as connection:
        for department in departments:
            connection.execute(
                sql.SQL("INSERT INTO {} (contact_id, notes) VALUES ('1', 'spoilt')").format(
                    sql.Identifier(f"{department}_tenant", "contacts")
                )
            )


def sleeping(watcher: psycopg.Connection) -> list[int]:
    """List the server processes in which the revision that comes is asleep."""
    rows = watcher.execute(
        """
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND wait_event = 'PgSleep'
        """
    ).fetchall()
    return [pid for (pid,) in rows]


@pytest.fixture
def fedschema_nowhere() -> Callable[..., Finished]:
    """Type `fedschema …` where no database can be reached: what is wrong usage must need none."""
    return lambda *words: type_in(*words, url="postgresql://u@127.0.0.1:1/none", cwd=ROOT)
