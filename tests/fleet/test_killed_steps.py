"""Killed at any moment, a department is at a revision, and its catalogue and rows are those of that revision."""

from __future__ import annotations

import random
import time

import psycopg
from psycopg import sql

from tests.fleet.building import (
    INDEX,
    NAME,
    add_index_revision,
    indexes,
    make_busy_fleet,
    revision_of,
    unfilled,
)
from tests.fleet.conftest import AFTER, SCHEMA, Fleet, MakeFleet, Start
from tests.tenancy.conftest import eventually, sessions

KILLS = 12
FILLED = "tenant_9003_filled"
LAST = "tenant_9004_not_null"
WAY = [AFTER, INDEX, FILLED, LAST]


def _add_revisions(fleet: Fleet) -> None:
    """An index, a backfill, and what builds on it."""
    add_index_revision(fleet, after=AFTER)
    fill = (
        'op.backfill("contacts", assign="nickname = lower(full_name)", where="nickname IS NULL", '
        "batch_rows=50, pause=0.02)"
    )
    fleet.project.add_revision("tenant", FILLED, fill, after=INDEX)
    alter = 'op.execute(f"ALTER TABLE {{schema}}.contacts ALTER COLUMN nickname {} NOT NULL")'
    fleet.project.add_revision(
        "tenant", LAST, SCHEMA + alter.format("SET"), SCHEMA + alter.format("DROP"), after=FILLED
    )


def _require_whole(fleet: Fleet, department: str) -> str:
    """Compare what a department says with what it has; the step that was running may have begun."""
    revision = revision_of(fleet.database, department)
    reached = WAY.index(revision)
    found = indexes(fleet.database, department)
    if reached >= WAY.index(INDEX):
        assert found == {NAME: True}
    else:
        assert len(found) <= 2
    if reached >= WAY.index(FILLED):
        assert unfilled(fleet.database, department) == 0
    with fleet.database.connect() as connection:
        row = connection.execute(
            "SELECT attnotnull FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'nickname'",
            (f"{department}_tenant.contacts",),
        ).fetchone()
    assert row == (revision == LAST,)
    return revision


def _begin_again(fleet: Fleet, watcher: psycopg.Connection) -> None:
    assert fleet.type_in("downgrade", "--all", "--to", AFTER).status == 0
    for department in fleet.ids:
        watcher.execute(
            sql.SQL("UPDATE {} SET nickname = NULL").format(sql.Identifier(f"{department}_tenant", "contacts"))
        )


def test_killed_client_leaves_every_department_at_a_revision(make_fleet: MakeFleet, start: Start) -> None:
    fleet = make_busy_fleet(make_fleet, 4)
    _add_revisions(fleet)
    chance = random.Random(20261124)  # noqa: S311 - no secret
    seen: set[str] = set()
    with fleet.database.connect() as watcher:
        for kills in range(4 * KILLS):
            if kills >= KILLS and len(seen) > 2:  # how long everything takes is the machine's
                break
            process = start(fleet, "upgrade", "--jobs", "2")
            assert eventually(lambda: bool(sessions(watcher)))
            time.sleep(chance.uniform(0, 1.5))
            process.kill()
            process.wait()
            assert eventually(lambda: not sessions(watcher))
            revisions = {_require_whole(fleet, department) for department in fleet.ids}
            seen |= revisions
            if revisions == {LAST}:
                _begin_again(fleet, watcher)
    assert len(seen) > 2, "nobody was killed in the middle"

    done = fleet.type_in("upgrade", "--jobs", "2")

    assert done.status == 0, done
    assert [_require_whole(fleet, department) for department in fleet.ids] == [LAST] * 4
    assert [indexes(fleet.database, department) for department in fleet.ids] == [{NAME: True}] * 4
