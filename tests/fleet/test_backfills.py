"""A backfill changes all rows that need it, a few at a time; it can be killed, and begun again by anybody."""

from __future__ import annotations

import signal

import psycopg
import pytest

from tests.conftest import Database
from tests.fleet.building import FILLED, add_backfill_revision, make_busy_fleet, revision_of, unfilled, with_rows
from tests.fleet.conftest import AFTER, Fleet, MakeFleet, Start, statuses
from tests.migrations.conftest import Command, Psql, alembic_command, fedschema_command, psql, psql_program
from tests.tenancy.conftest import eventually

__all__ = ["alembic_command", "fedschema_command", "psql", "psql_program"]

IN_SMALL_STEPS = ", batch_rows=20, pause=0.05"


def _finishes(fleet: Fleet) -> None:
    assert set(statuses(fleet.upgrade())) <= {"upgraded", "unchanged"}
    for department in fleet.ids:
        assert (unfilled(fleet.database, department), revision_of(fleet.database, department)) == (0, FILLED)


def _transactions(database: Database, department: str) -> int:
    """Count the transactions that wrote what the table holds now."""
    with database.connect() as connection:
        row = connection.execute(f"SELECT count(DISTINCT xmin::text) FROM {department}_tenant.contacts").fetchone()
    assert row is not None
    return int(row[0])


def test_all_rows_of_all_departments_are_changed_in_many_transactions(make_fleet: MakeFleet) -> None:
    fleet = make_busy_fleet(make_fleet, 3)
    add_backfill_revision(fleet, after=AFTER, options=", batch_rows=20")

    results = fleet.upgrade("--jobs", "3")

    assert statuses(results) == {"upgraded": list(fleet.ids)}
    _finishes(fleet)
    assert all(_transactions(fleet.database, department) > 3 for department in fleet.ids)
    with fleet.database.connect() as connection:
        row = connection.execute("SELECT nickname FROM d00_tenant.contacts WHERE contact_id = '7'").fetchone()
    assert row == ("name 7",)


def test_rows_that_do_not_need_it_stay_as_they_are(make_fleet: MakeFleet) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_backfill_revision(fleet, after=AFTER)
    with fleet.database.connect() as connection:
        connection.execute("UPDATE d00_tenant.contacts SET nickname = 'Bob' WHERE contact_id = '7'")
    _finishes(fleet)
    with fleet.database.connect() as connection:
        row = connection.execute("SELECT nickname FROM d00_tenant.contacts WHERE contact_id = '7'").fetchone()
    assert row == ("Bob",)


def test_rows_that_come_meanwhile_are_changed_as_well(make_fleet: MakeFleet, start: Start) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_backfill_revision(fleet, after=AFTER, options=IN_SMALL_STEPS)
    process = start(fleet, "upgrade")
    assert eventually(lambda: unfilled(fleet.database, "d00") < 500)
    with fleet.database.connect() as connection:
        connection.execute("INSERT INTO d00_tenant.contacts (contact_id, full_name) VALUES ('late', 'Late')")
    assert process.poll() is None
    assert process.wait(60) == 0
    _finishes(fleet)


def test_killed_client_keeps_what_is_done_and_the_next_run_goes_on(make_fleet: MakeFleet, start: Start) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_backfill_revision(fleet, after=AFTER, options=IN_SMALL_STEPS)
    process = start(fleet, "upgrade")
    assert eventually(lambda: unfilled(fleet.database, "d00") < 450)
    process.kill()
    process.wait()

    assert 0 < unfilled(fleet.database, "d00") < 500
    assert revision_of(fleet.database, "d00") == AFTER
    _finishes(fleet)


def test_no_transaction_changes_more_rows_than_it_may_where_pages_before_are_done(make_fleet: MakeFleet) -> None:
    """One that goes on comes over pages that are done, and looks through more and more of them at once."""
    fleet = make_busy_fleet(make_fleet, 1)
    with_rows(fleet.database, "d00", first=501, rows=20_000)
    with fleet.database.connect() as connection:
        connection.execute("UPDATE d00_tenant.contacts SET nickname = 'done' WHERE contact_id::integer <= 10000")
        connection.execute("VACUUM FULL d00_tenant.contacts")
    add_backfill_revision(fleet, after=AFTER, options=", batch_rows=200")

    _finishes(fleet)

    with fleet.database.connect() as connection:
        row = connection.execute(
            "SELECT max(rows), count(*) FROM (SELECT count(*) AS rows FROM d00_tenant.contacts "
            "WHERE nickname <> 'done' GROUP BY xmin::text) AS each_transaction"
        ).fetchone()
    assert row is not None
    assert row[0] <= 200
    assert row[1] > 40


def test_second_interrupt_ends_it_between_two_steps(make_fleet: MakeFleet, start: Start) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_backfill_revision(fleet, after=AFTER, options=", batch_rows=20, pause=0.5")
    process = start(fleet, "upgrade")
    assert eventually(lambda: unfilled(fleet.database, "d00") < 500)
    assert process.stderr is not None
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline()
    stderr = process.stderr.read()  # communicate() would lose what readline() has read ahead

    assert process.wait(30) == 1
    assert "was cancelled" in stderr
    assert 0 < unfilled(fleet.database, "d00") < 500
    _finishes(fleet)


def test_two_upgrades_at_once_finish_it_together(make_fleet: MakeFleet, start: Start) -> None:
    fleet = make_busy_fleet(make_fleet, 2)
    add_backfill_revision(fleet, after=AFTER, options=IN_SMALL_STEPS)

    both = [start(fleet, "upgrade", "--jobs", "2") for _ in range(2)]

    assert [process.wait(60) for process in both] == [0, 0], [process.communicate() for process in both]
    _finishes(fleet)


def test_locked_row_is_waited_for_no_longer_than_a_lock_may_take(make_fleet: MakeFleet) -> None:
    fleet = make_busy_fleet(make_fleet, 2)
    add_backfill_revision(fleet, after=AFTER)
    with psycopg.connect(fleet.database.conninfo) as holder:
        holder.execute("SELECT FROM d00_tenant.contacts WHERE contact_id = '7' FOR UPDATE")
        results = fleet.upgrade("--lock-timeout", "200ms", "--retries", "1", "--on-error", "continue")

    assert statuses(results) == {"failed": ["d00"], "upgraded": ["d01"]}
    assert results["d00"]["error"]["code"] == "lock_timeout"
    _finishes(fleet)


def test_condition_that_stays_true_is_refused_before_anything_is_changed(make_fleet: MakeFleet) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_backfill_revision(fleet, after=AFTER, where="full_name IS NOT NULL")

    error = fleet.upgrade()["d00"]["error"]

    assert error["code"] == "backfill_stuck"
    assert "contacts" in error["message"]
    assert unfilled(fleet.database, "d00") == 500


def test_row_that_a_check_refuses_fails_its_department_alone(make_fleet: MakeFleet) -> None:
    fleet = make_busy_fleet(make_fleet, 2)
    add_backfill_revision(fleet, after=AFTER)
    with fleet.database.connect() as connection:
        connection.execute("ALTER TABLE d01_tenant.contacts ADD CONSTRAINT sober CHECK (nickname <> 'name 99')")

    results = fleet.upgrade("--on-error", "continue")

    assert statuses(results) == {"upgraded": ["d00"], "failed": ["d01"]}
    assert "sober" in results["d01"]["error"]["message"]
    assert f"revision {FILLED}" in results["d01"]["error"]["message"]
    with fleet.database.connect() as connection:
        row = connection.execute(
            "SELECT success, error_message IS NOT NULL FROM federation.schema_migrations "
            "WHERE department_id = 'd01' AND migration_name = %s",
            (FILLED,),
        ).fetchone()
    assert row == (False, True)


def test_department_that_is_added_later_needs_none(make_fleet: MakeFleet) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_backfill_revision(fleet, after=AFTER)

    assert fleet.type_in("tenant", "add", "later").status == 0

    assert revision_of(fleet.database, "later") == FILLED


def test_alembic_itself_takes_the_same_road(make_fleet: MakeFleet, alembic_command: Command) -> None:
    fleet = make_busy_fleet(make_fleet, 2)
    add_backfill_revision(fleet, after=AFTER, options=", batch_rows=20")

    done = alembic_command("upgrade", "head", cwd=fleet.project.directory)

    assert (done.status, done.stderr) == (0, f"d00: upgrade {FILLED}\nd01: upgrade {FILLED}\n")
    assert _transactions(fleet.database, "d00") > 3
    _finishes(fleet)


def test_script_has_the_ordinary_form(make_fleet: MakeFleet, alembic_command: Command, psql: Psql) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_backfill_revision(fleet, after=AFTER)
    written = alembic_command("-x", "tenant=d00", "upgrade", f"{AFTER}:head", "--sql", cwd=fleet.project.directory)

    applied = psql(written.stdout)

    assert (applied.status, applied.stderr) == (0, "")
    _finishes(fleet)


#: Column, fill, NOT NULL: the three that are written together.
EXPAND = 'op.execute(f"ALTER TABLE {schema}.contacts ADD COLUMN motto text")'
CONTRACT = 'op.execute(f"ALTER TABLE {schema}.contacts ALTER COLUMN motto SET NOT NULL")'


@pytest.mark.parametrize("words", [("--to", "head"), ("--to", "+3")], ids=" ".join)
def test_steps_before_and_after_it_are_done_in_their_order(make_fleet: MakeFleet, words: tuple[str, ...]) -> None:
    fleet = make_busy_fleet(make_fleet, 2)
    schema = "schema = op.get_context().version_table_schema\n"
    fleet.project.add_revision("tenant", "tenant_9003_expand", schema + EXPAND, after=AFTER)
    fill = 'op.backfill("contacts", assign="motto = \'semper\'", where="motto IS NULL", batch_rows=50)'
    fleet.project.add_revision("tenant", "tenant_9004_fill", fill, after="tenant_9003_expand")
    fleet.project.add_revision("tenant", "tenant_9005_contract", schema + CONTRACT, after="tenant_9004_fill")

    results = fleet.upgrade(*words)

    assert statuses(results) == {"upgraded": list(fleet.ids)}
    assert {revision_of(fleet.database, department) for department in fleet.ids} == {"tenant_9005_contract"}
    with fleet.database.connect() as connection:
        rows = connection.execute(
            "SELECT migration_name FROM federation.schema_migrations "
            "WHERE department_id = 'd00' ORDER BY id DESC LIMIT 3"
        ).fetchall()
    assert [name for (name,) in rows] == ["tenant_9005_contract", "tenant_9004_fill", "tenant_9003_expand"]
