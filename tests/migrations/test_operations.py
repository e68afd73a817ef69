"""The operations for tables that are in use: the same on every road, and taken back to what was there before."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from fedschema.department import Department
from fedschema.lineages import Lineage
from fedschema.operations.renames import ColumnPair
from fedschema.operations.widening import widens_in_place
from tests.conftest import PROJECT, Database
from tests.migrations.catalogue import Catalogue, look
from tests.migrations.conftest import Command, CopiedProject, Psql

LAST = Lineage.load(PROJECT, Department("hr")).trunk_revisions[-1]
OURS = "tenant_9001_ours"


@dataclass(frozen=True)
class Change:
    """What a revision does.

    Attributes:
        up: the body of upgrade().
        down: the body of downgrade().
        changed: what is there afterwards and was not before, is another, or is gone.
        before: revisions before it: the bodies of both of each.
    """

    up: str
    down: str
    changed: frozenset[str]
    before: tuple[tuple[str, str], ...] = ()


def pair(operation: str, reverse: str, arguments: str) -> tuple[str, str]:
    return f"op.{operation}({arguments})", f"op.{reverse}({arguments})"


TABLE = '"case_files", columns="tenant/case_files/columns", indexes="tenant/case_files/indexes"'
BARE = '"case_files", columns="tenant/case_files/bare", append_only=True'
QUOTED = """'calendar_events', 'user', 'text', default="'it''s: 100%'", not_null=True"""
PLACES = '"calendar_events", "location", "place", "text"'
PLACE = '"calendar_events", "location", "place", "varchar(500)"'
WIDE = '"calendar_events", "location", "text", was="varchar(500)"'
LONG = '"tool_calls", "execution_time_ms", "bigint", was="integer", rewrite=True'
CHECK = '"calendar_events", "calendar_events_times_check", "CHECK (start_time <= end_time)"'
CLOCK = '"set_updated_at", template="tenant/ours/clock", was="tenant/core/set_updated_at"'
CLOCK_BACK = '"set_updated_at", template="tenant/core/set_updated_at", was="tenant/ours/clock"'
FIND = "tenant/documents/search_documents"
SEARCH = f'"search_documents", template="tenant/ours/search", was="{FIND}", as_reader=True'
SEARCH_BACK = f'"search_documents", template="{FIND}", was="tenant/ours/search", as_reader=True'
EXPAND = pair("expand_tenant_column", "unexpand_tenant_column", PLACES)
FILL = (
    'op.backfill("calendar_events", assign="place = location", where="place IS NULL AND location IS NOT NULL")',
    "pass",
)
KEEPER = "keep_calendar_events_location_place"

CHANGES = {
    "table": Change(
        *pair("create_tenant_table", "drop_tenant_table", TABLE),
        changed=frozenset(
            {
                "relation case_files",
                "column case_files.department",
                "policy isolation on case_files",
                "policy admin_bypass on case_files",
                "constraint case_files_pkey on case_files",
                "constraint case_files_department_check on case_files",
                "trigger set_updated_at on case_files",
                "index idx_case_files_title on case_files",
            }
        ),
    ),
    "table of rows that stay": Change(
        *pair("create_tenant_table", "drop_tenant_table", BARE),
        changed=frozenset({"relation case_files", "policy isolation on case_files"}),
    ),
    "column": Change(
        *pair("add_tenant_column", "drop_tenant_column", '"contacts", "pronouns", "varchar(50)"'),
        changed=frozenset({"column contacts.pronouns"}),
    ),
    "column to be quoted": Change(
        *pair("add_tenant_column", "drop_tenant_column", QUOTED), changed=frozenset({"column calendar_events.user"})
    ),
    "wider type": Change(
        *pair("widen_tenant_column", "narrow_tenant_column", WIDE),
        changed=frozenset({"column calendar_events.location"}),
    ),
    "wider type by a rewrite": Change(
        *pair("widen_tenant_column", "narrow_tenant_column", LONG),
        changed=frozenset({"column tool_calls.execution_time_ms"}),
    ),
    "two names": Change(
        *EXPAND,
        changed=frozenset(
            {"column calendar_events.place", f"trigger {KEEPER} on calendar_events", f"function {KEEPER}()"}
        ),
    ),
    "new name": Change(
        *pair("contract_tenant_column", "uncontract_tenant_column", PLACE),
        changed=frozenset(
            {"column calendar_events.location", f"trigger {KEEPER} on calendar_events", f"function {KEEPER}()"}
        ),
        before=(EXPAND, FILL),
    ),
    "constraint": Change(
        *pair("add_tenant_constraint", "drop_tenant_constraint", CHECK),
        changed=frozenset({"constraint calendar_events_times_check on calendar_events"}),
    ),
    "constraint that was looked at": Change(
        *pair("validate_tenant_constraint", "unvalidate_tenant_constraint", CHECK),
        changed=frozenset({"constraint calendar_events_times_check on calendar_events"}),
        before=(pair("add_tenant_constraint", "drop_tenant_constraint", CHECK),),
    ),
    "function": Change(
        f"op.replace_tenant_function({CLOCK})",
        f"op.replace_tenant_function({CLOCK_BACK})",
        changed=frozenset({"function set_updated_at()"}),
    ),
    "function of the reader": Change(
        f"op.replace_tenant_function({SEARCH})",
        f"op.replace_tenant_function({SEARCH_BACK})",
        changed=frozenset({"function search_documents(query text, max_results integer)"}),
    ),
}
EVERY_CHANGE = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)

COLUMNS = """
    -- What the table is about.
    title text NOT NULL, -- with a comma, and a comment
    created_at timestamptz NOT NULL DEFAULT now(), "updated_at" timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT case_files_title_key UNIQUE (title)
"""
INDEXES = "CREATE INDEX idx_case_files_title ON {{ department.schema | ident }}.case_files (title);\n"


@pytest.fixture
def ours(copied_project: CopiedProject) -> CopiedProject:
    """A project with the templates that the changes are made of."""
    templates = copied_project.directory / "templates" / "tenant"
    copied_project.add_template("tenant/case_files/columns", COLUMNS)
    copied_project.add_template("tenant/case_files/bare", "    note text")
    copied_project.add_template("tenant/case_files/indexes", INDEXES)
    clock = (templates / "core" / "set_updated_at.sql.j2").read_text().replace("now()", "clock_timestamp()")
    copied_project.add_template("tenant/ours/clock", clock)
    search = (templates / "documents" / "search_documents.sql.j2").read_text().replace("MaxWords=24", "MaxWords=30")
    copied_project.add_template("tenant/ours/search", search)
    return copied_project


def write(project: CopiedProject, change: Change) -> str:
    """Write a change's revisions, and return the one before it."""
    after = LAST
    for number, (up, down) in enumerate(change.before):
        revision = f"tenant_900{number}_before"
        project.add_revision("tenant", revision, up, down, after=after)
        after = revision
    project.add_revision("tenant", OURS, change.up, change.down, after=after)
    return after


def with_rows(database: Database, *departments: str) -> None:
    """Put rows into departments, so that nothing is done only because a table is empty."""
    with database.connect() as connection:
        for department in departments:
            connection.execute(
                f"""
                INSERT INTO {department}_tenant.calendar_events
                    (calendar_event_id, calendar_id, location, start_time, end_time)
                SELECT n, 'c', nullif('Room ' || n, 'Room 7'), now(), now() FROM generate_series(1, 50) AS n
                """.encode()
            )


def without_places(catalogue: Catalogue) -> Catalogue:
    """Leave out where in its table a column stands: one that comes back is the last."""
    return {name: entry[1:] if name.startswith("column ") else entry for name, entry in catalogue.items()}


def differences(one: Catalogue, other: Catalogue) -> set[str]:
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


@EVERY_CHANGE
def test_every_road_leads_there_and_back_to_the_same_place(
    change: Change,
    database: Database,
    ours: CopiedProject,
    alembic_command: Command,
    fedschema_command: Command,
    psql: Psql,
) -> None:
    """By alembic, by a plan, by a script, and for a department that is made afterwards."""
    for department in ("hr", "sales", "finance"):
        database.add(department)
    with_rows(database, "hr", "sales", "finance")
    base, here = write(ours, change), ours.directory
    if base != LAST:
        assert fedschema_command("upgrade", "--to", base, cwd=here).status == 0
    before = look(database, "hr")

    by_alembic = alembic_command("-x", "tenant=hr", "upgrade", "head", cwd=here)
    by_fedschema = fedschema_command("upgrade", "sales", cwd=here)
    script = alembic_command("-x", "tenant=finance", "upgrade", f"{base}:head", "--sql", cwd=here)
    by_psql = psql(script.stdout)
    assert (by_alembic.status, by_fedschema.status, by_psql.status) == (0, 0, 0), (by_alembic, by_fedschema, by_psql)
    replace(database, compiler=ours.compiler()).add("legal")

    there = look(database, "hr")
    assert change.changed <= differences(before, there)
    assert [differences(there, look(database, name)) for name in ("sales", "finance")] == [set(), set()]
    assert differences(without_places(there), without_places(look(database, "legal"))) == set()

    down = alembic_command("-x", "tenant=hr", "-x", "confirm=hr", "downgrade", "-1", cwd=here)
    down_by_plan = fedschema_command("downgrade", "sales", "--to=-1", "--yes", cwd=here)
    assert (down.status, down_by_plan.status) == (0, 0), (down, down_by_plan)
    assert differences(look(database, "hr"), look(database, "sales")) == set()
    assert differences(without_places(before), without_places(look(database, "hr"))) == set()

    again = alembic_command("-x", "tenant=hr", "upgrade", "head", cwd=here)
    assert again.status == 0, again.stdout
    assert differences(without_places(there), without_places(look(database, "hr"))) == set()


def test_tables_and_columns_are_what_their_arguments_say(database: Database, ours: CopiedProject) -> None:
    made = ', columns="tenant/case_files/bare"'
    body = f"""
        op.create_tenant_table("plain"{made})
        op.create_tenant_table("kept"{made}, append_only=True)
        op.create_tenant_table("shared"{made}, resource="case_files")
        op.add_tenant_column({QUOTED})
        op.add_tenant_column("calendar_events", "optional", "text")
    """
    ours.add_revision("tenant", OURS, body, after=LAST)
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO federation.resources (resource_type, table_name) VALUES ('case_files', 'shared')"
        )
    replace(database, compiler=ours.compiler()).add("hr")

    with database.connect() as connection:
        rows = connection.execute(
            """
            SELECT name, kind, string_agg(verb, ' ' ORDER BY verb)
            FROM unnest(ARRAY['plain', 'kept', 'shared']) AS name,
                 unnest(ARRAY['hr_role', 'federation_admin_role', 'cross_dept_query_role']) AS kind,
                 unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS verb
            WHERE has_table_privilege(kind, 'hr_tenant.' || name, verb) GROUP BY name, kind
            """
        ).fetchall()
    every, no_change = "DELETE INSERT SELECT UPDATE", "INSERT SELECT"
    own = {("plain", every), ("kept", no_change), ("shared", every)}
    assert {(name, verbs) for name, kind, verbs in rows if kind == "hr_role"} == own
    assert {(name, verbs) for name, kind, verbs in rows if kind == "federation_admin_role"} == own
    assert [(name, verbs) for name, kind, verbs in rows if kind == "cross_dept_query_role"] == [("shared", "SELECT")]
    there = look(database, "hr")
    assert "'case_files'" in there["policy cross_dept_read on shared"][3]
    assert not {"policy cross_dept_read on plain", "policy cross_dept_read on kept"} & there.keys()
    assert there["column calendar_events.user"][2:4] == (True, "'it''s: 100%'::text")
    assert there["column calendar_events.optional"][2:4] == (False, None)


# ------------------------------------------------------------------------------------------ a column under another name


@pytest.fixture
def renaming(ours: CopiedProject) -> CopiedProject:
    """A project whose next revisions rename a column: expand, fill, contract."""
    write(ours, CHANGES["new name"])
    return ours


def places(database: Database, department: str = "hr") -> dict[str, tuple[str | None, str | None]]:
    """Return what the rows that a test wrote have under both names."""
    with database.connect() as connection:
        rows = connection.execute(
            f"SELECT calendar_event_id, location, place FROM {department}_tenant.calendar_events"
            " WHERE calendar_event_id !~ '^[0-9]+$'"
        ).fetchall()
    return {name: (location, place) for name, location, place in rows}


def as_department(database: Database, *statements: str) -> None:
    """Have hr's own role write."""
    with database.connect() as connection:
        connection.execute("SET ROLE hr_role")
        for statement in statements:
            connection.execute(statement.encode())


INSERT = "INSERT INTO hr_tenant.calendar_events (calendar_event_id, calendar_id, start_time, end_time, {})"
INSERT += " VALUES ('{}', 'c', now(), now(), {})"
UPDATE = "UPDATE hr_tenant.calendar_events SET {} WHERE calendar_event_id = '{}'"


def test_writers_of_either_name_are_read_under_both(
    database: Database, renaming: CopiedProject, fedschema_command: Command
) -> None:
    database.add("hr")
    as_department(database, INSERT.format("location", "before", "'Cellar'"))
    assert fedschema_command("upgrade", "--to", "tenant_9000_before", cwd=renaming.directory).status == 0

    as_department(
        database,
        INSERT.format("location", "old", "'A'"),
        INSERT.format("place", "new", "'B'"),
        INSERT.format("place, location", "both", "'C', 'D'"),
        INSERT.format("place", "neither", "NULL"),
        INSERT.format("place", "changed", "'E'"),
        INSERT.format("place", "changed back", "'F'"),
        INSERT.format("place", "emptied", "'G'"),
        UPDATE.format("location = 'E2'", "changed"),
        UPDATE.format("place = 'F2'", "changed back"),
        UPDATE.format("place = NULL", "emptied"),
        UPDATE.format("status = 'seen'", "before"),
    )

    assert places(database) == {
        "before": ("Cellar", "Cellar"),
        "old": ("A", "A"),
        "new": ("B", "B"),
        "both": ("C", "C"),
        "neither": (None, None),
        "changed": ("E2", "E2"),
        "changed back": ("F2", "F2"),
        "emptied": (None, None),
    }


def test_old_name_goes_without_a_question_when_the_new_one_has_its_values(
    database: Database, renaming: CopiedProject, fedschema_command: Command
) -> None:
    """Nothing is lost, so nobody is asked, on the way back neither; and updated_at stays as it was."""
    database.add("hr")
    with_rows(database, "hr")
    for revision in ("tenant_9001_before", OURS):
        done = fedschema_command("upgrade", "--to", revision, cwd=renaming.directory)
        assert done.status == 0, done.stderr
    question = "SELECT calendar_event_id, {}, updated_at FROM hr_tenant.calendar_events ORDER BY 1"
    with database.connect() as connection:
        moved = connection.execute(question.format("place").encode()).fetchall()

    back = fedschema_command("downgrade", "hr", "--to=-1", cwd=renaming.directory)
    with database.connect() as connection:
        restored = connection.execute(question.format("location").encode()).fetchall()
    to_the_start = fedschema_command("downgrade", "hr", "--to", LAST, cwd=renaming.directory)

    assert (back.status, to_the_start.status) == (0, 0), (back, to_the_start)
    assert restored == moved
    assert sum(place is not None for _, place, _ in moved) == 49


ROOMS = {
    "tenant_9000_room": pair("add_tenant_column", "drop_tenant_column", '"calendar_events", "room", "text"'),
    "tenant_9001_two": pair(
        "expand_tenant_column", "unexpand_tenant_column", '"calendar_events", "room", "hall", "text"'
    ),
    "tenant_9002_fill": (
        'op.backfill("calendar_events", assign="hall = room", where="hall IS NULL AND room IS NOT NULL")',
        "pass",
    ),
    "tenant_9003_one": pair(
        "contract_tenant_column", "uncontract_tenant_column", '"calendar_events", "room", "hall", "text"'
    ),
}


@pytest.mark.parametrize("road", ["alembic", "fedschema"])
@pytest.mark.parametrize("last", ["tenant_9002_fill", "tenant_9003_one"])
def test_values_whose_heir_goes_as_well_are_lost_and_asked_about(
    last: str,
    road: str,
    database: Database,
    ours: CopiedProject,
    alembic_command: Command,
    fedschema_command: Command,
) -> None:
    """Hall leaves its values to room, and room goes in the same transaction."""
    after = LAST
    for revision, (up, down) in ROOMS.items():
        ours.add_revision("tenant", revision, up, down, after=after)
        after = revision
    database.add("hr")
    assert fedschema_command("upgrade", "--to", last, cwd=ours.directory).status == 0
    as_department(database, INSERT.format("hall", "one", "'A'"), INSERT.format("hall", "two", "'B'"))
    before = look(database, "hr")

    if road == "alembic":
        done = alembic_command("-x", "tenant=hr", "downgrade", LAST, cwd=ours.directory)
    else:
        done = fedschema_command("downgrade", "hr", "--to", LAST, cwd=ours.directory)

    assert done.status != 0
    assert "column calendar_events.hall (2 rows)" in done.stdout + done.stderr
    assert ("column calendar_events.room (2 rows)" in done.stdout + done.stderr) == (last == "tenant_9002_fill")
    assert differences(before, look(database, "hr")) == set()
    assert fedschema_command("downgrade", "hr", "--to", LAST, "--yes", cwd=ours.directory).status == 0


def test_column_that_takes_the_heirs_name_is_not_the_heir(
    database: Database, ours: CopiedProject, fedschema_command: Command
) -> None:
    hall = '"calendar_events", "hall", "text"'
    renew = f"op.drop_tenant_column({hall})\nop.add_tenant_column({hall})"
    after = LAST
    for revision, (up, down) in {**ROOMS, "tenant_9004_renew": (renew, "pass")}.items():
        ours.add_revision("tenant", revision, up, down, after=after)
        after = revision
    database.add("hr")
    assert fedschema_command("upgrade", "--to", "tenant_9002_fill", cwd=ours.directory).status == 0
    as_department(database, INSERT.format("hall", "one", "'A'"))

    done = fedschema_command("upgrade", cwd=ours.directory)

    assert done.status == 1
    assert "column calendar_events.hall (1 row), column calendar_events.room (1 row)" in done.stderr


@pytest.mark.parametrize("road", ["alembic", "fedschema"])
def test_old_name_stays_while_a_row_is_not_filled(
    road: str, database: Database, ours: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    contract = pair("contract_tenant_column", "uncontract_tenant_column", PLACE)
    write(ours, Change(*contract, changed=frozenset(), before=(EXPAND,)))
    database.add("hr")
    with_rows(database, "hr")

    if road == "alembic":
        done = alembic_command("-x", "tenant=hr", "upgrade", "head", cwd=ours.directory)
    else:
        done = fedschema_command("upgrade", "--yes", cwd=ours.directory)

    assert done.status != 0
    assert "place of table calendar_events does not hold all of location yet" in done.stdout + done.stderr
    assert "column calendar_events.place" not in look(database, "hr")


@pytest.mark.parametrize(
    ("column", "held"), [("status", "index"), ("calendar_event_id", "calendar_events_calendar_event_id_key")]
)
def test_old_name_stays_while_an_index_or_a_constraint_is_on_it(
    column: str, held: str, database: Database, ours: CopiedProject, fedschema_command: Command
) -> None:
    """DROP COLUMN would take it along, and the downgrade would not bring it back."""
    arguments = f'"calendar_events", "{column}", "another", "varchar(255)"'
    write(
        ours,
        Change(
            *pair("contract_tenant_column", "uncontract_tenant_column", arguments),
            changed=frozenset(),
            before=(pair("expand_tenant_column", "unexpand_tenant_column", arguments),),
        ),
    )
    database.add("hr")

    done = fedschema_command("upgrade", cwd=ours.directory)

    assert done.status == 1
    assert f"{column} of table calendar_events is still used" in done.stderr
    assert held in done.stderr


def test_column_that_always_has_a_value_comes_back_as_it_was(
    database: Database, ours: CopiedProject, fedschema_command: Command
) -> None:
    names = '"calendar_events", "calendar_id", "calendar"'
    was = f'{names}, "varchar(255)", not_null=True, default="\'…\'"'
    write(
        ours,
        Change(
            *pair("contract_tenant_column", "uncontract_tenant_column", was),
            changed=frozenset(),
            before=(pair("expand_tenant_column", "unexpand_tenant_column", f'{names}, "text"'),),
        ),
    )
    database.add("hr")
    assert fedschema_command("upgrade", cwd=ours.directory).status == 0
    assert fedschema_command("downgrade", "hr", "--to=-1", cwd=ours.directory).status == 0

    column = look(database, "hr")["column calendar_events.calendar_id"]

    assert column[2:4] == (True, "'…'::character varying")


def test_default_goes_over_to_the_new_name_and_back(
    database: Database, ours: CopiedProject, fedschema_command: Command
) -> None:
    names = '"calendar_events", "mood", "tone"'
    contract = pair("contract_tenant_column", "uncontract_tenant_column", f'{names}, "text", default="\'calm\'"')
    expand = pair("expand_tenant_column", "unexpand_tenant_column", f'{names}, "varchar(50)"')
    mood = '"calendar_events", "mood", "text", default="\'calm\'"'
    added = pair("add_tenant_column", "drop_tenant_column", mood)
    before_it = write(ours, Change(*contract, changed=frozenset(), before=(added, expand)))
    database.add("hr")
    assert fedschema_command("upgrade", "--to", before_it, cwd=ours.directory).status == 0
    both = look(database, "hr")

    assert fedschema_command("upgrade", cwd=ours.directory).status == 0
    as_department(database, INSERT.format("location", "by default", "NULL"), INSERT.format("tone", "grave", "'grave'"))
    assert look(database, "hr")["column calendar_events.tone"][3] == "'calm'::character varying"
    back = fedschema_command("downgrade", "hr", "--to", before_it, cwd=ours.directory)

    assert back.status == 0, back.stderr
    assert differences(without_places(both), without_places(look(database, "hr"))) == set()
    as_department(database, INSERT.format("mood", "old", "'gay'"), INSERT.format("tone", "new", "'dull'"))
    with database.connect() as connection:
        question = "SELECT calendar_event_id, mood, tone FROM hr_tenant.calendar_events"
        assert {name: moods for name, *moods in connection.execute(question.encode()).fetchall()} == {
            "by default": ["calm", "calm"],
            "grave": ["grave", "grave"],
            "old": ["gay", "gay"],
            "new": ["dull", "dull"],
        }


def test_default_that_the_contract_step_does_not_name_is_not_lost(
    database: Database, ours: CopiedProject, fedschema_command: Command
) -> None:
    mood = '"calendar_events", "mood", "text", default="\'calm\'"'
    names = '"calendar_events", "mood", "tone", "text"'
    added = pair("add_tenant_column", "drop_tenant_column", mood)
    expand = pair("expand_tenant_column", "unexpand_tenant_column", names)
    contract = pair("contract_tenant_column", "uncontract_tenant_column", names)
    before_it = write(ours, Change(*contract, changed=frozenset(), before=(added, expand)))
    database.add("hr")
    assert fedschema_command("upgrade", "--to", before_it, cwd=ours.directory).status == 0

    done = fedschema_command("upgrade", "--yes", cwd=ours.directory)

    assert done.status == 1
    assert "mood of table calendar_events has a DEFAULT that would be lost, name it in default=: 'calm'" in done.stderr
    assert "column calendar_events.mood" in look(database, "hr")


@pytest.mark.parametrize(
    ("column", "type_", "was", "value"),
    [
        ("attendees", "jsonb", "jsonb", "'{\"a\": [1.0, null]}'"),
        ("attendees", "json", "jsonb", "'[1]'"),
        ("event_description", "bytea", "text", "'\\x00ff'"),
        ("end_time", "timestamp with time zone", "timestamptz", "now()"),
        ("status", "varchar", "varchar(50)", "'ok'"),
    ],
)
def test_column_gets_another_name_whatever_its_type(
    column: str,
    type_: str,
    was: str,
    value: str,
    database: Database,
    ours: CopiedProject,
    fedschema_command: Command,
) -> None:
    """Also where the type has no equality, and where the other one is compared after it was converted back."""
    names = f'"calendar_events", "{column}", "another"'
    fill = f'op.backfill("calendar_events", assign="another = {column}::{type_}", where="another IS NULL")'
    expand = pair("expand_tenant_column", "unexpand_tenant_column", f'{names}, "{type_}"')
    write(ours, Change(fill, "pass", changed=frozenset(), before=(expand,)))
    before_it = f'op.execute(f"DROP INDEX {{op.get_context().version_table_schema}}.idx_calendar_events_{column}")\n'
    contract, back = pair("contract_tenant_column", "uncontract_tenant_column", f'{names}, "{was}"')
    ours.add_revision(
        "tenant", "tenant_9002_goes", (before_it if column == "status" else "") + contract, back, after=OURS
    )
    database.add("hr")
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO hr_tenant.calendar_events (calendar_event_id, calendar_id, start_time, end_time)"
            " SELECT n, 'c', now(), now() FROM generate_series(1, 9) AS n"
        )
        connection.execute(f"UPDATE hr_tenant.calendar_events SET {column} = {value}".encode())
        question = f"SELECT {column}::text FROM hr_tenant.calendar_events"
        before = connection.execute(question.encode()).fetchall()

    up = fedschema_command("upgrade", cwd=ours.directory)
    down = fedschema_command("downgrade", "hr", "--to", LAST, cwd=ours.directory)

    assert (up.status, down.status) == (0, 0), (up.stderr, down.stderr)
    with database.connect() as connection:
        assert connection.execute(question.encode()).fetchall() == before


@pytest.mark.parametrize(
    "names",
    [("contacts", "a", "b"), ("conversation_history_archive", "ä" * 30, "b" * 60), ("t", "x" * 62, "y" * 62)],
)
def test_name_of_what_keeps_them_in_step_is_one_that_postgresql_does_not_cut(names: tuple[str, str, str]) -> None:
    keeper = ColumnPair(*names).keeper

    assert len(keeper.encode()) <= 63
    assert keeper != ColumnPair(names[0], names[1], f"{names[2]}z").keeper


# ------------------------------------------------------------------------------------------------ wider, and too narrow


@pytest.mark.parametrize(
    ("was", "becomes", "in_place"),
    [
        ("varchar(50)", "varchar(200)", True),
        ("VARCHAR (50)", "character varying(50)", True),
        ("varchar(50)", "varchar", True),
        ("varchar(50)", "text", True),
        ("text", "varchar", True),
        ("text", "varchar(50)", False),
        ("varchar", "varchar(50)", False),
        ("varchar(50)", "varchar(49)", False),
        ("numeric(10,2)", "numeric(12, 2)", True),
        ("numeric(10,2)", "numeric(12,3)", False),
        ("numeric(10,2)", "decimal", True),
        ("integer", "bigint", False),
        ("char(5)", "char(6)", False),
        ("timestamp", "timestamptz", False),
        ("my.type", "text", False),
    ],
)
def test_type_is_widened_in_place_only_where_postgresql_does_so(
    was: str, becomes: str, in_place: bool, database: Database
) -> None:
    assert widens_in_place(was, becomes) == in_place
    if "my." in was:
        return
    with database.connect() as connection:
        connection.execute(f"CREATE TABLE public.measured (value {was})".encode())
        file = "SELECT pg_relation_filenode('public.measured')"
        before = connection.execute(file).fetchone()
        connection.execute(f"ALTER TABLE public.measured ALTER COLUMN value TYPE {becomes}".encode())
        assert (connection.execute(file).fetchone() == before) == in_place or becomes == "timestamptz"


def test_value_that_does_not_fit_any_more_stops_the_way_back(
    database: Database, ours: CopiedProject, fedschema_command: Command
) -> None:
    write(ours, CHANGES["wider type"])
    database.add("hr")
    assert fedschema_command("upgrade", cwd=ours.directory).status == 0
    as_department(database, INSERT.format("location", "far", "repeat('x', 501)"))

    done = fedschema_command("downgrade", "hr", "--to=-1", cwd=ours.directory)

    assert done.status == 1
    assert "value too long for type character varying(500)" in done.stderr


# ---------------------------------------------------------------------------------------------------------- constraints


def test_constraint_holds_for_new_rows_first_and_for_all_when_it_was_looked_at(
    database: Database, ours: CopiedProject, fedschema_command: Command
) -> None:
    """Also where row-level security hides the rows from who looks."""
    write(ours, CHANGES["constraint that was looked at"])
    database.add("hr")
    early = INSERT.replace("now(), now()", "now(), now() - interval '1 h'")
    as_department(database, early.format("location", "wrong", "'x'"))

    done = fedschema_command("upgrade", cwd=ours.directory)

    assert done.status == 1
    assert '"calendar_events_times_check" of relation "calendar_events" is violated by some row' in done.stderr
    assert fedschema_command("upgrade", "--to", "tenant_9000_before", cwd=ours.directory).status == 0
    with pytest.raises(Exception, match="calendar_events_times_check"):
        as_department(database, early.format("location", "wrong again", "'x'"))


def test_looking_at_all_rows_begins_a_transaction_of_its_own(database: Database, ours: CopiedProject) -> None:
    """Adding the constraint keeps everybody out, which must not last while PostgreSQL looks."""
    write(ours, CHANGES["constraint that was looked at"])
    ours.add_revision("tenant", "tenant_9002_later", "op.execute('SELECT 1')", after=OURS)
    hr = database.add("hr")

    plan = ours.compiler().upgrade(hr, (LAST,), "head")

    legs = [tuple(step.revision for step in leg.steps) for leg in plan.legs]
    assert legs == [("tenant_9000_before",), (OURS, "tenant_9002_later")]
    assert [(leg.start, leg.end) for leg in plan.legs] == [
        ((LAST,), ("tenant_9000_before",)),
        (("tenant_9000_before",), ("tenant_9002_later",)),
    ]
    assert len(plan.in_one_transaction.legs) == 1


@pytest.mark.parametrize("road", ["alembic", "fedschema"])
def test_constraint_is_committed_before_rows_are_looked_at(
    road: str, database: Database, ours: CopiedProject, alembic_command: Command, fedschema_command: Command
) -> None:
    before = write(ours, CHANGES["constraint that was looked at"])
    database.add("hr")
    as_department(
        database, INSERT.replace("now(), now()", "now(), now() - interval '1 h'").format("location", "x", "'x'")
    )

    if road == "alembic":
        done = alembic_command("-x", "tenant=hr", "upgrade", "head", cwd=ours.directory)
    else:
        done = fedschema_command("upgrade", cwd=ours.directory)

    assert done.status != 0
    assert "is violated by some row" in done.stdout + done.stderr
    there = look(database, "hr")["constraint calendar_events_times_check on calendar_events"]
    assert there[2] is False
    with database.connect() as connection:
        assert connection.execute("SELECT version_num FROM hr_tenant.alembic_version").fetchall() == [(before,)]


# ----------------------------------------------------------------------------------------- what is refused when written

REFUSED = {
    "value that no row has": ('op.add_tenant_column("contacts", "x", "text", not_null=True)', "has no default"),
    "type of nothing": ('op.add_tenant_column("contacts", "x", " ")', "a type is empty"),
    "rewrite": ('op.widen_tenant_column("contacts", "notes", "bigint", was="integer")', "say rewrite=True"),
    "foreign key": (
        'op.add_tenant_constraint("contacts", "x_fkey", "FOREIGN KEY (id) REFERENCES hr_tenant.contacts (id)")',
        "of a foreign key PostgreSQL would not see the rows that break it",
    ),
    "table of nothing": ('op.create_tenant_table("x", columns="tenant/ours/nothing")', "own columns, is empty"),
    "function by another name": (f"op.replace_tenant_function({CLOCK.replace('set_', 'get_', 1)})", "has to make"),
    "function with other arguments": (
        'op.replace_tenant_function("set_updated_at", template="tenant/ours/more", was="tenant/core/set_updated_at")',
        "it is another function",
    ),
}


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_go_well_is_refused_before_anything_is_touched(
    body: str, reason: str, database: Database, ours: CopiedProject, fedschema_command: Command
) -> None:
    ours.add_template("tenant/ours/nothing", " ")
    more = (ours.directory / "templates/tenant/core/set_updated_at.sql.j2").read_text()
    ours.add_template("tenant/ours/more", more.replace("updated_at() RETURNS", "updated_at(n integer) RETURNS"))
    ours.add_revision("tenant", OURS, body, after=LAST)
    database.add("hr")

    done = fedschema_command("upgrade", cwd=ours.directory)

    assert done.status == 1
    assert f"revision {OURS} cannot be compiled: ValueError: " in done.stderr
    assert reason in done.stderr


def test_foreign_key_would_be_called_valid_whatever_there_is(database: Database) -> None:
    """Why it is refused: PostgreSQL looks as the owner, whom forced row-level security shows nothing."""
    database.add("hr")
    as_department(database, INSERT.format("location", "orphan", "'nowhere'"))
    with database.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL ROLE federation_owner")
        connection.execute(
            "ALTER TABLE hr_tenant.calendar_events ADD CONSTRAINT broken FOREIGN KEY (location)"
            " REFERENCES hr_tenant.contacts (contact_id)"
        )
        row = connection.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'broken'").fetchone()
    assert row == (True,)
