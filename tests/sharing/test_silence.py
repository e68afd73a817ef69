"""A refusal and an empty table look alike: what the server writes into its log does not reach the one who asks."""

from __future__ import annotations

import psycopg
import pytest

from fedschema import audit_channel, gateways, passwords
from fedschema.department import Department
from tests.conftest import Database

QUERIES = [
    "SELECT * FROM sales_tenant.contacts",
    "SELECT * FROM federation.search('sales', 'contacts', 'anything')",
    "SELECT * FROM federation.aggregate('sales', 'tool_calls', 'count', 'status')",
]


@pytest.fixture
def asking(database: Database) -> psycopg.Connection:
    """A gateway's session that asks for every message there is; HR has no grant, Sales has a contact."""
    database.add("hr")
    database.add("sales")
    with database.login("sales_role") as connection:
        connection.execute("INSERT INTO contacts (contact_id) VALUES ('c1')")
    password = passwords.generate()
    gateways.add(database.conninfo, database.compiler, "test_gateway", [Department("hr")], password)
    database.passwords["test_gateway"] = password.text
    connection = database.login("test_gateway")
    connection.execute("SET ROLE cross_dept_query_role")
    connection.execute("SELECT set_config('app.source_department', 'hr', false)")
    connection.execute("SET client_min_messages = log")
    return connection


@pytest.fixture(autouse=True)
def _no_gateway_left(database: Database, asking: psycopg.Connection):  # type: ignore[no-untyped-def] # noqa: ANN202
    yield
    asking.close()
    gateways.remove(database.conninfo, database.compiler, "test_gateway", [])


@pytest.mark.parametrize("query", QUERIES)
def test_refusal_is_not_told_to_the_one_who_asks(asking: psycopg.Connection, query: str) -> None:
    told: list[str] = []
    asking.add_notice_handler(lambda notice: told.append(f"{notice.message_primary}"))

    assert asking.execute(query).fetchall() == []
    assert told == []


def test_failure_of_the_durable_channel_is_not_told_either(database: Database, asking: psycopg.Connection) -> None:
    audit_channel.install(database.conninfo, database.compiler)
    with database.connect() as root:
        root.execute("ALTER USER MAPPING FOR federation_owner SERVER federation_audit OPTIONS (SET password 'wrong')")
    told: list[str] = []
    asking.add_notice_handler(lambda notice: told.append(f"{notice.message_primary}"))

    assert asking.execute(QUERIES[0]).fetchall() == []
    assert told == []
    audit_channel.remove(database.conninfo, database.compiler)
