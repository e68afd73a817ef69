"""A schema becomes a department if it is what one is, or can be made so; its rows, its role and its password stay."""

from __future__ import annotations

import json

import pytest

from fedschema import drift
from fedschema.department import Department
from fedschema.errors import DepartmentExists, NameTaken, NothingToAdopt, StatementFailed, UnknownRevision, UsageError
from fedschema.validation import validate
from tests.adoption.conftest import Adopt
from tests.adoption.made_by_hand import make
from tests.cli.typing_in import type_in
from tests.conftest import Database
from tests.tenancy.inventory import inventory


def _do(database: Database, statements: str) -> None:
    with database.connect() as connection:
        connection.execute(statements.encode())


def _rows(database: Database, question: str) -> list[tuple[object, ...]]:
    with database.connect() as connection:
        return connection.execute(question.encode()).fetchall()


def _is_sound(database: Database, department: Department) -> None:
    (compared,) = drift.examine(database.conninfo, database.compiler, [department])
    assert [str(one) for one in compared.differences] == []
    holes = validate(database.conninfo, database.compiler, [department]).holes
    assert [str(hole) for hole in holes if "hr_tenant" not in hole.object] == []  # that one is nobody's yet


def test_schema_like_ours_is_adopted_and_goes_down_and_up(hall: Database, adopt: Adopt) -> None:
    legal = make(hall, "legal")
    _do(hall, "INSERT INTO legal_tenant.contacts (contact_id, full_name) VALUES ('people/1', 'Ann')")
    before = _rows(hall, "SELECT ctid, xmin, * FROM legal_tenant.contacts")

    found = adopt("legal")

    assert found.problem is None
    assert (found.heads, found.differences, found.role_made) == (("tenant_0007_retention",), (), False)
    assert dict(found.handed_over) == {"postgres": 31}
    assert _rows(hall, "SELECT ctid, xmin, * FROM legal_tenant.contacts") == before
    _is_sound(hall, legal)
    for typed in (("downgrade", "legal", "--to", "tenant_0001_core", "--yes"), ("upgrade", "legal")):
        assert type_in(*typed, url=hall.url).status == 0
    _is_sound(hall, legal)
    with hall.login("legal_role") as connection:  # over TCP, with the password that it had
        assert connection.execute("SELECT count(*) FROM contacts").fetchone() == (0,)  # gone with the downgrade
        assert connection.execute("SHOW search_path").fetchone() == ("legal_tenant",)
    told = _rows(
        hall,
        "SELECT migration_name, direction, success FROM federation.schema_migrations WHERE department_id = 'legal' "
        "ORDER BY id LIMIT 1",
    )
    assert told == [("tenant_0007_retention", "stamp", True)]
    ((details,),) = _rows(hall, "SELECT details FROM federation.security_audit WHERE event_type = 'DEPARTMENT_ADOPTED'")
    assert details == {
        "schema": "legal_tenant",
        "revision": "tenant_0007_retention",
        "handed_over": {"postgres": 31},
        "repaired": False,
    }
    assert type_in("tenant", "drop", "legal", "--yes", url=hall.url).status == 0


def test_schema_of_the_old_generator_is_refused_then_repaired_and_goes_up(hall: Database, adopt: Adopt) -> None:
    old = make(hall, "old", old=True)
    rows = "SELECT id, contact_id, full_name, created_at FROM old_tenant.contacts ORDER BY 2"
    rows_before, before = _rows(hall, rows), inventory(hall.server, hall.name)

    refused = adopt("old")
    looked = adopt("old", repair=True, dry_run=True)

    assert refused.problem is not None
    assert refused.problem.hint == "fedschema tenant adopt old --repair"
    assert looked.problem is None
    assert inventory(hall.server, hall.name) == before

    found = adopt("old", repair=True)

    assert found.problem is None
    assert found.heads == ("tenant_0006_configuration",)  # it has no archive of transcripts
    assert _rows(hall, rows) == rows_before
    assert type_in("upgrade", "old", url=hall.url).status == 0
    (compared,) = drift.examine(hall.conninfo, hall.compiler, [old])
    assert [str(one) for one in compared.differences] == ["comment on table contacts is not ours"]  # it does not matter
    holes = validate(hall.conninfo, hall.compiler, [old], by_trying=True).holes
    assert [str(hole) for hole in holes if "hr_tenant" not in hole.object] == []
    with hall.login("old_role") as connection:
        assert connection.execute("SELECT count(*) FROM contacts").fetchone() == (2,)
        turn = connection.execute(
            "INSERT INTO conversation_history (session_id, turn_index, speaker, message_text) "
            "VALUES ('s', 2, 'user', 'x') RETURNING id"
        )
        assert turn.fetchone() == (42,)
        with pytest.raises(Exception, match="permission denied"):
            connection.execute("SELECT FROM sales_tenant.contacts")
    assert type_in("tenant", "drop", "old", "--yes", url=hall.url).status == 0


#: What is done to hr, how it is named, and what takes it back. None of it may be repaired without asking.
LEFT_TO_A_PERSON = {
    "another type": (
        "ALTER TABLE hr_tenant.contacts ALTER COLUMN contact_id TYPE text",
        "column contacts.contact_id: type is text, not character varying(255)",
        "ALTER TABLE hr_tenant.contacts ALTER COLUMN contact_id TYPE varchar(255)",
    ),
    "a column more": (
        "ALTER TABLE hr_tenant.contacts ADD COLUMN mine text",
        "column contacts.mine is not ours",
        "ALTER TABLE hr_tenant.contacts DROP COLUMN mine",
    ),
    "a table more": (
        "CREATE TABLE hr_tenant.mine (id int)",
        "table mine is not ours",
        "DROP TABLE hr_tenant.mine",
    ),
    "a type": ("CREATE TYPE hr_tenant.mood AS ENUM ()", "object type mood is not ours", "DROP TYPE hr_tenant.mood"),
    "default privileges": (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA hr_tenant GRANT SELECT ON TABLES TO PUBLIC",
        "default privilege PUBLIC on what postgres makes is not ours",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA hr_tenant REVOKE SELECT ON TABLES FROM PUBLIC",
    ),
    "unlogged": (
        "ALTER TABLE hr_tenant.contacts SET UNLOGGED",
        "table contacts: persistence is u, not p",
        "ALTER TABLE hr_tenant.contacts SET LOGGED",
    ),
    "numbers of another kind": (
        "ALTER TABLE hr_tenant.conversation_history ALTER COLUMN id DROP IDENTITY",
        "column conversation_history.id: identity is missing, it should be d",
        (
            "ALTER TABLE hr_tenant.conversation_history ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY; "
            "GRANT USAGE ON SEQUENCE hr_tenant.conversation_history_id_seq TO hr_role, federation_admin_role"
        ),
    ),
}


@pytest.mark.parametrize(("done", "named", "undo"), LEFT_TO_A_PERSON.values(), ids=LEFT_TO_A_PERSON)
def test_what_could_take_rows_along_is_named_and_left(
    hall: Database, adopt: Adopt, done: str, named: str, undo: str
) -> None:
    _do(hall, done)
    try:
        before = inventory(hall.server, hall.name)
        found = adopt("hr", repair=True, revision="head")
        after = inventory(hall.server, hall.name)
    finally:
        _do(hall, undo)

    assert found.problem is not None
    assert found.problem.code == "not_adoptable"
    assert named in [str(one) for one in found.differences]
    assert after == before
    assert adopt("hr", dry_run=True).problem is None


#: One of each kind that can be repaired, each on a table of its own.
REPAIRABLE = {
    "DROP TABLE notifications": "table notifications is missing",
    "ALTER TABLE email_logs DROP COLUMN body CASCADE": "column email_logs.body is missing",
    "ALTER TABLE contacts DROP CONSTRAINT contacts_department_check": (
        "constraint contacts_department_check on contacts is missing"
    ),
    "ALTER TABLE tool_calls ADD CONSTRAINT mine CHECK (session_id <> '')": "constraint mine on tool_calls is not ours",
    "ALTER TABLE api_keys DISABLE ROW LEVEL SECURITY": "table api_keys: row-level security is off, not on",
    "ALTER TABLE llm_usage_logs NO FORCE ROW LEVEL SECURITY": (
        "table llm_usage_logs: forced row-level security is off, not on"
    ),
    "CREATE POLICY mine ON error_logs USING (true)": "policy mine on error_logs is not ours",
    "DROP POLICY isolation ON stt_usage_logs": "policy isolation on stt_usage_logs is missing",
    "ALTER POLICY isolation ON tts_usage_logs USING (true)": (
        "policy isolation on tts_usage_logs: using is true, not ((department)::text = 'kinds'::text)"
    ),
    "GRANT SELECT ON training_metrics TO PUBLIC": "privilege PUBLIC on table training_metrics is not ours",
    "REVOKE ALL ON scheduled_tasks FROM kinds_role": "privilege kinds_role on table scheduled_tasks is missing",
    "DROP INDEX idx_tool_calls_status": "index idx_tool_calls_status on tool_calls is missing",
    "CREATE INDEX mine ON file_attachments (file_path)": "index mine on file_attachments is not ours",
    "DROP TRIGGER set_updated_at ON agent_context": "trigger set_updated_at on agent_context is missing",
    "CREATE RULE mine AS ON DELETE TO feature_flags DO INSTEAD NOTHING": "rule mine on feature_flags is not ours",
    "CREATE VIEW shows AS SELECT * FROM contacts": "view shows is not ours",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'": "function mine() is not ours",
    "DROP FUNCTION search_documents": "function search_documents(query text, max_results integer) is missing",
    "GRANT ALL ON SCHEMA kinds_tenant TO sales_role": "privilege sales_role on schema kinds_tenant is not ours",
    "GRANT SELECT ON workflow_executions TO sales_role WITH GRANT OPTION; SET ROLE sales_role; "
    "GRANT SELECT ON workflow_executions TO kinds_role; RESET ROLE": (
        "privilege sales_role on table workflow_executions is not ours"
    ),
}


def test_each_kind_that_can_be_repaired_is_named_and_repaired(hall: Database, adopt: Adopt) -> None:
    kinds = make(hall, "kinds")
    _do(
        hall,
        "SET search_path = kinds_tenant; GRANT USAGE ON SCHEMA kinds_tenant TO sales_role; " + "; ".join(REPAIRABLE),
    )

    refused = adopt("kinds", revision="head")
    named = [str(one) for one in refused.differences if not one.part_of_missing]
    assert set(REPAIRABLE.values()) <= set(named)
    assert refused.problem is not None

    assert adopt("kinds", repair=True, revision="head").problem is None
    _is_sound(hall, kinds)
    assert type_in("tenant", "drop", "kinds", "--yes", url=hall.url).status == 0


def test_what_does_not_matter_stays(hall: Database, adopt: Adopt) -> None:
    odd = make(hall, "odd")
    _do(
        hall,
        "ALTER TABLE odd_tenant.contacts SET (fillfactor = 90); COMMENT ON TABLE odd_tenant.contacts IS 'people'; "
        "ALTER TABLE odd_tenant.contacts ALTER COLUMN notes SET STATISTICS 10; "
        "CLUSTER odd_tenant.tool_calls USING idx_tool_calls_status; "
        "ALTER TABLE odd_tenant.contacts REPLICA IDENTITY FULL",
    )

    found = adopt("odd")

    assert found.problem is None
    assert len(found.differences) == 4
    assert not any(one.matters for one in found.differences)
    found_holes = validate(hall.conninfo, hall.compiler, [odd]).holes
    assert [str(hole) for hole in found_holes if "hr_tenant" not in hole.object] == []
    assert type_in("tenant", "drop", "odd", "--yes", url=hall.url).status == 0


def test_rows_that_a_repair_does_not_fit_stop_it_and_stay(hall: Database, adopt: Adopt) -> None:
    """A row of another department: the CHECK that would say so cannot be made."""
    _do(
        hall,
        "ALTER TABLE hr_tenant.contacts DROP CONSTRAINT contacts_department_check; "
        "INSERT INTO hr_tenant.contacts (contact_id, department) VALUES ('1', 'sales')",
    )
    try:
        before = inventory(hall.server, hall.name)
        with pytest.raises(StatementFailed, match="contacts_department_check"):
            adopt("hr", repair=True)
        assert inventory(hall.server, hall.name) == before
    finally:
        _do(
            hall,
            "DELETE FROM hr_tenant.contacts; ALTER TABLE hr_tenant.contacts "
            "ADD CONSTRAINT contacts_department_check CHECK (department = 'hr')",
        )


def test_schema_under_another_name_gets_ours(hall: Database, adopt: Adopt) -> None:
    make(hall, "law")
    _do(hall, 'ALTER SCHEMA law_tenant RENAME TO "Old; Law"')

    found = adopt("law", schema="Old; Law")

    assert found.problem is None
    _is_sound(hall, Department("law"))
    assert type_in("tenant", "drop", "law", "--yes", url=hall.url).status == 0


def test_what_is_there_already_or_not_at_all_is_refused(hall: Database, adopt: Adopt) -> None:
    before = inventory(hall.server, hall.name)
    with pytest.raises(DepartmentExists):
        adopt("sales")
    with pytest.raises(NothingToAdopt):
        adopt("nobody")
    with pytest.raises(NameTaken, match="another department's"):
        adopt("nobody", schema="sales_tenant")
    with pytest.raises(NameTaken, match="there is one"):
        adopt("hr", schema="sales_tenant")
    for schema in ("public", "federation", "pg_catalog", "information_schema"):
        with pytest.raises(UsageError):
            adopt("nobody", schema=schema)
    with pytest.raises(UnknownRevision):
        adopt("hr", revision="nonsense")
    with pytest.raises(UnknownRevision):
        adopt("hr", revision="base")
    _do(hall, "COMMENT ON ROLE hr_role IS 'fedschema: department hr of database another'")
    try:
        with pytest.raises(NameTaken, match="of database another"):
            adopt("hr")
    finally:
        _do(hall, "COMMENT ON ROLE hr_role IS 'made by hand'")
    assert inventory(hall.server, hall.name) == before


def test_version_table_says_where_it_is_and_nothing_else_counts(hall: Database, adopt: Adopt) -> None:
    """A schema out of a backup, whose registry row is gone."""
    restored = make(hall, "restored")
    table = "CREATE TABLE restored_tenant.alembic_version (version_num varchar(128) NOT NULL, "
    _do(hall, f"{table} CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))")
    _do(hall, "INSERT INTO restored_tenant.alembic_version VALUES ('another_project')")
    foreign = adopt("restored")
    _do(hall, "UPDATE restored_tenant.alembic_version SET version_num = 'tenant_0007_retention'")
    elsewhere = adopt("restored", revision="tenant_0006_configuration", dry_run=True)

    assert foreign.problem is not None
    assert "its version table says another_project" in foreign.problem.message
    assert elsewhere.problem is not None
    assert adopt("restored").problem is None
    _is_sound(hall, restored)
    assert type_in("tenant", "drop", "restored", "--yes", url=hall.url).status == 0


def test_role_that_is_missing_is_made(hall: Database) -> None:
    make(hall, "alone")
    _do(hall, "DROP OWNED BY alone_role; DROP ROLE alone_role")

    done = type_in("tenant", "adopt", "alone", "--repair", url=hall.url)

    assert done.status == 0, done.stderr
    assert done.stderr.splitlines()[-1] == (
        "role alone_role was made without a password; for another: fedschema tenant rotate-password alone"
    )
    assert _rows(hall, "SELECT rolpassword FROM pg_authid WHERE rolname = 'alone_role'") == [(None,)]
    _is_sound(hall, Department("alone"))
    assert type_in("tenant", "drop", "alone", "--yes", url=hall.url).status == 0


def test_command_shows_and_tells(hall: Database) -> None:
    make(hall, "shown")
    _do(hall, "DROP INDEX shown_tenant.idx_tool_calls_status; COMMENT ON TABLE shown_tenant.contacts IS 'people'")

    refused = type_in("tenant", "adopt", "shown", url=hall.url)
    told = type_in("tenant", "adopt", "shown", "--json", url=hall.url)
    looked = type_in("tenant", "adopt", "shown", "--repair", "--dry-run", url=hall.url)
    done = type_in(
        "tenant", "adopt", "shown", "--repair", "--name", "Shown", "--password-stdin", "--json",
        url=hall.url, stdin="correct horse battery",
    )  # fmt: skip

    assert refused.status == 1
    assert refused.stdout.splitlines() == [
        "shown: compared with tenant_0007_retention: 2 differences",
        "shown: comment on table contacts is not ours (does not matter)",
        "  to repair it: COMMENT ON TABLE shown_tenant.contacts IS NULL;",
        "shown: index idx_tool_calls_status on tool_calls is missing",
        (
            "  to repair it: CREATE INDEX idx_tool_calls_status ON shown_tenant.tool_calls "
            "USING btree (status, created_at DESC);"
        ),
    ]
    assert refused.stderr.splitlines() == [
        (
            "error: department shown cannot be adopted: compared with tenant_0007_retention, 1 difference matters; "
            "nothing was changed"
        ),
        "hint: fedschema tenant adopt shown --repair",
    ]
    assert told.status == 1
    assert json.loads(told.stdout)["error"]["code"] == "not_adoptable"
    assert looked.status == 0
    assert looked.stdout.splitlines()[-2:] == [
        "department shown (Shown) would be adopted at tenant_0007_retention",
        "handed over to federation_owner: 31 of postgres",
    ]
    document = json.loads(done.stdout)
    assert (done.status, document["adopted"], document["revision"], document["repaired"], document["error"]) == (
        0, True, "tenant_0007_retention", True, None,
    )  # fmt: skip
    assert [one["matters"] for one in document["differences"]] == [False, True]
    assert "battery" not in done.stdout + done.stderr
    hall.passwords["shown_role"] = "correct horse battery"
    hall.login("shown_role").close()
    assert type_in("tenant", "drop", "shown", "--yes", url=hall.url).status == 0
