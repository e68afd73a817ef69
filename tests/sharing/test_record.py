"""The two audit tables: each attempt is a row, and a row that is there stays as it is."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from fedschema import administrators, passwords
from tests.conftest import Database
from tests.security.conftest import count, owning, refused, undone, value
from tests.sharing.conftest import asking, claim, grant, recorded, search

TABLES = ("cross_dept_audit", "security_audit")
CLEANUPS = {"cross_dept_audit": "cleanup_old_audit_logs", "security_audit": "cleanup_old_security_audit"}
KEPT = "are never changed, and only the retention role takes old ones away"

#: The ways to change a row or to take one away. What holds must hold however few rows it would touch.
CHANGES = {
    "update": "UPDATE federation.{} SET created_at = now()",
    "update of nothing": "UPDATE federation.{} SET created_at = now() WHERE false",
    "delete": "DELETE FROM federation.{}",
    "delete of what is old": "DELETE FROM federation.{} WHERE created_at < now() - interval '3 years'",
    "truncate": "TRUNCATE federation.{}",
    "truncate with all": "TRUNCATE federation.cross_dept_audit, federation.security_audit, federation.probes CASCADE",
    "conflict": """
        INSERT INTO federation.{0} SELECT * FROM federation.{0} LIMIT 1
        ON CONFLICT (id) DO UPDATE SET created_at = now()
    """,
    "merge and delete": """
        MERGE INTO federation.{0} AS a USING federation.{0} AS b ON a.id = b.id WHEN MATCHED THEN DELETE
    """,
    "merge and update": """
        MERGE INTO federation.{0} AS a USING federation.{0} AS b ON a.id = b.id
        WHEN MATCHED THEN UPDATE SET created_at = now()
    """,
    "with": "WITH gone AS (DELETE FROM federation.{} RETURNING 1) SELECT count(*) FROM gone",
}


@pytest.fixture(scope="module", autouse=True)
def _rows_of_three_ages(root: psycopg.Connection) -> None:
    for age in ("3 years", "2 years 1 minute", "1 year 364 days", "1 minute"):
        root.execute(
            """
            INSERT INTO federation.cross_dept_audit (query_type, success, created_at, error_message)
            VALUES ('read', true, now() - %s::interval, %s)
            """,
            (age, age),
        )
        root.execute(
            "INSERT INTO federation.security_audit (event_type, created_at) VALUES (%s, now() - %s::interval)",
            (age, age),
        )


@pytest.fixture(scope="module")
def admin(fleet: Database) -> Iterator[str]:
    """An administrator's login, made as by command."""
    password = passwords.generate()
    administrators.create(fleet.conninfo, fleet.compiler, "auditing_admin", password)
    fleet.passwords["auditing_admin"] = password.text
    yield "auditing_admin"
    administrators.remove(fleet.conninfo, fleet.compiler, "auditing_admin")


# ------------------------------------------------------------------------------------------------- what is on record


def test_granted_read_is_one_row_and_a_denied_one_two(shared: Database, root: psycopg.Connection) -> None:
    with asking(shared) as connection:
        connection.execute("SET app.session_id = 'session 7'")
        with recorded(root) as denied:
            assert count(connection, "sales", "contacts") == 0
        grant(root)
        with recorded(root) as granted:
            assert count(connection, "sales", "contacts") == 1
    one, other = denied.attempt, granted.attempt
    for row in (one, other):
        assert (row["source_department_id"], row["target_department_id"]) == ("hr", "sales")
        assert (row["query_type"], row["resource_type"]) == ("read", "contacts")
        assert (row["requester_login"], row["requester_session_id"]) == ("hr_gateway", "session 7")
        assert str(row["requester_ip"]).startswith("127.0.0.1")
        assert (row["results_returned"], row["latency_ms"], row["query_params"]) == (None, None, None)
    assert (one["success"], one["error_message"]) == (False, "there is no grant")
    assert (other["success"], other["error_message"]) == (True, None)
    (event,) = denied.events
    assert (event["event_type"], event["user_role"]) == ("CROSS_DEPT_ACCESS_DENIED", "hr_gateway")
    assert (event["source_department_id"], event["target_department_id"]) == ("hr", "sales")
    assert event["details"]["refusal"] == "there is no grant"
    assert event["details"]["session"] == "session 7"
    assert granted.events == []


def test_one_statement_leaves_one_row_a_table_however_many_rows_it_reads(
    shared: Database, root: psycopg.Connection
) -> None:
    grant(root, "read", "*")
    root.execute("INSERT INTO sales_tenant.contacts (contact_id) SELECT 'n' || n FROM generate_series(1, 50) AS n")
    try:
        with asking(shared) as connection, recorded(root) as record:
            found = connection.execute("SELECT FROM sales_tenant.contacts, sales_tenant.email_logs").rowcount
        assert found == 51
        assert sorted(row["resource_type"] for row in record.attempts) == ["contacts", "emails"]
    finally:
        root.execute("DELETE FROM sales_tenant.contacts WHERE contact_id LIKE 'n%'")


@pytest.mark.parametrize(
    "session", ["", "x" * 100, "x" * 5000, "'; DROP TABLE x; --", "\x1b[31m\n\r\x07", "日本語\U0001f600" * 50]
)
def test_session_that_the_client_names_is_text_of_a_hundred_characters(
    gateway: psycopg.Connection, root: psycopg.Connection, session: str
) -> None:
    gateway.execute("SELECT set_config('app.session_id', %s, false)", (session,))
    with recorded(root) as record:
        count(gateway, "sales", "contacts")
    assert record.attempt["requester_session_id"] == (session[:100] or None)


@pytest.mark.parametrize("source", ["y" * 5000, "\x1b]0;x\x07", "hr\nhr", "' OR 1=1"])
def test_source_that_the_client_claims_is_text_of_a_hundred_characters(
    gateway: psycopg.Connection, root: psycopg.Connection, source: str
) -> None:
    claim(gateway, source)
    with recorded(root) as record:
        assert count(gateway, "sales", "contacts") == 0
    assert (record.attempt["source_department_id"], record.attempt["success"]) == (source[:100], False)


def test_rollback_takes_the_rows_of_its_transaction_away(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    """A documented limit without the durable channel; the server's log has the line: test_durable_audit."""
    with recorded(root) as record:
        with gateway.transaction(force_rollback=True):
            search(gateway, "secret")
        with gateway.transaction():
            with gateway.transaction(force_rollback=True):
                search(gateway, "secret")
            assert count(gateway, "sales", "contacts") == 0
    assert record.attempt["query_type"] == "read"


# ------------------------------------------------------------------------------------------------- append-only


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("table", TABLES)
def test_nobody_changes_a_row_not_even_owner_and_superuser(
    shared: Database, root: psycopg.Connection, admin: str, table: str, change: str
) -> None:
    statement = change.format(table)
    if "MERGE" in statement and root.info.server_version < 150000:
        refused(root, statement, psycopg.errors.SyntaxError)  # PostgreSQL 14 does not know the word
        return
    for login in ("hr_role", "hr_gateway", "bare_gateway", admin):
        with shared.login(login) as connection:
            refused(connection, statement)
    with owning(root):
        for role in ("federation_owner", "federation_admin_role", "federation_reader_role", "cross_dept_query_role"):
            root.execute(f"SET LOCAL ROLE {role}")
            refused(root, statement)
    refused(root, statement, InsufficientPrivilege, KEPT)
    before = value(root, f"SELECT count(*) FROM federation.{table}")
    with undone(root):
        root.execute(f"ALTER TABLE federation.{table} DISABLE TRIGGER keep_audit")
        if "CASCADE" in statement:
            root.execute("ALTER TABLE federation.cross_dept_audit DISABLE TRIGGER keep_audit")
            root.execute("ALTER TABLE federation.security_audit DISABLE TRIGGER keep_audit")
        root.execute(statement)  # it is the trigger that refuses it
    assert value(root, f"SELECT count(*) FROM federation.{table}") == before


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE federation.{} DISABLE TRIGGER keep_audit",
        "ALTER TABLE federation.{} DISABLE TRIGGER ALL",
        "DROP TRIGGER keep_audit ON federation.{}",
        "DROP TABLE federation.{}",
        "ALTER TABLE federation.{} RENAME TO gone",
        "INSERT INTO federation.{} DEFAULT VALUES",
        "CREATE RULE r AS ON INSERT TO federation.{} DO INSTEAD NOTHING",
        "SET session_replication_role = replica",
        "SET ROLE federation_retention_role",
        "SET ROLE federation_owner",
        "GRANT federation_retention_role TO CURRENT_USER",
        "CREATE OR REPLACE FUNCTION federation.keep_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "ALTER FUNCTION federation.cleanup_old_audit_logs() SET search_path = pg_temp",
        "LOCK TABLE federation.{} IN ACCESS EXCLUSIVE MODE",
    ],
)
def test_nobody_who_is_on_record_gets_round_what_keeps_it(
    shared: Database, admin: str, table: str, statement: str
) -> None:
    for login in ("hr_role", "hr_gateway", admin):
        with shared.login(login) as connection:
            refused(connection, statement.format(table))


@pytest.mark.parametrize("table", TABLES)
def test_retention_takes_away_what_is_older_than_two_years_and_nothing_else(
    fleet: Database, root: psycopg.Connection, admin: str, table: str
) -> None:
    column = "error_message" if table == "cross_dept_audit" else "event_type"
    ages = f"SELECT array_agg({column} ORDER BY created_at) FROM federation.{table} WHERE {column} ~ '^[0-9] '"
    call = f"SELECT federation.{CLEANUPS[table]}()"
    assert value(root, ages) == ["3 years", "2 years 1 minute", "1 year 364 days", "1 minute"]
    with fleet.login(admin) as connection:
        with undone(connection):
            assert value(connection, call) == 2
            assert value(connection, call) == 0
            assert value(connection, ages) == ["1 year 364 days", "1 minute"]
        refused(connection, f"DELETE FROM federation.{table}")
        refused(connection, f"SELECT federation.{CLEANUPS[table]}('1 day')", psycopg.errors.UndefinedFunction)


@pytest.mark.parametrize("login", ["hr_role", "sales_role", "hr_gateway", "all_gateway", "bare_gateway"])
def test_nobody_else_runs_retention(shared: Database, login: str) -> None:
    with shared.login(login) as connection:
        for call in CLEANUPS.values():
            refused(connection, f"SELECT federation.{call}()")


def test_retention_does_not_listen_to_whoever_calls_it(fleet: Database, root: psycopg.Connection, admin: str) -> None:
    """A clock of one's own would make young rows old."""
    root.execute(
        """
        CREATE SCHEMA shadow;
        GRANT USAGE ON SCHEMA shadow TO PUBLIC;
        CREATE FUNCTION shadow.now() RETURNS timestamptz LANGUAGE sql AS $$SELECT 'infinity'::timestamptz$$
        """
    )
    try:
        with fleet.login(admin) as connection, undone(connection):
            connection.execute("SET LOCAL search_path = shadow, pg_catalog")
            assert str(value(connection, "SELECT now()::text")) == "infinity"
            assert value(connection, "SELECT federation.cleanup_old_audit_logs()") == 2
    finally:
        root.execute("DROP SCHEMA shadow CASCADE")


def test_retention_role_itself_takes_rows_away_and_changes_none(root: psycopg.Connection) -> None:
    """Nobody logs in as it; who steps into it, the owner, may delete, and is on record in the server's log."""
    with owning(root):
        root.execute("SET LOCAL ROLE federation_retention_role")
        for statement in (
            "UPDATE federation.{} SET created_at = now()",
            "TRUNCATE federation.{}",
            "INSERT INTO federation.{} DEFAULT VALUES",
        ):
            for table in TABLES:
                refused(root, statement.format(table))
        assert root.execute("DELETE FROM federation.cross_dept_audit WHERE error_message = '3 years'").rowcount == 1
