"""The gate between departments: what a session claims only chooses among what its login is entitled to.

Gateways are plain logins that become cross_dept_query_role, say for whom they ask, and query another department's
table. Grants and entitlements are rows that each test writes as an operator would, and that are gone afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.conftest import Database
from tests.security.conftest import PRIVATE, SECRET, SHARED, another_row, compose, count, refused, value

LAST_YEAR = datetime.now(UTC) - timedelta(days=365)
NEXT_YEAR = datetime.now(UTC) + timedelta(days=365)


@dataclass(frozen=True)
class Rules:
    """Writes the rows that the gate reads."""

    root: psycopg.Connection

    def grant(
        self,
        resource: str,
        *,
        source: str = "hr",
        target: str = "sales",
        permission: str = "read",
        enabled: bool = True,
        expires_at: datetime | None = None,
    ) -> None:
        self.root.execute(
            """
            INSERT INTO federation.cross_dept_permissions
                (source_department_id, target_department_id, permission_type, resource_type, enabled, expires_at,
                 granted_by)
            VALUES (%s, %s, %s, %s, %s, %s, 'test')
            """,
            (source, target, permission, resource, enabled, expires_at),
        )

    def entitle(self, login: str = "gateway", department_id: str | None = "hr") -> None:
        self.root.execute(
            "INSERT INTO federation.gateway_entitlements (login_role, department_id) VALUES (%s, %s)",
            (login, department_id),
        )

    def status(self, department_id: str, status: str) -> None:
        self.root.execute(
            "UPDATE federation.departments SET status = %s WHERE department_id = %s", (status, department_id)
        )

    def clear(self) -> None:
        self.root.execute("DELETE FROM federation.cross_dept_permissions")
        self.root.execute("DELETE FROM federation.gateway_entitlements")
        self.root.execute("UPDATE federation.departments SET status = 'ACTIVE'")


@pytest.fixture
def rules(root: psycopg.Connection) -> Iterator[Rules]:
    made = Rules(root)
    made.clear()
    yield made
    made.clear()


@pytest.fixture
def open_gate(rules: Rules) -> Rules:
    """Everything is as it must be: gateway may speak for hr, and hr may read contacts of sales."""
    rules.entitle()
    rules.grant("contacts")
    return rules


@pytest.fixture
def gateway(logins: Database) -> Iterator[psycopg.Connection]:
    """The gateway, in the role that it works in and without a claim."""
    with logins.login("gateway") as connection:
        connection.execute("SET ROLE cross_dept_query_role")
        yield connection


def claim(connection: psycopg.Connection, source: str) -> None:
    connection.execute("SELECT set_config('app.source_department', %s, false)", (source,))


def ask(connection: psycopg.Connection, source: str = "hr", table: str = "contacts", target: str = "sales") -> int:
    """Claim a source and return how many rows of the target's table are seen."""
    claim(connection, source)
    return count(connection, target, table)


# ------------------------------------------------------------------------------------------------- what is let through


@pytest.mark.parametrize("table", SHARED)
def test_grant_opens_one_table_and_no_other(
    rules: Rules, gateway: psycopg.Connection, root: psycopg.Connection, table: str
) -> None:
    rules.entitle()
    assert ask(gateway, table=table) == 0
    rules.grant(SHARED[table])
    assert {other for other in SHARED if ask(gateway, table=other)} == {table}
    assert all(count(root, "sales", other) == 1 for other in SHARED)


def test_documented_use_works_as_it_is(open_gate: Rules, logins: Database) -> None:
    open_gate.grant("drive_documents")
    with logins.login("gateway") as connection:
        connection.execute(
            """
            SET ROLE cross_dept_query_role;
            SELECT set_config('app.source_department', 'hr', false)
            """
        )
        rows = connection.execute("SELECT department, extracted_text FROM sales_tenant.drive_document_repository")
        assert rows.fetchall() == [("sales", SECRET)]


def test_claim_for_one_transaction_is_enough(open_gate: Rules, gateway: psycopg.Connection) -> None:
    with gateway.transaction():
        gateway.execute("SELECT set_config('app.source_department', 'hr', true)")
        assert count(gateway, "sales", "contacts") == 1
    assert count(gateway, "sales", "contacts") == 0


def test_claim_in_the_connection_string_is_enough(open_gate: Rules, logins: Database) -> None:
    conninfo = psycopg.conninfo.make_conninfo(
        logins.server.conninfo(logins.name, "gateway", logins.passwords["gateway"]),
        options="-c app.source_department=hr -c role=cross_dept_query_role",
    )
    with psycopg.connect(conninfo) as connection:
        assert count(connection, "sales", "contacts") == 1


def test_star_opens_every_table_that_can_be_shared(rules: Rules, gateway: psycopg.Connection) -> None:
    rules.entitle()
    rules.grant("*")
    assert {table for table in SHARED if ask(gateway, table=table)} == set(SHARED)


def test_grant_that_expires_later_counts(rules: Rules, gateway: psycopg.Connection) -> None:
    rules.entitle()
    rules.grant("contacts", expires_at=NEXT_YEAR)
    assert ask(gateway) == 1


def test_read_only_transaction_is_answered(open_gate: Rules, gateway: psycopg.Connection) -> None:
    gateway.read_only = True
    gateway.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with gateway.transaction():
        assert ask(gateway) == 1


def test_entitlement_for_all_departments_covers_each_source(
    rules: Rules, gateway: psycopg.Connection, logins: Database
) -> None:
    rules.entitle(department_id=None)
    rules.grant("contacts")
    rules.grant("contacts", source="sales", target="hr")
    assert ask(gateway) == 1
    assert ask(gateway, source="sales", target="hr") == 1
    assert ask(gateway, source="sales", target="sales") == 0
    assert ask(gateway, source="nobody") == 0


def test_admin_may_claim_any_department_and_needs_the_grant(rules: Rules, logins: Database) -> None:
    if "admin_gateway" not in logins.passwords:
        logins.create_login("admin_gateway", "federation_admin_role", "cross_dept_query_role")
    with logins.login("admin_gateway") as connection:
        connection.execute("SET ROLE cross_dept_query_role")
        assert ask(connection) == 0
        rules.grant("contacts")
        assert ask(connection) == 1


# -------------------------------------------------------------------------------------------------- what is kept out


@pytest.mark.parametrize("table", PRIVATE)
def test_private_table_is_closed_whatever_was_granted(
    open_gate: Rules, gateway: psycopg.Connection, table: str
) -> None:
    open_gate.grant("*")
    claim(gateway, "hr")
    assert count(gateway, "sales", "contacts") == 1
    for statement in ("SELECT * FROM {table}", "SELECT 1 FROM {table}", "COPY {table} TO STDOUT"):
        refused(gateway, compose(statement, table=("sales_tenant", table)))


@pytest.mark.parametrize("schema", ["sales_tenant", "hr_tenant", "federation"])
def test_version_table_is_closed_whatever_was_granted(
    open_gate: Rules, gateway: psycopg.Connection, schema: str
) -> None:
    open_gate.grant("*")
    claim(gateway, "hr")
    refused(gateway, compose("SELECT * FROM {table}", table=(schema, "alembic_version")))


@pytest.mark.parametrize("table", SHARED)
def test_gateway_only_reads(open_gate: Rules, gateway: psycopg.Connection, table: str) -> None:
    open_gate.grant("*")
    claim(gateway, "hr")
    assert count(gateway, "sales", table) == 1
    refused(gateway, another_row("sales", table))
    for statement in (
        "UPDATE {table} SET department = department",
        "DELETE FROM {table}",
        "TRUNCATE {table}",
        "SELECT FROM {table} FOR UPDATE",
        "SELECT FROM {table} FOR KEY SHARE",
        "LOCK TABLE {table} IN ROW EXCLUSIVE MODE",
        "COPY {table} FROM STDIN",
    ):
        refused(gateway, compose(statement, table=("sales_tenant", table)))


def test_claim_that_the_login_is_not_entitled_to_is_refused(
    rules: Rules, gateway: psycopg.Connection, logins: Database
) -> None:
    rules.grant("contacts")
    assert ask(gateway) == 0
    rules.entitle(department_id="sales")
    assert ask(gateway) == 0
    rules.entitle(department_id="hr")
    assert ask(gateway) == 1


def test_entitlement_of_another_login_is_not_inherited(
    rules: Rules, gateway: psycopg.Connection, logins: Database
) -> None:
    rules.grant("contacts")
    rules.entitle("other_gateway")
    assert ask(gateway) == 0
    with logins.login("other_gateway") as other:
        other.execute("SET ROLE cross_dept_query_role")
        assert ask(other) == 1


def test_entitlement_of_a_role_that_the_login_is_a_member_of_is_not_inherited(rules: Rules, logins: Database) -> None:
    if "borrower" not in logins.passwords:
        logins.create_login("borrower", "other_gateway")
    rules.grant("contacts")
    rules.entitle("other_gateway")
    rules.entitle("cross_dept_query_role", None)
    with logins.login("borrower") as borrower:
        borrower.execute("SET ROLE other_gateway")
        assert ask(borrower) == 0
        borrower.execute("SET ROLE cross_dept_query_role")
        assert ask(borrower) == 0
        rules.entitle("borrower")
        assert ask(borrower) == 1


@pytest.mark.parametrize("login", ["hr_role", "reader", "stranger"])
def test_entitlement_alone_opens_nothing(open_gate: Rules, logins: Database, login: str) -> None:
    """Who is no member of cross_dept_query_role stays outside, whatever rows say."""
    open_gate.entitle(login)
    open_gate.entitle(login, None)
    open_gate.grant("*")
    with logins.login(login) as connection:
        claim(connection, "hr")
        refused(connection, "SET ROLE cross_dept_query_role")
        if login == "reader":
            refused(connection, "SELECT * FROM sales_tenant.api_keys")
        else:
            refused(connection, "SELECT * FROM sales_tenant.contacts")


def test_department_that_claims_to_be_itself_stays_outside(
    open_gate: Rules, hr: psycopg.Connection, root: psycopg.Connection
) -> None:
    """The way leads through a gateway: a department's own login has no privilege on another's table."""
    open_gate.grant("*")
    for source in ("hr", "sales", ""):
        claim(hr, source)
        refused(hr, "SELECT * FROM sales_tenant.contacts")
    assert count(hr, "hr", "contacts") == 1


def test_claim_changes_nothing_for_a_departments_own_rows(open_gate: Rules, hr: psycopg.Connection) -> None:
    claim(hr, "sales")
    assert count(hr, "hr", "contacts") == 1
    refused(hr, "INSERT INTO hr_tenant.contacts (contact_id, department) VALUES ('x', 'sales')")


def test_source_that_is_the_target_is_refused(rules: Rules, gateway: psycopg.Connection) -> None:
    """A constraint refuses such a grant; the gate would not honour it either."""
    rules.entitle(department_id="sales")
    with rules.root.transaction(force_rollback=True):
        rules.root.execute(
            "ALTER TABLE federation.cross_dept_permissions DROP CONSTRAINT cross_dept_permissions_other_check"
        )
        rules.grant("contacts", source="sales", target="sales")
        gate = "SELECT federation.cross_dept_gate('sales', 'contacts')"
        rules.root.execute("SELECT set_config('app.source_department', 'sales', true)")
        assert value(rules.root, gate) is False
    assert ask(gateway, source="sales") == 0


@pytest.mark.parametrize("permission", ["search", "aggregate"])
@pytest.mark.parametrize("resource", ["contacts", "*"])
def test_other_permissions_do_not_open_read(
    rules: Rules, gateway: psycopg.Connection, permission: str, resource: str
) -> None:
    rules.entitle()
    rules.grant(resource, permission=permission)
    assert ask(gateway) == 0
    rules.grant(resource)
    assert ask(gateway) == 1


@pytest.mark.parametrize("resource", ["contacts", "*"])
def test_expired_grant_is_refused(rules: Rules, gateway: psycopg.Connection, resource: str) -> None:
    rules.entitle()
    rules.grant(resource, expires_at=LAST_YEAR)
    assert ask(gateway) == 0
    rules.root.execute("UPDATE federation.cross_dept_permissions SET expires_at = %s", (NEXT_YEAR,))
    assert ask(gateway) == 1


def test_grant_expires_while_a_transaction_is_open(rules: Rules, gateway: psycopg.Connection) -> None:
    """By the clock, not by when the transaction began."""
    rules.entitle()
    rules.grant("contacts", expires_at=datetime.now(UTC) + timedelta(seconds=0.5))
    claim(gateway, "hr")
    with gateway.transaction():
        assert count(gateway, "sales", "contacts") == 1
        time.sleep(0.6)
        assert count(gateway, "sales", "contacts") == 0


@pytest.mark.parametrize("resource", ["contacts", "*"])
def test_disabled_grant_is_refused(rules: Rules, gateway: psycopg.Connection, resource: str) -> None:
    rules.entitle()
    rules.grant(resource, enabled=False)
    assert ask(gateway) == 0
    rules.root.execute("UPDATE federation.cross_dept_permissions SET enabled = true")
    assert ask(gateway) == 1


def test_grant_works_in_one_direction(open_gate: Rules, gateway: psycopg.Connection) -> None:
    open_gate.entitle(department_id="sales")
    assert ask(gateway, source="hr", target="sales") == 1
    assert ask(gateway, source="sales", target="hr") == 0


@pytest.mark.parametrize("department_id", ["hr", "sales"])
@pytest.mark.parametrize("status", ["SUSPENDED", "PROVISIONING", "FAILED", "DEPROVISIONING", "DEPROVISIONED"])
def test_department_that_is_not_active_neither_asks_nor_answers(
    open_gate: Rules, gateway: psycopg.Connection, department_id: str, status: str
) -> None:
    assert ask(gateway) == 1
    open_gate.status(department_id, status)
    assert ask(gateway) == 0


@pytest.mark.parametrize(
    "source",
    ["", " ", "HR", "hr ", " hr", "hr\n", "*", "%", "h_", "sales", "federation", "nobody", "hr,sales", "hr' OR '1'='1"],
)
def test_source_that_is_no_department_is_refused(open_gate: Rules, gateway: psycopg.Connection, source: str) -> None:
    assert ask(gateway, source=source) == 0
    assert ask(gateway, source="hr") == 1


def test_no_claim_is_refused(open_gate: Rules, gateway: psycopg.Connection) -> None:
    open_gate.entitle(department_id=None)
    assert value(gateway, "SELECT current_setting('app.source_department', true)") is None
    assert count(gateway, "sales", "contacts") == 0
    assert ask(gateway) == 1


@pytest.mark.parametrize("ending", ["ROLLBACK", "COMMIT"])
def test_claim_of_a_transaction_that_is_over_is_gone(
    open_gate: Rules, gateway: psycopg.Connection, ending: str
) -> None:
    """A LOCAL setting leaves the empty string behind, which counts as unset."""
    open_gate.entitle(department_id=None)
    gateway.execute("BEGIN")
    gateway.execute("SELECT set_config('app.source_department', 'hr', true)")
    assert count(gateway, "sales", "contacts") == 1
    gateway.execute(ending)
    assert value(gateway, "SELECT current_setting('app.source_department', true)") == ""
    assert count(gateway, "sales", "contacts") == 0


@pytest.mark.parametrize("reset", ["RESET app.source_department", "RESET ALL", "DISCARD ALL"])
def test_claim_that_was_reset_is_gone(open_gate: Rules, gateway: psycopg.Connection, reset: str) -> None:
    assert ask(gateway) == 1
    gateway.execute(reset)
    gateway.execute("SET ROLE cross_dept_query_role")
    assert count(gateway, "sales", "contacts") == 0


def test_claim_to_savepoint_is_undone_with_it(open_gate: Rules, gateway: psycopg.Connection) -> None:
    claim(gateway, "sales")
    with gateway.transaction():
        with gateway.transaction(force_rollback=True):
            assert ask(gateway) == 1
        assert count(gateway, "sales", "contacts") == 0


@pytest.mark.parametrize(
    "injected", ["RESET ROLE", "SET ROLE NONE", "SET SESSION AUTHORIZATION DEFAULT", "DISCARD ALL"]
)
def test_leaving_the_role_inside_a_query_gains_nothing(
    rules: Rules, gateway: psycopg.Connection, root: psycopg.Connection, injected: str
) -> None:
    """What a login is itself is no more than what it becomes."""
    rules.entitle()
    claim(gateway, "hr")
    gateway.execute(injected)
    assert value(gateway, "SELECT current_user") == "gateway"
    assert count(gateway, "sales", "contacts") == 0
    refused(gateway, "SELECT * FROM sales_tenant.api_keys")
    refused(gateway, "SELECT * FROM federation.departments")
    refused(gateway, "SELECT * FROM sales_tenant.alembic_version")
    refused(gateway, "SET ROLE sales_role")
    refused(gateway, "SET ROLE federation_admin_role")
    refused(gateway, "CREATE TEMP TABLE x ()")
    assert count(root, "sales", "contacts") == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SET row_security = off; SELECT * FROM sales_tenant.contacts",
        "SET LOCAL ROLE federation_reader_role",
        "SELECT * FROM federation.cross_dept_permissions",
        "SELECT nextval('sales_tenant.drive_document_repository_id_seq')",
        "SELECT sales_tenant.cleanup_expired_session_context()",
        "ALTER TABLE sales_tenant.contacts DISABLE ROW LEVEL SECURITY",
        "DROP POLICY cross_dept_read ON sales_tenant.contacts",
        "ALTER POLICY cross_dept_read ON sales_tenant.contacts USING (true)",
        "CREATE TABLE sales_tenant.x ()",
        "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE sql COST 0.0001 AS 'SELECT true'",
        "GRANT cross_dept_query_role TO hr_role",
        "INSERT INTO federation.gateway_entitlements (login_role) VALUES ('gateway')",
        "SELECT lo_create(0)",
    ],
)
def test_gateway_cannot_get_round_the_gate(open_gate: Rules, gateway: psycopg.Connection, statement: str) -> None:
    claim(gateway, "hr")
    assert count(gateway, "sales", "contacts") == 1
    refused(gateway, statement)


def test_statistics_of_a_department_are_hidden_from_gateways(
    rules: Rules, gateway: psycopg.Connection, root: psycopg.Connection
) -> None:
    root.execute("ANALYZE sales_tenant.contacts")
    assert value(root, "SELECT count(*) FROM pg_stats WHERE schemaname = 'sales_tenant'") > 0
    assert value(gateway, "SELECT count(*) FROM pg_stats WHERE schemaname = 'sales_tenant'") == 0


# --------------------------------------------------------------------------------------- at once, and not out of a plan


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM federation.cross_dept_permissions",
        "UPDATE federation.cross_dept_permissions SET enabled = false",
        "UPDATE federation.cross_dept_permissions SET expires_at = now()",
        "UPDATE federation.cross_dept_permissions SET permission_type = 'search'",
        "UPDATE federation.cross_dept_permissions SET resource_type = 'emails'",
        "DELETE FROM federation.gateway_entitlements",
        "UPDATE federation.gateway_entitlements SET department_id = 'sales'",
        "UPDATE federation.departments SET status = 'SUSPENDED' WHERE department_id = 'hr'",
        "UPDATE federation.departments SET status = 'SUSPENDED' WHERE department_id = 'sales'",
    ],
)
@pytest.mark.parametrize("query", ["SELECT count(*) FROM sales_tenant.contacts", "EXECUTE prepared"])
def test_what_is_taken_back_is_gone_for_the_next_statement(
    open_gate: Rules, gateway: psycopg.Connection, query: str, change: str
) -> None:
    """Also inside a transaction, and for a statement that was planned before."""
    gateway.execute("SET plan_cache_mode = force_generic_plan")
    gateway.execute("PREPARE prepared AS SELECT count(*) FROM sales_tenant.contacts")
    claim(gateway, "hr")
    with gateway.transaction():
        assert value(gateway, query) == 1
        open_gate.root.execute(change)
        assert value(gateway, query) == 0


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
def test_statement_prepared_as_one_role_is_executed_as_another_with_that_ones_rows(
    rules: Rules, logins: Database, root: psycopg.Connection, mode: str
) -> None:
    """CVE-2024-10976 and its kind: a plan made for one role must not serve another."""
    if "admin_gateway" not in logins.passwords:
        logins.create_login("admin_gateway", "federation_admin_role", "cross_dept_query_role")
    with logins.login("admin_gateway") as connection:
        connection.execute(compose("SET plan_cache_mode = {mode}", mode=mode))
        connection.execute("SET ROLE federation_admin_role")
        connection.execute("PREPARE prepared AS SELECT count(*) FROM sales_tenant.contacts")
        assert value(connection, "EXECUTE prepared") == 1
        connection.execute("SET ROLE cross_dept_query_role")
        assert value(connection, "EXECUTE prepared") == 0
        connection.execute("SET ROLE federation_admin_role")
        assert value(connection, "EXECUTE prepared") == 1


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
def test_statement_prepared_by_a_superuser_is_walled_for_a_department(
    fleet: Database, root: psycopg.Connection, mode: str
) -> None:
    with fleet.connect() as connection:
        connection.execute(compose("SET plan_cache_mode = {mode}", mode=mode))
        connection.execute("PREPARE foreign_one AS SELECT count(*) FROM sales_tenant.contacts")
        connection.execute("PREPARE own AS SELECT count(*) FROM hr_tenant.contacts")
        assert value(connection, "EXECUTE foreign_one") == value(connection, "EXECUTE own") == 1
        connection.execute("SET ROLE hr_role")
        assert value(connection, "EXECUTE own") == 1
        refused(connection, "EXECUTE foreign_one")
        connection.execute("RESET ROLE")
        connection.execute("SET ROLE federation_owner")
        assert value(connection, "EXECUTE own") == 0


def test_claim_is_asked_anew_by_a_statement_that_was_prepared_before(
    open_gate: Rules, gateway: psycopg.Connection
) -> None:
    gateway.execute("PREPARE prepared AS SELECT count(*) FROM sales_tenant.contacts")
    counts = []
    for source in ("hr", "sales", "hr", ""):
        claim(gateway, source)
        counts.append(value(gateway, "EXECUTE prepared"))
    assert counts == [1, 0, 1, 0]


def test_gate_is_asked_once_a_query_and_not_once_a_row(
    open_gate: Rules, gateway: psycopg.Connection, root: psycopg.Connection
) -> None:
    claim(gateway, "hr")
    lines = gateway.execute("EXPLAIN SELECT * FROM sales_tenant.contacts").fetchall()
    plan = "\n".join(line for (line,) in lines)
    assert "InitPlan" in plan
    assert "cross_dept_gate" not in plan.partition("InitPlan")[0]
