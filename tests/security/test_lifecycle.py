"""A department that goes takes its grants along, and one that comes under its name starts from nothing."""

from contextlib import suppress

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from fedschema import federation, tenancy
from fedschema.department import Department
from fedschema.errors import NameTaken, OperationError
from fedschema.tenancy import NewDepartment
from tests.conftest import Database
from tests.security.conftest import TABLES, compose, count, fill, grants_of, owning, refused, value

HR = Department("hr")
SALES = Department("sales")


def drop(database: Database, department: Department) -> None:
    tenancy.drop(database.conninfo, database.compiler, department, confirm=lambda _: None)


@pytest.fixture
def shared(database: Database) -> Database:
    """hr and sales with rows, grants in both directions, entitlements and secrets; gateway may speak for both."""
    for department in (HR, SALES):
        database.add(department.id)
        fill(database, department.id)
    database.create_login("gateway", "cross_dept_query_role")
    with database.connect() as root:
        root.execute(
            """
            INSERT INTO federation.cross_dept_permissions
                (source_department_id, target_department_id, permission_type, resource_type, granted_by)
            VALUES ('hr', 'sales', 'read', '*', 'test'), ('sales', 'hr', 'read', 'contacts', 'test')
            """
        )
        root.execute(
            """
            INSERT INTO federation.gateway_entitlements (login_role, department_id)
            VALUES ('gateway', 'hr'), ('gateway', 'sales'), ('hr_role', 'sales'), ('hr_role', NULL)
            """
        )
        root.execute(
            """
            INSERT INTO federation.oauth_credentials
                (department_id, service_name, oauth_client_id, oauth_client_secret_encrypted)
            VALUES ('hr', 'drive', 'x', 'secret')
            """
        )
    return database


def ask(database: Database, source: str, target: str) -> int:
    """Return how many contacts of the target the gateway sees when it speaks for the source."""
    with database.login("gateway") as gateway:
        gateway.execute("SET ROLE cross_dept_query_role")
        gateway.execute("SELECT set_config('app.source_department', %s, false)", (source,))
        return count(gateway, target, "contacts")


def test_new_department_inherits_no_grant_of_the_old_one(shared: Database) -> None:
    assert ask(shared, "hr", "sales") == ask(shared, "sales", "hr") == 1
    drop(shared, HR)
    shared.add("hr")
    fill(shared, "hr")
    assert ask(shared, "hr", "sales") == ask(shared, "sales", "hr") == 0


def test_new_department_is_spoken_for_by_no_gateway_of_the_old_one(shared: Database) -> None:
    drop(shared, HR)
    shared.add("hr")
    with shared.connect() as root:
        root.execute(
            """
            INSERT INTO federation.cross_dept_permissions
                (source_department_id, target_department_id, permission_type, resource_type, granted_by)
            VALUES ('hr', 'sales', 'read', '*', 'test')
            """
        )
        assert ask(shared, "hr", "sales") == 0
        root.execute("INSERT INTO federation.gateway_entitlements (login_role, department_id) VALUES ('gateway', 'hr')")
        assert ask(shared, "hr", "sales") == 1


LEFT_BEHIND = {
    "grants": """
        SELECT count(*) FROM federation.cross_dept_permissions
        WHERE 'hr' IN (source_department_id, target_department_id)
    """,
    "entitlements": "SELECT count(*) FROM federation.gateway_entitlements WHERE department_id = 'hr'",
    "entitlements of its login": "SELECT count(*) FROM federation.gateway_entitlements WHERE login_role = 'hr_role'",
    "secrets": "SELECT count(*) FROM federation.oauth_credentials WHERE department_id = 'hr'",
    "role": "SELECT count(*) FROM pg_roles WHERE rolname = 'hr_role'",
    "schema": "SELECT count(*) FROM pg_namespace WHERE nspname = 'hr_tenant'",
}


def test_dropped_department_leaves_nothing_behind(shared: Database) -> None:
    with shared.connect() as root:
        assert all(value(root, query) > 0 for query in LEFT_BEHIND.values())
        drop(shared, HR)
        assert {name for name, query in LEFT_BEHIND.items() if value(root, query) > 0} == set()


def test_dropping_one_department_leaves_the_other_as_it_was(shared: Database) -> None:
    with shared.connect() as root:
        before = grants_of(root, "sales_role")
        drop(shared, HR)
        assert grants_of(root, "sales_role") == before
        assert count(root, "sales", "contacts") == 1
        assert value(root, "SELECT count(*) FROM federation.gateway_entitlements WHERE login_role = 'gateway'") == 1
    with shared.login("sales_role") as sales:
        assert count(sales, "sales", "contacts") == 1


def test_new_department_has_another_id_and_another_password(shared: Database) -> None:
    identity = "SELECT id FROM federation.departments WHERE department_id = 'hr'"
    old = shared.passwords["hr_role"]
    with shared.connect() as root:
        before = value(root, identity)
        drop(shared, HR)
        shared.add("hr")
        assert value(root, identity) != before
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(shared.server.conninfo(shared.name, "hr_role", old))
    shared.login("hr_role").close()


def test_open_session_of_a_dropped_department_reaches_nothing_of_the_new_one(shared: Database) -> None:
    """A role that comes back under its old name is another role."""
    with shared.login("hr_role") as old:
        assert count(old, "hr", "contacts") == 1
        drop(shared, HR)
        shared.add("hr")
        fill(shared, "hr")
        for table in TABLES:
            refused(old, compose("SELECT * FROM {table}", table=("hr_tenant", table)))
    with shared.login("hr_role") as new:
        assert count(new, "hr", "contacts") == 1


def test_open_claim_for_a_dropped_department_is_worth_nothing(shared: Database) -> None:
    with shared.login("gateway") as gateway:
        gateway.execute("SET ROLE cross_dept_query_role")
        gateway.execute("SELECT set_config('app.source_department', 'hr', false)")
        assert count(gateway, "sales", "contacts") == 1
        drop(shared, HR)
        assert count(gateway, "sales", "contacts") == 0
        shared.add("hr")
        assert count(gateway, "sales", "contacts") == 0


@pytest.mark.parametrize(
    "sabotage",
    [
        (
            "ALTER ROLE hr_role SET statement_timeout = 1",
            "ALTER ROLE hr_role IN DATABASE {database} SET search_path = pg_temp",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA hr_tenant GRANT SELECT ON TABLES TO PUBLIC",
        ),
        (
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
            "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
        ),
    ],
    ids=["settings", "default privileges"],
)
def test_department_cannot_make_itself_undroppable(shared: Database, sabotage: tuple[str, ...]) -> None:
    """DROP ROLE is refused while anything refers to the role, and every role may have default privileges."""
    with shared.login("hr_role") as hr:
        for statement in sabotage:
            hr.execute(compose(statement, database=shared.name))
    drop(shared, HR)
    with shared.connect() as root:
        assert value(root, "SELECT count(*) FROM pg_roles WHERE rolname = 'hr_role'") == 0


@pytest.mark.parametrize(
    "sabotage",
    [
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO sales_role",
        "ALTER DEFAULT PRIVILEGES FOR ROLE federation_department_role GRANT SELECT ON TABLES TO sales_role",
    ],
)
def test_department_cannot_make_another_undroppable(shared: Database, sabotage: str) -> None:
    with shared.login("hr_role") as hr:
        hr.execute(sabotage)
    drop(shared, SALES)
    with shared.connect() as root:
        assert value(root, "SELECT count(*) FROM pg_roles WHERE rolname = 'sales_role'") == 0


def test_department_cannot_hold_up_init(shared: Database) -> None:
    """Any role may take an advisory lock, so none of ours may wait for one while departments are there."""
    impatient = f"{shared.conninfo} options='-c lock_timeout=1s'"
    with shared.login("hr_role") as hr, hr.transaction():
        hr.execute("SELECT pg_advisory_xact_lock(hashtextextended('fedschema:init', 0))")
        federation.initialise(impatient, shared.compiler)


# ---------------------------------------------------------------------------------------- two databases of one cluster


@pytest.fixture
def second(database: Database, blank_database: Database) -> Database:
    """Another database of the same cluster, with a control plane of its own; the first has hr."""
    database.add("hr")
    fill(database, "hr")
    federation.initialise(blank_database.conninfo, blank_database.compiler)
    return blank_database


def test_role_of_one_database_is_not_taken_by_another(database: Database, second: Database) -> None:
    with pytest.raises(NameTaken, match=rf"hr_role exists already .*{database.name}"):
        second.add("hr")

    with second.connect() as root:
        assert value(root, "SELECT count(*) FROM federation.departments") == 0
        assert value(root, "SELECT to_regnamespace('hr_tenant')") is None
        comment = value(root, "SELECT shobj_description('hr_role'::regrole, 'pg_authid')")
        assert comment == f"fedschema: department hr of database {database.name}"
    with database.login("hr_role") as hr:
        assert count(hr, "hr", "contacts") == 1


def test_department_of_one_database_reaches_nothing_in_another(database: Database, second: Database) -> None:
    """Roles are shared by the cluster, and so is what departments have in common; their rows are not."""
    second.add("legal")
    fill(second, "legal")
    elsewhere = second.server.conninfo(second.name, "hr_role", database.passwords["hr_role"])
    try:
        connection = psycopg.connect(elsewhere, autocommit=True)
    except psycopg.OperationalError as error:
        assert "permission denied for database" in str(error)  # noqa: PT017 - either answer keeps it out
        return
    with connection:
        for statement in (
            "SELECT * FROM legal_tenant.contacts",
            "SELECT * FROM federation.departments",
            "CREATE TABLE public.x ()",
            "CREATE TEMP TABLE x ()",
            "CREATE SCHEMA x",
            "SELECT lo_create(0)",
            "SET ROLE legal_role",
        ):
            refused(connection, statement)


def test_entitlement_of_one_database_counts_for_nothing_in_another(database: Database, second: Database) -> None:
    """The gateway's role is the cluster's; for whom it may speak is each database's own."""
    for name in ("legal", "ops"):
        second.add(name)
        fill(second, name)
    database.create_login("gateway", "cross_dept_query_role")
    entitle = "INSERT INTO federation.gateway_entitlements (login_role, department_id) VALUES ('gateway', NULL)"
    with database.connect() as root:
        root.execute(entitle)
    with second.connect() as root:
        root.execute(
            """
            INSERT INTO federation.cross_dept_permissions
                (source_department_id, target_department_id, permission_type, resource_type, granted_by)
            VALUES ('legal', 'ops', 'read', '*', 'test')
            """
        )
    elsewhere = second.server.conninfo(second.name, "gateway", database.passwords["gateway"])
    with psycopg.connect(elsewhere, autocommit=True) as gateway:
        gateway.execute("SET ROLE cross_dept_query_role")
        gateway.execute("SELECT set_config('app.source_department', 'legal', false)")
        assert count(gateway, "ops", "contacts") == 0
        with second.connect() as root:
            root.execute(entitle)
        assert count(gateway, "ops", "contacts") == 1


def test_what_keeps_a_role_alive_in_another_database_is_named(database: Database, blank_database: Database) -> None:
    """A department may connect wherever everybody may, and there too every role may have default privileges."""
    database.add("hr")
    elsewhere = blank_database.server.conninfo(blank_database.name, "hr_role", database.passwords["hr_role"])
    with psycopg.connect(elsewhere, autocommit=True) as hr:
        hr.execute("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")

    with pytest.raises(OperationError) as refusal:
        drop(database, HR)

    assert blank_database.name in refusal.value.message
    assert "DROP OWNED BY hr_role" in (refusal.value.hint or "")
    with database.login("hr_role") as hr:
        assert count(hr, "hr", "contacts") == 0
    with blank_database.connect() as root:
        root.execute("DROP OWNED BY hr_role")
    drop(database, HR)


def test_dropping_in_one_database_leaves_the_role_of_another(database: Database, second: Database) -> None:
    """Also when somebody wrote the registry by hand."""
    with second.connect() as root:
        root.execute("CALL federation.register_department('hr', 'Not ours', NULL)")
        root.execute("UPDATE federation.departments SET status = 'ACTIVE'")
    with pytest.raises(OperationError, match=r"hr_role|hr_tenant"):
        drop(second, HR)
    with database.login("hr_role") as hr:
        assert count(hr, "hr", "contacts") == 1


def test_role_that_is_somebody_elses_is_not_taken(database: Database) -> None:
    database.create_login("legal_role", "pg_monitor")
    with database.connect() as root:
        root.execute("COMMENT ON ROLE legal_role IS 'the legal team''s own login'")
        try:
            with pytest.raises(NameTaken, match="not ours"):
                database.add("legal")
            assert value(root, "SELECT to_regnamespace('legal_tenant')") is None
            assert value(root, "SELECT count(*) FROM federation.departments") == 0
        finally:
            root.execute("DROP OWNED BY legal_role")
            root.execute("DROP ROLE legal_role")


def test_role_of_a_platform_name_that_can_pass_by_the_walls_is_not_used(database: Database) -> None:
    """init refuses platform roles whose attributes are others than they should be."""
    with database.connect() as root:
        for attribute in ("LOGIN", "SUPERUSER", "BYPASSRLS", "CREATEROLE", "CREATEDB", "REPLICATION"):
            root.execute(sql.SQL("ALTER ROLE federation_admin_role {}").format(sql.SQL(attribute)))
            try:
                with pytest.raises(NameTaken, match="federation_admin_role"):
                    federation.initialise(database.conninfo, database.compiler)
            finally:
                root.execute(sql.SQL("ALTER ROLE federation_admin_role {}").format(sql.SQL(f"NO{attribute}")))
    federation.initialise(database.conninfo, database.compiler)


def test_owner_that_inherits_the_admin_is_not_left_as_it_is(shared: Database) -> None:
    """FORCE binds the owner only while it does not inherit a role that a policy admits."""
    with shared.connect() as root:
        by_grant = root.info.server_version >= 160000
        loosen, tighten = (
            (
                "GRANT federation_admin_role TO federation_owner WITH INHERIT TRUE",
                "GRANT federation_admin_role TO federation_owner WITH INHERIT FALSE",
            )
            if by_grant
            else ("ALTER ROLE federation_owner INHERIT", "ALTER ROLE federation_owner NOINHERIT")
        )
        root.execute(loosen)
        try:
            with owning(root):
                assert count(root, "hr", "contacts") == 1
            with suppress(NameTaken):
                federation.initialise(shared.conninfo, shared.compiler)
                with owning(root):
                    assert count(root, "hr", "contacts") == 0
        finally:
            root.execute(tighten)


def test_owner_does_not_inherit_a_department_whatever_the_server_is_set_to(database: Database) -> None:
    """From PostgreSQL 16 on, createrole_self_grant can make whoever makes a role inherit it."""
    with database.connect() as root:
        if root.info.server_version >= 160000:
            root.execute(
                compose("ALTER DATABASE {name} SET createrole_self_grant = 'set, inherit'", name=database.name)
            )
        database.add("hr")
        fill(database, "hr")
        with owning(root):
            assert count(root, "hr", "contacts") == 0
        assert count(root, "hr", "contacts") == 1


def test_department_cannot_add_another(shared: Database) -> None:
    """Its own login goes the way of `tenant add` by the script, and is refused by the server."""
    script = tenancy.creation_script(shared.compiler, NewDepartment(Department("evil"), "Evil"))
    with shared.login("hr_role") as hr, pytest.raises(InsufficientPrivilege):
        hr.execute(script)
    with shared.connect() as root:
        assert value(root, "SELECT count(*) FROM federation.departments") == 2
        root.execute(script)
        assert value(root, "SELECT count(*) FROM federation.departments") == 3
