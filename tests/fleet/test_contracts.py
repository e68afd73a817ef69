"""A contract step waits until every department has what it takes the place of, by whatever road it is asked for."""

from __future__ import annotations

import json

import pytest

from fedschema.errors import CompilationFailed, ContractBlocked
from fedschema.fleet.contracts import held_back
from fedschema.plans import SLOT
from fedschema.releases import Direction, OnError, Outcome, Release, prepare
from tests.fleet.building import revision_of
from tests.fleet.conftest import AFTER, BEFORE, Fleet, MakeFleet, statuses
from tests.migrations.conftest import Command, CopiedProject, alembic_command, fedschema_command

__all__ = ["alembic_command", "fedschema_command"]

EXPAND = "tenant_9002_expand"
FILL = "tenant_9003_fill"
CONTRACT = "tenant_9004_contract"
LATER = "tenant_9005_later"
NAMES = '"contacts", "organization", "company"'


@pytest.fixture
def fleet(make_fleet: MakeFleet) -> Fleet:
    """Three departments, and a release to come that renames a column and does one thing more."""
    made = make_fleet(3)
    add = made.project.add_revision
    was, wide = f'{NAMES}, "varchar(255)"', f'{NAMES}, "text"'
    add("tenant", EXPAND, f"op.expand_tenant_column({wide})", f"op.unexpand_tenant_column({wide})", after=AFTER)
    fill = (
        'op.backfill("contacts", assign="company = organization", where="company IS NULL AND organization IS NOT NULL")'
    )
    add("tenant", FILL, fill, after=EXPAND)
    # What reads the old name goes first: a generated column, and an index.
    body = (
        "schema = op.get_context().version_table_schema\n"
        'op.execute(f"ALTER TABLE {schema}.contacts DROP COLUMN search_vector, DROP COLUMN job_title")\n'
        'op.execute(f"DROP INDEX {schema}.idx_contacts_organization")\n'
    )
    add("tenant", CONTRACT, f"{body}op.contract_tenant_column({was})", after=FILL)
    contracts(made, CONTRACT, FILL)
    add("tenant", LATER, "op.add_tenant_column('contacts', 'later', 'text')", after=CONTRACT)
    return made


def contracts(fleet: Fleet, revision: str, needed: str, place: str = "tenant") -> None:
    """Write into a revision that it is a contract step."""
    file = fleet.project.directory / "alembic" / "versions" / place / f"{revision}.py"
    file.write_text(file.read_text().replace("\nonline = False", f"\ncontracts = {needed!r}"))


def refused(fleet: Fleet, *words: str) -> dict[str, str]:
    """Type a command that is refused, and return its error."""
    before = fleet.states()
    done = fleet.type_in(*words, "--json")
    assert done.status == 1, done
    error: dict[str, str] = json.loads(done.stdout)["error"]
    assert error["code"] == "contract_blocked"
    assert fleet.states() == before
    return error


def test_release_over_all_of_it_is_refused_before_anything_is_touched(fleet: Fleet) -> None:
    error = refused(fleet, "upgrade")

    assert error["message"] == (
        f"revision {CONTRACT} takes away what {FILL} replaces, which has to be everywhere first, and "
        f"d00 (at {BEFORE}), d01 (at {BEFORE}), d02 (at {BEFORE}) have not got it; nothing was changed"
    )
    assert error["hint"] == f"fedschema upgrade --to {FILL}"


def test_hint_leads_there_and_then_everybody_gets_it(fleet: Fleet) -> None:
    assert fleet.type_in(*refused(fleet, "upgrade")["hint"].split()[1:]).status == 0

    results = fleet.upgrade()

    assert statuses(results) == {"upgraded": list(fleet.ids)}
    assert {revision_of(fleet.database, department) for department in fleet.ids} == {LATER}


@pytest.mark.parametrize("at", [BEFORE, EXPAND])
def test_one_department_that_is_behind_blocks_it_for_the_others(at: str, fleet: Fleet) -> None:
    assert fleet.type_in("upgrade", "d00", "d02", "--to", FILL).status == 0
    assert fleet.type_in("upgrade", "d01", "--to", at).status == 0

    for words in (("upgrade", "d00", "d02"), ("upgrade", "d00", "--to=+1"), ("upgrade", "d00", "--to", CONTRACT)):
        assert f"d01 (at {at}) has not got it" in refused(fleet, *words)["message"]
    assert fleet.type_in("upgrade", "d01", "--to", FILL).status == 0
    assert fleet.type_in("upgrade", "d00").status == 0


def test_what_comes_before_it_is_not_blocked(fleet: Fleet) -> None:
    assert fleet.type_in("upgrade", "d00", "--to", FILL).status == 0
    assert fleet.type_in("upgrade", "d01", "--to", EXPAND).status == 0
    assert fleet.type_in("upgrade", "d02", "--to", AFTER).status == 0


def test_who_has_it_already_goes_on_though_another_falls_behind(fleet: Fleet) -> None:
    assert fleet.type_in("upgrade", "--to", FILL).status == 0
    assert fleet.type_in("upgrade", "d00", "--to", CONTRACT).status == 0
    assert fleet.type_in("downgrade", "d01", "--to", AFTER).status == 0

    assert fleet.type_in("upgrade", "d00").status == 0
    assert "d01 (at" in refused(fleet, "upgrade", "d02")["message"]


def test_alembic_refuses_it_as_well(fleet: Fleet, alembic_command: Command) -> None:
    here, before = fleet.project.directory, fleet.states()

    everybody = alembic_command("upgrade", "head", cwd=here)
    one = alembic_command("-x", "tenant=d00", "upgrade", "head", cwd=here)

    assert (everybody.status, one.status) == (255, 255)
    for done in (everybody, one):
        assert f"FAILED: revision {CONTRACT} takes away" in done.stdout
        assert f"hint: fedschema upgrade --to {FILL}" in done.stdout
    assert fleet.states() == before
    assert alembic_command("upgrade", FILL, cwd=here).status == 0
    assert alembic_command("upgrade", "head", cwd=here).status == 0
    with fleet.database.connect() as connection:
        failures = connection.execute("SELECT count(*) FROM federation.schema_migrations WHERE NOT success").fetchone()
    assert failures == (0,)


def test_script_says_what_nobody_looked_at(fleet: Fleet, alembic_command: Command) -> None:
    written = alembic_command("-x", "tenant=d00", "upgrade", f"{FILL}:head", "--sql", cwd=fleet.project.directory)
    without = alembic_command("-x", "tenant=d00", "upgrade", f"{AFTER}:{FILL}", "--sql", cwd=fleet.project.directory)

    assert f"-- {CONTRACT} is a contract step: apply it when every department has {FILL}" in written.stdout
    assert "contract step" not in without.stdout


def test_new_department_never_had_the_old_state_and_is_not_blocked(fleet: Fleet) -> None:
    assert fleet.type_in("tenant", "add", "later").status == 0
    assert revision_of(fleet.database, "later") == LATER


def test_department_that_nobody_can_place_blocks_it_and_a_dropped_one_does_not(fleet: Fleet) -> None:
    assert fleet.type_in("upgrade", "--to", FILL).status == 0
    with fleet.database.connect() as connection:
        connection.execute("DROP TABLE d01_tenant.alembic_version")
        connection.execute("UPDATE d02_tenant.alembic_version SET version_num = 'tenant_9999_future'")

    done = fleet.type_in("upgrade", "d00")

    assert done.status == 1
    assert "and d01 (without a version table), d02 (at tenant_9999_future) have not got it" in done.stderr
    for department in ("d01", "d02"):
        assert fleet.type_in("tenant", "drop", department, "--yes").status == 0
    assert fleet.type_in("upgrade").status == 0


def test_department_that_falls_behind_after_the_release_began_does_not_get_it(fleet: Fleet) -> None:
    assert fleet.type_in("upgrade", "--to", FILL).status == 0
    compiler = fleet.project.compiler()
    run = prepare(fleet.database.conninfo, compiler, [], Release(Direction.UPGRADE, "head", on_error=OnError.CONTINUE))
    assert fleet.type_in("downgrade", "d01", "--to", AFTER).status == 0

    results = {result.department.id: result for result in run.results()}

    assert [results[department].outcome for department in fleet.ids] == [
        Outcome.UPGRADED,
        Outcome.FAILED,
        Outcome.UPGRADED,
    ]
    assert isinstance(results["d01"].error, ContractBlocked)
    assert revision_of(fleet.database, "d01") == AFTER


def test_many_that_are_behind_are_counted(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(12)
    fleet.project.add_revision("tenant", EXPAND, "pass", after=AFTER)
    contracts(fleet, EXPAND, AFTER)

    message = refused(fleet, "upgrade")["message"]

    assert f"d09 (at {BEFORE}) and 2 more have not got it" in message


NONE, SEVERAL = (
    "which does not come before it",
    "which may be any of tenant_9001_one, tenant_9001_one_more, tenant_9001_two",
)


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ("tenant_9001_one", "tenant_9001_one"),
        ("tenant_9001_t", "tenant_9001_two"),
        ("tenant_9001_one_more", "tenant_9001_one_more"),
        ("tenant_9001_", SEVERAL),
        ("tenant_9002_goes", NONE),
        ("tenant_9003_later", NONE),
        ("tenant_absent", NONE),
        ("tenant@head", NONE),
        ("", NONE),
        (["tenant_9001_one"], NONE),
    ],
)
def test_step_names_what_it_waits_for_by_its_id_or_the_beginning(
    named: object, meant: str, copied_project: CopiedProject
) -> None:
    after = BEFORE
    for revision in ("tenant_9001_one", "tenant_9001_two", "tenant_9001_one_more", "tenant_9002_goes"):
        copied_project.add_revision("tenant", revision, "pass", after=after)
        after = revision
    copied_project.add_revision("tenant", "tenant_9003_later", "pass", after=after)
    compiler = copied_project.compiler()
    vars(compiler.lineage(SLOT).script_of("tenant_9002_goes").module)["contracts"] = named

    if meant.startswith("tenant"):
        assert held_back(compiler, ["tenant_9002_goes", "tenant_9003_later"]) == {"tenant_9002_goes": meant}
        return
    with pytest.raises(CompilationFailed) as refusal:
        held_back(compiler, ["tenant_9002_goes"])
    assert f"revision tenant_9002_goes contracts {named}, {meant}" in refusal.value.message


def test_step_that_waits_for_what_does_not_come_before_it_is_refused(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(1)
    fleet.project.add_revision("tenant", CONTRACT, "pass", after=AFTER)
    contracts(fleet, CONTRACT, LATER)

    done = fleet.type_in("upgrade")

    assert done.status == 1
    assert f"revision {CONTRACT} contracts {LATER}, which does not come before it" in done.stderr


def test_contract_step_of_a_branch_waits_for_its_department_alone(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    first, second = "d01_0001_one", "d01_0002_two"
    add = fleet.project.add_revision
    add("departments/d01", first, "pass", label="d01", depends_on=BEFORE)
    add("departments/d01", second, "pass", after=first)
    contracts(fleet, second, first, "departments/d01")

    error = refused(fleet, "upgrade")

    assert f"and d01 (at {BEFORE}) has not got it" in error["message"]
    assert error["hint"] == f"fedschema upgrade d01 --to {first}"
    assert fleet.type_in(*error["hint"].split()[1:]).status == 0
    assert statuses(fleet.upgrade()) == {"upgraded": list(fleet.ids)}
