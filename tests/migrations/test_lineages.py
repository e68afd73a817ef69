"""Whose revisions are whose: a department's own branch, revisions that read, and revisions that are written badly."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from fedschema.department import Department
from fedschema.errors import CompilationFailed, UnknownRevision, UsageError
from fedschema.lineages import Lineage
from fedschema.plans import Plan
from fedschema.releases import position_of, status
from tests.conftest import PROJECT, Database, Finished
from tests.migrations.catalogue import Catalogue, describe, describe_department, names
from tests.migrations.conftest import FAILED_BY_ALEMBIC, Command, CopiedProject, Psql

HR = Department("hr")
LEGAL = Department("legal")
CHAIN = Lineage.load(PROJECT, HR).trunk_revisions
LAST = CHAIN[-1]
NEEDED = "tenant_0002_documents"
BRANCH = ("legal_0001_matters", "legal_0002_deadlines")

TABLE = """
    CREATE TABLE {{{{ department.schema | ident }}}}.{table} (
        id uuid NOT NULL DEFAULT gen_random_uuid(),
        department varchar(100) NOT NULL DEFAULT {{{{ department.id | literal }}}},
        title text,
        CONSTRAINT {table}_pkey PRIMARY KEY (id),
        CONSTRAINT {table}_department_check CHECK (department = {{{{ department.id | literal }}}})
    );
"""


def add_tables(project: CopiedProject, family: str, *tables: str) -> tuple[str, str]:
    """Write templates of a family of tables; return the bodies of a revision that makes and drops them."""
    for table in tables:
        project.add_template(f"tenant/{family}/{table}", TABLE.format(table=table))
    arguments = f'family="{family}", private={tables!r}'
    return f"op.create_tenant_tables({arguments})", f"op.drop_tenant_tables({arguments})"


@pytest.fixture(params=[NEEDED, LAST], ids=["needs the second", "needs the last"])
def with_branch(request: pytest.FixtureRequest, copied_project: CopiedProject) -> CopiedProject:
    """A project in which legal has a branch of two revisions, standing on a tenant revision."""
    add_branch(copied_project, request.param)
    return copied_project


@pytest.fixture
def with_early_branch(copied_project: CopiedProject) -> CopiedProject:
    """The same, standing on the second tenant revision."""
    add_branch(copied_project, NEEDED)
    return copied_project


def add_branch(project: CopiedProject, needed: str) -> None:
    first, second = BRANCH
    project.add_revision(
        "departments/legal", first, *add_tables(project, "legal", "matters"), label="legal", depends_on=needed
    )
    project.add_revision("departments/legal", second, *add_tables(project, "legal_2", "deadlines"), after=first)


def of_project(database: Database, project: CopiedProject) -> Database:
    """The same database, worked on with the copied project."""
    return replace(database, compiler=project.compiler())


def look(database: Database, department: Department) -> Catalogue:
    with database.connect() as connection:
        return describe(connection, department.schema)


def tables(database: Database, department: Department) -> set[str]:
    found = look(database, department)
    return {name for name in names(found, "relation") if found[f"relation {name}"][0] == "r"}


def applied(database: Database, project: CopiedProject, department: Department) -> set[str]:
    """Return the revisions that a department's version table stands for."""
    with database.connect() as connection:
        rows = connection.execute(f"SELECT version_num FROM {department.schema}.alembic_version".encode()).fetchall()
    return Lineage.load(project.project, department).applied(tuple(row[0] for row in rows))


def history(database: Database, department: Department) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.execute(
            "SELECT migration_name, direction, success, error_message, checksum FROM federation.schema_migrations "
            "WHERE department_id = %s ORDER BY id",
            (department.id,),
        ).fetchall()


def refused(done: Finished) -> str:
    assert done.status == FAILED_BY_ALEMBIC, done.stdout
    assert done.stdout.startswith("FAILED: ")
    assert "Traceback" not in done.stderr + done.stdout
    return done.stdout


# ----------------------------------------------------------------------------------------------- a branch of its own


def test_head_of_a_department_with_a_branch_means_both_heads(
    database: Database, with_branch: CopiedProject, alembic_command: Command
) -> None:
    database.add("hr")
    database.add("legal")
    before = look(database, HR)

    assert alembic_command("upgrade", "head", cwd=with_branch.directory).status == 0

    assert applied(database, with_branch, LEGAL) == {*CHAIN, *BRANCH}
    assert {"matters", "deadlines"} <= tables(database, LEGAL)
    assert applied(database, with_branch, HR) == set(CHAIN)
    assert look(database, HR) == before


def test_what_was_worked_out_for_one_department_holds_for_those_with_the_same_revisions_only(
    with_branch: CopiedProject,
) -> None:
    whole = Lineage.load(with_branch.project, HR)
    legal, sales = whole.of(LEGAL), whole.of(Department("sales"))
    for lineage, heads in ((whole, CHAIN[-1:]), (legal, BRANCH[-1:]), (sales, CHAIN[-1:])):
        steps = lineage.upgrade_steps((), "head")
        assert {step.revision.revision for step in steps} == lineage.applied(lineage.heads)
        assert lineage.is_at_head(lineage.heads)
        assert set(heads) <= set(lineage.heads)

    assert whole.upgrade_steps((), "head") == sales.upgrade_steps((), "head") != legal.upgrade_steps((), "head")
    for lineage in (whole, sales):
        with pytest.raises(UnknownRevision, match=f"department {lineage.owner}"):
            lineage.is_at_head(("nowhere",))


def test_position_names_both_revisions_also_where_one_implies_the_other(
    database: Database, with_branch: CopiedProject, fedschema_command: Command
) -> None:
    database.add("hr")
    here = of_project(database, with_branch)
    here.add("legal")

    positions = {position.entry.department: position for position in status(here.conninfo, here.compiler, [])}

    assert (positions[LEGAL].revision, positions[LEGAL].branch_revision) == (LAST, BRANCH[-1])
    assert (positions[HR].revision, positions[HR].branch_revision) == (LAST, None)
    assert positions[LEGAL].at_head
    assert positions[HR].at_head
    assert fedschema_command("status", "--check", cwd=with_branch.directory).status == 0


def test_new_branch_revision_makes_its_department_alone_behind(
    database: Database, with_branch: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    database.add("hr")
    database.add("legal")
    here = with_branch.directory

    behind = fedschema_command("status", "legal", "--check", cwd=here)
    not_behind = fedschema_command("status", "hr", "--check", cwd=here)
    current = alembic_command("current", "--check-heads", cwd=here)

    assert (behind.status, not_behind.status) == (3, 0)
    assert "not at head: legal" in refused_last_line(current)


def refused_last_line(done: Finished) -> str:
    assert done.status == FAILED_BY_ALEMBIC
    return done.stdout.splitlines()[-1]


def test_every_road_gives_the_branch_the_same_tables(
    database: Database,
    with_early_branch: CopiedProject,
    alembic_command: Command,
    fedschema_command: Command,
    psql: Psql,
) -> None:
    here = with_early_branch.directory
    reached = []
    roads: tuple[Callable[[], Finished], ...] = (
        lambda: fedschema_command("tenant", "add", "legal", cwd=here),
        lambda: alembic_command("-x", "tenant=legal", "upgrade", "head", cwd=here),
        lambda: fedschema_command("upgrade", "legal", cwd=here),
        lambda: psql(alembic_command("-x", "tenant=legal", "upgrade", "head", "--sql", cwd=here).stdout),
        lambda: psql(fedschema_command("tenant", "sql", "legal", cwd=here).stdout),
    )

    for travel in roads:
        done = travel()
        assert done.status == 0, done.stderr + done.stdout
        with database.connect() as connection:
            reached.append(describe_department(connection, LEGAL))
        assert applied(database, with_early_branch, LEGAL) == {*CHAIN, *BRANCH}
        if len(reached) < 3:
            assert fedschema_command("downgrade", "legal", "--to", "base", cwd=here).status == 0
        else:
            assert fedschema_command("tenant", "drop", "legal", "--yes", cwd=here).status == 0

    assert [catalogue == reached[0] for catalogue in reached] == [True] * 5
    assert "relation deadlines" in reached[0]


#: Every way to name legal's revisions.
SPELLINGS = [
    *BRANCH,
    "legal_0001",
    "legal_0002_d",
    "legal@head",
    "legal@heads",
    "legal@base",
    "legal@+1",
    "legal@-1",
    "legal@tenant@head",
    "tenant@legal@head",
    f"legal@{BRANCH[0]}",
    f"tenant@{BRANCH[0]}",
    f"tenant@{BRANCH[1]}",
    f"{BRANCH[0]}@head",
    f"{BRANCH[0]}@base",
    f"{BRANCH[0]}+1",
    f"{BRANCH[1]}-1",
    f"{LAST}@{BRANCH[0]}",
    f"{NEEDED}@+1",
    f"{NEEDED}+1",
    f"{LAST}+1",
    "tenant@+1",
    "+99",
]
FIRST_OF_ALL = ((), (CHAIN[0],), (NEEDED,), (LAST,))


@pytest.mark.parametrize("start", FIRST_OF_ALL, ids=["base", "first", "needed", "head"])
def test_no_other_department_receives_a_branch_however_it_is_spelt(
    start: tuple[str, ...], with_early_branch: CopiedProject
) -> None:
    """Refused, or understood as a step within the tenant lineage: never a step of the branch."""
    compiler = with_early_branch.compiler()
    refusals = 0
    roads: tuple[Callable[[str], Plan], ...] = (
        lambda text: compiler.upgrade(HR, start, text),
        lambda text: compiler.downgrade(HR, start, text),
        lambda text: compiler.stamp(HR, start, (text,)),
    )
    for destination in (*SPELLINGS, "head", "heads", "base", "tenant@head", "tenant@base", "+1", "-1"):
        for plan_of in roads:
            try:
                plan = plan_of(destination)
            except UsageError:
                refusals += 1
                continue
            assert {step.revision for step in plan.steps} <= {*CHAIN, "base"}, destination
            assert set(plan.end) <= set(CHAIN), destination
            assert "legal" not in plan.script(HR), destination
    assert refusals >= 2 * len(SPELLINGS)


def test_branch_of_another_is_refused_where_it_is_typed(
    database: Database, with_early_branch: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    here = with_early_branch.directory
    database.add("hr")
    before = look(database, HR), history(database, HR)

    for command, destination in (("upgrade", "legal@head"), ("upgrade", "legal_0001"), ("downgrade", "legal@base")):
        by_alembic = refused(alembic_command("-x", "tenant=hr", command, destination, cwd=here))
        by_fedschema = fedschema_command(command, "hr", f"--to={destination}", cwd=here)
        for text in (by_alembic, by_fedschema.stderr):
            assert "belongs to the lineage 'legal' and can never be applied to department hr" in text
        assert by_fedschema.status == 2
    refused(alembic_command("-x", "tenant=hr", "stamp", BRANCH[1], cwd=here))
    refused(alembic_command("upgrade", "legal@head", cwd=here))

    assert (look(database, HR), history(database, HR)) == before


def test_destinations_of_everybody_leave_a_branch_to_its_department(
    database: Database, with_early_branch: CopiedProject, alembic_command: Command
) -> None:
    compiler = with_early_branch.compiler()
    for destination in ("head", "heads", "tenant@head", "tenant@heads", "+2"):
        assert compiler.upgrade(HR, (CHAIN[-3],), destination).end == (LAST,), destination
    database.add("hr")
    assert alembic_command("-x", "tenant=hr", "downgrade", CHAIN[-3]).status == 0

    assert alembic_command("-x", "tenant=hr", "upgrade", "heads", cwd=with_early_branch.directory).status == 0

    assert applied(database, with_early_branch, HR) == set(CHAIN)


def test_stamp_head_means_what_head_means(
    database: Database, with_branch: CopiedProject, alembic_command: Command
) -> None:
    database.add("hr")
    database.add("legal")
    here = with_branch.directory

    for words in (("head",), ("heads",), ("--purge", "head")):
        assert alembic_command("-x", "tenant=legal", "stamp", LAST, cwd=here).status == 0
        for department in ("hr", "legal"):
            done = alembic_command("-x", f"tenant={department}", "stamp", *words, cwd=here)
            assert done.status == 0, done.stdout

        assert applied(database, with_branch, HR) == set(CHAIN)
        assert applied(database, with_branch, LEGAL) == {*CHAIN, *BRANCH}
    assert alembic_command("current", "--check-heads", cwd=here).status == 0


def test_purge_mends_a_version_table_that_holds_a_foreign_revision(
    database: Database, with_early_branch: CopiedProject, alembic_command: Command
) -> None:
    database.add("hr")
    with database.connect() as connection:
        connection.execute("INSERT INTO hr_tenant.alembic_version VALUES (%s)", (BRANCH[0],))

    done = alembic_command("-x", "tenant=hr", "stamp", "--purge", "head", cwd=with_early_branch.directory)

    assert done.status == 0, done.stdout
    assert applied(database, with_early_branch, HR) == set(CHAIN)


def test_branch_steps_leave_the_tenant_lineage_alone(
    database: Database, with_branch: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    """Steps that are typed for one road are understood on the other, so they take turns."""
    here = with_branch.directory
    of_project(database, with_branch).add("legal")

    for number, (command, destination, expected) in enumerate(
        (
            ("downgrade", "legal@-1", {*CHAIN, BRANCH[0]}),
            ("upgrade", "legal@+1", {*CHAIN, *BRANCH}),
            ("downgrade", BRANCH[0], {*CHAIN, BRANCH[0]}),
            ("upgrade", "legal@head", {*CHAIN, *BRANCH}),
            ("downgrade", "legal@base", set(CHAIN)),
            ("upgrade", "head", {*CHAIN, *BRANCH}),
            ("downgrade", "legal@base", set(CHAIN)),
            ("upgrade", BRANCH[0], {*CHAIN, BRANCH[0]}),
            ("downgrade", "base", set[str]()),
        )
    ):
        if number % 2:
            done = alembic_command("-x", "tenant=legal", command, destination, cwd=here)
        else:
            done = fedschema_command(command, "legal", f"--to={destination}", cwd=here)
        assert done.status == 0, done.stdout + done.stderr
        assert applied(database, with_branch, LEGAL) == expected, destination
        assert ("matters" in tables(database, LEGAL)) == (BRANCH[0] in expected)
    assert tables(database, LEGAL) == {"alembic_version"}


def test_steps_without_a_label_act_on_the_tenant_lineage(
    database: Database, with_early_branch: CopiedProject, alembic_command: Command
) -> None:
    here = with_early_branch.directory
    of_project(database, with_early_branch).add("legal")

    for words, trunk in (
        (("downgrade", "-1"), CHAIN[:-1]),
        (("downgrade", CHAIN[2]), CHAIN[:3]),
        (("downgrade", NEEDED), CHAIN[:2]),
        (("upgrade", "+1"), CHAIN[:3]),
        (("upgrade", "tenant@head"), CHAIN),
    ):
        done = alembic_command("-x", "tenant=legal", *words, cwd=here)
        assert done.status == 0, done.stdout
        assert applied(database, with_early_branch, LEGAL) == {*trunk, *BRANCH}


def test_removing_what_the_branch_stands_on_has_to_be_confirmed(
    database: Database, with_early_branch: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    """Though its tables are empty."""
    here = with_early_branch.directory
    of_project(database, with_early_branch).add("legal")
    before = look(database, LEGAL)

    for destination in (CHAIN[0], f"-{len(CHAIN) - 1}", "tenant@base"):
        message = refused(alembic_command("-x", "tenant=legal", "downgrade", destination, cwd=here))
        by_fedschema = fedschema_command("downgrade", "legal", f"--to={destination}", cwd=here)

        for text in (message, by_fedschema.stderr):
            assert all(revision in text for revision in BRANCH)
        assert "-x confirm=legal" in message
        assert "--yes" in by_fedschema.stderr
        assert by_fedschema.status == 1
        assert look(database, LEGAL) == before

    destination = CHAIN[0]
    confirmed = alembic_command("-x", "tenant=legal", "-x", "confirm=legal", "downgrade", destination, cwd=here)
    assert confirmed.status == 0, confirmed.stdout
    assert not applied(database, with_early_branch, LEGAL) & set(BRANCH)


def test_history_shows_a_department_its_own_map(with_early_branch: CopiedProject, fedschema_command: Command) -> None:
    here = with_early_branch.directory

    of_legal = fedschema_command("history", "legal", "--revisions", cwd=here)
    of_hr = fedschema_command("history", "hr", "--revisions", cwd=here)

    assert all(revision in of_legal.stdout for revision in (*CHAIN, *BRANCH))
    assert all(revision in of_hr.stdout for revision in CHAIN)
    assert "legal" not in of_hr.stdout


def test_branch_that_stands_on_another_departments_is_refused(
    database: Database, with_early_branch: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    database.add("sales")
    with_early_branch.add_revision("departments/sales", "sales_0001", "pass", label="sales", depends_on=BRANCH[0])
    here = with_early_branch.directory

    message = refused(alembic_command("-x", "tenant=sales", "upgrade", "head", cwd=here))
    by_fedschema = fedschema_command("upgrade", "sales", cwd=here)

    for text in (message, by_fedschema.stderr):
        assert (
            f"revision {BRANCH[0]} belongs to the lineage 'legal' and can never be applied to department sales" in text
        )
    assert applied(database, with_early_branch, Department("sales")) == set(CHAIN)


def test_revision_without_a_label_is_nobodys(
    database: Database, copied_project: CopiedProject, alembic_command: Command
) -> None:
    database.add("hr")
    copied_project.add_revision("departments/hr", "hr_0001_forgot", "op.execute('SELECT 1')", depends_on=LAST)

    everybody = alembic_command("upgrade", "head", cwd=copied_project.directory)
    message = refused(alembic_command("-x", "tenant=hr", "upgrade", "hr_0001", cwd=copied_project.directory))

    assert everybody.status == 0
    assert "branch labels" in message
    assert applied(database, copied_project, HR) == set(CHAIN)


#: Ways to spoil a map of revisions, each with what the message has to name.
SPOILT: dict[str, tuple[dict[str, Any], str]] = {
    "two heads of the tenant lineage": ({"place": "tenant", "after": CHAIN[-2]}, "multiple heads"),
    "a branch inside the tenant lineage": (
        {"place": "departments/legal", "after": CHAIN[2], "label": "legal"},
        "multiple heads",
    ),
    "a revision that is not there": ({"place": "tenant", "after": "tenant_0000_absent"}, "tenant_0000_absent"),
    "a dependency that is not there": (
        {"place": "departments/legal", "label": "legal", "depends_on": "tenant_0000_absent"},
        "tenant_0000_absent",
    ),
}


@pytest.mark.filterwarnings("ignore:Revision .* is not present:UserWarning")
@pytest.mark.parametrize("kind", SPOILT)
def test_spoilt_map_is_one_clear_message(
    kind: str,
    database: Database,
    copied_project: CopiedProject,
    alembic_command: Command,
    fedschema_command: Command,
) -> None:
    database.add("legal")
    arguments, named = SPOILT[kind]
    copied_project.add_revision(revision="spoilt_0001", upgrade="pass", **arguments)
    here = copied_project.directory

    by_alembic = alembic_command("-x", "tenant=legal", "upgrade", "head", cwd=here)
    for words in (("upgrade", "legal"), ("status",), ("tenant", "add", "sales")):
        by_fedschema = fedschema_command(*words, cwd=here)
        assert by_fedschema.status in {1, 2}
        assert named in by_fedschema.stderr
        assert by_fedschema.stderr.startswith("error: ")

    assert named in refused(by_alembic)
    assert tables(database, LEGAL) >= {"contacts"}


def test_revision_that_python_cannot_read_is_one_clear_message(
    database: Database, copied_project: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    database.add("hr")
    file = copied_project.directory / "alembic" / "versions" / "tenant" / "tenant_9001_typo.py"
    file.write_text('revision = "tenant_9001_typo"\ndown_revision = (\n', encoding="utf-8")

    by_alembic = alembic_command("upgrade", "head", cwd=copied_project.directory)
    by_fedschema = fedschema_command("upgrade", cwd=copied_project.directory)

    assert "tenant_9001_typo" in refused(by_alembic)
    assert by_fedschema.status in {1, 2}
    assert "tenant_9001_typo" in by_fedschema.stderr


# ------------------------------------------------------------------------------------------------- revisions that read

READING = """
    schema = op.get_context().version_table_schema
    op.execute("SET LOCAL ROLE federation_admin_role")
    found = op.get_bind().execute(sa.text(f"SELECT count(*) FROM {schema}.contacts")).scalar()
    op.execute("SET LOCAL ROLE federation_owner")
    op.execute(f"COMMENT ON TABLE {schema}.contacts IS '{found} contacts'")
"""
FORGETTING = """
    schema = op.get_context().version_table_schema
    op.get_bind().execute(sa.text(f"SELECT count(*) FROM {schema}.contacts"))
    op.execute(f"COMMENT ON TABLE {schema}.contacts IS NULL")
"""


def comment(database: Database) -> str | None:
    with database.connect() as connection:
        row = connection.execute("SELECT obj_description('hr_tenant.contacts'::regclass)").fetchone()
    assert row is not None
    text: str | None = row[0]
    return text


@pytest.fixture
def with_reading(copied_project: CopiedProject) -> CopiedProject:
    """A project whose last three revisions are: an ordinary one, one that reads data, another ordinary one."""
    before, after = add_tables(copied_project, "before", "early"), add_tables(copied_project, "after", "late")
    copied_project.add_revision("tenant", "tenant_9001_before", *before, after=LAST)
    copied_project.add_revision(
        "tenant", "tenant_9002_reads", READING, FORGETTING, after="tenant_9001_before", online=True
    )
    copied_project.add_revision("tenant", "tenant_9003_after", *after, after="tenant_9002_reads")
    return copied_project


NEW = ("tenant_9001_before", "tenant_9002_reads", "tenant_9003_after")


@pytest.mark.parametrize("road", ["alembic", "fedschema"])
def test_revision_that_reads_runs_on_either_road_with_those_around_it(
    road: str, database: Database, with_reading: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    here = with_reading.directory
    database.add("hr")
    with database.connect() as connection:
        connection.execute("INSERT INTO hr_tenant.contacts (contact_id) VALUES ('a'), ('b')")
    made = history(database, HR)

    def move(command: str, destination: str) -> None:
        if road == "alembic":
            done = alembic_command("-x", "tenant=hr", command, destination, cwd=here)
        else:
            done = fedschema_command(command, "hr", f"--to={destination}", cwd=here)
        assert done.status == 0, done.stdout + done.stderr

    move("upgrade", "head")
    assert comment(database) == "2 contacts"
    assert {"early", "late"} <= tables(database, HR)
    assert applied(database, with_reading, HR) == {*CHAIN, *NEW}
    move("downgrade", LAST)
    assert comment(database) is None
    assert applied(database, with_reading, HR) == set(CHAIN)

    steps = [row[:3] for row in history(database, HR)[len(made) :]]
    assert steps == [
        *((revision, "upgrade", True) for revision in NEW),
        *((revision, "downgrade", True) for revision in reversed(NEW)),
    ]


@pytest.mark.parametrize("road", ["alembic", "fedschema"])
def test_revision_that_reads_may_lose_rows_only_when_that_is_confirmed(
    road: str,
    database: Database,
    copied_project: CopiedProject,
    alembic_command: Command,
    fedschema_command: Command,
) -> None:
    dropping = READING + '    op.execute(f"ALTER TABLE {schema}.contacts DROP COLUMN phone_numbers")\n'
    copied_project.add_revision("tenant", "tenant_9001_drops", dropping, after=LAST, online=True)
    here = copied_project.directory
    database.add("hr")
    with database.connect() as connection:
        connection.execute("INSERT INTO hr_tenant.contacts (contact_id, phone_numbers) VALUES ('a', '[1]')")

    if road == "alembic":
        asked = alembic_command("-x", "tenant=hr", "upgrade", "head", cwd=here)
    else:
        asked = fedschema_command("upgrade", "hr", cwd=here)
    with database.connect() as connection:
        assert connection.execute("SELECT phone_numbers FROM hr_tenant.contacts").fetchall() == [([1],)]
    if road == "alembic":
        confirmed = alembic_command("-x", "tenant=hr", "-x", "confirm=hr", "upgrade", "head", cwd=here)
    else:
        confirmed = fedschema_command("upgrade", "hr", "--yes", cwd=here)

    assert asked.status != 0
    assert "column contacts.phone_numbers (1 row)" in asked.stdout + asked.stderr
    assert "-x confirm=hr" in asked.stdout if road == "alembic" else "--yes" in asked.stderr
    assert confirmed.status == 0, confirmed.stdout + confirmed.stderr
    assert history(database, HR)[-1][:3] == ("tenant_9001_drops", "upgrade", True)
    assert [row[2] for row in history(database, HR)].count(False) == 0


@pytest.mark.parametrize("road", ["alembic", "fedschema"])
def test_failure_of_a_revision_that_reads_leaves_nothing_and_is_recorded(
    road: str,
    database: Database,
    with_reading: CopiedProject,
    alembic_command: Command,
    fedschema_command: Command,
) -> None:
    with_reading.add_revision(
        "tenant", "tenant_9004_fails", 'op.get_bind().execute(sa.text("SELECT 1 / 0"))', after=NEW[-1], online=True
    )
    here = with_reading.directory
    database.add("hr")
    before = look(database, HR)

    if road == "alembic":
        done = alembic_command("-x", "tenant=hr", "upgrade", "head", cwd=here)
    else:
        done = fedschema_command("upgrade", "hr", cwd=here)

    assert done.status != 0
    message = done.stdout if road == "alembic" else done.stderr
    assert "division by zero" in message
    assert "in revision tenant_9004_fails" in message
    assert "Traceback" not in done.stdout + done.stderr
    assert "tenant_9004_fails" not in done.stderr or road == "fedschema"  # no remark that says it was applied
    assert look(database, HR) == before
    name, direction, success, reason, _ = history(database, HR)[-1]
    assert (name, direction, success) == ("tenant_9004_fails", "upgrade", False)
    assert "division by zero" in reason
    assert len(history(database, HR)) == len(CHAIN) + 1


def test_python_error_in_a_revision_that_reads_is_one_clear_message(
    database: Database, copied_project: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    copied_project.add_revision(
        "tenant", "tenant_9001_raises", 'raise LookupError("no such thing")', after=LAST, online=True
    )
    here = copied_project.directory
    database.add("hr")

    by_alembic = alembic_command("upgrade", "head", cwd=here)
    by_fedschema = fedschema_command("upgrade", cwd=here)

    for text in (refused(by_alembic), by_fedschema.stderr):
        assert "tenant_9001_raises" in text
        assert "no such thing" in text
    assert by_fedschema.status == 1
    assert applied(database, copied_project, HR) == set(CHAIN)


#: Questions to a database, as a revision may put them.
QUESTIONS = [
    "op.get_bind().execute(sa.text('SELECT 1')).scalar()",
    "op.get_bind().exec_driver_sql('SELECT 1')",
    "op.get_bind().scalar(sa.text('SELECT 1'))",
    "sa.inspect(op.get_bind()).get_table_names()",
    "op.get_bind().connection.cursor().execute('SELECT 1')",
    "list(op.get_bind().execute(sa.text('SELECT 1')))",
    "op.get_context().connection.execute(sa.text('SELECT 1')).fetchall()",
    "op.get_context().bind.execute(sa.text('SELECT 1')).fetchall()",
]


def test_no_question_to_a_database_compiles(copied_project: CopiedProject) -> None:
    """Offline Alembic would answer with None and leave out what depended on it."""
    for question in QUESTIONS:
        copied_project.add_revision("tenant", "tenant_9001_asks", question, after=LAST)
        compiler = copied_project.compiler()

        with pytest.raises(CompilationFailed, match="tenant_9001_asks") as caught:
            compiler.upgrade(HR, (LAST,), "head")

        assert "online = True" in str(caught.value.hint), question


def test_revision_that_reads_without_saying_so_is_refused_on_every_road(
    database: Database, copied_project: CopiedProject, fedschema_command: Command, alembic_command: Command
) -> None:
    copied_project.add_revision("tenant", "tenant_9001_asks", QUESTIONS[0], after=LAST)
    here = copied_project.directory
    database.add("hr")

    for done in (
        fedschema_command("upgrade", "hr", cwd=here),
        fedschema_command("tenant", "add", "sales", cwd=here),
        alembic_command("-x", "tenant=hr", "upgrade", "head", "--sql", cwd=here),
        alembic_command("-x", "tenant=hr", "upgrade", "head", cwd=here),
    ):
        message = done.stdout + done.stderr
        assert done.status != 0, message
        assert "tenant_9001_asks" in message
        assert "online = True" in message
        assert "Traceback" not in message
    assert applied(database, copied_project, HR) == set(CHAIN)


def test_script_of_a_revision_that_reads_is_refused(
    database: Database, with_reading: CopiedProject, alembic_command: Command
) -> None:
    message = refused(alembic_command("-x", "tenant=hr", "upgrade", "head", "--sql", cwd=with_reading.directory))

    assert "tenant_9002_reads" in message


# ------------------------------------------------------------------------------------------------- revisions gone wrong


def on_both_roads(
    database: Database, project: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> list[str]:
    """Upgrade hr in vain on both roads; return what each said, after checking that nothing of hr changed."""
    before = look(database, HR)
    messages = []
    roads: tuple[Callable[[], Finished], ...] = (
        lambda: alembic_command("-x", "tenant=hr", "upgrade", "head", cwd=project.directory),
        lambda: fedschema_command("upgrade", "hr", cwd=project.directory),
    )
    for road in roads:
        done = road()
        assert done.status != 0, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert look(database, HR) == before
        assert applied(database, project, HR) == set(CHAIN)
        messages.append(done.stdout + done.stderr)
    return messages


def test_table_made_without_walls_fails_inside_its_own_transaction(
    database: Database, copied_project: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    database.add("hr")
    copied_project.add_revision(
        "tenant",
        "tenant_9001_raw",
        'op.execute(f"CREATE TABLE {op.get_context().version_table_schema}.raw (id integer)")',
        after=LAST,
    )

    for message in on_both_roads(database, copied_project, alembic_command, fedschema_command):
        assert "table raw of department hr would be left open" in message
        assert "op.create_tenant_tables" in message
    assert [row[:3] for row in history(database, HR)[len(CHAIN) :]] == [("tenant_9001_raw", "upgrade", False)] * 2


def test_walls_taken_down_fail_inside_their_own_transaction(
    database: Database, copied_project: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    database.add("hr")
    copied_project.add_revision(
        "tenant", "tenant_9001_opens", 'op.disable_department_rls("contacts", resource="contacts")', after=LAST
    )

    for message in on_both_roads(database, copied_project, alembic_command, fedschema_command):
        assert "table contacts of department hr would be left open" in message


MIDDLE = """
    schema = op.get_context().version_table_schema
    op.execute(f"COMMENT ON TABLE {schema}.contacts IS 'a; b'")
    op.execute(f"-- a remark; with a semicolon\\nALTER TABLE {schema}.absent ADD COLUMN never text")
    op.execute(f"COMMENT ON TABLE {schema}.contacts IS 'last'")
"""


def test_failing_statement_leaves_the_department_whole_and_is_named(
    database: Database, copied_project: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    database.add("hr")
    tables_before = add_tables(copied_project, "before", "early")
    copied_project.add_revision("tenant", "tenant_9001_fine", *tables_before, after=LAST)
    copied_project.add_revision("tenant", "tenant_9002_fails", MIDDLE, after="tenant_9001_fine")

    for message in on_both_roads(database, copied_project, alembic_command, fedschema_command):
        assert "in revision tenant_9002_fails" in message
        assert "ALTER TABLE hr_tenant.absent ADD COLUMN never text" in message
        assert 'relation "hr_tenant.absent" does not exist' in message
        assert "last" not in message
    assert [row[:3] for row in history(database, HR)[len(CHAIN) :]] == [("tenant_9002_fails", "upgrade", False)] * 2


#: Ways to end the transaction that a department moves in.
ENDINGS = [
    "COMMIT",
    "ROLLBACK",
    "commit; begin",
    "END",
    "ABORT",
    "START TRANSACTION",
    "PREPARE TRANSACTION 'x'",
    "COMMIT AND CHAIN",
    "-- done\nCOMMIT",
    "/* done */ COMMIT",
    "/* a /* nested */ remark */ COMMIT",
    "SELECT 1; COMMIT",
    "SELECT 1;\n-- done\nEND WORK",
]


def test_revision_cannot_end_its_transaction(copied_project: CopiedProject) -> None:
    compiled = []
    for statement in ENDINGS:
        copied_project.add_revision("tenant", "tenant_9001_ends", f"op.execute({statement!r})", after=LAST)
        with suppress(CompilationFailed):
            copied_project.compiler().upgrade(HR, (LAST,), "head")
            compiled.append(statement)
    assert compiled == []


@pytest.mark.parametrize("statement", ["SAVEPOINT a; ROLLBACK TO a", "SELECT 'COMMIT'", "DO $$ BEGIN NULL; END $$"])
def test_statements_that_only_look_like_an_end_compile(statement: str, copied_project: CopiedProject) -> None:
    copied_project.add_revision("tenant", "tenant_9001_looks", f"op.execute({statement!r})", after=LAST)

    assert statement in copied_project.compiler().upgrade(HR, (LAST,), "head").steps[0].sql


def test_half_a_revision_is_not_committed(
    database: Database, copied_project: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    database.add("hr")
    raw = """
        schema = op.get_context().version_table_schema
        op.execute(f"COMMENT ON TABLE {schema}.contacts IS 'half'")
        op.execute("/* x */ COMMIT")
        op.execute(f"ALTER TABLE {schema}.absent ADD COLUMN never text")
    """
    copied_project.add_revision("tenant", "tenant_9001_ends", raw, after=LAST)

    for message in on_both_roads(database, copied_project, alembic_command, fedschema_command):
        assert "tenant_9001_ends" in message


def test_statement_that_does_nothing_does_no_harm(
    database: Database, copied_project: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    """On either road, and the revision after it is still named when it fails."""
    database.add("hr")
    database.add("sales")
    here = copied_project.directory
    before = LAST
    for number, text in enumerate(("", " ", ";", "-- only a remark", "/* nothing */", "SELECT 1;", ";;SELECT 1;;")):
        revision = f"tenant_900{number}_nothing"
        copied_project.add_revision("tenant", revision, f"op.execute({text!r})", after=before)
        before = revision

    by_alembic = alembic_command("-x", "tenant=hr", "upgrade", "head", cwd=here)
    by_fedschema = fedschema_command("upgrade", "sales", cwd=here)
    copied_project.add_revision("tenant", "tenant_9009_fails", "op.execute('SELECT 1 / 0')", after=before)
    failing = fedschema_command("upgrade", "sales", cwd=here)

    assert (by_alembic.status, by_fedschema.status) == (0, 0), by_alembic.stdout + by_fedschema.stderr
    assert "in revision tenant_9009_fails: division by zero" in failing.stderr
    assert "SELECT 1 / 0" in failing.stderr


#: SQL with everything that a driver, a formatter or a splitter could misread; {schema} is put in by the revision.
TRICKY = r"""
    schema = op.get_context().version_table_schema
    for statement in (
        "COMMENT ON TABLE {schema}.contacts IS 'a:b :c ::d %s %% %(x)s 100% \\ $1 $$ ; -- /* {{x}} '",
        "COMMENT ON TABLE {schema}.email_logs IS E'tab\\tquote\\'; end'",
        "COMMENT ON TABLE {schema}.notifications IS 'a\ttab  and \n a line '",
        'COMMENT ON COLUMN {schema}.contacts."notes" IS $x$ dollar; $$ inner $$ :name % $x$',
        '''
        CREATE FUNCTION {schema}.tricky(value text) RETURNS text LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp AS $body$
        DECLARE
            answer text := 'x; y :z %s';
        BEGIN
            /* a comment; with 'an apostrophe */
            IF value LIKE '100%' THEN -- it's a percent
                answer := value || ':' || $$;$$ || E'\\n';
            END IF;
            RETURN CASE WHEN value = 'CASE' THEN 'END' ELSE answer END;
        END
        $body$
        ''',
        '''
        CREATE FUNCTION {schema}.atomic(value integer) RETURNS integer LANGUAGE sql
        BEGIN ATOMIC
            SELECT CASE WHEN value % 2 = 0 THEN 1 ELSE value::integer END;
            SELECT value + 1;
        END
        ''',
        "REVOKE ALL ON FUNCTION {schema}.tricky(text), {schema}.atomic(integer) FROM PUBLIC",
        "DO $do$ BEGIN PERFORM 1; IF ':x' = '%' THEN RAISE 'no: %', 1; END IF; END $do$",
    ):
        op.execute(statement.replace("{schema}", schema))
"""


def test_sql_that_could_be_misread_runs_the_same_on_every_road(
    database: Database, copied_project: CopiedProject, alembic_command: Command, fedschema_command: Command, psql: Psql
) -> None:
    copied_project.add_revision("tenant", "tenant_9001_tricky", TRICKY, after=LAST)
    here = copied_project.directory
    for department in ("hr", "sales", "finance"):
        database.add(department)
    of_project(database, copied_project).add("legal")

    by_alembic = alembic_command("-x", "tenant=hr", "upgrade", "head", cwd=here)
    by_fedschema = fedschema_command("upgrade", "sales", cwd=here)
    script = alembic_command("-x", "tenant=finance", "upgrade", f"{LAST}:head", "--sql", cwd=here)
    by_psql = psql(script.stdout)

    assert (by_alembic.status, by_fedschema.status) == (0, 0), by_alembic.stdout + by_fedschema.stderr
    assert by_psql.status == 0, by_psql.stderr
    with database.connect() as connection:
        found = {
            name: describe_department(connection, Department(name)) for name in ("legal", "hr", "sales", "finance")
        }
        text = connection.execute("SELECT obj_description('hr_tenant.contacts'::regclass)").fetchone()
        answers = connection.execute("SELECT hr_tenant.tricky('100%'), hr_tenant.atomic(4)").fetchone()
    assert [name for name, catalogue in found.items() if catalogue != found["legal"]] == []
    assert text == (r"a:b :c ::d %s %% %(x)s 100% \ $1 $$ ; -- /* {{x}} ",)
    assert answers == ("100%:;\n", 5)
    checksums = {
        row[4]
        for name in ("legal", "hr", "sales", "finance")
        for row in history(database, Department(name))
        if row[0] == "tenant_9001_tricky"
    }
    assert len(checksums) == 1


OWN_OPERATIONS = """
    schema = op.get_context().version_table_schema
    rate = sa.Column("rate", sa.Text, server_default="50% :x\\ty", comment="100% :y\\tz")
    op.add_column("contacts", rate, schema=schema)
    op.create_check_constraint("contacts_rate_check", "contacts", "rate LIKE '%% %'", schema=schema)
    op.create_index("idx_contacts_rate", "contacts", [sa.text("lower(rate) DESC")], schema=schema)
    op.alter_column("contacts", "notes", server_default=sa.text("'a % b'"), schema=schema)
    op.create_table_comment("contacts", "100% :z", schema=schema)
"""


def test_alembics_own_operations_do_the_same_on_every_road(
    database: Database, copied_project: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    copied_project.add_revision("tenant", "tenant_9001_own", OWN_OPERATIONS, after=LAST)
    here = copied_project.directory
    for department in ("hr", "sales"):
        database.add(department)

    by_alembic = alembic_command("-x", "tenant=hr", "upgrade", "head", cwd=here)
    by_fedschema = fedschema_command("upgrade", "sales", cwd=here)

    assert (by_alembic.status, by_fedschema.status) == (0, 0), by_alembic.stdout + by_fedschema.stderr
    with database.connect() as connection:
        one, other = (describe_department(connection, Department(name)) for name in ("hr", "sales"))
    assert {key: (one.get(key), other.get(key)) for key in {*one, *other} if one.get(key) != other.get(key)} == {}
    assert one["column contacts.rate"][3] == "'50% :x\ty'::text"
    assert one["column contacts.rate"][-1] == "100% :y\tz"
    assert one["relation contacts"][-2] == "100% :z"


def test_department_whose_id_occurs_in_the_sql_is_not_confused(
    database: Database,
) -> None:
    """An id that is part of other words, of a table's name say, is put in only where the department is meant."""
    database.add("contacts")
    database.add("hr")
    with database.connect() as connection:
        contacts = describe(connection, "contacts_tenant")
        assert names(contacts, "relation") == names(look(database, HR), "relation")
        assert contacts["column tool_calls.department"][3] == "'contacts'::character varying"


def test_control_plane_and_departments_have_separate_maps(copied_project: CopiedProject) -> None:
    """A revision of one section cannot be named in the other at all."""
    department = Lineage.load(copied_project.project, HR)
    control_plane = Lineage.load(copied_project.project)

    listed = {script.revision for script in department.script.walk_revisions()}

    assert listed.isdisjoint({script.revision for script in control_plane.script.walk_revisions()})
    assert listed == set(CHAIN)


def test_federation_revision_in_the_wrong_directory_is_still_refused(
    database: Database, copied_project: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    """Its label says whose it is, wherever the file lies."""
    copied_project.add_revision(
        "departments/hr", "federation_9001_astray", "op.execute('SELECT 1')", label="federation"
    )
    database.add("hr")
    here = copied_project.directory

    message = refused(alembic_command("-x", "tenant=hr", "upgrade", "federation_9001_astray", cwd=here))
    by_fedschema = fedschema_command("upgrade", "hr", "--to", "federation@head", cwd=here)
    everybody = alembic_command("upgrade", "heads", cwd=here)

    assert "can never be applied to department hr" in message
    assert "can never be applied to department hr" in by_fedschema.stderr
    assert by_fedschema.status == 2
    assert everybody.status == 0
    assert applied(database, copied_project, HR) == set(CHAIN)


def test_position_of_a_department_in_disorder_does_not_hide_the_others(
    database: Database, fedschema_command: Command
) -> None:
    database.add("hr")
    database.add("sales")
    with database.connect() as connection:
        connection.execute("UPDATE hr_tenant.alembic_version SET version_num = 'tenant_9999_future'")

    shown = status(database.conninfo, database.compiler, [])
    positions = {position.entry.department_id: position for position in shown}

    assert positions["hr"].problem is not None
    assert "tenant_9999_future" in positions["hr"].problem.message
    assert positions["sales"].at_head
    assert position_of(database.compiler, positions["sales"].entry, (LAST,)) == positions["sales"]
    assert fedschema_command("status", "--check").status == 3


def test_row_of_another_lineage_in_a_version_table_is_noticed(
    database: Database, with_branch: CopiedProject, fedschema_command: Command
) -> None:
    database.add("hr")
    with database.connect() as connection:
        connection.execute("INSERT INTO hr_tenant.alembic_version VALUES ('legal_0001_matters')")

    looked = fedschema_command("status", "hr", "--check", cwd=with_branch.directory)
    moved = fedschema_command("downgrade", "hr", "--to=-1", cwd=with_branch.directory)

    assert looked.status == 3
    assert "legal_0001_matters belongs to the lineage 'legal'" in looked.stdout
    assert moved.status == 1
    assert "can never be applied to department hr" in moved.stderr
