"""The policies by themselves: with the CHECK gone and a foreign row planted, the row is nobody's but the planter's.

In this module's fleet each table of hr holds a row of sales, and the CHECKs of hr's tables are gone. So whatever keeps
that row from hr is a policy.
"""

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import DivisionByZero, InvalidTextRepresentation

from tests.conftest import Database
from tests.security.conftest import (
    APPEND_ONLY,
    KEYS,
    SHARED,
    TABLES,
    another_row,
    compose,
    count,
    insertion,
    refused,
    value,
    works,
)

#: The tables whose rows a department can change.
CHANGEABLE = [table for table in TABLES if table not in APPEND_ONLY]


@pytest.fixture(scope="module", autouse=True)
def _planted(logins: Database, root: psycopg.Connection) -> None:
    for table in TABLES:
        root.execute(
            compose(
                "ALTER TABLE {table} DROP CONSTRAINT {check}",
                table=("hr_tenant", table),
                check=f"{table}_department_check",
            )
        )
        root.execute(another_row("hr", table, department="sales"))
    root.execute("UPDATE hr_tenant.contacts SET notes = 'planted' WHERE department = 'sales'")


@pytest.mark.parametrize("table", TABLES)
def test_foreign_row_is_invisible_to_the_department(
    hr: psycopg.Connection, root: psycopg.Connection, table: str
) -> None:
    assert count(root, "hr", table) == 2
    assert count(hr, "hr", table) == 1
    shown = compose("SELECT department FROM {table} WHERE department = 'sales' OR true", table=("hr_tenant", table))
    assert hr.execute(shown).fetchall() == [("hr",)]


@pytest.mark.parametrize("table", TABLES)
def test_foreign_row_is_not_copied_out(hr: psycopg.Connection, root: psycopg.Connection, table: str) -> None:
    statement = compose("COPY {table} (department) TO STDOUT", table=("hr_tenant", table))
    with hr.cursor().copy(statement) as copied:
        assert [bytes(row) for row in copied] == [b"hr\n"]
    with root.cursor().copy(statement) as copied:
        assert sorted(bytes(row) for row in copied) == [b"hr\n", b"sales\n"]


@pytest.mark.parametrize("table", CHANGEABLE)
def test_foreign_row_is_not_changed_or_removed(hr: psycopg.Connection, root: psycopg.Connection, table: str) -> None:
    target = ("hr_tenant", table)
    for statement in (
        "UPDATE {table} SET department = 'hr' WHERE department = 'sales'",
        "DELETE FROM {table} WHERE department = 'sales'",
    ):
        assert works(hr, compose(statement, table=target)) == 0
        assert works(root, compose(statement, table=target)) == 1
    assert works(hr, compose("DELETE FROM {table}", table=target)) == 1


@pytest.mark.parametrize("table", TABLES)
def test_foreign_row_is_not_written(hr: psycopg.Connection, root: psycopg.Connection, table: str) -> None:
    refused(hr, _third_row(table, "sales"), match="row-level security policy")
    assert works(hr, _third_row(table, "hr")) == 1
    assert works(root, _third_row(table, "sales")) == 1


@pytest.mark.parametrize("table", CHANGEABLE)
def test_own_row_is_not_given_away(hr: psycopg.Connection, root: psycopg.Connection, table: str) -> None:
    statement = compose("UPDATE {table} SET department = 'sales' WHERE department = 'hr'", table=("hr_tenant", table))
    refused(hr, statement, match="row-level security policy")
    assert works(root, statement) == 1


@pytest.mark.parametrize("table", [table for table in KEYS if table in CHANGEABLE])
def test_foreign_row_is_not_reached_by_a_conflict(hr: psycopg.Connection, root: psycopg.Connection, table: str) -> None:
    """The unique index sees the foreign row; the policy keeps it from being updated."""
    conflict = {
        "vector_store_embeddings": "document_id, chunk_index",
        "user_preferences": "user_id, preference_key",
        "api_keys": "service_name, api_key_name",
        "feature_flags": "department, feature_name",
    }.get(table, KEYS[table])
    columns = tuple(name.strip() for name in conflict.split(","))
    statement = another_row("hr", table, department="sales" if table == "feature_flags" else "hr") + (
        compose(" ON CONFLICT (") + _listed(columns) + compose(") DO UPDATE SET department = 'hr'")
    )
    refused(hr, statement, match="row-level security policy")
    assert works(root, statement) == 1


@pytest.mark.parametrize(
    ("condition", "error"),
    [
        ("1 / (CASE WHEN notes = 'planted' THEN 0 ELSE 1 END) = 1", DivisionByZero),
        ("CASE WHEN notes = 'planted' THEN notes::integer = 1 ELSE true END", InvalidTextRepresentation),
        ("(CASE WHEN department = 'sales' THEN 'x' ELSE '1' END)::integer = 1", InvalidTextRepresentation),
    ],
)
def test_condition_that_fails_is_never_asked_about_a_foreign_row(
    logins: Database, hr: psycopg.Connection, root: psycopg.Connection, condition: str, error: type[psycopg.Error]
) -> None:
    """An error would tell what the hidden row holds, so PostgreSQL asks the policy first."""
    query = compose("SELECT count(*) FROM {table} WHERE ", table=("hr_tenant", "contacts")) + compose(condition)
    assert value(hr, query) == 1
    with logins.login("gateway") as gateway:
        gateway.execute("SET ROLE cross_dept_query_role")
        assert value(gateway, query) == 0
    refused(root, query, error)


@pytest.mark.parametrize("table", SHARED)
def test_foreign_row_is_invisible_to_a_gateway_without_a_grant(
    logins: Database, root: psycopg.Connection, table: str
) -> None:
    with logins.login("gateway") as gateway:
        gateway.execute("SET ROLE cross_dept_query_role")
        for source in ("sales", "hr", ""):
            gateway.execute("SELECT set_config('app.source_department', %s, false)", (source,))
            assert count(gateway, "hr", table) == 0
        for statement in (
            another_row("hr", table, department="sales"),
            compose("UPDATE {table} SET department = 'hr'", table=("hr_tenant", table)),
            compose("DELETE FROM {table}", table=("hr_tenant", table)),
        ):
            refused(gateway, statement)
    assert count(root, "hr", table) == 2


@pytest.mark.parametrize("table", TABLES)
def test_admin_sees_a_foreign_row_and_writes_none(logins: Database, root: psycopg.Connection, table: str) -> None:
    """Whoever repairs things has to see what is wrong."""
    with logins.login("operator") as operator:
        assert count(operator, "hr", table) == 2
        refused(operator, _third_row(table, "sales"), match="row-level security policy")
        if table in CHANGEABLE:
            change = "UPDATE {table} SET department = 'sales'"
            refused(operator, compose(change, table=("hr_tenant", table)), match="row-level security policy")
    assert works(root, _third_row(table, "sales")) == 1


@pytest.mark.parametrize("table", TABLES)
def test_owner_sees_neither_row(root: psycopg.Connection, table: str) -> None:
    with root.transaction(force_rollback=True):
        root.execute("SET LOCAL ROLE federation_owner")
        assert count(root, "hr", table) == 0
    assert count(root, "hr", table) == 2


def test_foreign_row_cannot_be_told_from_the_department_whose_name_it_bears(sales: psycopg.Connection) -> None:
    """The row says sales, and sales still has no way to hr's schema."""
    refused(sales, "SELECT * FROM hr_tenant.contacts WHERE department = 'sales'")


def _third_row(table: str, department_id: str) -> sql.Composed:
    """Return a row that is unlike both that are there already."""
    key = KEYS.get(table)
    own = {} if key is None else {key: 3 if key == "id" else "third"}
    return insertion("hr", table, department=department_id, **own)


def _listed(columns: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column) for column in columns)
