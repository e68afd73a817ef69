"""Every downgrade restores exactly what was before its upgrade, and no step of the chain leaves a table open."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from fedschema import batches
from fedschema.department import Department
from fedschema.lineages import Lineage
from fedschema.policies import policies_of
from fedschema.releases import Direction, Outcome, Release, migrate
from fedschema.versions import TENANT
from tests.conftest import PROJECT, Database
from tests.migrations.catalogue import Catalogue, describe, names
from tests.migrations.conftest import Command

HR = Department("hr")
CHAIN = Lineage.load(PROJECT, HR).trunk_revisions
FEDERATION_CHAIN = Lineage.load(PROJECT).trunk_revisions
SHELL = {"alembic_version"}
PARENTS = dict(zip(CHAIN, ("base", *CHAIN[:-1]), strict=True))

Move = Callable[[str, str], None]


@pytest.fixture
def move_by_plan(database: Database) -> Move:
    """Move hr along the lineage by a compiled plan: ``move("upgrade", "+1")``."""

    def move(direction: str, destination: str) -> None:
        (result,) = migrate(database.conninfo, database.compiler, [HR], Release(Direction(direction), destination))
        assert result.outcome not in {Outcome.FAILED, Outcome.UNCHANGED}, result.error

    return move


@pytest.fixture
def move_by_alembic(alembic_command: Command) -> Move:
    """Move hr along the lineage by the `alembic` command."""

    def move(direction: str, destination: str) -> None:
        done = alembic_command("-x", "tenant=hr", direction, destination)
        assert done.status == 0, done.stdout

    return move


@pytest.fixture(params=["by_plan", "by_alembic"])
def move(request: pytest.FixtureRequest) -> Move:
    """Move hr along the lineage, on either road."""
    chosen: Move = request.getfixturevalue(f"move_{request.param}")
    return chosen


def look(database: Database, schema: str = HR.schema) -> Catalogue:
    with database.connect() as connection:
        return describe(connection, schema)


@pytest.mark.parametrize("revision", CHAIN)
def test_downgrade_restores_exactly_what_was_before(revision: str, database: Database, move_by_plan: Move) -> None:
    database.add("hr")
    move = move_by_plan
    move("downgrade", PARENTS[revision])
    before = look(database)

    move("upgrade", revision)
    upgraded = look(database)
    move("downgrade", "-1")
    downgraded = look(database)
    move("upgrade", "+1")

    assert upgraded != before
    assert downgraded == before
    assert look(database) == upgraded


def open_tables(found: Catalogue) -> set[str]:
    """Return the tables that have not all their walls, judged by the catalogue alone."""
    policies: dict[str, set[str]] = {}
    for name in names(found, "policy"):
        policy, _, table = name.partition(" on ")
        policies.setdefault(table, set()).add(policy)
    allowed = ({"isolation", "admin_bypass"}, {"isolation", "admin_bypass", "cross_dept_read", "reader"})
    open_ = set()
    for table in names(found, "relation") - SHELL:
        kind, _, _, enabled, forced, *_ = found[f"relation {table}"]
        if kind in {"r", "p"} and not (enabled and forced and policies.get(table) in allowed):
            open_.add(table)
    return open_


def assert_closed(database: Database, found: Catalogue) -> None:
    assert open_tables(found) == set()
    with database.connect() as connection:
        connection.execute("CALL federation.assert_walls('hr')")


def test_whole_chain_goes_down_and_up_over_the_same_states_and_leaves_no_table_open(
    database: Database, move: Move
) -> None:
    database.add("hr")
    states = [look(database)]
    for _ in CHAIN:
        move("downgrade", "-1")
        states.append(look(database))
        assert_closed(database, states[-1])

    for expected in reversed(states[:-1]):
        move("upgrade", "+1")
        assert look(database) == expected
        assert_closed(database, expected)

    move("downgrade", "base")
    assert look(database) == states[-1]
    move("upgrade", "head")
    assert look(database) == states[0]


def test_base_leaves_an_empty_schema_and_its_version_table(database: Database, move: Move) -> None:
    database.add("hr")

    move("downgrade", "base")

    left = look(database)
    assert names(left, "schema") == {"hr_tenant"}
    assert names(left, "relation") == SHELL
    assert not names(left, "function") | names(left, "sequence") | names(left, "policy") | names(left, "trigger")
    with database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM hr_tenant.alembic_version").fetchone() == (0,)
        assert connection.execute("SELECT status FROM federation.departments").fetchall() == [("ACTIVE",)]
        assert connection.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'hr_role'").fetchone() == (1,)


def test_table_without_its_walls_is_noticed(database: Database) -> None:
    """Both judges of the test above can say no."""
    database.add("hr")
    with database.connect() as connection:
        connection.execute("ALTER TABLE hr_tenant.contacts NO FORCE ROW LEVEL SECURITY")
        connection.execute("DROP POLICY isolation ON hr_tenant.email_logs")

        with pytest.raises(psycopg.DatabaseError, match=r"contacts|email_logs"):
            connection.execute("CALL federation.assert_walls('hr')")

    assert open_tables(look(database)) == {"contacts", "email_logs"}


def test_each_revision_makes_its_own_tables_with_walls_and_drops_them(database: Database) -> None:
    """A step means something: one family of tables, each walled off by the revision that makes it."""
    made: list[str] = []
    for revision in CHAIN:
        start = () if PARENTS[revision] == "base" else (PARENTS[revision],)
        plan = database.compiler.upgrade(HR, start, revision)
        created = [wall.table for wall in plan.walls]
        assert created
        assert all(f"CREATE TABLE hr_tenant.{table} " in plan.script(HR) for table in created)
        assert all(f"CREATE POLICY {policy} " in plan.script(HR) for wall in plan.walls for policy in policies_of(wall))
        back = database.compiler.downgrade(HR, (revision,), "-1").script(HR)
        assert all(f"DROP TABLE hr_tenant.{table};" in back for table in created)
        made += created
    assert len(made) == len(set(made))
    assert len(made) >= 24


def test_schema_and_version_table_are_never_made_or_dropped_by_a_revision(database: Database) -> None:
    up = database.compiler.upgrade(HR, (), "head").script(HR)
    down = database.compiler.downgrade(HR, (CHAIN[-1],), "base").script(HR)

    for forbidden in ("CREATE SCHEMA", "DROP SCHEMA", "TABLE hr_tenant.alembic_version", "CREATE ROLE", "DROP ROLE"):
        assert forbidden not in up
        assert forbidden not in down


def test_every_tenant_revision_is_labelled_as_such() -> None:
    lineage = Lineage.load(PROJECT, HR)

    assert [lineage.owner_of(lineage.script.get_revisions(revision)[0]) for revision in CHAIN] == [TENANT] * len(CHAIN)


def test_control_plane_downgrade_restores_exactly_what_was_before(
    blank_database: Database, alembic_command: Command
) -> None:
    with blank_database.connect() as connection, connection.transaction():
        batches.execute(connection, batches.bootstrap(blank_database.compiler.templates))
    before = look(blank_database, "federation")

    up = alembic_command("-n", "federation", "upgrade", "head", url=blank_database.url)
    upgraded = look(blank_database, "federation")
    down = alembic_command("-n", "federation", "-x", "confirm=federation", "downgrade", "base", url=blank_database.url)
    downgraded = look(blank_database, "federation")
    again = alembic_command("-n", "federation", "upgrade", "head", url=blank_database.url)

    assert (up.status, down.status, again.status) == (0, 0, 0), down.stdout
    assert names(before, "relation") == SHELL
    assert names(upgraded, "relation") > SHELL
    assert downgraded == before
    assert look(blank_database, "federation") == upgraded


def test_control_plane_cannot_be_taken_away_under_its_departments(database: Database, alembic_command: Command) -> None:
    database.add("hr")
    before = look(database, "federation"), look(database)

    asked = alembic_command("-n", "federation", "downgrade", "base")
    confirmed = alembic_command("-n", "federation", "-x", "confirm=federation", "downgrade", "base")

    assert asked.status != 0
    assert "table departments (1 row)" in asked.stdout
    assert "-x confirm=federation" in asked.stdout
    assert confirmed.status != 0
    assert "Traceback" not in confirmed.stderr
    assert (look(database, "federation"), look(database)) == before
