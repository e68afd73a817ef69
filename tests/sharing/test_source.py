"""Whose question is it? What a session claims only chooses among what its login was entitled to."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.conftest import Database
from tests.security.conftest import compose, count, owning, refused, value
from tests.sharing.conftest import aggregate, asking, claim, grant, recorded, search

#: Nobody may speak for these in the name of hr.
NOT_HR = ["", " ", "HR", "Hr", "hr ", " hr", "hr\n", "hr\t", "hr,sales", "*", "%", "h_", "hr'--", "ｈr", "һr"]


def answers(connection: psycopg.Connection) -> tuple[int, int, int]:
    """Return how much each of the three ways of asking gives."""
    return (count(connection, "sales", "contacts"), len(search(connection, "secret")), len(aggregate(connection)))


@pytest.fixture(scope="module", autouse=True)
def _something_to_count(root: psycopg.Connection) -> None:
    root.execute(
        """
        INSERT INTO sales_tenant.tool_calls (tool_call_id, session_id, function_name)
        SELECT 'call ' || n, 'session ' || n, 'f' FROM generate_series(1, 9) AS n
        """
    )


@pytest.fixture(autouse=True)
def _everything_is_granted(root: psycopg.Connection, shared: Database) -> None:
    for permission in ("read", "search", "aggregate"):
        grant(root, permission, "*")


def test_entitled_gateway_is_answered_in_all_three_ways(shared: Database) -> None:
    """Without this, what follows could hold because nobody is answered."""
    for login in ("hr_gateway", "all_gateway"):
        with asking(shared, login) as connection:
            assert answers(connection) == (1, 1, 1)


@pytest.mark.parametrize("source", [None, "hr"])
def test_member_of_the_gateways_role_without_an_entitlement_is_not_answered(
    shared: Database, root: psycopg.Connection, source: str | None
) -> None:
    with asking(shared, "bare_gateway", source) as connection:
        assert answers(connection) == (0, 0, 0)
        # The wall is the entitlement and nothing else: with one, the same session is answered.
        root.execute(
            "INSERT INTO federation.gateway_entitlements (login_role, department_id) VALUES (%s, 'hr')",
            ("bare_gateway",),
        )
        assert answers(connection) == ((0, 0, 0) if source is None else (1, 1, 1))
        root.execute("DELETE FROM federation.gateway_entitlements WHERE login_role = 'bare_gateway'")
        assert answers(connection) == (0, 0, 0)


def test_gateway_of_one_department_does_not_speak_for_another(shared: Database, root: psycopg.Connection) -> None:
    grant(root, "read", "contacts", source="sales", target="hr")
    grant(root, "search", "contacts", source="sales", target="hr")
    with asking(shared, "hr_gateway", "sales") as connection, recorded(root) as record:
        assert count(connection, "hr", "contacts") == 0
        assert search(connection, "secret", target="hr") == []
    assert [row["error_message"] for row in record.attempts] == [
        "the login is not entitled to speak for the source department"
    ] * 2
    with asking(shared, "all_gateway", "sales") as connection:
        assert count(connection, "hr", "contacts") == 1
        assert len(search(connection, "secret", target="hr")) == 1


@pytest.mark.parametrize("source", NOT_HR)
@pytest.mark.parametrize("login", ["hr_gateway", "all_gateway"])
def test_claim_that_is_nearly_a_department_is_none(shared: Database, login: str, source: str) -> None:
    with asking(shared, login, source) as connection:
        assert answers(connection) == (0, 0, 0)
        claim(connection, "hr")
        assert answers(connection) == (1, 1, 1)


def test_claim_of_a_transaction_ends_with_it_and_leaves_none(shared: Database) -> None:
    with asking(shared, "all_gateway", None) as connection:
        with connection.transaction():
            claim(connection, "hr", local=True)
            assert answers(connection) == (1, 1, 1)
        assert value(connection, "SELECT current_setting('app.source_department')") == ""
        assert answers(connection) == (0, 0, 0)


@pytest.mark.parametrize(
    "login_role", ["HR_GATEWAY", "Hr_Gateway", "bare_gateway ", " bare_gateway", "bare", "BARE_GATEWAY"]
)
def test_entitlement_of_a_login_that_is_nearly_the_same_is_anothers(
    shared: Database, root: psycopg.Connection, login_role: str
) -> None:
    root.execute("INSERT INTO federation.gateway_entitlements (login_role) VALUES (%s)", (login_role,))
    try:
        with asking(shared, "bare_gateway") as connection:
            assert answers(connection) == (0, 0, 0)
    finally:
        root.execute("DELETE FROM federation.gateway_entitlements WHERE login_role = %s", (login_role,))


@pytest.mark.parametrize(
    "injected", ["RESET ROLE", "SET ROLE NONE", "DISCARD ALL", "SET SESSION AUTHORIZATION DEFAULT"]
)
def test_leaving_the_gateways_role_changes_nothing_of_who_asks(
    shared: Database, root: psycopg.Connection, injected: str
) -> None:
    """The login inherits the role's privileges, so it may ask; it is still asked whom it may speak for."""
    with asking(shared, "bare_gateway") as connection:
        connection.execute(injected)
        claim(connection, "hr")
        with recorded(root) as record:
            assert search(connection, "secret") == aggregate(connection) == []
    assert {(row["requester_login"], row["success"]) for row in record.attempts} == {("bare_gateway", False)}


@pytest.mark.parametrize(
    "statement",
    [
        "SET SESSION AUTHORIZATION hr_gateway",
        "SET SESSION AUTHORIZATION postgres",
        "SET LOCAL SESSION AUTHORIZATION federation_owner",
        "SELECT set_config('session_authorization', 'hr_gateway', false)",
        "SET ROLE hr_gateway",
        "SELECT set_config('role', 'hr_gateway', false)",
        "ALTER ROLE hr_gateway PASSWORD 'stolen'",
        "ALTER ROLE hr_gateway RENAME TO bare_gateway_2",
        "GRANT hr_gateway TO bare_gateway",
        "INSERT INTO federation.gateway_entitlements (login_role) VALUES ('bare_gateway')",
    ],
)
def test_login_does_not_become_another_gateway(shared: Database, statement: str) -> None:
    with shared.login("bare_gateway") as connection:
        for role in ("NONE", "cross_dept_query_role"):
            connection.execute(compose(f"SET ROLE {role}"))
            refused(connection, statement)
            assert value(connection, "SELECT session_user") == "bare_gateway"


def test_connection_does_not_name_another_login(shared: Database) -> None:
    """What a client may send along when it connects: its password is bare_gateway's."""
    conninfo = shared.server.conninfo(shared.name, "bare_gateway", shared.passwords["bare_gateway"])
    for option in ("-c session_authorization=hr_gateway", "-c role=hr_gateway"):
        with pytest.raises((psycopg.OperationalError, InsufficientPrivilege)):
            psycopg.connect(conninfo, options=option)


def test_department_made_a_gateway_by_hand_still_reads_through_its_own_walls_alone(
    shared: Database, root: psycopg.Connection, hr: psycopg.Connection
) -> None:
    """An entitlement for hr_role that somebody wrote is worth nothing without the role that gateways become."""
    root.execute("INSERT INTO federation.gateway_entitlements (login_role) VALUES ('hr_role')")
    try:
        for source in ("hr", "sales"):
            claim(hr, source)
            refused(hr, "SELECT * FROM sales_tenant.contacts")
            refused(hr, "SELECT * FROM federation.search('sales', 'contacts', 'secret')")
            refused(hr, "SELECT * FROM federation.aggregate('sales', 'tool_calls', 'count')")
        refused(hr, "SET ROLE cross_dept_query_role")
    finally:
        root.execute("DELETE FROM federation.gateway_entitlements WHERE login_role = 'hr_role'")


def test_login_survives_a_function_that_runs_as_somebody_else(shared: Database, root: psycopg.Connection) -> None:
    """Somebody's own SECURITY DEFINER function around the question does not make it another's question."""
    with shared.connect() as owner:
        owner.execute(
            """
            CREATE FUNCTION public.ask() RETURNS bigint LANGUAGE sql SECURITY DEFINER
            AS $$SELECT count(*) FROM federation.search('sales', 'contacts', 'secret')$$
            """
        )
        try:
            owner.execute("ALTER FUNCTION public.ask() OWNER TO hr_gateway")
            with asking(shared, "hr_gateway") as entitled:
                assert value(entitled, "SELECT public.ask()") == 1
            with asking(shared, "bare_gateway") as connection, recorded(root) as record:
                assert value(connection, "SELECT public.ask()") == 0
            assert record.attempt["requester_login"] == "bare_gateway"
        finally:
            owner.execute("DROP FUNCTION public.ask()")


def test_administrator_may_claim_any_department_and_is_on_record(shared: Database, root: psycopg.Connection) -> None:
    shared.create_login("claiming_admin", "federation_admin_role", "cross_dept_query_role")
    with asking(shared, "claiming_admin") as connection, recorded(root) as record:
        assert answers(connection) == (1, 1, 1)
        claim(connection, "sales")
        assert search(connection, "secret", target="hr") == []  # for sales there is no grant
    assert [(row["requester_login"], row["success"]) for row in record.attempts] == [
        ("claiming_admin", True),
        ("claiming_admin", True),
        ("claiming_admin", True),
        ("claiming_admin", False),
    ]


@pytest.mark.parametrize("department_id", ["hr", "sales"])
@pytest.mark.parametrize("status", ["SUSPENDED", "PROVISIONING", "FAILED", "DEPROVISIONING"])
def test_department_that_is_not_active_neither_searches_nor_counts_nor_is_looked_at(
    gateway: psycopg.Connection, root: psycopg.Connection, department_id: str, status: str
) -> None:
    assert answers(gateway) == (1, 1, 1)
    root.execute("UPDATE federation.departments SET status = %s WHERE department_id = %s", (status, department_id))
    assert answers(gateway) == (0, 0, 0)


def test_own_department_is_no_target(shared: Database, root: psycopg.Connection) -> None:
    """A constraint refuses such a grant, and the question is refused by itself too."""
    with asking(shared, "all_gateway", "sales") as connection, recorded(root) as record:
        assert answers(connection) == (0, 0, 0)
    assert {row["error_message"] for row in record.attempts} == {"source and target are the same department"}
    with owning(root), pytest.raises(psycopg.errors.CheckViolation):
        grant(root, "search", "contacts", source="sales", target="sales")
