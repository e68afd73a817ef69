"""A department against another: nothing of sales is hr's to read, write, lock, copy, count or learn of.

hr attacks with every statement there is. That the statement would work, and that there is something to get at, is shown
by sales itself or by the superuser.
"""

import psycopg
import pytest
from psycopg.errors import InvalidSqlStatementName, UndefinedTable

from tests.conftest import Database
from tests.security.conftest import (
    APPEND_ONLY,
    FUNCTIONS,
    IDENTITY,
    SECRET,
    TABLES,
    another_row,
    compose,
    count,
    insertion,
    refused,
    value,
    works,
)

#: What touches rows of a table; each is tried on every table of sales.
STATEMENTS = {
    "read": "SELECT * FROM {table}",
    "count": "SELECT count(*) FROM {table}",
    "read a constant": "SELECT 1 FROM {table}",
    "read one column": "SELECT department FROM {table}",
    "read the system columns": "SELECT ctid, xmin FROM {table}",
    "lock rows": "SELECT FROM {table} FOR UPDATE",
    "share rows": "SELECT FROM {table} FOR KEY SHARE",
    "sample": "SELECT * FROM {table} TABLESAMPLE SYSTEM (100)",
    "only": "SELECT * FROM ONLY {table}",
    "table": "TABLE {table}",
    "update": "UPDATE {table} SET department = department",
    "delete": "DELETE FROM {table}",
    "delete using": "DELETE FROM {table} USING pg_catalog.pg_class",
    "truncate": "TRUNCATE {table} CASCADE",
    "lock": "LOCK TABLE {table} IN ACCESS SHARE MODE",
    "prepare": "PREPARE attack AS SELECT * FROM {table}; DEALLOCATE attack",
    "declare": "DECLARE attack CURSOR FOR SELECT * FROM {table}",
    "explain": "EXPLAIN ANALYZE SELECT * FROM {table}",
    "select into": "DO $$ DECLARE found record; BEGIN SELECT * INTO STRICT found FROM {table}; END $$",
    "subquery": """
        INSERT INTO hr_tenant.notifications (user_id, notification_type, title) SELECT 'u', 'n', 't' FROM {table}
    """,
}
#: What nobody but the owner may do.
OWNERS_ONLY = {
    "drop": "DROP TABLE {table}",
    "add a column": "ALTER TABLE {table} ADD COLUMN x integer",
    "disable the walls": "ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    "lift force": "ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
    "add a policy": "CREATE POLICY attack ON {table} USING (true)",
    "alter a policy": "ALTER POLICY isolation ON {table} USING (true)",
    "drop a policy": "DROP POLICY isolation ON {table}",
    "drop the check": "ALTER TABLE {table} DROP CONSTRAINT x",
    "take it": "ALTER TABLE {table} OWNER TO hr_role",
    "move it": "ALTER TABLE {table} SET SCHEMA hr_tenant",
    "index": "CREATE INDEX ON {table} (department)",
    "reindex": "REINDEX TABLE {table}",
    "cluster": "CLUSTER {table}",
    "comment": "COMMENT ON TABLE {table} IS 'attack'",
    "trigger": "CREATE TRIGGER attack AFTER INSERT ON {table} EXECUTE FUNCTION hr_tenant.set_updated_at()",
    "rule": "CREATE RULE attack AS ON SELECT TO {table} DO INSTEAD NOTHING",
    "grant": "GRANT SELECT ON {table} TO hr_role",
    "statistics": "CREATE STATISTICS hr_tenant.attack ON department, id FROM {table}",
}


@pytest.mark.parametrize("table", TABLES)
def test_department_cannot_touch_another(
    hr: psycopg.Connection, root: psycopg.Connection, sales: psycopg.Connection, table: str
) -> None:
    assert count(sales, "sales", table) == count(root, "sales", table) == 1
    for statement in STATEMENTS.values():
        refused(hr, compose(statement, table=("sales_tenant", table)))
        assert works(root, compose(statement, table=("sales_tenant", table))) is not None
    assert count(root, "sales", table) == 1


@pytest.mark.parametrize("table", TABLES)
def test_department_cannot_add_a_row_to_another(
    hr: psycopg.Connection, root: psycopg.Connection, sales: psycopg.Connection, table: str
) -> None:
    refused(hr, another_row("sales", table))
    refused(hr, another_row("sales", table, department="hr"))
    refused(hr, another_row("sales", table, department="sales"))

    assert works(sales, another_row("sales", table)) == 1
    assert count(root, "sales", table) == 1


@pytest.mark.parametrize("table", TABLES)
def test_department_cannot_insert_or_update_by_conflict_in_another(
    hr: psycopg.Connection, root: psycopg.Connection, sales: psycopg.Connection, table: str
) -> None:
    for action in (" ON CONFLICT DO NOTHING", " ON CONFLICT (id) DO UPDATE SET department = 'hr'"):
        refused(hr, another_row("sales", table) + compose(action))

    assert works(sales, another_row("sales", table) + compose(" ON CONFLICT DO NOTHING")) == 1
    assert count(root, "sales", table) == 1


@pytest.mark.parametrize("table", TABLES)
def test_department_cannot_copy_another_either_way(
    hr: psycopg.Connection, root: psycopg.Connection, sales: psycopg.Connection, table: str
) -> None:
    target = ("sales_tenant", table)
    for statement in ("COPY {table} TO STDOUT", "COPY (SELECT * FROM {table}) TO STDOUT", "COPY {table} FROM STDIN"):
        refused(hr, compose(statement, table=target))

    with sales.cursor().copy(compose("COPY {table} TO STDOUT", table=target)) as copied:
        assert len(list(copied)) == 1
    assert count(root, "sales", table) == 1


@pytest.mark.parametrize("statement", OWNERS_ONLY.values(), ids=OWNERS_ONLY)
def test_department_cannot_change_what_another_is_made_of(
    hr: psycopg.Connection, sales: psycopg.Connection, statement: str
) -> None:
    refused(hr, compose(statement, table=("sales_tenant", "contacts")))
    refused(sales, compose(statement, table=("hr_tenant", "contacts")))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT query_to_xml('SELECT * FROM sales_tenant.contacts', true, true, '')",
        "SELECT table_to_xml('sales_tenant.contacts', true, true, '')",
        "SELECT ts_stat('SELECT search_vector FROM sales_tenant.drive_document_repository')",
        "SELECT * FROM ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, notes::tsquery FROM sales_tenant.contacts')",
        "DO $$ BEGIN EXECUTE 'SELECT * FROM sales_tenant.contacts'; END $$",
        "DO $$ BEGIN PERFORM notes FROM sales_tenant.contacts; EXCEPTION WHEN division_by_zero THEN NULL; END $$",
        "WITH found AS (DELETE FROM sales_tenant.contacts RETURNING *) SELECT * FROM found",
        "SELECT (SELECT notes FROM sales_tenant.contacts)",
        "SELECT 1 WHERE EXISTS (SELECT FROM sales_tenant.contacts WHERE notes LIKE 'the%')",
        "SELECT h.id FROM hr_tenant.contacts h JOIN sales_tenant.contacts s USING (contact_id)",
        "SELECT h.id FROM hr_tenant.contacts h, LATERAL (SELECT * FROM sales_tenant.contacts) s",
        "UPDATE hr_tenant.contacts SET notes = (SELECT notes FROM sales_tenant.contacts)",
        "UPDATE hr_tenant.contacts h SET notes = s.notes FROM sales_tenant.contacts s",
        "SELECT pg_get_expr('x', 0), t FROM sales_tenant.contacts t",
        "SELECT gin_clean_pending_list('sales_tenant.idx_drive_document_repository_search_vector'::regclass)",
    ],
)
def test_department_reaches_nothing_of_another_round_about(hr: psycopg.Connection, statement: str) -> None:
    refused(hr, statement)


def test_same_round_about_ways_lead_to_ones_own(hr: psycopg.Connection) -> None:
    """What fails above fails for the schema's name, not for the way."""
    assert works(hr, "DO $$ BEGIN EXECUTE 'SELECT * FROM hr_tenant.contacts'; END $$") == -1
    assert value(hr, "SELECT (SELECT notes FROM hr_tenant.contacts)") == SECRET
    words = "SELECT count(*) FROM ts_stat('SELECT search_vector FROM hr_tenant.drive_document_repository')"
    assert value(hr, words) == len(set(SECRET.split()))


@pytest.mark.parametrize("schema", ["sales_tenant", "federation"])
def test_search_path_leads_nowhere(hr: psycopg.Connection, sales: psycopg.Connection, schema: str) -> None:
    hr.execute(compose("SET search_path = {schema}, pg_catalog", schema=schema))
    refused(hr, "SELECT * FROM contacts", UndefinedTable)
    refused(hr, "SELECT * FROM departments", UndefinedTable)
    assert value(hr, "SELECT to_regclass('contacts')") is None

    sales.execute("SET search_path = sales_tenant, pg_catalog")
    assert value(sales, "SELECT count(*) FROM contacts") == 1


@pytest.mark.parametrize("table", IDENTITY)
def test_department_cannot_use_or_read_a_sequence_of_another(
    hr: psycopg.Connection, root: psycopg.Connection, sales: psycopg.Connection, table: str
) -> None:
    sequence = f"sales_tenant.{table}_id_seq"
    for statement in (
        "SELECT nextval({SEQUENCE}::regclass)",
        "SELECT currval({SEQUENCE}::regclass)",
        "SELECT setval({SEQUENCE}::regclass, 1000)",
    ):
        refused(hr, compose(statement, SEQUENCE=sequence))
    refused(hr, compose("SELECT last_value FROM {sequence}", sequence=("sales_tenant", f"{table}_id_seq")))
    refused(hr, compose("ALTER SEQUENCE {sequence} RESTART", sequence=("sales_tenant", f"{table}_id_seq")))
    known = "SELECT last_value FROM pg_sequences WHERE schemaname = 'sales_tenant' AND sequencename = %s"
    assert value(root, known, f"{table}_id_seq") is not None
    assert value(hr, known, f"{table}_id_seq") is None
    assert value(sales, known, f"{table}_id_seq") is not None


@pytest.mark.parametrize("function", [*FUNCTIONS, "set_updated_at()", "set_search_vector()"])
def test_department_cannot_call_a_function_of_another(hr: psycopg.Connection, function: str) -> None:
    name, arguments = function.removesuffix(")").split("(")
    call = "SELECT {function}('secret', 5)" if arguments else "SELECT {function}()"
    refused(hr, compose(call, function=("sales_tenant", name)))


def test_function_of_a_department_touches_its_own_rows_only(
    hr: psycopg.Connection, sales: psycopg.Connection, root: psycopg.Connection
) -> None:
    """It runs as whoever calls it, so that no one's rights are lent."""
    long_ago = "UPDATE {table} SET created_at = now() - interval '3 years'"
    for department_id in ("hr", "sales"):
        root.execute(compose(long_ago, table=(f"{department_id}_tenant", "session_context")))

    assert value(hr, "SELECT hr_tenant.cleanup_expired_session_context()") == 1
    assert count(root, "hr", "session_context") == 0
    assert count(root, "sales", "session_context") == 1

    hr.execute(insertion("hr", "session_context"))


@pytest.mark.parametrize("table", [table for table in TABLES if table not in APPEND_ONLY])
def test_department_cannot_give_its_own_rows_to_another(
    hr: psycopg.Connection, root: psycopg.Connection, table: str
) -> None:
    own = ("hr_tenant", table)
    assert works(hr, compose("UPDATE {table} SET department = 'hr'", table=own)) == 1
    refused(hr, compose("UPDATE {table} SET department = 'sales'", table=own))
    assert value(root, compose("SELECT department FROM {table}", table=own)) == "hr"


@pytest.mark.parametrize("table", TABLES)
def test_department_cannot_pose_as_another_in_its_own_tables(hr: psycopg.Connection, table: str) -> None:
    refused(hr, another_row("hr", table, department="sales"))
    assert works(hr, another_row("hr", table, department="hr")) == 1


def test_statistics_of_another_department_are_hidden(
    hr: psycopg.Connection, sales: psycopg.Connection, root: psycopg.Connection
) -> None:
    """pg_stats holds values of rows: the commonest ones and the bounds of histograms."""
    root.execute(
        """
        INSERT INTO sales_tenant.contacts (contact_id, notes)
        SELECT 'many' || n, 'common value' FROM generate_series(1, 50) AS n
        """
    )
    root.execute("ANALYZE sales_tenant.contacts")
    try:
        known = "SELECT count(*) FROM pg_stats WHERE schemaname = 'sales_tenant'"
        assert value(root, known + " AND most_common_vals::text LIKE '%common value%'") == 1
        assert value(hr, known) == 0
        assert value(hr, "SELECT count(*) FROM pg_stats_ext WHERE schemaname = 'sales_tenant'") == 0
        refused(hr, "SELECT * FROM pg_catalog.pg_statistic")
        refused(hr, "SELECT * FROM pg_catalog.pg_statistic_ext_data")
        refused(hr, "EXPLAIN SELECT * FROM sales_tenant.contacts WHERE notes = 'common value'")
    finally:
        root.execute("DELETE FROM sales_tenant.contacts WHERE contact_id LIKE 'many%'")


def test_queries_of_another_department_are_hidden(
    hr: psycopg.Connection, sales: psycopg.Connection, root: psycopg.Connection
) -> None:
    sales.execute("SELECT 'a patient called Ada'")
    known = "SELECT query FROM pg_stat_activity WHERE pid = %s"
    assert value(root, known, sales.info.backend_pid) == "SELECT 'a patient called Ada'"
    assert value(hr, known, sales.info.backend_pid) == "<insufficient privilege>"


@pytest.mark.parametrize("function", ["pg_terminate_backend", "pg_cancel_backend"])
def test_department_cannot_end_a_session_of_another(
    hr: psycopg.Connection, sales: psycopg.Connection, function: str
) -> None:
    pid = sales.info.backend_pid
    refused(hr, compose("SELECT {function}({PID}::integer)", function=function, PID=str(pid)))
    assert value(sales, "SELECT 1") == 1


def test_department_cannot_log_in_as_another(fleet: Database) -> None:
    fleet.login("sales_role").close()
    stolen = fleet.server.conninfo(fleet.name, "sales_role", fleet.passwords["hr_role"])
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(stolen)


def test_department_cannot_pass_its_privileges_on(
    hr: psycopg.Connection, sales: psycopg.Connection, root: psycopg.Connection
) -> None:
    hr.execute("GRANT SELECT ON hr_tenant.contacts TO sales_role")  # PostgreSQL only warns that it granted nothing
    hr.execute("GRANT USAGE ON SCHEMA hr_tenant TO sales_role")
    refused(hr, "GRANT hr_role TO sales_role")
    refused(hr, "GRANT federation_department_role TO sales_role")

    refused(sales, "SELECT * FROM hr_tenant.contacts")
    assert value(root, "SELECT has_table_privilege('sales_role', 'hr_tenant.contacts', 'SELECT')") is False
    assert value(root, "SELECT has_table_privilege('hr_role', 'hr_tenant.contacts', 'SELECT')") is True


def test_prepared_statement_of_another_session_is_not_there(hr: psycopg.Connection, sales: psycopg.Connection) -> None:
    sales.execute("PREPARE mine AS SELECT * FROM sales_tenant.contacts")
    refused(hr, "EXECUTE mine", InvalidSqlStatementName)
    assert sales.execute("EXECUTE mine").rowcount == 1
