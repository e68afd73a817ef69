"""Two departments have branches among ten that have none: each of them moves, and no branch gets to anybody else."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fedschema.department import Department
from fedschema.lineages import Lineage
from tests.conftest import PROJECT, Database
from tests.migrations.catalogue import look
from tests.migrations.conftest import FAILED_BY_ALEMBIC, Command, CopiedProject

LAST = Lineage.load(PROJECT, Department("hr")).trunk_revisions[-1]
NEW = "tenant_0008_later"
BRANCHES = {
    "finance": ("finance_0001_ledgers",),
    "legal": ("legal_0001_matters", "legal_0002_deadlines"),
}
OTHERS = tuple(f"d{number}" for number in range(10))
EVERYBODY = tuple(sorted((*BRANCHES, *OTHERS)))


@pytest.fixture
def branched(copied_project: CopiedProject, fedschema_command: Command) -> CopiedProject:
    """A project in which legal and finance have branches, as `fedschema revision` writes them."""
    for department, revisions in BRANCHES.items():
        for revision in revisions:
            table = revision.rpartition("_")[2]
            words = ("revision", "-m", table, "--department", department, "--table", table)
            assert fedschema_command(*words, cwd=copied_project.directory, url="postgresql://u@0:1/n").status == 0
    return copied_project


@pytest.fixture
def fleet(database: Database, branched: CopiedProject) -> Database:
    """Twelve departments, at the last revision of everybody, before their branches."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(database.add, EVERYBODY))
    return database


def versions(database: Database) -> dict[str, set[str]]:
    """Return the rows of the departments' version tables."""
    with database.connect() as connection:
        return {
            department: {
                row[0] for row in connection.execute(f"SELECT version_num FROM {department}_tenant.alembic_version")
            }
            for department in EVERYBODY
        }


def own_tables(database: Database) -> dict[str, set[str]]:
    """Return which departments have which of the branches' tables."""
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE tablename IN ('ledgers', 'matters', 'deadlines')"
        ).fetchall()
    found: dict[str, set[str]] = {}
    for schema, table in rows:
        found.setdefault(schema.removesuffix("_tenant"), set()).add(table)
    return found


def statuses(command: Command, project: CopiedProject) -> dict[str, dict[str, Any]]:
    done = command("status", "--json", cwd=project.directory)
    assert done.status == 0, done.stderr
    return {entry["department_id"]: entry for entry in json.loads(done.stdout)}


ALL_OF_IT = {"finance": {"ledgers"}, "legal": {"matters", "deadlines"}}


@pytest.mark.parametrize("road", ["fedschema", "alembic"])
def test_one_release_brings_each_to_its_own_heads(
    road: str, fleet: Database, branched: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    before = statuses(fedschema_command, branched)
    assert {name: entry["at_head"] for name, entry in before.items()} == {name: name in OTHERS for name in EVERYBODY}
    command = alembic_command if road == "alembic" else fedschema_command
    words = ("upgrade", "head") if road == "alembic" else ("upgrade", "--jobs", "3")

    done = command(*words, cwd=branched.directory)

    assert done.status == 0, done
    assert own_tables(fleet) == ALL_OF_IT
    after = statuses(fedschema_command, branched)
    assert {name: (entry["revision"], entry["branch_revision"]) for name, entry in after.items()} == {
        name: (LAST, BRANCHES[name][-1] if name in BRANCHES else None) for name in EVERYBODY
    }
    assert fedschema_command("status", "--check", cwd=branched.directory).status == 0
    validated = fedschema_command("validate", cwd=branched.directory)
    assert validated.status == 0, validated.stdout


def test_one_department_by_name_and_the_tables_are_walled_on_both_roads(
    fleet: Database, branched: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    by_alembic = alembic_command("-x", "tenant=legal", "upgrade", "head", cwd=branched.directory)
    there = look(fleet, "legal")
    down = fedschema_command("downgrade", "legal", "--to", "legal@base", cwd=branched.directory)
    again = fedschema_command("upgrade", "legal", cwd=branched.directory)

    assert (by_alembic.status, down.status, again.status) == (0, 0, 0), (by_alembic, down, again)
    assert look(fleet, "legal") == there
    assert {"policy isolation on matters", "policy admin_bypass on deadlines"} <= set(there)
    assert own_tables(fleet) == {"legal": {"matters", "deadlines"}}
    probed = fedschema_command("validate", "legal", "d0", "--probe", cwd=branched.directory)
    assert probed.status == 0, probed.stdout
    listed = fedschema_command("history", "legal", "--json", cwd=branched.directory)
    assert [row["migration_name"] for row in json.loads(listed.stdout)[:2]] == list(reversed(BRANCHES["legal"]))


@pytest.mark.parametrize(
    ("target", "left"), [("legal@base", set()), ("legal@-1", {"matters"}), ("legal_0001_matters", {"matters"})]
)
@pytest.mark.parametrize("road", ["fedschema", "alembic"])
def test_branch_goes_back_by_itself(
    target: str,
    left: set[str],
    road: str,
    fleet: Database,
    branched: CopiedProject,
    alembic_command: Command,
    fedschema_command: Command,
) -> None:
    here = branched.directory
    assert fedschema_command("upgrade", cwd=here).status == 0
    hr = look(fleet, "d0")

    if road == "alembic":
        done = alembic_command("-x", "tenant=legal", "downgrade", target, cwd=here)
    else:
        done = fedschema_command("downgrade", "legal", "--to", target, cwd=here)

    assert done.status == 0, done
    found = own_tables(fleet)
    assert (found.get("legal", set()), found["finance"]) == (left, {"ledgers"})
    assert statuses(fedschema_command, branched)["legal"]["revision"] == LAST
    assert look(fleet, "d0") == hr


def test_step_back_of_everybody_takes_a_branch_along_only_when_that_is_confirmed(
    fleet: Database, branched: CopiedProject, fedschema_command: Command
) -> None:
    here = branched.directory
    assert fedschema_command("upgrade", cwd=here).status == 0

    done = fedschema_command(
        "downgrade", "--all", "--to=-1", "--lossy", LAST, "--on-error", "continue", "--json", cwd=here
    )

    results = {result["department_id"]: result for result in json.loads(done.stdout)["results"]}
    assert {name for name, result in results.items() if result["status"] == "failed"} == set(BRANCHES)
    assert {results[name]["error"]["code"] for name in BRANCHES} == {"branch_would_go"}
    assert own_tables(fleet) == ALL_OF_IT


def test_new_revision_of_everybody_reaches_those_with_branches_too(
    fleet: Database, branched: CopiedProject, fedschema_command: Command
) -> None:
    here = branched.directory
    assert fedschema_command("upgrade", cwd=here).status == 0
    written = fedschema_command("revision", "-m", "later", "--table", "later", cwd=here)
    assert written.stdout.startswith(f"{NEW} follows {LAST}\n")

    assert fedschema_command("upgrade", "--to=+1", cwd=here).status == 0

    after = statuses(fedschema_command, branched)
    assert {entry["revision"] for entry in after.values()} == {NEW}
    assert {name: after[name]["branch_revision"] for name in BRANCHES} == {n: r[-1] for n, r in BRANCHES.items()}


def test_department_with_a_branch_is_made_with_it_and_dropped_with_it(
    database: Database, branched: CopiedProject, fedschema_command: Command
) -> None:
    here = branched.directory
    database.add("d0")
    made = fedschema_command("tenant", "add", "legal", cwd=here)
    shown = fedschema_command("tenant", "show", "legal", "--json", cwd=here)
    dropped = fedschema_command("tenant", "drop", "legal", "--yes", cwd=here)

    assert (made.status, dropped.status) == (0, 0), (made.stderr, dropped.stderr)
    assert {"matters", "deadlines"} <= set(json.loads(shown.stdout)["rows"])
    assert own_tables(database) == {}
    again = fedschema_command("tenant", "add", "legal", cwd=here)
    assert again.status == 0, again.stderr
    assert own_tables(database) == {"legal": {"matters", "deadlines"}}


def test_script_of_a_department_has_its_branch_and_that_of_another_has_not(
    branched: CopiedProject, fedschema_command: Command, alembic_command: Command
) -> None:
    for department, expected in (("legal", True), ("d0", False), ("finance", False)):
        done = fedschema_command("tenant", "sql", department, cwd=branched.directory, url="postgresql://u@0:1/n")
        script = alembic_command("-x", f"tenant={department}", "upgrade", "head", "--sql", cwd=branched.directory)
        assert ("legal_0001_matters" in done.stdout, "legal_0001_matters" in script.stdout) == (expected, expected)


#: Everything by which somebody could try to give legal's branch to another department.
BY_FEDSCHEMA = [
    ("upgrade", "{who}", "--to", "legal_0001_matters"),
    ("upgrade", "{who}", "--to", "legal_0002"),
    ("upgrade", "{who}", "--to", "legal@head"),
    ("upgrade", "{who}", "--to", "legal@+1"),
    ("upgrade", "{who}", "--to", "legal@base"),
    ("upgrade", "{who}", "legal", "--to", "legal@head"),
    ("upgrade", "--to", "legal@head"),
    ("upgrade", "--to", "legal_0002_deadlines", "--on-error", "continue", "--yes"),
    ("downgrade", "{who}", "--to", "legal_0001_matters"),
    ("downgrade", "{who}", "--to", "legal@base", "--yes"),
    ("downgrade", "--all", "--to", "legal@-1", "--yes"),
]
BY_ALEMBIC = [
    ("upgrade", "legal_0001_matters"),
    ("upgrade", "legal_0002"),
    ("upgrade", "legal@head"),
    ("upgrade", "legal@+1"),
    ("upgrade", "legal_0001_matters+1"),
    ("downgrade", "legal_0001_matters"),
    ("downgrade", "legal@base"),
    ("downgrade", "legal@-1"),
    ("stamp", "legal_0001_matters"),
    ("stamp", "legal@head"),
    ("stamp", "--purge", "legal@head"),
    ("stamp", "tenant@head", "legal@head"),
    ("upgrade", "legal@head", "--sql"),
    ("upgrade", f"{LAST}:legal_0001_matters", "--sql"),
    ("upgrade", "legal_0001_matters:legal@head", "--sql"),
    ("stamp", "legal@head", "--sql"),
]


@pytest.mark.parametrize("who", ["d0", "finance"], ids=["without a branch", "with another"])
def test_no_command_gives_a_branch_to_another_department(
    who: str, fleet: Database, branched: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    here = branched.directory
    assert fedschema_command("upgrade", cwd=here).status == 0
    assert fedschema_command("downgrade", "legal", "--to", "legal@base", cwd=here).status == 0
    before, tables = versions(fleet), own_tables(fleet)

    for words in BY_FEDSCHEMA:
        done = fedschema_command(*(word.format(who=who) for word in words), cwd=here)
        assert done.status in {1, 2}, (words, done)
    for words in BY_ALEMBIC:
        done = alembic_command("-x", f"tenant={who}", *words, cwd=here)
        assert done.status == FAILED_BY_ALEMBIC, (words, done)
        assert "CREATE TABLE" not in done.stdout
    for words in (("upgrade", "heads"), ("upgrade", "head"), ("stamp", "heads"), ("stamp", "head")):
        assert alembic_command("-x", f"tenant={who}", *words, cwd=here).status == 0

    assert versions(fleet) == before
    assert own_tables(fleet) == tables == {"finance": {"ledgers"}}
