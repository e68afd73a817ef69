"""What a grant is worth: whoever writes it, for as long as it says, for what it names, and not a statement longer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.errors import CheckViolation, ForeignKeyViolation, InsufficientPrivilege

from tests.conftest import Database
from tests.security.conftest import PRIVATE, compose, count, owning, refused, undone, value
from tests.sharing.conftest import aggregate, asking, claim, grant, recorded, search

#: As the seed document has it, word for word.
SEED = """
    INSERT INTO federation.cross_dept_permissions (source_department_id, target_department_id, permission_type,
        resource_type, granted_by, enabled)
    VALUES ('hr', 'sales', 'read', 'drive_documents', 'admin@company.com', true);
"""


@pytest.fixture(params=["federation_owner", "federation_admin_role"])
def writer(request: pytest.FixtureRequest, shared: Database) -> Iterator[psycopg.Connection]:
    """Those who may write grants: a member of federation_owner that became it, and an administrator's login."""
    role: str = request.param
    login = "operating_login" if role == "federation_owner" else "administering_login"
    if login not in shared.passwords:
        shared.create_login(login, role)
    with shared.login(login) as connection:
        if role == "federation_owner":
            connection.execute("SET ROLE federation_owner")
        yield connection


def test_grant_as_the_seed_document_has_it_opens_what_it_names(
    writer: psycopg.Connection, gateway: psycopg.Connection
) -> None:
    assert count(gateway, "sales", "drive_document_repository") == 0
    writer.execute(SEED)
    assert count(gateway, "sales", "drive_document_repository") == 1
    assert count(gateway, "sales", "contacts") == 0


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        (("'hr'", "'nobody'"), ForeignKeyViolation),
        (("'sales'", "'nobody'"), ForeignKeyViolation),
        (("'sales'", "'SALES'"), ForeignKeyViolation),
        (("'sales'", "'hr'"), CheckViolation),
        (("'hr'", "'sales'"), CheckViolation),
        (("'read'", "'write'"), CheckViolation),
        (("'read'", "'*'"), CheckViolation),
        (("'drive_documents'", "'documents'"), ForeignKeyViolation),
        (("'drive_documents'", "'sales_tenant.contacts'"), ForeignKeyViolation),
        *((("'drive_documents'", f"'{table}'"), ForeignKeyViolation) for table in (*PRIVATE, "alembic_version")),
    ],
)
def test_grant_that_cannot_be_meant_is_refused_to_whoever_writes_it(
    writer: psycopg.Connection, changed: tuple[str, str], error: type[psycopg.Error]
) -> None:
    refused(writer, compose(SEED.replace(*changed)), error)
    with undone(writer):
        writer.execute(SEED)


@pytest.mark.parametrize("department_id", ["hr", "sales"])
def test_dropped_department_gets_no_grant(
    writer: psycopg.Connection, root: psycopg.Connection, department_id: str
) -> None:
    """Its row in the registry stays, so that the foreign key alone would let one wait there for the next of that id."""
    root.execute(
        "UPDATE federation.departments SET status = 'DEPROVISIONED' WHERE department_id = %s", (department_id,)
    )
    refused(writer, compose(SEED), ForeignKeyViolation, match=f"unknown department {department_id}")
    root.execute("UPDATE federation.departments SET status = 'SUSPENDED' WHERE department_id = %s", (department_id,))
    with undone(writer):
        writer.execute(SEED)


@pytest.mark.parametrize("login", ["hr_role", "hr_gateway", "bare_gateway"])
def test_who_gains_by_a_grant_does_not_write_it(shared: Database, root: psycopg.Connection, login: str) -> None:
    root.execute(SEED)
    with shared.login(login) as connection:
        for statement in (
            SEED.replace("'read'", "'search'"),
            "UPDATE federation.cross_dept_permissions SET resource_type = '*'",
            "DELETE FROM federation.cross_dept_permissions",
            "SELECT * FROM federation.cross_dept_permissions",
            "INSERT INTO federation.resources (resource_type, table_name) VALUES ('api_keys', 'api_keys')",
        ):
            refused(connection, compose(statement))


def test_alias_of_a_resource_is_stored_by_its_one_name(writer: psycopg.Connection, gateway: psycopg.Connection) -> None:
    writer.execute(SEED.replace("'drive_documents'", "'drive_document_repository'"))
    assert value(writer, "SELECT resource_type FROM federation.cross_dept_permissions") == "drive_documents"
    assert count(gateway, "sales", "drive_document_repository") == 1


# ------------------------------------------------------------------------------------------------- never shared tables


@pytest.mark.parametrize("table", [*PRIVATE, "alembic_version"])
def test_star_reaches_no_table_that_is_never_shared(
    gateway: psycopg.Connection, root: psycopg.Connection, table: str
) -> None:
    for permission in ("read", "search", "aggregate"):
        grant(root, permission, "*")
    assert count(gateway, "sales", "contacts") == 1
    refused(gateway, compose("SELECT * FROM {table}", table=("sales_tenant", table)))
    assert search(gateway, "secret", resource=table) == []
    assert aggregate(gateway, resource=table) == []


@pytest.mark.parametrize("resource", [*PRIVATE, "alembic_version", "no_such_table", "*"])
def test_gate_admits_to_no_resource_that_is_none(
    gateway: psycopg.Connection, root: psycopg.Connection, resource: str
) -> None:
    """Whoever may ask the gate may ask it by hand; what it says, and what is on record, must not be that it opened."""
    grant(root, "read", "*")
    with recorded(root) as record:
        assert value(gateway, "SELECT federation.cross_dept_gate('sales', %s)", resource) is False
        assert value(gateway, "SELECT federation.cross_dept_gate('sales', 'drive_documents')") is True
    assert [row["success"] for row in record.attempts] == [False, True]


@pytest.mark.parametrize(
    ("permission", "answers"), [("read", (1, 0, 0)), ("search", (0, 1, 0)), ("aggregate", (0, 0, 1))]
)
@pytest.mark.parametrize("everything", [False, True])
def test_each_permission_opens_one_way_of_asking_and_no_other(
    gateway: psycopg.Connection,
    root: psycopg.Connection,
    permission: str,
    answers: tuple[int, int, int],
    everything: bool,
) -> None:
    for n in range(5):
        root.execute(
            "INSERT INTO sales_tenant.email_logs (session_id, recipient_email, subject) VALUES (%s, 'x', 'a secret')",
            (f"s{n}",),
        )
    try:
        grant(root, permission, "*" if everything else "emails")
        found = (
            min(count(gateway, "sales", "email_logs"), 1),
            len(search(gateway, "secret", resource="emails", limit=1)),
            len(aggregate(gateway, resource="emails")),
        )
        assert found == answers
    finally:
        root.execute("DELETE FROM sales_tenant.email_logs WHERE recipient_email = 'x'")


# ------------------------------------------------------------------------------------------------------- how long


def test_search_and_aggregate_end_when_the_grant_does_in_the_middle_of_a_transaction(
    gateway: psycopg.Connection, root: psycopg.Connection
) -> None:
    """By the clock, not by when the transaction began."""
    ends = datetime.now(UTC) + timedelta(seconds=0.4)
    for permission in ("read", "search"):
        grant(root, permission, "contacts", expires_at=ends)
    gateway.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with recorded(root) as record, gateway.transaction():
        assert (count(gateway, "sales", "contacts"), len(search(gateway, "secret"))) == (1, 1)
        time.sleep(max(0.0, (ends - datetime.now(UTC)).total_seconds()) + 0.01)
        assert (count(gateway, "sales", "contacts"), len(search(gateway, "secret"))) == (0, 0)
    assert [row["error_message"] for row in record.attempts] == [None, None] + ["the grant has expired"] * 2


def test_grant_that_ended_a_moment_ago_is_over_and_one_that_ends_in_a_moment_is_not(
    gateway: psycopg.Connection, root: psycopg.Connection
) -> None:
    grant(root, "search", "contacts", expires_at=datetime.now(UTC) - timedelta(microseconds=1))
    assert search(gateway, "secret") == []
    root.execute("UPDATE federation.cross_dept_permissions SET expires_at = clock_timestamp() + interval '10 seconds'")
    assert len(search(gateway, "secret")) == 1
    root.execute("UPDATE federation.cross_dept_permissions SET expires_at = 'infinity'")
    assert len(search(gateway, "secret")) == 1
    root.execute("UPDATE federation.cross_dept_permissions SET expires_at = '-infinity'")
    assert search(gateway, "secret") == []


def test_grant_that_is_over_does_not_hide_one_on_everything(
    gateway: psycopg.Connection, root: psycopg.Connection
) -> None:
    grant(root, "search", "contacts", enabled=False)
    assert search(gateway, "secret") == []
    grant(root, "search", "*")
    assert len(search(gateway, "secret")) == 1


def test_revoked_grant_is_gone_for_the_next_statement_of_an_open_transaction(
    gateway: psycopg.Connection, root: psycopg.Connection
) -> None:
    grant(root, "search", "contacts")
    grant(root, "aggregate", "tool_calls")
    with gateway.transaction():
        assert len(search(gateway, "secret")) == 1
        root.execute("DELETE FROM federation.cross_dept_permissions")
        assert search(gateway, "secret") == []


def test_older_snapshot_lives_until_its_transaction_ends(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    """A documented limit: what a transaction was shown to begin with it is shown to its end."""
    grant(root)
    gateway.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with gateway.transaction():
        assert count(gateway, "sales", "contacts") == 1
        root.execute("DELETE FROM federation.cross_dept_permissions")
        assert count(gateway, "sales", "contacts") == 1
    assert count(gateway, "sales", "contacts") == 0


def test_open_cursor_lives_until_its_transaction_ends(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    """A documented limit too; a cursor that is opened after the revoke finds nothing."""
    grant(root)
    with gateway.transaction():
        gateway.execute("DECLARE early CURSOR FOR SELECT contact_id FROM sales_tenant.contacts UNION ALL SELECT 'end'")
        assert gateway.execute("FETCH 1 FROM early").fetchall() == [("c1",)]
        root.execute("DELETE FROM federation.cross_dept_permissions")
        assert gateway.execute("FETCH 1 FROM early").fetchall() == [("end",)]
        gateway.execute("DECLARE late CURSOR FOR SELECT contact_id FROM sales_tenant.contacts")
        assert gateway.execute("FETCH 1 FROM late").fetchall() == []


# ---------------------------------------------------------------------------------------------------------- the record


def test_each_change_of_a_grant_is_on_record_with_the_login_that_made_it(
    writer: psycopg.Connection, root: psycopg.Connection
) -> None:
    """Also under SET ROLE: the role's name would be everybody's."""
    with recorded(root) as record:
        writer.execute(SEED)
        writer.execute("UPDATE federation.cross_dept_permissions SET enabled = false")
        writer.execute("DELETE FROM federation.cross_dept_permissions")
    login = value(writer, "SELECT session_user")
    assert value(writer, "SELECT current_user") in {"federation_owner", login}
    assert [
        (row["event_type"], row["user_role"], row["source_department_id"], row["target_department_id"])
        for row in record.events
    ] == [
        (event, login, "hr", "sales")
        for event in ("CROSS_DEPT_GRANTED", "CROSS_DEPT_GRANT_CHANGED", "CROSS_DEPT_REVOKED")
    ]
    assert record.events[0]["details"] == {
        "kind": "read",
        "resource": "drive_documents",
        "enabled": True,
        "expires_at": None,
        "by": "admin@company.com",
    }
    assert [row["details"]["by"] for row in record.events] == ["admin@company.com", login, login]


def test_each_change_of_an_entitlement_is_on_record_with_the_login_that_made_it(
    shared: Database, root: psycopg.Connection
) -> None:
    if "operating_login" not in shared.passwords:
        shared.create_login("operating_login", "federation_owner")
    with shared.login("operating_login") as operator, recorded(root) as record:
        operator.execute("SET ROLE federation_owner")
        operator.execute("INSERT INTO federation.gateway_entitlements (login_role) VALUES ('bare_gateway')")
        operator.execute(
            "UPDATE federation.gateway_entitlements SET department_id = 'hr' WHERE login_role = 'bare_gateway'"
        )
        operator.execute("DELETE FROM federation.gateway_entitlements WHERE login_role = 'bare_gateway'")
    assert [(row["event_type"], row["user_role"], row["details"]["all"]) for row in record.events] == [
        ("GATEWAY_ENTITLED", "operating_login", True),
        ("GATEWAY_REMOVED", "operating_login", True),
        ("GATEWAY_ENTITLED", "operating_login", False),
        ("GATEWAY_REMOVED", "operating_login", False),
    ]
    assert {row["details"]["login"] for row in record.events} == {"bare_gateway"}


def test_administrator_writes_no_entitlement(shared: Database) -> None:
    """Who sees every row anyway decides who may see whose, and not who may speak for whom."""
    if "administering_login" not in shared.passwords:
        shared.create_login("administering_login", "federation_admin_role")
    with shared.login("administering_login") as connection:
        for statement in (
            "INSERT INTO federation.gateway_entitlements (login_role) VALUES ('administering_login')",
            "UPDATE federation.gateway_entitlements SET department_id = NULL",
            "DELETE FROM federation.gateway_entitlements",
        ):
            refused(connection, statement, InsufficientPrivilege)


def test_closed_hole_is_what_keeps_the_gateway_out(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    """The wall of the tests above, taken down and put up again: with an open policy the gateway needs no grant."""
    assert count(gateway, "sales", "contacts") == 0
    root.execute("ALTER POLICY cross_dept_read ON sales_tenant.contacts USING (true)")
    try:
        assert count(gateway, "sales", "contacts") == 1
        claim(gateway, "")
        assert count(gateway, "sales", "contacts") == 1
    finally:
        root.execute(
            """
            ALTER POLICY cross_dept_read ON sales_tenant.contacts
                USING ((SELECT federation.cross_dept_gate('sales', 'contacts')))
            """
        )
    assert count(gateway, "sales", "contacts") == 0
    with owning(root):
        root.execute("CALL federation.assert_walls('sales')")


def test_empty_table_leaves_no_row_on_record(shared: Database, root: psycopg.Connection) -> None:
    """A documented limit: the gate of a policy is asked when a scan meets a row. A search is on record all the same."""
    root.execute("DELETE FROM sales_tenant.contacts WHERE contact_id = 'c1'")
    try:
        with asking(shared) as connection, recorded(root) as record:
            assert count(connection, "sales", "contacts") == 0
            assert search(connection, "secret") == []
        assert [row["query_type"] for row in record.attempts] == ["search"]
    finally:
        root.execute(
            "INSERT INTO sales_tenant.contacts (contact_id, full_name, notes) VALUES ('c1', 'Ada', 'a secret')"
        )
    with asking(shared) as connection, recorded(root) as record:
        assert count(connection, "sales", "contacts") == 0
    assert record.attempt["query_type"] == "read"


@pytest.mark.parametrize(
    ("change", "old"),
    [
        ("UPDATE federation.cross_dept_permissions SET resource_type = 'emails'", "contacts"),
        ("UPDATE federation.cross_dept_permissions SET permission_type = 'search'", "read"),
        (
            """
            UPDATE federation.cross_dept_permissions
            SET source_department_id = target_department_id, target_department_id = source_department_id
            """,
            "hr",
        ),
    ],
)
def test_grant_that_is_turned_into_another_is_on_record_as_both(
    shared: Database, root: psycopg.Connection, change: str, old: str
) -> None:
    """Who could read what, until when, has to follow from the record."""
    grant(root)
    with recorded(root) as record:
        root.execute(change)
    told = [
        (row["source_department_id"], row["details"].get("kind"), row["details"].get("resource"), str(row["details"]))
        for row in record.events
    ]
    assert any(old in {source, kind, resource} or f"'{old}'" in details for source, kind, resource, details in told)


def test_entitlement_that_is_given_to_another_login_is_on_record_as_both(
    shared: Database, root: psycopg.Connection
) -> None:
    root.execute("INSERT INTO federation.gateway_entitlements (login_role, department_id) VALUES ('first', 'hr')")
    try:
        with recorded(root) as record:
            root.execute("UPDATE federation.gateway_entitlements SET login_role = 'second' WHERE login_role = 'first'")
        assert "'first'" in str([row["details"] for row in record.events])
    finally:
        root.execute("DELETE FROM federation.gateway_entitlements WHERE login_role IN ('first', 'second')")
