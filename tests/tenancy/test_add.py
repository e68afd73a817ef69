"""`tenant add`: a department comes whole, or not at all."""

from __future__ import annotations

import pytest

from fedschema import federation, passwords, tenancy
from fedschema.department import Department
from fedschema.errors import DepartmentExists, NameTaken
from fedschema.tenancy import NewDepartment
from tests.conftest import Database, Run, Server
from tests.tenancy.conftest import Inventory
from tests.tenancy.inventory import NOTHING, WHOLE, inventory, traces


def test_department_comes_with_its_tables_and_history(database: Database) -> None:
    assert traces(database, "hr") == NOTHING

    database.add("hr")

    assert traces(database, "hr") == WHOLE


def test_adding_twice_is_refused_and_changes_nothing(database: Database, everything: Inventory) -> None:
    database.add("hr")
    before = everything()

    with pytest.raises(DepartmentExists) as refusal:
        database.add("hr", "Another Name")

    assert everything() == before
    assert refusal.value.message == "department hr exists already (ACTIVE); nothing was changed"
    assert refusal.value.hint == "fedschema tenant show hr"


def test_adding_one_department_leaves_another_untouched(database: Database) -> None:
    database.add("hr")
    with database.connect() as connection:
        question = "SELECT oid, relacl::text FROM pg_class WHERE relnamespace = 'hr_tenant'::regnamespace ORDER BY oid"
        before = connection.execute(question).fetchall()

        database.add("sales")

        assert connection.execute(question).fetchall() == before
    assert traces(database, "hr") == traces(database, "sales") == WHOLE


def test_department_role_logs_in_with_its_password(database: Database) -> None:
    database.add("hr")

    with database.login("hr_role") as connection:
        assert connection.execute("SELECT current_user, current_schema()").fetchone() == ("hr_role", "hr_tenant")


def test_department_role_is_a_plain_login_in_one_group(database: Database) -> None:
    database.add("hr")

    with database.connect() as connection:
        attributes = connection.execute(
            """
            SELECT rolcanlogin, rolconnlimit > 0,
                   rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
            FROM pg_roles WHERE rolname = 'hr_role'
            """
        ).fetchone()
        groups = connection.execute(
            "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = 'hr_role'::regrole"
        ).fetchall()
    assert attributes == (True, True, False)
    assert groups == [("federation_department_role",)]


def test_registry_keeps_name_and_address(database: Database) -> None:
    new = NewDepartment(Department.parse("hr"), "Human Resources", "hr@example.com")

    tenancy.add(database.conninfo, database.compiler, new, passwords.generate())

    with database.connect() as connection:
        row = connection.execute(
            "SELECT department_id, department_name, status, tenant_schema, admin_email FROM federation.departments"
        ).fetchall()
    assert row == [("hr", "Human Resources", "ACTIVE", "hr_tenant", "hr@example.com")]


def test_history_says_who_and_how_long(database: Database) -> None:
    database.add("hr")

    with database.connect() as connection:
        rows = connection.execute(
            """
            SELECT direction, applied_by, success, error_message, duration_seconds >= 0, checksum LIKE 'sha256:%',
                   applied_at BETWEEN now() - interval '1 minute' AND clock_timestamp()
            FROM federation.schema_migrations WHERE department_id = 'hr'
            """
        ).fetchall()
    assert rows == [("upgrade", database.server.user, True, None, True, True, True)] * 7


def test_same_id_in_another_database_of_the_cluster_is_refused(
    database: Database, blank_database: Database, everything: Inventory, server: Server
) -> None:
    federation.initialise(blank_database.conninfo, blank_database.compiler)
    database.add("hr")
    before = everything(), inventory(server, blank_database.name)

    with pytest.raises(NameTaken) as refusal:
        blank_database.add("hr")

    assert (everything(), inventory(server, blank_database.name)) == before
    assert f"department hr of database {database.name}" in refusal.value.message
    assert refusal.value.hint is not None


def test_command_adds_and_says_so(fedschema: Run) -> None:
    done = fedschema("tenant", "add", "legal", "--name", "Legal Department")

    assert done.status == 0, done.stderr
    assert "department legal (Legal Department)" in done.stdout


def test_dry_run_touches_nothing(command: Run, everything: Inventory) -> None:
    before = everything()

    done = command("tenant", "add", "legal", "--name", "Legal Department", "--dry-run")

    assert done.status == 0, done.stderr
    assert "CREATE SCHEMA legal_tenant" in done.stdout
    assert everything() == before


def test_dry_run_needs_no_database(command: Run) -> None:
    done = command("tenant", "add", "legal", "--dry-run", url="postgresql://u@127.0.0.1:1/none")

    assert done.status == 0, done.stderr
    assert "CREATE SCHEMA legal_tenant" in done.stdout


def test_dry_run_is_what_tenant_sql_generates(command: Run) -> None:
    named = ("--name", "Legal Department", "--admin-email", "legal@example.com")

    dry_run = command("tenant", "add", "legal", *named, "--dry-run")
    generated = command("tenant", "sql", "legal", *named)

    assert dry_run.stdout == generated.stdout
    assert "PASSWORD" not in dry_run.stdout.upper().replace("--", "")
