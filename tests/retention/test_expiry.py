"""What goes and what stays: at the boundary, in each table, with its references, under who is not the owner."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from tests.conftest import Database
from tests.retention.conftest import TIMES, JsonOf, expire, fill, put, rows_in
from tests.security.conftest import APPEND_ONLY, TABLES, compose, refused, undone, value

PERIOD = """
    INSERT INTO federation.retention_periods (department_id, table_name, kept_for) VALUES (%s, %s, %s::interval)
    ON CONFLICT (department_id, table_name) DO UPDATE SET kept_for = excluded.kept_for
"""
ARCHIVE = "conversation_history_archive"


def test_tables_whose_rows_go_are_those_that_hold_what_happened(root: psycopg.Connection) -> None:
    found: dict[str, str] = dict(
        root.execute("SELECT table_name, time_column FROM federation.retention_rules").fetchall()
    )

    assert found == TIMES
    assert {*TABLES} - {*found} == {
        "drive_document_repository",
        "vector_store_embeddings",
        "calendar_events",
        "contacts",
        "scheduled_tasks",
        "user_preferences",
        "api_keys",
        "feature_flags",
        "audit_trail",
    }


@pytest.mark.parametrize("table", [*TIMES])
def test_row_goes_when_it_is_older_than_its_period_and_not_before(root: psycopg.Connection, table: str) -> None:
    with undone(root):
        root.execute(PERIOD, ("hr", table, "90 days"))
        for department in ("hr", "sales"):
            put(root, department, table, "91 days", "90 days 0.000001 seconds", "90 days", "89 days", "-1 day")

        assert expire(root, "hr", table) == 2

        assert (rows_in(root, "hr", table), rows_in(root, "sales", table)) == (3, 5)
        assert expire(root, "hr", table) == 0


def test_rows_without_a_period_stay_for_good(root: psycopg.Connection) -> None:
    with undone(root):
        for table in TIMES:
            put(root, "hr", table, "99 years")
        for table in TIMES:
            assert expire(root, "hr", table) == (table in {"session_context", "conversation_history"}), table


def test_never_keeps_even_what_the_rule_would_take(root: psycopg.Connection) -> None:
    with undone(root):
        put(root, "hr", "conversation_history", "99 years")
        root.execute(PERIOD, ("hr", "conversation_history", None))

        assert expire(root, "hr", "conversation_history") == 0


def test_same_moment_as_the_functions_that_each_department_has(root: psycopg.Connection) -> None:
    """A command and a department's own function mean the same two years."""
    taken = []
    for function in (True, False):
        with undone(root):
            put(root, "hr", "conversation_history", "2 years", "2 years 1 microsecond", "2 years 1 day")
            taken.append(
                value(root, "SELECT hr_tenant.archive_old_conversation_history()")
                if function
                else expire(root, "hr", "conversation_history")
            )
    assert taken == [2, 2]


def test_clock_is_the_servers_whatever_the_sessions_zone_and_style(root: psycopg.Connection) -> None:
    for zone, style in (("Asia/Kathmandu", "German"), ("America/St_Johns", "SQL, DMY")):
        with undone(root):
            root.execute("SELECT set_config('timezone', %s, true), set_config('datestyle', %s, true)", (zone, style))
            fill(root, "hr", 25)

            assert expire(root, "hr", "conversation_history", 10) == 25


def test_transcript_is_in_the_archive_once_with_all_that_it_had(root: psycopg.Connection) -> None:
    with undone(root):
        put(root, "hr", "conversation_history", "3 years", "1 day")
        whole = """
            SELECT id, department, session_id, turn_index, speaker, message_text, audio_duration_ms, "timestamp"
            FROM hr_tenant.{} ORDER BY id
        """
        before = root.execute(whole.format("conversation_history").encode()).fetchall()

        assert expire(root, "hr", "conversation_history") == 1

        kept = root.execute(whole.format("conversation_history").encode()).fetchall()
        archived = root.execute(whole.format(ARCHIVE).encode()).fetchall()
        assert archived + kept == before


def test_transcript_whose_id_is_archived_already_stays_and_keeps_no_other(root: psycopg.Connection) -> None:
    with undone(root):
        fill(root, "hr", 3)
        root.execute(
            """
            INSERT INTO hr_tenant.conversation_history_archive
                (id, session_id, turn_index, speaker, message_text, "timestamp")
            SELECT min(id), 'other', 1, 'user', 'other', '2001-01-01Z' FROM hr_tenant.conversation_history
            """
        )

        assert expire(root, "hr", "conversation_history") == 2

        assert (
            value(root, "SELECT count(*) FROM hr_tenant.conversation_history_archive WHERE session_id = 'other'") == 1
        )
        assert rows_in(root, "hr", "conversation_history") == 1


def test_column_that_the_archive_lacks_stops_the_move_and_loses_nothing(root: psycopg.Connection) -> None:
    with undone(root):
        fill(root, "hr", 3)
        root.execute("ALTER TABLE hr_tenant.conversation_history ADD COLUMN mood text DEFAULT 'fine'")

        with pytest.raises(errors.UndefinedColumn, match="mood"), root.transaction():
            expire(root, "hr", "conversation_history")

        assert (rows_in(root, "hr", "conversation_history"), rows_in(root, "hr", ARCHIVE)) == (3, 0)


def test_row_that_others_refer_to_waits_until_they_have_gone(root: psycopg.Connection) -> None:
    with undone(root):
        root.execute(PERIOD, ("hr", "tool_calls", "90 days"))
        root.execute(
            "ALTER TABLE hr_tenant.email_logs ADD FOREIGN KEY (tool_call_id) "
            "REFERENCES hr_tenant.tool_calls (tool_call_id)"
        )
        put(root, "hr", "tool_calls", "1 year", "1 year")
        root.execute(
            "INSERT INTO hr_tenant.email_logs (session_id, recipient_email, subject, tool_call_id) "
            "SELECT 's', 'a@example.com', 'x', max(tool_call_id) FROM hr_tenant.tool_calls"
        )

        assert expire(root, "hr", "tool_calls") == 1
        root.execute("SET LOCAL ROLE federation_owner")
        order = root.execute("SELECT table_name FROM federation.retention_of('hr')").fetchall()
        root.execute("RESET ROLE")
        assert order[-1] == ("tool_calls",)
        root.execute("DELETE FROM hr_tenant.email_logs")
        assert expire(root, "hr", "tool_calls") == 1


def test_row_that_somebody_holds_is_left_and_said_so(kept: Database, root: psycopg.Connection, json_of: JsonOf) -> None:
    fill(root, "hr", 5)
    with kept.login("hr_role") as holder, holder.transaction():
        holder.execute("SELECT FROM conversation_history ORDER BY id LIMIT 2 FOR UPDATE")

        table = json_of("run", "hr")["results"][0]["tables"][0]

        assert (table["rows"], table["remaining"]) == (3, 2)
    assert json_of("run", "hr")["rows"] == 2
    assert rows_in(root, "hr", ARCHIVE) == 5


def test_archive_can_be_cleaned_and_nobody_is_left_who_may(root: psycopg.Connection) -> None:
    acl = compose("SELECT relacl::text FROM pg_class WHERE oid = {TABLE}::regclass", TABLE=f"hr_tenant.{ARCHIVE}")
    before = value(root, acl)
    with undone(root):
        root.execute(PERIOD, ("hr", ARCHIVE, "5 years"))
        put(root, "hr", ARCHIVE, "6 years", "4 years")

        assert expire(root, "hr", ARCHIVE) == 1

        assert value(root, acl) == before
        root.execute("SET LOCAL ROLE federation_admin_role")
        refused(root, f"DELETE FROM hr_tenant.{ARCHIVE}")


def test_page_by_page_takes_the_same_as_by_an_index(root: psycopg.Connection) -> None:
    """workflow_executions has no index on its time, so its pages are looked through."""
    with undone(root):
        root.execute(PERIOD, ("hr", "workflow_executions", "1 year"))
        root.execute(
            """
            INSERT INTO hr_tenant.workflow_executions (session_id, workflow_id, status, created_at)
            SELECT 's', 'w', 'x', now() - n * interval '1 day' FROM generate_series(1, 2000) AS n
            """
        )

        assert expire(root, "hr", "workflow_executions", 30) == 2000 - 365
        assert value(root, "SELECT count(*) FROM hr_tenant.workflow_executions") in {365, 366}


def test_every_batch_is_on_record_with_what_it_took(root: psycopg.Connection) -> None:
    with undone(root):
        fill(root, "hr", 25)
        expire(root, "hr", "conversation_history", 10)

        found = root.execute(
            """
            SELECT source_department_id, user_role, details ->> 'table', (details ->> 'rows')::int,
                   details ->> 'kept_for'
            FROM federation.security_audit WHERE event_type = 'RETENTION_ARCHIVED' AND created_at > now()
            ORDER BY created_at
            """
        ).fetchall()
    assert found == [("hr", "postgres", "conversation_history", rows, "2 years") for rows in (10, 10, 5)]


@pytest.mark.parametrize("subject", ["cross_dept_audit", "security_audit"])
def test_audit_goes_after_two_years_in_batches_too(root: psycopg.Connection, subject: str) -> None:
    column, given = ("query_type, success", "'read', true") if subject == "cross_dept_audit" else ("event_type", "'X'")
    with undone(root):
        root.execute(
            f"""
            INSERT INTO federation.{subject} ({column}, created_at)
            SELECT {given}, now() - interval '2 years' - n * interval '1 second' FROM generate_series(0, 24) AS n
            """.encode()
        )
        root.execute("SET LOCAL ROLE federation_owner")
        taken, place, done = [], None, False
        while not done:
            row = root.execute(
                "SELECT place, taken, done FROM federation.expire_audit(%s, 10, %s)", (subject, place)
            ).fetchone()
            assert row is not None
            place, batch, done = row
            taken.append(batch)
        assert taken == [10, 10, 4]
        refused(
            root,
            f"SELECT * FROM federation.expire_audit('{subject}', 10, NULL, interval '1 day')",
            errors.UndefinedFunction,
        )


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO federation.retention_periods VALUES ('hr', 'conversation_history', '1 day')",
        "UPDATE federation.retention_rules SET kept_for = '1 day'",
        "SELECT * FROM federation.retention_periods",
        "SELECT * FROM federation.expire_rows('sales', 'conversation_history', 10, NULL)",
        "SELECT * FROM federation.expire_rows('hr', 'conversation_history', 10, NULL)",
        "SELECT federation.count_expired('hr', 'conversation_history')",
    ],
)
def test_department_neither_sets_its_periods_nor_runs_retention(
    kept: Database, root: psycopg.Connection, statement: str
) -> None:
    with kept.login("hr_role") as connection:
        refused(connection, statement)


def test_administrator_reads_periods_and_changes_none(kept: Database, root: psycopg.Connection) -> None:
    with undone(root):
        root.execute("SET LOCAL ROLE federation_admin_role")
        assert root.execute("SELECT FROM federation.retention_rules").rowcount == len(TIMES)
        refused(root, "INSERT INTO federation.retention_periods VALUES ('hr', 'conversation_history', '1 day')")
        refused(root, "DELETE FROM federation.retention_rules")
        refused(root, "SELECT * FROM federation.expire_rows('hr', 'conversation_history', 10, NULL)")


@pytest.mark.parametrize("period", ["0", "-1 day"])
def test_period_that_would_take_everything_is_refused_by_the_table(root: psycopg.Connection, period: str) -> None:
    with pytest.raises(errors.CheckViolation), root.transaction():
        root.execute(PERIOD, ("hr", "email_logs", period))


def test_append_only_tables_but_the_archive_have_no_rule(root: psycopg.Connection) -> None:
    assert {*APPEND_ONLY} & {*TIMES} == {ARCHIVE}
    with pytest.raises(errors.ForeignKeyViolation), root.transaction():
        root.execute(PERIOD, ("hr", "audit_trail", "1 day"))
