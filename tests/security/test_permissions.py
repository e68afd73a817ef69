"""What operators write with plain SQL into the grants is held by constraints: nonsense cannot be stored."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import (
    CheckViolation,
    ForeignKeyViolation,
    NotNullViolation,
    StringDataRightTruncation,
    UniqueViolation,
)

from tests.conftest import Database
from tests.security.conftest import PRIVATE, SHARED, refused, value

GRANT = """
    INSERT INTO federation.cross_dept_permissions
        (source_department_id, target_department_id, permission_type, resource_type, granted_by)
    VALUES (%s, %s, %s, %s, 'test')
    RETURNING resource_type
"""


@pytest.fixture
def operator(logins: Database, root: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A member of federation_admin_role, who writes grants as the documentation shows."""
    with logins.login("operator") as connection:
        yield connection
    root.execute("DELETE FROM federation.cross_dept_permissions")
    root.execute("DELETE FROM federation.gateway_entitlements")


def grant(
    connection: psycopg.Connection,
    source: str | None = "hr",
    target: str | None = "sales",
    permission: str | None = "read",
    resource: str | None = "contacts",
) -> str:
    """Write a grant and return the resource as it was stored."""
    return str(value(connection, GRANT, source, target, permission, resource))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"source": "nobody"}, ForeignKeyViolation),
        ({"target": "nobody"}, ForeignKeyViolation),
        ({"source": "HR"}, ForeignKeyViolation),
        ({"source": "hr "}, ForeignKeyViolation),
        ({"source": "*"}, ForeignKeyViolation),
        ({"target": "*"}, ForeignKeyViolation),
        ({"source": ""}, ForeignKeyViolation),
        ({"target": "federation"}, ForeignKeyViolation),
        ({"source": None}, NotNullViolation),
        ({"target": None}, NotNullViolation),
        ({"target": "hr"}, CheckViolation),
        ({"source": "sales"}, CheckViolation),
        ({"permission": "write"}, CheckViolation),
        ({"permission": "READ"}, CheckViolation),
        ({"permission": "*"}, CheckViolation),
        ({"permission": ""}, CheckViolation),
        ({"permission": None}, NotNullViolation),
        ({"resource": "nothing"}, ForeignKeyViolation),
        ({"resource": "Contacts"}, ForeignKeyViolation),
        ({"resource": "contacts "}, ForeignKeyViolation),
        ({"resource": ""}, ForeignKeyViolation),
        ({"resource": "**"}, ForeignKeyViolation),
        ({"resource": "sales_tenant.contacts"}, ForeignKeyViolation),
        ({"resource": "pg_authid"}, ForeignKeyViolation),
        ({"resource": "x" * 51}, StringDataRightTruncation),
        ({"resource": None}, NotNullViolation),
    ],
)
def test_grant_that_cannot_be_meant_is_refused(
    operator: psycopg.Connection, changes: dict[str, str | None], error: type[psycopg.Error]
) -> None:
    with pytest.raises(error):
        grant(operator, **changes)
    assert grant(operator) == "contacts"


@pytest.mark.parametrize("resource", [*PRIVATE, "alembic_version"])
@pytest.mark.parametrize("permission", ["read", "search", "aggregate"])
def test_table_that_is_never_shared_cannot_be_granted(
    operator: psycopg.Connection, permission: str, resource: str
) -> None:
    with pytest.raises(ForeignKeyViolation):
        grant(operator, permission=permission, resource=resource)
    assert grant(operator, permission=permission, resource="contacts") == "contacts"


@pytest.mark.parametrize(("table", "resource"), SHARED.items())
def test_name_of_a_table_is_stored_as_its_canonical_name(
    operator: psycopg.Connection, table: str, resource: str
) -> None:
    assert grant(operator, resource=table) == resource
    assert grant(operator, source="sales", target="hr", resource=resource) == resource


def test_alias_is_canonical_also_when_it_comes_by_update_or_copy(
    operator: psycopg.Connection, root: psycopg.Connection
) -> None:
    grant(operator)
    operator.execute("UPDATE federation.cross_dept_permissions SET resource_type = 'email_logs'")
    assert value(root, "SELECT resource_type FROM federation.cross_dept_permissions") == "emails"
    statement = """
        COPY federation.cross_dept_permissions
            (source_department_id, target_department_id, permission_type, resource_type, granted_by)
        FROM STDIN
    """
    with operator.cursor().copy(statement) as copied:
        copied.write_row(("sales", "hr", "read", "drive_document_repository", "test"))
    stored = root.execute("SELECT resource_type FROM federation.cross_dept_permissions ORDER BY 1").fetchall()
    assert stored == [("drive_documents",), ("emails",)]


def test_alias_and_canonical_name_are_one_grant(operator: psycopg.Connection) -> None:
    assert grant(operator, resource="drive_document_repository") == "drive_documents"
    with pytest.raises(UniqueViolation):
        grant(operator, resource="drive_documents")
    with pytest.raises(UniqueViolation):
        grant(operator, resource="drive_document_repository")


def test_granting_again_over_an_alias_changes_the_grant_that_is_there(
    operator: psycopg.Connection, root: psycopg.Connection
) -> None:
    """INSERT … ON CONFLICT as operators write it."""
    again = GRANT.replace(
        "RETURNING",
        """
        ON CONFLICT (source_department_id, target_department_id, permission_type, resource_type)
        DO UPDATE SET enabled = false RETURNING
        """,
    )
    grant(operator, resource="emails")
    assert value(operator, again, "hr", "sales", "read", "email_logs") == "emails"
    assert root.execute("SELECT enabled FROM federation.cross_dept_permissions").fetchall() == [(False,)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE federation.cross_dept_permissions SET target_department_id = 'hr'",
        "UPDATE federation.cross_dept_permissions SET source_department_id = 'nobody'",
        "UPDATE federation.cross_dept_permissions SET resource_type = 'api_keys'",
        "UPDATE federation.cross_dept_permissions SET permission_type = 'everything'",
    ],
)
def test_grant_is_not_turned_into_one_that_cannot_be_meant(
    operator: psycopg.Connection, root: psycopg.Connection, statement: str
) -> None:
    grant(operator)
    refused(operator, statement, (CheckViolation, ForeignKeyViolation))
    refused(root, statement, (CheckViolation, ForeignKeyViolation))


def test_resources_are_exactly_the_tables_that_can_be_shared(root: psycopg.Connection) -> None:
    found = root.execute("SELECT coalesce(table_name, 'all'), resource_type FROM federation.resources").fetchall()
    assert dict(found) == {**SHARED, "all": "*"}


def test_entitlement_for_a_department_that_is_not_there_is_refused(root: psycopg.Connection) -> None:
    entitle = "INSERT INTO federation.gateway_entitlements (login_role, department_id) VALUES ('gateway', %s)"
    for department_id in ("nobody", "*", "", "HR"):
        with pytest.raises(ForeignKeyViolation):
            root.execute(entitle, (department_id,))
    root.execute(entitle, ("hr",))
    root.execute(entitle, (None,))
    for again in ("hr", None):
        with pytest.raises(UniqueViolation):
            root.execute(entitle, (again,))
    root.execute("DELETE FROM federation.gateway_entitlements")


@pytest.mark.parametrize(
    "department_id",
    [
        *("HR", "hr\n", "hr ", " hr", "1hr", "_hr", "hr-x", 'hr"', "hr'; DROP TABLE x; --", ""),
        *("\uff48r", "\u04bbr", "hr\u200b", "x" * 57),
    ],
)
def test_registry_refuses_an_id_that_cannot_be_one(root: psycopg.Connection, department_id: str) -> None:
    """Also when it comes by plain SQL, past `Department.parse`."""
    register = "INSERT INTO federation.departments (department_id, department_name, tenant_schema) VALUES (%s, 'x', %s)"
    with pytest.raises((CheckViolation, StringDataRightTruncation)), root.transaction(force_rollback=True):
        root.execute(register, (department_id, f"{department_id}_tenant"))
    with root.transaction(force_rollback=True):
        root.execute(register, ("legal", "legal_tenant"))


def test_registry_refuses_a_schema_that_is_not_the_departments(root: psycopg.Connection) -> None:
    refused(
        root, "UPDATE federation.departments SET tenant_schema = 'public' WHERE department_id = 'hr'", CheckViolation
    )
    refused(root, "UPDATE federation.departments SET status = 'OPEN' WHERE department_id = 'hr'", CheckViolation)
