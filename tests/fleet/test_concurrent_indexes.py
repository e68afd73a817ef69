"""An index is made or dropped while everybody goes on writing; whatever interrupts it, one more run finishes."""

from __future__ import annotations

import signal
import time

import psycopg
import pytest

from tests.conftest import Database
from tests.fleet.building import (
    INDEX,
    NAME,
    TEMPLATE,
    add_index_revision,
    building,
    indexes,
    make_busy_fleet,
    revision_of,
    writing,
)
from tests.fleet.conftest import AFTER, Fleet, MakeFleet, Start, statuses
from tests.migrations.conftest import Command, Psql, alembic_command, fedschema_command, psql, psql_program
from tests.tenancy.conftest import eventually, sessions

__all__ = ["alembic_command", "fedschema_command", "psql", "psql_program"]

VALID = {NAME: True}


def _write(database: Database, department: str) -> None:
    with psycopg.connect(database.conninfo, options="-c lock_timeout=2s") as connection:
        connection.execute(f"INSERT INTO {department}_tenant.contacts (contact_id) VALUES ('meanwhile')")


def _spoil(database: Database, department: str) -> None:
    """Leave an index as a build leaves it that was killed."""
    with database.connect() as connection:
        connection.execute(f"CREATE INDEX {NAME} ON {department}_tenant.contacts (full_name)")
        connection.execute(f"ALTER INDEX {department}_tenant.{NAME} OWNER TO federation_owner")
        connection.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", (f"{department}_tenant.{NAME}",)
        )


def _finishes(fleet: Fleet) -> None:
    assert set(statuses(fleet.upgrade())) <= {"upgraded", "unchanged"}
    for department in fleet.ids:
        assert (indexes(fleet.database, department), revision_of(fleet.database, department)) == (VALID, INDEX)


def test_all_departments_get_the_index_and_a_line_of_history(make_fleet: MakeFleet) -> None:
    fleet = make_busy_fleet(make_fleet, 3)
    add_index_revision(fleet, after=AFTER)

    results = fleet.upgrade("--jobs", "3")

    assert statuses(results) == {"upgraded": list(fleet.ids)}
    _finishes(fleet)
    with fleet.database.connect() as connection:
        rows = connection.execute(
            "SELECT success, checksum LIKE 'sha256:%%', duration_seconds > 0 FROM federation.schema_migrations "
            "WHERE migration_name = %s",
            (INDEX,),
        ).fetchall()
    assert rows == [(True, True, True)] * 3


def test_writers_do_not_wait_for_a_build(make_fleet: MakeFleet, start: Start) -> None:
    """An ordinary CREATE INDEX would queue behind the open transaction, and every later writer behind it."""
    fleet = make_busy_fleet(make_fleet, 1)
    add_index_revision(fleet, after=AFTER)
    with writing(fleet.database, "d00"), fleet.database.connect() as watcher:
        process = start(fleet, "upgrade")
        assert eventually(lambda: bool(building(watcher)))
        _write(fleet.database, "d00")
        assert process.poll() is None
    assert process.wait(30) == 0
    _finishes(fleet)


def test_empty_table_gets_an_ordinary_index_in_the_transaction(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(1)
    add_index_revision(fleet, after=AFTER)
    with fleet.database.connect() as connection:  # a build would wait for it, and for every other transaction
        connection.execute("SELECT pg_current_xact_id()")
        assert fleet.upgrade("--statement-timeout", "5s")["d00"]["status"] == "upgraded"
    _finishes(fleet)


def test_department_that_is_added_later_has_the_index(make_fleet: MakeFleet) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_index_revision(fleet, after=AFTER)

    assert fleet.type_in("tenant", "add", "later").status == 0

    assert indexes(fleet.database, "later") == VALID


def test_invalid_leftover_is_repaired(make_fleet: MakeFleet) -> None:
    fleet = make_busy_fleet(make_fleet, 2)
    add_index_revision(fleet, after=AFTER)
    _spoil(fleet.database, "d00")

    _finishes(fleet)


def test_invalid_leftover_is_dropped_when_its_last_reader_has_gone(make_fleet: MakeFleet, start: Start) -> None:
    """DROP INDEX CONCURRENTLY waits for whoever has read the table, and keeps nobody else from it meanwhile."""
    fleet = make_busy_fleet(make_fleet, 1)
    add_index_revision(fleet, after=AFTER)
    _spoil(fleet.database, "d00")
    with fleet.database.connect() as watcher:
        with psycopg.connect(fleet.database.conninfo) as reader:
            reader.execute("SELECT FROM d00_tenant.contacts")
            process = start(fleet, "upgrade")
            assert eventually(lambda: bool(building(watcher)))
            _write(fleet.database, "d00")
            assert process.poll() is None
            reader.rollback()
        assert process.wait(30) == 0
    _finishes(fleet)


def test_index_that_somebody_made_beforehand_is_taken(make_fleet: MakeFleet) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_index_revision(fleet, after=AFTER)
    with fleet.database.connect() as connection:
        connection.execute("SET ROLE federation_owner")
        connection.execute(f"CREATE INDEX CONCURRENTLY {NAME} ON d00_tenant.contacts (full_name)")
        before = connection.execute(f"SELECT 'd00_tenant.{NAME}'::regclass::oid").fetchone()
        _finishes(fleet)
        assert connection.execute(f"SELECT 'd00_tenant.{NAME}'::regclass::oid").fetchone() == before


def test_duplicate_row_fails_its_department_alone_and_leaves_no_index(make_fleet: MakeFleet) -> None:
    fleet = make_busy_fleet(make_fleet, 3)
    add_index_revision(fleet, after=AFTER, unique=True)
    with fleet.database.connect() as connection:
        connection.execute("UPDATE d01_tenant.contacts SET full_name = 'Name 1' WHERE contact_id = '2'")

    results = fleet.upgrade("--on-error", "continue")

    assert statuses(results) == {"upgraded": ["d00", "d02"], "failed": ["d01"]}
    error = results["d01"]["error"]
    assert error["code"] == "statement_failed"
    assert "could not create unique index" in error["message"]
    assert f"revision {INDEX}" in error["message"]
    assert (results["d01"]["from"], results["d01"]["to"]) == (AFTER, AFTER)
    assert indexes(fleet.database, "d01") == {}
    with fleet.database.connect() as connection:
        connection.execute("UPDATE d01_tenant.contacts SET full_name = 'another' WHERE contact_id = '2'")
    _finishes(fleet)


def test_killed_client_leaves_old_or_new_and_the_next_run_waits_for_the_build(
    make_fleet: MakeFleet, start: Start
) -> None:
    """The server goes on building for nobody; whoever comes next must not take the index for broken meanwhile."""
    fleet = make_busy_fleet(make_fleet, 1)
    add_index_revision(fleet, after=AFTER)
    with fleet.database.connect() as watcher:
        with writing(fleet.database, "d00"):
            killed = start(fleet, "upgrade")
            assert eventually(lambda: bool(building(watcher)))
            killed.kill()
            killed.wait()
            assert revision_of(fleet.database, "d00") == AFTER
            following = start(fleet, "upgrade")
            assert eventually(lambda: len(sessions(watcher)) == 3)  # the killed one's, and two of this one
            time.sleep(1)  # longer than a deadlock takes to be seen
            assert (len(indexes(fleet.database, "d00")), following.poll()) == (1, None)
        assert following.wait(30) == 0, following.communicate()
    _finishes(fleet)


def test_two_upgrades_at_once_make_one_index(make_fleet: MakeFleet, start: Start) -> None:
    fleet = make_busy_fleet(make_fleet, 4)
    add_index_revision(fleet, after=AFTER)

    both = [start(fleet, "upgrade", "--jobs", "2") for _ in range(2)]

    assert [process.wait(60) for process in both] == [0, 0], [process.communicate() for process in both]
    _finishes(fleet)
    with fleet.database.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM federation.schema_migrations WHERE migration_name = %s", (INDEX,)
        ).fetchone()
    assert row == (4,)


def test_second_interrupt_ends_a_build(make_fleet: MakeFleet, start: Start) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_index_revision(fleet, after=AFTER)
    with writing(fleet.database, "d00"), fleet.database.connect() as watcher:
        process = start(fleet, "upgrade")
        assert eventually(lambda: bool(building(watcher)))
        assert process.stderr is not None
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            assert process.stderr.readline()
        _, stderr = process.communicate(timeout=30)
        assert eventually(lambda: not building(watcher))

    assert process.returncode == 1, stderr
    assert revision_of(fleet.database, "d00") == AFTER
    assert not any(indexes(fleet.database, "d00").values())
    _finishes(fleet)


def test_build_takes_no_longer_than_a_statement_may(make_fleet: MakeFleet) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_index_revision(fleet, after=AFTER)
    with writing(fleet.database, "d00"):
        results = fleet.upgrade("--statement-timeout", "500ms")

    assert results["d00"]["error"]["code"] == "statement_timeout"
    _finishes(fleet)


def test_downgrade_drops_it_and_keeps_no_writer_out(make_fleet: MakeFleet, start: Start) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_index_revision(fleet, after=AFTER)
    _finishes(fleet)
    with fleet.database.connect() as watcher:
        with psycopg.connect(fleet.database.conninfo) as reader:
            reader.execute("SELECT FROM d00_tenant.contacts")
            process = start(fleet, "downgrade", "d00", "--to", "-1")
            assert eventually(lambda: bool(building(watcher)))
            _write(fleet.database, "d00")
            reader.rollback()
        assert process.wait(30) == 0

    assert (indexes(fleet.database, "d00"), revision_of(fleet.database, "d00")) == ({}, AFTER)
    _finishes(fleet)


def test_alembic_itself_takes_the_same_road(make_fleet: MakeFleet, alembic_command: Command) -> None:
    fleet = make_busy_fleet(make_fleet, 2)
    add_index_revision(fleet, after=AFTER)
    fleet.project.add_revision("tenant", "tenant_9003_more", 'op.execute("SELECT 1")', after=INDEX)
    _spoil(fleet.database, "d01")

    done = alembic_command("upgrade", "head", cwd=fleet.project.directory)

    assert done.status == 0, done
    assert [indexes(fleet.database, department) for department in fleet.ids] == [VALID, VALID]
    assert {revision_of(fleet.database, department) for department in fleet.ids} == {"tenant_9003_more"}
    done = alembic_command("-x", "tenant=d00", "downgrade", "-2", cwd=fleet.project.directory)
    assert done.status == 0, done
    assert (indexes(fleet.database, "d00"), revision_of(fleet.database, "d00")) == ({}, AFTER)


def test_script_has_the_ordinary_form(make_fleet: MakeFleet, alembic_command: Command, psql: Psql) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_index_revision(fleet, after=AFTER)
    written = alembic_command("-x", "tenant=d00", "upgrade", f"{AFTER}:head", "--sql", cwd=fleet.project.directory)

    applied = psql(written.stdout)

    assert (applied.status, applied.stderr) == (0, "")
    _finishes(fleet)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            (
                'op.create_index_concurrently("{0}", table="contacts", template="tenant/building/{0}")\n'
                'op.execute("SELECT 1")'
            ),
            "more than one thing",
        ),
        (
            'op.create_index_concurrently("idx_other", table="contacts", template="tenant/building/{0}")',
            "has to be CREATE [UNIQUE] INDEX idx_other ON",
        ),
        (
            'op.create_index_concurrently("{0}", table="emails", template="tenant/building/{0}")',
            "and nothing else",
        ),
        (
            'op.create_index_concurrently("{0}", table="contact", template="tenant/building/{0}")',
            "_tenant.contact ",
        ),
        (
            'op.create_index_concurrently("{0}", table="contacts", template="tenant/building/two")',
            "and nothing else",
        ),
        ('op.backfill("contacts", assign="notes = 1", where=" ")', "a backfill needs"),
        ('op.backfill("contacts", assign="notes = 1", where="true; SELECT 1")', "has one statement"),
        ('op.backfill("contacts", assign="notes = 1; SELECT 1; --", where="true")', "has one statement"),
        (
            'op.backfill("contacts", assign="notes = 1", where="true"); op.backfill("contacts", assign="a", where="b")',
            "more than one thing",
        ),
    ],
    ids=[
        "with another statement",
        "another index",
        "another table",
        "table whose name goes on",
        "two statements",
        "no condition",
        "condition that goes on",
        "values that go on",
        "two backfills",
    ],
)
def test_revision_that_does_something_else_beside_is_refused(make_fleet: MakeFleet, body: str, reason: str) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_index_revision(fleet, after=AFTER)
    two = f"{TEMPLATE.format(unique='', name=NAME, columns='full_name')}SELECT 1;\n"
    fleet.project.add_template("tenant/building/two", two)
    fleet.project.add_revision("tenant", INDEX, body.format(NAME), after=AFTER)

    done = fleet.type_in("upgrade", "--json")

    assert done.status == 1
    assert "compilation_failed" in done.stdout
    assert reason in done.stdout
    assert revision_of(fleet.database, "d00") == AFTER


def test_result_tells_how_far_a_department_came(make_fleet: MakeFleet) -> None:
    """What was done before the step that failed stays done: it is at a revision, and named there."""
    fleet = make_busy_fleet(make_fleet, 1)
    middle = "tenant_9001b_middle"
    fleet.project.add_revision("tenant", middle, 'op.execute("SELECT 1")', after=AFTER)
    add_index_revision(fleet, after=middle, unique=True)
    with fleet.database.connect() as connection:
        connection.execute("UPDATE d00_tenant.contacts SET full_name = 'twice' WHERE contact_id IN ('1', '2')")

    result = fleet.upgrade()["d00"]

    assert (result["status"], result["from"], result["to"]) == ("failed", AFTER, middle)
    assert revision_of(fleet.database, "d00") == middle


def test_department_is_dropped_with_its_indexes(make_fleet: MakeFleet) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_index_revision(fleet, after=AFTER)
    _spoil(fleet.database, "d00")

    assert fleet.type_in("tenant", "drop", "d00", "--yes").status == 0
