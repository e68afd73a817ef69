"""Each way in which a department can differ from its revisions is named, and mended where that takes no row along."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from unittest.mock import Mock

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pytest_postgresql.executors import NoopExecutor

from fedschema import drift, inspection, tenancy
from fedschema.compiler import Compiler
from fedschema.connections import owner_transaction
from fedschema.department import Department
from fedschema.drift import Drift
from fedschema.errors import DepartmentMoved, ReadOnlyServer, ReferencesUnmet, StatementFailed
from fedschema.fleet import scratch
from fedschema.validation import validate
from tests.cli.typing_in import type_in
from tests.conftest import PROJECT, Database, Server
from tests.fleet.conftest import SCHEMA
from tests.migrations.conftest import CopiedProject, copied_project
from tests.tenancy.proxy import counting_proxy
from tests.validation.conftest import fresh_database

__all__ = ["copied_project"]

HR = Department("hr")


@dataclass(frozen=True)
class Case:
    """Something that somebody did to hr.

    Attributes:
        done: what they did, as the superuser; `hr_tenant` is the search_path.
        named: how drift names it, line by line.
        undo: what takes it back; None where drift repairs it.
    """

    done: str
    named: tuple[str, ...]
    undo: str | None = None


def _mended(done: str, *named: str) -> Case:
    return Case(done, named)


def _left(done: str, undo: str, *named: str) -> Case:
    return Case(done, named, undo)


CASES = {
    "index dropped": _mended(
        "DROP INDEX idx_tool_calls_status", "index idx_tool_calls_status on tool_calls is missing"
    ),
    "index added": _mended("CREATE INDEX mine ON contacts (notes)", "index mine on contacts is not ours"),
    "index changed": _mended(
        "DROP INDEX idx_tool_calls_status; CREATE INDEX idx_tool_calls_status ON tool_calls (status)",
        "index idx_tool_calls_status on tool_calls: definition is "
        "CREATE INDEX idx_tool_calls_status ON hr_tenant.tool_calls USING btree (status), not "
        "CREATE INDEX idx_tool_calls_status ON hr_tenant.tool_calls USING btree (status, created_at DESC)",
    ),
    "index invalid": _mended(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_tool_calls_status'::regclass",
        "index idx_tool_calls_status on tool_calls: valid is off, not on",
    ),
    "policy added": _mended("CREATE POLICY hr_x ON contacts USING (true)", "policy hr_x on contacts is not ours"),
    "policy dropped": _mended("DROP POLICY admin_bypass ON contacts", "policy admin_bypass on contacts is missing"),
    "policy opened": _mended(
        "ALTER POLICY isolation ON contacts USING (true)",
        "policy isolation on contacts: using is true, not ((department)::text = 'hr'::text)",
    ),
    "policy for everybody": _mended(
        "ALTER POLICY isolation ON contacts TO PUBLIC",
        "policy isolation on contacts: to is PUBLIC, not hr_role",
    ),
    "policy restrictive": _mended(
        "DROP POLICY reader ON contacts; CREATE POLICY reader ON contacts AS RESTRICTIVE FOR SELECT "
        "TO federation_reader_role USING (true)",
        "policy reader on contacts: permissive is off, not on",
    ),
    "row-level security off": _mended(
        "ALTER TABLE contacts DISABLE ROW LEVEL SECURITY", "table contacts: row-level security is off, not on"
    ),
    "not forced": _mended(
        "ALTER TABLE contacts NO FORCE ROW LEVEL SECURITY", "table contacts: forced row-level security is off, not on"
    ),
    "granted to everybody": _mended(
        "GRANT SELECT ON contacts TO PUBLIC", "privilege PUBLIC on table contacts is not ours"
    ),
    "granted to pass on": _mended(
        "GRANT SELECT ON contacts TO hr_role WITH GRANT OPTION",
        "privilege hr_role on table contacts: granted is DELETE, INSERT, SELECT WITH GRANT OPTION, UPDATE, "
        "not DELETE, INSERT, SELECT, UPDATE",
    ),
    "revoked": _mended("REVOKE ALL ON contacts FROM hr_role", "privilege hr_role on table contacts is missing"),
    "schema granted": _mended(
        "GRANT CREATE ON SCHEMA hr_tenant TO hr_role",
        "privilege hr_role on schema hr_tenant: granted is CREATE, USAGE, not USAGE",
    ),
    "sequence granted": _mended(
        "GRANT UPDATE ON SEQUENCE conversation_history_id_seq TO hr_role",
        "privilege hr_role on sequence conversation_history_id_seq: granted is UPDATE, USAGE, not USAGE",
    ),
    "function granted": _mended(
        "GRANT EXECUTE ON FUNCTION archive_old_conversation_history() TO PUBLIC",
        "privilege PUBLIC on function archive_old_conversation_history() is not ours",
    ),
    "default privilege": _left(
        "ALTER DEFAULT PRIVILEGES IN SCHEMA hr_tenant GRANT SELECT ON TABLES TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA hr_tenant REVOKE SELECT ON TABLES FROM PUBLIC",
        "default privilege PUBLIC on what postgres makes is not ours",
    ),
    "column dropped": _mended(
        "ALTER TABLE contacts DROP COLUMN job_title CASCADE",
        "column contacts.job_title is missing",
        "column contacts.search_vector is missing",
        "index idx_contacts_search_vector on contacts is missing",
    ),
    "column added": _left(
        "ALTER TABLE contacts ADD COLUMN mine text",
        "ALTER TABLE contacts DROP COLUMN mine",
        "column contacts.mine is not ours",
    ),
    "column of another type": _left(
        "ALTER TABLE contacts ALTER COLUMN contact_id TYPE text",
        "ALTER TABLE contacts ALTER COLUMN contact_id TYPE varchar(255)",
        "column contacts.contact_id: type is text, not character varying(255)",
    ),
    "default": _mended(
        "ALTER TABLE contacts ALTER COLUMN notes SET DEFAULT 'x'",
        "column contacts.notes: default is 'x'::text, there should be none",
    ),
    "no default": _mended(
        "ALTER TABLE contacts ALTER COLUMN department DROP DEFAULT",
        "column contacts.department: default is missing, it should be 'hr'::character varying",
    ),
    "nullable": _mended(
        "ALTER TABLE contacts ALTER COLUMN department DROP NOT NULL",
        "column contacts.department: not null is off, not on",
    ),
    "column privilege": _left(
        "GRANT SELECT (notes) ON contacts TO PUBLIC",
        "REVOKE SELECT (notes) ON contacts FROM PUBLIC",
        "column contacts.notes: privileges is =r/federation_owner, there should be none",
    ),
    "constraint dropped": _mended(
        "ALTER TABLE contacts DROP CONSTRAINT contacts_department_check",
        "constraint contacts_department_check on contacts is missing",
    ),
    "constraint added": _mended(
        "ALTER TABLE contacts ADD CONSTRAINT mine CHECK (notes <> '')", "constraint mine on contacts is not ours"
    ),
    "constraint changed": _mended(
        "ALTER TABLE contacts DROP CONSTRAINT contacts_department_check, "
        "ADD CONSTRAINT contacts_department_check CHECK (department <> '')",
        "constraint contacts_department_check on contacts: definition is CHECK (((department)::text <> ''::text)), "
        "not CHECK (((department)::text = 'hr'::text))",
    ),
    "constraint not validated": _mended(
        "ALTER TABLE contacts DROP CONSTRAINT contacts_department_check, "
        "ADD CONSTRAINT contacts_department_check CHECK (department = 'hr') NOT VALID",
        "constraint contacts_department_check on contacts: definition is CHECK (((department)::text = 'hr'::text)) "
        "NOT VALID, not CHECK (((department)::text = 'hr'::text)); validated is off, not on",
    ),
    "unique dropped": _mended(
        "ALTER TABLE contacts DROP CONSTRAINT contacts_contact_id_key",
        "constraint contacts_contact_id_key on contacts is missing",
        "index contacts_contact_id_key on contacts is missing",
    ),
    "trigger dropped": _mended(
        "DROP TRIGGER set_updated_at ON contacts", "trigger set_updated_at on contacts is missing"
    ),
    "trigger disabled": _mended(
        "ALTER TABLE contacts DISABLE TRIGGER set_updated_at",
        "trigger set_updated_at on contacts: fires is never, not yes",
    ),
    "trigger added": _mended(
        "CREATE TRIGGER mine BEFORE DELETE ON contacts FOR EACH ROW EXECUTE FUNCTION set_updated_at()",
        "trigger mine on contacts is not ours",
    ),
    "rule added": _mended(
        "CREATE RULE mine AS ON DELETE TO contacts DO INSTEAD NOTHING", "rule mine on contacts is not ours"
    ),
    "function dropped": _mended(
        "DROP FUNCTION search_documents",
        "function search_documents(query text, max_results integer) is missing",
    ),
    "function changed": _mended(
        "ALTER FUNCTION archive_old_conversation_history() SECURITY DEFINER",
        "function archive_old_conversation_history(): definition is",
    ),
    "function added": _mended(
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "function mine() is not ours",
    ),
    "owner": _left(
        "ALTER TABLE contacts OWNER TO postgres",
        "ALTER TABLE contacts OWNER TO federation_owner",
        "table contacts: owner is postgres, not federation_owner",
    ),
    "table dropped": _mended("DROP TABLE notifications", "table notifications is missing"),
    "table added": _left("CREATE TABLE mine (id int)", "DROP TABLE mine", "table mine is not ours"),
    "view added": _mended("CREATE VIEW mine AS SELECT 1 AS one", "view mine is not ours"),
    "type added": _left("CREATE TYPE mood AS ENUM ('sad')", "DROP TYPE mood", "object type mood is not ours"),
    "sequence added": _left("CREATE SEQUENCE mine", "DROP SEQUENCE mine", "sequence mine is not ours"),
    "comment": _mended("COMMENT ON TABLE contacts IS 'mine'", "comment on table contacts is not ours"),
    "unlogged": _left(
        "ALTER TABLE contacts SET UNLOGGED",
        "ALTER TABLE contacts SET LOGGED",
        "table contacts: persistence is u, not p",
    ),
}


@pytest.fixture(scope="module")
def fleet(server: Server, control_plane: NoopExecutor) -> Iterator[Database]:
    """Two departments, of which hr is what something is done to."""
    with fresh_database(server, control_plane, "hr", "sales") as made:
        yield made


def _do(database: Database, statements: str) -> None:
    with psycopg.connect(database.conninfo, autocommit=True, options="-c search_path=hr_tenant") as connection:
        connection.execute(statements)


def _named(database: Database) -> list[str]:
    """Return what drift names of hr; sales is as it should be."""
    hr, sales = drift.examine(database.conninfo, database.compiler, [])
    assert sales.ok
    return [str(one) for one in hr.differences if not one.part_of_missing]


def _repaired(database: Database, conninfo: str | None = None) -> Drift:
    """Compare hr, repair it, and return how it compares then."""
    (before,) = drift.examine(database.conninfo, database.compiler, [HR])
    return drift.repair(conninfo or database.conninfo, database.compiler, before)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_difference_is_named_and_mended(fleet: Database, case: Case) -> None:
    _do(fleet, case.done)
    try:
        named = _named(fleet)
        assert len(named) == len(case.named), named
        for line, beginning in zip(sorted(named), sorted(case.named), strict=True):
            assert line.startswith(beginning) if beginning.endswith(" is") else line == beginning
        after = [str(one) for one in _repaired(fleet).differences]
        assert after == ([] if case.undo is None else named)
    finally:
        if case.undo:
            _do(fleet, case.undo)
        else:
            _repaired(fleet)
    assert _named(fleet) == []


def test_fingerprint_is_of_everything_but_the_names(fleet: Database) -> None:
    sales, hr = Department("sales"), HR
    with fleet.connect() as connection, owner_transaction(connection, "looking"):
        pattern = inspection.pattern(connection, fleet.compiler.templates, sales)
        found = inspection.fingerprints(connection, fleet.compiler.templates, [hr, sales])

    assert found == {sales: pattern.fingerprint(sales), hr: pattern.fingerprint(hr)}
    assert found[hr] != found[sales]


@pytest.mark.parametrize("look", [drift.examine, validate], ids=["drift", "validate"])
def test_many_are_asked_as_often_as_few(
    fleet: Database, monkeypatch: pytest.MonkeyPatch, look: Callable[[str, Compiler, list[Department]], object]
) -> None:
    monkeypatch.setattr(drift, "_AT_ONCE", 1)  # as if they were more than are asked about over one connection
    more = [Department(name) for name in ("it", "legal", "care")]
    asked = [_round_trips(fleet, look)]
    try:
        for department in more:
            fleet.add(department.id)
        asked.append(_round_trips(fleet, look))
    finally:
        for department in more:
            tenancy.drop(fleet.conninfo, fleet.compiler, department, lambda _: None)

    assert asked[0] == asked[1] > 10


def test_what_departments_should_look_like_is_kept_and_made_again_where_one_differs(
    fleet: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Mock(wraps=scratch.make)
    assert all(one.ok for one in drift.examine(fleet.conninfo, Compiler(PROJECT), []))
    with monkeypatch.context() as patch:
        patch.setattr(scratch, "make", _refuse)
        assert all(one.ok for one in drift.examine(fleet.conninfo, Compiler(PROJECT), []))
    _do(fleet, "DROP INDEX idx_tool_calls_status")
    try:
        with monkeypatch.context() as patch:
            patch.setattr(scratch, "make", _refuse)  # as on a standby: what was kept is all there is
            (seen, _) = drift.examine(fleet.conninfo, Compiler(PROJECT), [])
        with monkeypatch.context() as patch:
            patch.setattr(scratch, "make", made)
            (again, _) = drift.examine(fleet.conninfo, Compiler(PROJECT), [])
        assert (
            [str(one) for one in seen.differences]
            == [str(one) for one in again.differences]
            == ["index idx_tool_calls_status on tool_calls is missing"]
        )
        made.assert_called_once()
    finally:
        _repaired(fleet)


def _refuse(*_: object) -> None:
    raise ReadOnlyServer("a scratch department")


def _round_trips(database: Database, look: Callable[[str, Compiler, list[Department]], object]) -> int:
    server = database.server
    with counting_proxy(server.host, server.port) as proxy:
        look(make_conninfo(database.conninfo, host="127.0.0.1", port=proxy.port), Compiler(PROJECT), [])
    return proxy.round_trips


def test_command_tells_and_repairs(fleet: Database) -> None:
    _do(fleet, "DROP INDEX idx_tool_calls_status; CREATE TABLE mine (id int)")
    try:
        told = type_in("drift", url=fleet.url)
        repaired = type_in("drift", "hr", "--repair", url=fleet.url)
        left = type_in("drift", "--json", url=fleet.url)
    finally:
        _do(fleet, "DROP TABLE mine")

    assert told.status == 1
    assert told.stdout.splitlines() == [
        "hr: table mine is not ours",
        "  not repaired: it may hold rows",
        "  by hand: DROP TABLE hr_tenant.mine;",
        "hr: index idx_tool_calls_status on tool_calls is missing",
        (
            "  to repair it: CREATE INDEX idx_tool_calls_status ON hr_tenant.tool_calls "
            "USING btree (status, created_at DESC);"
        ),
        "1 identical at tenant_0007_retention (sales)",
        "1 differs",
    ]
    assert repaired.status == 1
    assert repaired.stdout.splitlines()[-1] == "hr: repaired; 1 left, to be decided by you"
    document = json.loads(left.stdout)
    assert [(one["department_id"], one["ok"]) for one in document["departments"]] == [("hr", False), ("sales", True)]
    (difference,) = document["departments"][0]["differences"]
    assert (difference["kind"], difference["object"], difference["fault"]) == ("table", "mine", "foreign")
    assert (difference["safe"], difference["repair"]) == (False, ["DROP TABLE hr_tenant.mine"])
    done = type_in("drift", url=fleet.url)
    assert (done.status, done.stdout) == (0, "2 identical at tenant_0007_retention\n")


def test_repair_that_fails_changes_nothing(fleet: Database) -> None:
    """A CHECK that a row does not meet: the index before it is not made either."""
    _do(
        fleet,
        "DROP INDEX idx_tool_calls_status; ALTER TABLE contacts DROP CONSTRAINT contacts_department_check; "
        "INSERT INTO contacts (contact_id, department) VALUES ('1', 'sales')",
    )
    try:
        done = type_in("drift", "hr", "--repair", url=fleet.url)
        named = _named(fleet)
    finally:
        _do(fleet, "DELETE FROM contacts")
        _repaired(fleet)

    assert done.status == 1
    assert "contacts_department_check" in done.stderr
    assert "violated by some row" in done.stderr
    assert named == [
        "constraint contacts_department_check on contacts is missing",
        "index idx_tool_calls_status on tool_calls is missing",
    ]
    assert _named(fleet) == []


def test_repair_is_on_record(fleet: Database) -> None:
    _do(fleet, "DROP INDEX idx_tool_calls_status")
    _repaired(fleet)
    with fleet.connect() as connection:
        row = connection.execute(
            "SELECT source_department_id, details FROM federation.security_audit WHERE event_type = 'SCHEMA_REPAIRED' "
            "ORDER BY created_at DESC LIMIT 1"
        ).fetchone()
    assert row == ("hr", {"statements": 1})


def test_nothing_is_left_of_what_was_made_to_compare_with(fleet: Database) -> None:
    question = """
        SELECT (SELECT count(*) FROM pg_namespace), (SELECT count(*) FROM pg_roles),
            (SELECT count(*) FROM federation.departments), (SELECT count(*) FROM federation.schema_migrations)
    """
    with fleet.connect() as connection:
        before = connection.execute(question).fetchone()
        assert all(one.ok for one in drift.examine(fleet.conninfo, Compiler(PROJECT), []))  # one that knows nothing yet
        assert connection.execute(question).fetchone() == before


def test_department_at_another_revision_is_compared_with_that(fleet: Database) -> None:
    assert type_in("downgrade", "hr", "--to", "tenant_0003_communication", "--yes", url=fleet.url).status == 0
    try:
        assert _named(fleet) == []
        _do(fleet, "DROP TABLE notifications")
        assert _named(fleet) == ["table notifications is missing"]
    finally:
        _repaired(fleet)
        assert type_in("upgrade", "hr", url=fleet.url).status == 0
    assert _named(fleet) == []


def test_department_without_a_schema_is_a_problem_of_its_own(fleet: Database) -> None:
    _do(fleet, "ALTER SCHEMA hr_tenant RENAME TO elsewhere")
    try:
        done = type_in("drift", url=fleet.url)
    finally:
        _do(fleet, "ALTER SCHEMA elsewhere RENAME TO hr_tenant")

    assert done.status == 1
    assert "department hr: schema hr_tenant has no version table that can be read" in done.stderr
    assert "1 identical" in done.stdout


def test_department_that_somebody_holds_is_told_and_keeps_no_other_waiting(fleet: Database) -> None:
    with psycopg.connect(fleet.conninfo) as holder:
        holder.execute("LOCK TABLE hr_tenant.contacts IN ACCESS EXCLUSIVE MODE")
        hr, sales = drift.examine(fleet.conninfo, fleet.compiler, [])

    assert sales.ok
    assert not hr.ok
    assert hr.problem is not None
    assert hr.problem.code == "lock_timeout"


# ------------------------------------------------------------------------------------------------- what must not happen

#: A function of a department that was let make things, whose name is more than a name.
HOSTILE = """
    GRANT CREATE ON SCHEMA hr_tenant TO hr_role;
    SET ROLE hr_role;
    CREATE FUNCTION hr_tenant.z(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION hr_tenant."z(int4);RESET ROLE;ALTER ROLE hr_role SUPERUSER;END;--"() RETURNS int
        LANGUAGE sql AS 'SELECT 1';
    REVOKE EXECUTE ON FUNCTION hr_tenant."z(int4);RESET ROLE;ALTER ROLE hr_role SUPERUSER;END;--"() FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION hr_tenant.z(int) TO sales_role;
    CREATE TABLE hr_tenant."a on b; DROP SCHEMA sales_tenant CASCADE; --" ("x.y on contacts" int);
    CREATE INDEX "i on contacts; DROP TABLE hr_tenant.contacts; --"
        ON hr_tenant."a on b; DROP SCHEMA sales_tenant CASCADE; --" ("x.y on contacts");
    RESET ROLE;
"""


def test_name_that_is_more_than_a_name_runs_nothing(fleet: Database) -> None:
    _do(fleet, HOSTILE)
    try:
        after = _repaired(fleet)
        with fleet.connect() as connection:
            row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'hr_role'").fetchone()
    finally:
        _do(fleet, 'DROP TABLE IF EXISTS "a on b; DROP SCHEMA sales_tenant CASCADE; --"')

    assert row == (False,)
    assert [str(one) for one in after.differences] == [
        'table "a on b; DROP SCHEMA sales_tenant CASCADE; --" is not ours'
    ]
    assert _named(fleet) == []


def test_one_statement_is_all_that_a_repair_sends(fleet: Database) -> None:
    with fleet.connect() as connection, owner_transaction(connection, "trying"), pytest.raises(StatementFailed):
        drift._run(connection, "trying", "SELECT 1; SELECT 2")


def test_department_that_was_moved_meanwhile_is_left_alone(fleet: Database) -> None:
    assert type_in("downgrade", "hr", "--to", "tenant_0003_communication", "--yes", url=fleet.url).status == 0
    (before,) = drift.examine(fleet.conninfo, fleet.compiler, [HR])
    assert type_in("upgrade", "hr", url=fleet.url).status == 0

    with pytest.raises(DepartmentMoved):
        drift.repair(fleet.conninfo, fleet.compiler, before)

    assert _named(fleet) == []


def test_foreign_key_is_not_put_back_over_rows_that_do_not_meet_it(
    copied_project: CopiedProject, fleet: Database
) -> None:
    copied_project.add_revision(
        "tenant",
        "tenant_9001_about",
        SCHEMA + 'op.execute(f"ALTER TABLE {schema}.notifications ADD COLUMN about varchar(255) '
        'CONSTRAINT about_fkey REFERENCES {schema}.contacts (contact_id)")',
        SCHEMA + 'op.execute(f"ALTER TABLE {schema}.notifications DROP COLUMN about")',
        after="tenant_0007_retention",
    )
    typed = partial(type_in, url=fleet.url, cwd=copied_project.directory)
    assert typed("upgrade", "hr").status == 0
    try:
        _do(fleet, "ALTER TABLE notifications DROP CONSTRAINT about_fkey")
        _do(
            fleet,
            "INSERT INTO notifications (user_id, notification_type, title, about) VALUES ('u', 'n', 't', 'nobody')",
        )
        (before,) = drift.examine(fleet.conninfo, copied_project.compiler(), [HR])
        with pytest.raises(ReferencesUnmet, match="about_fkey"):
            drift.repair(fleet.conninfo, copied_project.compiler(), before)
        _do(fleet, "DELETE FROM notifications")
        assert drift.repair(fleet.conninfo, copied_project.compiler(), before).ok
    finally:
        _do(fleet, "DELETE FROM notifications")
        assert typed("downgrade", "hr", "--to", "-1", "--yes").status == 0
    assert _named(fleet) == []


def test_revision_that_reads_from_the_database_keeps_no_other_from_being_compared(
    copied_project: CopiedProject, fleet: Database
) -> None:
    copied_project.add_revision(
        "tenant", "tenant_9001_looks", 'op.get_bind().execute(sa.text("SELECT 1"))', after="tenant_0007_retention",
        online=True,
    )  # fmt: skip
    typed = partial(type_in, url=fleet.url, cwd=copied_project.directory)
    assert typed("upgrade", "hr").status == 0
    try:
        hr, sales = drift.examine(fleet.conninfo, copied_project.compiler(), [])
        validated = validate(fleet.conninfo, copied_project.compiler(), [])
    finally:
        assert typed("downgrade", "hr", "--to", "-1", "--yes").status == 0

    assert sales.ok
    assert hr.problem is not None
    assert hr.problem.message.startswith("no scratch department can be brought to tenant_")
    assert hr.problem.message.endswith(" reads from the database while it runs")
    assert hr.problem.hint is None
    assert validated.ok
    assert [(remark.check, remark.target) for remark in validated.remarks] == [("schema", "hr")]


@pytest.mark.parametrize(
    "done",
    [
        "DROP TABLE conversation_history CASCADE",
        "CREATE VIEW one AS SELECT 1 AS a; CREATE VIEW another AS SELECT * FROM one",
        (
            "DROP TRIGGER set_updated_at ON contacts; CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql "
            "AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER set_updated_at BEFORE UPDATE ON contacts FOR EACH ROW "
            "EXECUTE FUNCTION mine()"
        ),
        "DROP TABLE contacts",
        "ALTER TABLE contacts ENABLE ALWAYS TRIGGER set_updated_at",
    ],
    ids=["a function's table", "a view on a view", "a trigger's function", "a generated column", "a trigger always on"],
)
def test_what_stands_on_others_is_put_back_after_them(fleet: Database, done: str) -> None:
    _do(fleet, done)
    assert _named(fleet) != []

    assert [str(one) for one in _repaired(fleet).differences] == []

    assert _named(fleet) == []


@pytest.mark.parametrize(
    ("done", "undone", "reason"),
    [
        ("ALTER SEQUENCE conversation_history_id_seq INCREMENT BY 7",
         "ALTER SEQUENCE conversation_history_id_seq INCREMENT BY 1", "it holds where the numbering is"),
        ("ALTER TABLE contacts SET (fillfactor = 70)", "ALTER TABLE contacts RESET (fillfactor)",
         "its options has to be looked at"),
        ("ALTER TABLE contacts DROP COLUMN contact_id",
         ("ALTER TABLE contacts ADD COLUMN contact_id varchar(255) NOT NULL; "
         "ALTER TABLE contacts ADD CONSTRAINT contacts_contact_id_key UNIQUE (contact_id)"),
         "the rows that are there would have no value"),
    ],
    ids=["a sequence", "an option", "a column that has to hold a value"],
)  # fmt: skip
def test_what_a_person_has_to_look_at_is_told_why(fleet: Database, done: str, undone: str, reason: str) -> None:
    _do(fleet, done)
    try:
        (hr,) = drift.examine(fleet.conninfo, fleet.compiler, [HR])
        reasons = [one.answer.reason or "" for one in hr.repairs if not one.answer.safe]
    finally:
        _do(fleet, undone)

    assert len(reasons) == 1
    assert reasons[0].startswith(reason)
    assert _named(fleet) == []


def test_operator_who_is_no_superuser_repairs_what_is_ours(fleet: Database) -> None:
    fleet.create_login("repairer", "federation_owner")
    _do(fleet, "DROP INDEX idx_tool_calls_status; CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'; "
        "CREATE TABLE theirs (id int)")  # fmt: skip
    try:
        after = _repaired(fleet, fleet.server.conninfo(fleet.name, "repairer", fleet.passwords["repairer"]))
    finally:
        _do(fleet, "DROP TABLE theirs")

    assert [str(one) for one in after.differences] == ["table theirs is not ours"]
    assert _named(fleet) == []


def test_departments_that_differ_alike_are_told_together(fleet: Database) -> None:
    done = "DROP INDEX {0}.idx_tool_calls_status; CREATE INDEX idx_tool_calls_status ON {0}.tool_calls (status)"
    with fleet.connect() as connection:
        for schema in ("hr_tenant", "sales_tenant"):
            connection.execute(done.format(schema))
    try:
        told = type_in("drift", url=fleet.url)
    finally:
        assert type_in("drift", "--repair", url=fleet.url).status == 0

    assert len([line for line in told.stdout.splitlines() if line.startswith("hr, sales: ")]) == 1
    assert told.stdout.splitlines()[-1] == "2 differ"


def test_department_with_a_branch_of_its_own_is_compared_with_that(
    copied_project: CopiedProject, fleet: Database
) -> None:
    copied_project.add_revision(
        "departments/hr",
        "hr_0001_own",
        SCHEMA + 'op.execute(f"CREATE INDEX idx_own ON {schema}.contacts (notes)")',
        SCHEMA + 'op.execute(f"DROP INDEX {schema}.idx_own")',
        label="hr",
        depends_on="tenant_0007_retention",
    )
    typed = partial(type_in, url=fleet.url, cwd=copied_project.directory)
    assert typed("upgrade").status == 0
    try:
        hr, sales = drift.examine(fleet.conninfo, copied_project.compiler(), [])
        _do(fleet, "DROP INDEX idx_own")
        (broken,) = drift.examine(fleet.conninfo, copied_project.compiler(), [HR])
        _do(fleet, "SET ROLE federation_owner; CREATE INDEX idx_own ON contacts (notes)")
    finally:
        assert typed("downgrade", "hr", "--to", "hr@base", "--yes").status == 0

    assert hr.ok
    assert sales.ok
    assert [str(one) for one in broken.differences] == ["index idx_own on contacts is missing"]
