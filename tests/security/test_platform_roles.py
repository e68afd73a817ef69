"""The platform's roles: what each may see and do across all departments, and that nothing is for everybody."""

import psycopg
import pytest
from psycopg.errors import CheckViolation, NotNullViolation

from tests.conftest import Database
from tests.security.conftest import (
    APPEND_ONLY,
    DEPARTMENTS,
    FUNCTIONS,
    IDENTITY,
    PRIVATE,
    ROWS,
    SHARED,
    TABLES,
    another_row,
    compose,
    count,
    each,
    grants_of,
    owning,
    refused,
    undone,
    value,
    works,
)

PLATFORM_ROLES = (
    "federation_owner",
    "federation_admin_role",
    "federation_reader_role",
    "cross_dept_query_role",
    "federation_department_role",
    "federation_retention_role",
)
SCHEMAS = [f"{department_id}_tenant" for department_id in DEPARTMENTS]
CONTROL_PLANE = (
    "alembic_version",
    "cross_dept_audit",
    "cross_dept_permissions",
    "denials_forgotten",
    "departments",
    "gateway_entitlements",
    "oauth_credentials",
    "probes",
    "resources",
    "retention_periods",
    "retention_rules",
    "schema_migrations",
    "security_audit",
)
#: What gateways may call of the control plane: the gate of the policies, and the two other ways to ask.
GATEWAY_FUNCTIONS = (
    "federation.cross_dept_gate(text,text)",
    "federation.search(text,text,text,integer)",
    "federation.aggregate(text,text,text,text)",
)
#: What the functions that belong to the reader call.
READER_FUNCTIONS = (
    "federation.admit(text,text,text)",
    "federation.write_attempt(text,text,text,text,text,jsonb,integer,integer)",
    "federation.parseable(text)",
    "federation.search_query(text)",
    "federation.passage(text,text[])",
)
#: What an operator may read of the control plane; only permissions may be written.
READABLE = (
    "cross_dept_audit",
    "cross_dept_permissions",
    "departments",
    "gateway_entitlements",
    "resources",
    "retention_periods",
    "retention_rules",
    "schema_migrations",
    "security_audit",
)


@pytest.mark.parametrize("role", PLATFORM_ROLES)
def test_platform_role_cannot_log_in_or_pass_by_the_walls(root: psycopg.Connection, role: str) -> None:
    found = root.execute(
        """
        SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreatedb, rolreplication, rolcreaterole, rolpassword
        FROM pg_authid WHERE rolname = %s
        """,
        (role,),
    ).fetchone()
    assert found == (False, False, False, False, False, role == "federation_owner", None)


def test_platform_roles_are_members_of_one_another_only_so_that_the_owner_can_become_three_of_them(
    root: psycopg.Connection,
) -> None:
    """The administrators to see rows, the others to hand them functions. It inherits none: FORCE has to bind it."""
    memberships = root.execute(
        """
        SELECT member::regrole::text, roleid::regrole::text FROM pg_auth_members AS m
        WHERE (member = ANY (%(roles)s::regrole[]) AND roleid = ANY (%(roles)s::regrole[]))
          AND coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)
        ORDER BY 2
        """,
        {"roles": list(PLATFORM_ROLES)},
    ).fetchall()
    assert memberships == [
        ("federation_owner", "federation_admin_role"),
        ("federation_owner", "federation_reader_role"),
        ("federation_owner", "federation_retention_role"),
    ]
    inherited = root.execute(
        """
        SELECT a.rolname, b.rolname FROM pg_roles AS a, pg_roles AS b
        WHERE a.rolname = ANY (%(roles)s) AND b.rolname = ANY (%(roles)s) AND a.oid <> b.oid
          AND pg_has_role(a.oid, b.oid, 'USAGE')
        """,
        {"roles": list(PLATFORM_ROLES)},
    ).fetchall()
    assert inherited == []


def test_nothing_of_ours_is_for_everybody(root: psycopg.Connection) -> None:
    """Neither by a grant to PUBLIC nor by PostgreSQL's defaults for functions, types aside."""
    ours = {
        grant
        for grant in grants_of(root, "public")
        if not grant[1].startswith(("pg_", "information_schema"))
        and grant[0] in {"schema", "table", "column", "sequence", "database", "default", "large object"}
    }
    assert ours == {("schema", "public", "USAGE")}
    functions = root.execute(
        """
        SELECT p.oid::regprocedure::text FROM pg_proc AS p
        CROSS JOIN LATERAL aclexplode(coalesce(proacl, acldefault('f', proowner))) AS grants
        WHERE pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
          AND grants.grantee = 0
        """
    ).fetchall()
    assert functions == []


def test_a_function_that_the_owner_makes_later_is_not_for_everybody_either(
    hr: psycopg.Connection, root: psycopg.Connection
) -> None:
    executable = "SELECT has_function_privilege('public', %s, 'EXECUTE')"
    with owning(root):
        root.execute("CREATE FUNCTION hr_tenant.later() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
        root.execute("CREATE PROCEDURE federation.later() LANGUAGE sql AS 'SELECT 1'")
        assert value(root, executable, "hr_tenant.later()") is False
        assert value(root, executable, "federation.later()") is False
    with undone(root):
        root.execute("CREATE FUNCTION hr_tenant.later() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
        assert value(root, executable, "hr_tenant.later()") is True  # made by anybody else, it is


def test_a_table_that_the_owner_makes_later_is_for_nobody(root: psycopg.Connection) -> None:
    with owning(root):
        root.execute("CREATE TABLE hr_tenant.later (department varchar(100))")
        root.execute("CREATE TABLE federation.later (x integer)")
        grantees = root.execute(
            """
            SELECT grants.grantee::regrole::text
            FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner))) AS grants
            WHERE relname = 'later' GROUP BY 1
            """
        ).fetchall()
    assert grantees == [("federation_owner",)]


@pytest.mark.parametrize("privilege", ["CONNECT", "TEMPORARY", "CREATE"])
def test_database_is_closed_to_everybody(fleet: Database, root: psycopg.Connection, privilege: str) -> None:
    assert value(root, "SELECT has_database_privilege('public', %s, %s)", fleet.name, privilege) is False
    assert value(root, "SELECT has_database_privilege('public', 'postgres', 'CONNECT')") is True


def test_role_without_any_grant_cannot_connect(logins: Database, root: psycopg.Connection) -> None:
    logins.login("stranger").close()
    root.execute(compose("REVOKE CONNECT ON DATABASE {database} FROM stranger", database=logins.name))
    try:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            logins.login("stranger")
    finally:
        root.execute(compose("GRANT CONNECT ON DATABASE {database} TO stranger", database=logins.name))


@pytest.mark.parametrize("function", ["lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid, bytea)"])
def test_large_objects_are_nobodys(root: psycopg.Connection, function: str) -> None:
    assert value(root, "SELECT has_function_privilege('public', %s, 'EXECUTE')", function) is False


def test_admin_was_granted_exactly_what_is_documented(fleet: Database, root: psycopg.Connection) -> None:
    writable = [f"{schema}.{table}" for schema in SCHEMAS for table in TABLES if table not in APPEND_ONLY]
    logs = [f"{schema}.{table}" for schema in SCHEMAS for table in APPEND_ONLY]
    functions = [f"{schema}.{function}" for schema in SCHEMAS for function in FUNCTIONS]
    assert grants_of(root, "federation_admin_role") == (
        {("database", fleet.name, "CONNECT")}
        | each("schema", [*SCHEMAS, "federation"], "USAGE")
        | each("table", writable, "SELECT", "INSERT", "UPDATE", "DELETE")
        | each("table", logs, "SELECT", "INSERT")
        | each("sequence", [f"{schema}.{table}_id_seq" for schema in SCHEMAS for table in IDENTITY], "USAGE")
        | each("function", functions, "EXECUTE")
        | each("table", [f"federation.{table}" for table in READABLE], "SELECT")
        | each("table", ["federation.cross_dept_permissions"], "INSERT", "UPDATE", "DELETE")
        | each(
            "function",
            ["federation.cleanup_old_audit_logs()", "federation.cleanup_old_security_audit()"],
            "EXECUTE",
        )
    )


def test_gateways_were_granted_exactly_what_is_documented(fleet: Database, root: psycopg.Connection) -> None:
    assert grants_of(root, "cross_dept_query_role") == (
        {("database", fleet.name, "CONNECT")}
        | each("schema", SCHEMAS, "USAGE")
        | each("table", [f"{schema}.{table}" for schema in SCHEMAS for table in SHARED], "SELECT")
        | {("schema", "federation", "USAGE")}
        | each("function", GATEWAY_FUNCTIONS, "EXECUTE")
    )


def test_reader_was_granted_exactly_what_is_documented(root: psycopg.Connection) -> None:
    own = [f"{schema}.search_documents(text,integer)" for schema in SCHEMAS]  # an owner's privileges on its functions
    own += ["federation.search(text,text,text,integer)", "federation.aggregate(text,text,text,text)"]
    assert grants_of(root, "federation_reader_role") == (
        each("schema", [*SCHEMAS, "federation"], "USAGE")
        | each("table", [f"{schema}.{table}" for schema in SCHEMAS for table in SHARED], "SELECT")
        | each("table", ["federation.resources"], "SELECT")
        | each("function", [*own, *READER_FUNCTIONS], "EXECUTE")
    )


def test_retention_role_was_granted_exactly_what_is_documented(root: psycopg.Connection) -> None:
    own = ["federation.cleanup_old_audit_logs()", "federation.cleanup_old_security_audit()"]
    assert grants_of(root, "federation_retention_role") == (
        {("schema", "federation", "USAGE")}
        | each("table", ["federation.cross_dept_audit", "federation.security_audit"], "SELECT", "DELETE")
        | each("function", own, "EXECUTE")
    )


@pytest.mark.parametrize("login", ["hr_role", "gateway", "reader", "stranger"])
@pytest.mark.parametrize("table", CONTROL_PLANE)
def test_control_plane_is_closed_to_all_but_operators(
    logins: Database, root: psycopg.Connection, table: str, login: str
) -> None:
    """But the list of what can be shared, which whoever reads in a gateway's name looks up."""
    target = ("federation", table)
    assert works(root, compose("SELECT * FROM {table}", table=target)) is not None
    with logins.login(login) as connection:
        if (login, table) == ("reader", "resources"):
            assert works(connection, compose("SELECT * FROM {table}", table=target)) == len(SHARED) + 1
        else:
            for statement in ("SELECT * FROM {table}", "SELECT 1 FROM {table}", "COPY {table} TO STDOUT"):
                refused(connection, compose(statement, table=target))
            refused(connection, compose("LOCK TABLE {table} IN ACCESS SHARE MODE", table=target))
        for statement in (
            "INSERT INTO {table} DEFAULT VALUES",
            "DELETE FROM {table}",
            "TRUNCATE {table} CASCADE",
            "COPY {table} FROM STDIN",
            "LOCK TABLE {table} IN ROW EXCLUSIVE MODE",
            "ALTER TABLE {table} DISABLE TRIGGER USER",
            "DROP TABLE {table} CASCADE",
        ):
            refused(connection, compose(statement, table=target))


@pytest.mark.parametrize("table", CONTROL_PLANE)
def test_operator_writes_no_table_of_the_control_plane_but_permissions(
    logins: Database, root: psycopg.Connection, table: str
) -> None:
    target = ("federation", table)
    with logins.login("operator") as operator:
        if table in READABLE:
            assert works(operator, compose("SELECT * FROM {table}", table=target)) >= 0
        else:
            refused(operator, compose("SELECT * FROM {table}", table=target))
        if table != "cross_dept_permissions":
            refused(operator, compose("INSERT INTO {table} DEFAULT VALUES", table=target))
            refused(operator, compose("DELETE FROM {table}", table=target))
        refused(operator, compose("TRUNCATE {table} CASCADE", table=target))
        refused(operator, compose("ALTER TABLE {table} DISABLE TRIGGER USER", table=target))
        refused(operator, compose("DROP TABLE {table} CASCADE", table=target))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE federation.departments SET status = 'ACTIVE'",
        "UPDATE federation.schema_migrations SET success = true",
        "UPDATE federation.resources SET table_name = 'api_keys' WHERE resource_type = 'contacts'",
        "INSERT INTO federation.gateway_entitlements (login_role) VALUES (session_user)",
        "INSERT INTO federation.resources VALUES ('api_keys', 'api_keys')",
        "INSERT INTO federation.security_audit (event_type) VALUES ('FORGED')",
        "INSERT INTO federation.cross_dept_audit (query_type, success) VALUES ('read', false)",
    ],
)
def test_operator_forges_nothing_that_the_gate_or_an_auditor_relies_on(
    logins: Database, root: psycopg.Connection, statement: str
) -> None:
    with logins.login("operator") as operator:
        refused(operator, statement)
    assert works(root, statement) >= 0


@pytest.mark.parametrize("department_id", DEPARTMENTS)
@pytest.mark.parametrize("table", TABLES)
def test_admin_reads_every_department(logins: Database, table: str, department_id: str) -> None:
    with logins.login("operator") as operator:
        assert count(operator, department_id, table) == 1


@pytest.mark.parametrize("table", TABLES)
def test_admin_writes_no_row_of_another_department(logins: Database, root: psycopg.Connection, table: str) -> None:
    with logins.login("operator") as operator:
        assert works(operator, another_row("hr", table)) == 1
        refused(operator, another_row("hr", table, department="sales"), match="row-level security policy")
        if table not in APPEND_ONLY:
            change = "UPDATE {table} SET department = {DEPARTMENT}"
            assert works(operator, compose(change, table=("hr_tenant", table), DEPARTMENT="hr")) == 1
            refused(operator, compose(change, table=("hr_tenant", table), DEPARTMENT="sales"))
    assert value(root, compose("SELECT array_agg(department) FROM {table}", table=("hr_tenant", table))) == ["hr"]


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE hr_tenant.contacts",
        "ALTER TABLE hr_tenant.contacts DISABLE ROW LEVEL SECURITY",
        "DROP POLICY isolation ON hr_tenant.contacts",
        "CREATE TABLE hr_tenant.x ()",
        "CREATE FUNCTION hr_tenant.x() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE public.x ()",
        "CREATE TABLE federation.x ()",
        "CREATE TEMP TABLE x ()",
        "CREATE SCHEMA x",
        "DROP SCHEMA hr_tenant CASCADE",
        "SET ROLE federation_owner",
        "SET ROLE hr_role",
        "SET ROLE cross_dept_query_role",
        "GRANT SELECT ON federation.oauth_credentials TO operator",
        "GRANT hr_role TO operator",
        "SELECT lo_create(0)",
    ],
)
def test_admin_changes_rows_and_nothing_else(logins: Database, statement: str) -> None:
    with logins.login("operator") as operator:
        refused(operator, statement)


@pytest.mark.parametrize("table", TABLES)
def test_reader_reads_what_can_be_shared_and_writes_nothing(logins: Database, table: str) -> None:
    with logins.login("reader") as reader:
        if table in SHARED:
            assert count(reader, "hr", table) == count(reader, "sales", table) == 1
        else:
            refused(reader, compose("SELECT 1 FROM {table}", table=("hr_tenant", table)))
        refused(reader, another_row("hr", table))
        for statement in (
            "UPDATE {table} SET department = department",
            "DELETE FROM {table}",
            "TRUNCATE {table}",
            "SELECT FROM {table} FOR SHARE",
            "LOCK TABLE {table} IN ROW EXCLUSIVE MODE",
        ):
            refused(reader, compose(statement, table=("hr_tenant", table)))


@pytest.mark.parametrize("table", TABLES)
def test_owner_sees_and_writes_no_row(fleet: Database, root: psycopg.Connection, table: str) -> None:
    """FORCE binds the owner; without it the owner sees everything."""
    target = ("hr_tenant", table)
    with owning(root):
        assert count(root, "hr", table) == 0
        assert root.execute(compose("UPDATE {table} SET department = department", table=target)).rowcount == 0
        assert root.execute(compose("DELETE FROM {table}", table=target)).rowcount == 0
        refused(root, another_row("hr", table), match="row-level security policy")
        root.execute(compose("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY", table=target))
        assert count(root, "hr", table) == 1


@pytest.mark.parametrize("table", TABLES)
def test_member_of_the_owner_sees_no_row_either(fleet: Database, root: psycopg.Connection, table: str) -> None:
    if "migrator" not in fleet.passwords:
        fleet.create_login("migrator", "federation_owner")
    with fleet.login("migrator") as migrator:
        assert count(migrator, "hr", table) == 0
        migrator.execute("SET ROLE federation_owner")
        assert count(migrator, "hr", table) == 0
        refused(migrator, "SET row_security = off; TABLE hr_tenant.contacts")
    assert count(root, "hr", table) == 1


def test_view_of_the_owner_shows_no_row(root: psycopg.Connection) -> None:
    """A plain view reads as its owner, whom FORCE binds."""
    with owning(root):
        root.execute("CREATE VIEW sales_tenant.everyone AS SELECT * FROM hr_tenant.contacts")
        root.execute("GRANT SELECT ON sales_tenant.everyone TO sales_role")
        root.execute("RESET ROLE")
        root.execute("SET LOCAL ROLE sales_role")
        assert value(root, "SELECT count(*) FROM sales_tenant.everyone") == 0
    assert count(root, "hr", "contacts") == 1


def test_definer_function_of_the_owner_shows_no_row(root: psycopg.Connection) -> None:
    with owning(root):
        root.execute(
            """
            CREATE FUNCTION sales_tenant.everyone() RETURNS bigint LANGUAGE sql SECURITY DEFINER
            SET search_path = pg_catalog, pg_temp
            AS 'SELECT count(*) FROM hr_tenant.contacts'
            """
        )
        root.execute("GRANT EXECUTE ON FUNCTION sales_tenant.everyone() TO sales_role")
        root.execute("RESET ROLE")
        root.execute("SET LOCAL ROLE sales_role")
        assert value(root, "SELECT sales_tenant.everyone()") == 0


@pytest.mark.parametrize("table", TABLES)
def test_check_binds_superusers_too(root: psycopg.Connection, table: str) -> None:
    assert works(root, another_row("hr", table)) == 1
    refused(root, another_row("hr", table, department="sales"), CheckViolation)
    refused(root, another_row("hr", table, department=None), NotNullViolation)
    refused(root, another_row("hr", table, department="HR"), CheckViolation)
    refused(root, another_row("hr", table, department="hr "), CheckViolation)
    refused(root, compose("UPDATE {table} SET department = 'sales'", table=("hr_tenant", table)), CheckViolation)


def test_every_table_is_listed_here(root: psycopg.Connection) -> None:
    """A table that is added later has to be added to these tests' list, or nothing above tries it."""
    for schema in SCHEMAS:
        found = root.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind IN ('r','p','v','m','f')",
            (schema,),
        ).fetchall()
        assert {name for (name,) in found} == {*TABLES, "alembic_version"}
    found = root.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'federation'").fetchall()
    assert {name for (name,) in found} == set(CONTROL_PLANE)
    assert set(ROWS) == {*SHARED, *PRIVATE}
