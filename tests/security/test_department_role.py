"""Wall 1 and wall 5: what a department's role is, what it was given, and that it can make nothing of its own."""

from contextlib import suppress

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from tests.conftest import Database
from tests.security.conftest import (
    APPEND_ONLY,
    DEPARTMENTS,
    FUNCTIONS,
    IDENTITY,
    PRIVATE,
    TABLES,
    another_row,
    compose,
    count,
    each,
    grants_of,
    refused,
    value,
    works,
)
from tests.security.test_another_department import OWNERS_ONLY

OTHER_ROLES = [
    "federation_owner",
    "federation_admin_role",
    "federation_reader_role",
    "cross_dept_query_role",
    "sales_role",
    "pg_read_all_data",
    "pg_write_all_data",
    "pg_execute_server_program",
    "pg_read_server_files",
    "pg_monitor",
    "pg_signal_backend",
]

#: What hr tries to make, wherever it could be put. The superuser shows that each statement is sound.
CREATIONS = [
    "CREATE TABLE hr_tenant.x ()",
    "CREATE TABLE x ()",
    "CREATE TABLE public.x ()",
    "CREATE TABLE sales_tenant.x ()",
    "CREATE TABLE federation.x ()",
    "CREATE TEMP TABLE x ()",
    "CREATE TABLE pg_temp.x ()",
    "CREATE UNLOGGED TABLE hr_tenant.x ()",
    "CREATE TABLE hr_tenant.x AS SELECT 1",
    "CREATE TABLE hr_tenant.x (LIKE hr_tenant.contacts)",
    "CREATE TABLE hr_tenant.x () INHERITS (hr_tenant.contacts)",
    "CREATE TABLE hr_tenant.x (id uuid REFERENCES hr_tenant.contacts)",
    "CREATE TEMP TABLE x (id uuid)",
    "SELECT 1 AS a INTO TEMP x",
    "SELECT 1 AS a INTO hr_tenant.x",
    "CREATE VIEW hr_tenant.x AS SELECT 1",
    "CREATE TEMP VIEW x AS SELECT 1",
    "CREATE MATERIALIZED VIEW hr_tenant.x AS SELECT 1",
    "CREATE SEQUENCE hr_tenant.x",
    "CREATE TEMP SEQUENCE x",
    "CREATE FUNCTION hr_tenant.leak(text) RETURNS boolean LANGUAGE sql COST 0.0001 AS 'SELECT true'",
    "CREATE FUNCTION public.leak(text) RETURNS boolean LANGUAGE sql COST 0.0001 AS 'SELECT true'",
    "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE sql COST 0.0001 AS 'SELECT true'",
    "CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS 'BEGIN RAISE NOTICE ''%'', $1; END'",
    """
    CREATE OR REPLACE FUNCTION hr_tenant.set_updated_at() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN RETURN NULL; END'
    """,
    "CREATE PROCEDURE hr_tenant.p() LANGUAGE sql AS 'SELECT 1'",
    "CREATE PROCEDURE pg_temp.p() LANGUAGE sql AS 'SELECT 1'",
    "CREATE AGGREGATE hr_tenant.a(integer) (SFUNC = int4pl, STYPE = integer)",
    "CREATE OPERATOR hr_tenant.=== (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text)",
    "CREATE OPERATOR public.=== (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text)",
    "CREATE DOMAIN hr_tenant.d AS text CHECK (VALUE <> '')",
    "CREATE DOMAIN pg_temp.d AS text CHECK (VALUE <> '')",
    "CREATE TYPE hr_tenant.t AS ENUM ('a')",
    "CREATE TYPE hr_tenant.t AS (a integer)",
    'CREATE COLLATION hr_tenant.c FROM "C"',
    "CREATE TEXT SEARCH CONFIGURATION hr_tenant.c (COPY = pg_catalog.simple)",
    "CREATE SCHEMA x",
    "CREATE SCHEMA AUTHORIZATION CURRENT_USER",
    "CREATE ROLE x",
    "CREATE ROLE x BYPASSRLS",
    "CREATE PUBLICATION x FOR TABLE hr_tenant.contacts",
    "CREATE PUBLICATION x FOR ALL TABLES",
    "CREATE FOREIGN DATA WRAPPER x",
    "CREATE CAST (text AS integer) WITH INOUT AS IMPLICIT",
    "CREATE ACCESS METHOD x TYPE TABLE HANDLER heap_tableam_handler",
    "CREATE TRUSTED LANGUAGE x HANDLER plpgsql_call_handler",
    "ALTER DATABASE fedschema_fleet SET search_path = public",
    "ALTER DATABASE fedschema_fleet OWNER TO CURRENT_USER",
    "ALTER SCHEMA hr_tenant RENAME TO x",
    "ALTER SCHEMA hr_tenant OWNER TO CURRENT_USER",
    "ALTER SCHEMA public OWNER TO CURRENT_USER",
    "DROP SCHEMA hr_tenant CASCADE",
    "DROP SCHEMA sales_tenant CASCADE",
    "DROP SCHEMA public CASCADE",
    "DROP SCHEMA federation CASCADE",
    "COMMENT ON SCHEMA hr_tenant IS 'x'",
    "COMMENT ON ROLE hr_role IS 'fedschema: department hr of database elsewhere'",
    "COMMENT ON DATABASE fedschema_fleet IS 'x'",
    "ALTER FUNCTION hr_tenant.cleanup_expired_session_context() SECURITY DEFINER",
    "ALTER FUNCTION hr_tenant.cleanup_expired_session_context() OWNER TO hr_role",
    "DROP FUNCTION hr_tenant.cleanup_expired_session_context()",
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_from_bytea(0, 'x')",
]

#: Ways out to the server's files and programs and to its other settings.
ESCAPES = [
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT pg_read_binary_file('PG_VERSION')",
    "SELECT pg_stat_file('PG_VERSION')",
    "SELECT pg_ls_dir('.')",
    "SELECT pg_ls_logdir()",
    "SELECT pg_ls_waldir()",
    "SELECT pg_current_logfile()",
    "SELECT * FROM pg_hba_file_rules",
    "SELECT * FROM pg_file_settings",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_shadow",
    "SELECT rolpassword FROM pg_authid WHERE rolname = 'sales_role'",
    "SELECT * FROM pg_largeobject",
    "SELECT * FROM pg_user_mapping",
    "SELECT subconninfo FROM pg_subscription",
    "SELECT lo_import('PG_VERSION')",
    "SELECT pg_reload_conf()",
    "SELECT pg_stat_reset()",
    "COPY hr_tenant.error_logs (error_type, error_message) FROM PROGRAM 'id'",
    "COPY hr_tenant.contacts TO PROGRAM 'cat > /dev/null'",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/dev/null'",
    "COPY hr_tenant.error_logs (error_message) FROM '/dev/null'",
    "SET SESSION AUTHORIZATION postgres",
    "SET SESSION AUTHORIZATION sales_role",
    "SET session_replication_role = replica",
    "SET log_min_messages = panic",
    "SET log_statement = 'none'",
    "SET lc_messages = 'C'",
    "SET track_activities = off",
    "SET allow_system_table_mods = on",
    "SET session_preload_libraries = 'x'",
    "LOAD '/tmp/x'",
    "DO LANGUAGE c 'x'",
    "CREATE EVENT TRIGGER x ON ddl_command_end EXECUTE FUNCTION hr_tenant.set_updated_at()",
    "CREATE SUBSCRIPTION x CONNECTION 'dbname=x' PUBLICATION x WITH (connect = false)",
    "UPDATE pg_catalog.pg_class SET relrowsecurity = false",
    "UPDATE pg_catalog.pg_authid SET rolsuper = true WHERE rolname = 'hr_role'",
    "INSERT INTO pg_catalog.pg_auth_members SELECT * FROM pg_catalog.pg_auth_members",
    "DELETE FROM pg_catalog.pg_policy",
]

#: A role's ways to more rights than it has.
PROMOTIONS = [
    "ALTER ROLE hr_role SUPERUSER",
    "ALTER ROLE hr_role BYPASSRLS",
    "ALTER ROLE hr_role CREATEROLE",
    "ALTER ROLE hr_role CREATEDB",
    "ALTER ROLE hr_role REPLICATION",
    "ALTER ROLE hr_role CONNECTION LIMIT -1",
    "ALTER ROLE sales_role RENAME TO x_role",
    "ALTER ROLE sales_role PASSWORD 'stolen'",
    "ALTER ROLE sales_role SET search_path = hr_tenant",
    "ALTER ROLE federation_owner LOGIN",
    "ALTER ROLE federation_admin_role LOGIN PASSWORD 'stolen'",
    "ALTER ROLE ALL SET search_path = hr_tenant",
    "GRANT federation_owner TO hr_role",
    "GRANT federation_admin_role TO hr_role",
    "GRANT federation_reader_role TO hr_role",
    "GRANT cross_dept_query_role TO hr_role",
    "GRANT sales_role TO hr_role",
    "GRANT pg_read_all_data TO hr_role",
    "GRANT hr_role TO sales_role",
    "REVOKE federation_department_role FROM sales_role",
    "DROP ROLE sales_role",
    "DROP ROLE hr_role",
    "DROP OWNED BY sales_role",
    "DROP OWNED BY federation_owner",
    "REASSIGN OWNED BY federation_owner TO hr_role",
    "REASSIGN OWNED BY sales_role TO hr_role",
    "ALTER DEFAULT PRIVILEGES FOR ROLE federation_owner GRANT SELECT ON TABLES TO hr_role",
    "ALTER DEFAULT PRIVILEGES FOR ROLE federation_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
    "ALTER DEFAULT PRIVILEGES FOR ROLE sales_role GRANT SELECT ON TABLES TO hr_role",
]


@pytest.mark.parametrize("department_id", DEPARTMENTS)
def test_role_is_a_login_and_nothing_more(root: psycopg.Connection, department_id: str) -> None:
    found = root.execute(
        """
        SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolconnlimit,
               rolvaliduntil, rolpassword LIKE 'SCRAM-SHA-256$%%'
        FROM pg_authid WHERE rolname = %s
        """,
        (f"{department_id}_role",),
    ).fetchone()
    assert found == (True, False, False, False, False, False, 100, None, True)


@pytest.mark.parametrize("department_id", DEPARTMENTS)
def test_role_is_a_member_of_one_role_alone(root: psycopg.Connection, department_id: str) -> None:
    role = f"{department_id}_role"
    memberships = root.execute(
        "SELECT roleid::regrole::text, admin_option FROM pg_auth_members WHERE member = %s::regrole", (role,)
    ).fetchall()
    assert memberships == [("federation_department_role", False)]
    reachable = root.execute(
        "SELECT rolname FROM pg_roles WHERE pg_has_role(%s, oid, 'MEMBER') ORDER BY rolname", (role,)
    ).fetchall()
    assert reachable == [("federation_department_role",), (role,)]


@pytest.mark.parametrize("department_id", DEPARTMENTS)
def test_role_has_no_members_but_its_maker(root: psycopg.Connection, department_id: str) -> None:
    """From PostgreSQL 16 on, who makes a role may administer it, and neither become nor inherit it."""
    members = root.execute(
        """
        SELECT member::regrole::text, to_jsonb(m) ->> 'set_option', to_jsonb(m) ->> 'inherit_option'
        FROM pg_auth_members AS m WHERE roleid = %s::regrole
        """,
        (f"{department_id}_role",),
    ).fetchall()
    assert members == ([("federation_owner", "false", "false")] if root.info.server_version >= 160000 else [])


@pytest.mark.parametrize("department_id", DEPARTMENTS)
def test_role_has_its_search_path_and_no_other_setting(root: psycopg.Connection, department_id: str) -> None:
    settings = root.execute(
        "SELECT setdatabase, setconfig FROM pg_db_role_setting WHERE setrole = %s::regrole", (f"{department_id}_role",)
    ).fetchall()
    assert settings == [(0, [f"search_path={department_id}_tenant"])]


@pytest.mark.parametrize("department_id", DEPARTMENTS)
def test_role_says_to_which_database_it_belongs(fleet: Database, root: psycopg.Connection, department_id: str) -> None:
    comment = value(root, "SELECT shobj_description(%s::regrole, 'pg_authid')", f"{department_id}_role")
    assert comment == f"fedschema: department {department_id} of database {fleet.name}"


@pytest.mark.parametrize("department_id", DEPARTMENTS)
def test_role_was_granted_exactly_what_is_documented(root: psycopg.Connection, department_id: str) -> None:
    schema = f"{department_id}_tenant"
    writable = [f"{schema}.{table}" for table in TABLES if table not in APPEND_ONLY]
    assert grants_of(root, f"{department_id}_role") == (
        each("schema", [schema], "USAGE")
        | each("table", writable, "SELECT", "INSERT", "UPDATE", "DELETE")
        | each("table", [f"{schema}.{table}" for table in APPEND_ONLY], "SELECT", "INSERT")
        | each("sequence", [f"{schema}.{table}_id_seq" for table in IDENTITY], "USAGE")
        | each("function", [f"{schema}.{function}" for function in FUNCTIONS], "EXECUTE")
    )


def test_what_departments_have_in_common_is_to_connect(fleet: Database, root: psycopg.Connection) -> None:
    assert grants_of(root, "federation_department_role") == {("database", fleet.name, "CONNECT")}


@pytest.mark.parametrize("department_id", DEPARTMENTS)
def test_role_owns_nothing(root: psycopg.Connection, department_id: str) -> None:
    owned = "SELECT count(*) FROM pg_shdepend WHERE deptype = 'o' AND refobjid = %s::regrole"
    assert value(root, owned, "federation_owner") > 0
    assert value(root, owned, f"{department_id}_role") == 0


@pytest.mark.parametrize("role", OTHER_ROLES)
def test_department_cannot_become_another_role(hr: psycopg.Connection, root: psycopg.Connection, role: str) -> None:
    refused(hr, compose("SET ROLE {role}", role=role))
    refused(hr, compose("SELECT set_config('role', {ROLE}, false)", ROLE=role))
    assert value(hr, "SELECT current_user") == "hr_role"
    assert works(root, compose("SET LOCAL ROLE {role}", role=role)) == -1


def test_department_cannot_become_the_superuser(hr: psycopg.Connection, root: psycopg.Connection) -> None:
    refused(hr, compose("SET ROLE {role}", role=root.info.user))
    refused(hr, compose("SET SESSION AUTHORIZATION {role}", role=root.info.user))


def test_role_set_for_the_next_login_is_not_taken_on(fleet: Database, root: psycopg.Connection) -> None:
    """A role may change its own settings, also the setting named role."""
    try:
        with fleet.login("hr_role") as connection:
            connection.execute("ALTER ROLE hr_role SET role = 'federation_admin_role'")
        with fleet.login("hr_role") as connection:
            assert value(connection, "SELECT current_user") == "hr_role"
            refused(connection, "SELECT * FROM sales_tenant.contacts")
    finally:
        root.execute("ALTER ROLE hr_role RESET role")


def test_what_departments_have_in_common_opens_nothing(hr: psycopg.Connection) -> None:
    """Up to PostgreSQL 15 a department may become this role; it has less than the department. Later it cannot."""
    if hr.info.server_version >= 160000:
        refused(hr, "SET ROLE federation_department_role")
        return
    hr.execute("SET ROLE federation_department_role")
    for schema in ("hr_tenant", "sales_tenant"):
        refused(hr, compose("SELECT * FROM {table}", table=(schema, "contacts")))
    refused(hr, "CREATE TABLE public.x ()")
    refused(hr, "CREATE TEMP TABLE x ()")
    refused(hr, "SET ROLE sales_role")
    refused(hr, "GRANT federation_department_role TO sales_role")
    hr.execute("RESET ROLE")
    assert count(hr, "hr", "contacts") == 1


@pytest.mark.parametrize("statement", CREATIONS)
def test_department_cannot_make_or_change_an_object(
    hr: psycopg.Connection, root: psycopg.Connection, statement: str
) -> None:
    refused(hr, statement)
    with root.transaction(force_rollback=True):
        root.execute("SET LOCAL search_path = hr_tenant")
        root.execute(statement)


@pytest.mark.parametrize(
    "statement",
    ["CREATE DATABASE x", "CREATE TABLESPACE x LOCATION '/tmp/x'", "ALTER SYSTEM SET log_statement = 'all'"],
)
def test_department_cannot_change_the_server(hr: psycopg.Connection, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        hr.execute(statement)


@pytest.mark.parametrize("extension", ["citext", "hstore", "dblink", "file_fdw", "postgres_fdw"])
def test_department_cannot_add_an_extension(hr: psycopg.Connection, root: psycopg.Connection, extension: str) -> None:
    """The first two are trusted: whoever may CREATE in the database could add them."""
    statement = compose("CREATE EXTENSION {extension} SCHEMA public", extension=extension)
    refused(hr, statement)
    assert works(root, statement) == -1


@pytest.mark.parametrize("statement", ESCAPES)
def test_department_cannot_leave_the_database(hr: psycopg.Connection, statement: str) -> None:
    refused(hr, statement, (InsufficientPrivilege, psycopg.errors.CantChangeRuntimeParam))


def test_superuser_could_leave_the_database(root: psycopg.Connection) -> None:
    """What fails above fails for the role, not for the server."""
    for statement in (
        "SELECT pg_read_file('PG_VERSION')",
        "COPY hr_tenant.contacts TO PROGRAM 'cat > /dev/null'",
        "SELECT * FROM pg_authid",
        "SET LOCAL session_replication_role = replica",
    ):
        assert works(root, statement) is not None


@pytest.mark.parametrize("statement", PROMOTIONS)
def test_department_cannot_gain_rights(hr: psycopg.Connection, statement: str) -> None:
    refused(hr, statement)


@pytest.mark.parametrize("statement", [statement for name, statement in OWNERS_ONLY.items() if name != "grant"])
def test_department_cannot_change_what_its_own_tables_are_made_of(hr: psycopg.Connection, statement: str) -> None:
    refused(hr, compose(statement, table=("hr_tenant", "contacts")))


@pytest.mark.parametrize("grantee", ["hr_role", "sales_role", "public", "federation_department_role"])
def test_department_cannot_grant_on_its_own_table(
    hr: psycopg.Connection, root: psycopg.Connection, grantee: str
) -> None:
    """PostgreSQL answers with a warning that nothing was granted, so what was granted is looked at."""
    before = grants_of(root, grantee)
    name = sql.SQL("PUBLIC") if grantee == "public" else sql.Identifier(grantee)
    hr.execute(sql.SQL("GRANT SELECT, TRUNCATE ON hr_tenant.contacts TO {}").format(name))
    assert grants_of(root, grantee) == before


@pytest.mark.parametrize("table", TABLES)
def test_department_cannot_truncate_its_own_table(hr: psycopg.Connection, root: psycopg.Connection, table: str) -> None:
    refused(hr, compose("TRUNCATE {table}", table=("hr_tenant", table)))
    assert count(root, "hr", table) == 1
    assert works(root, compose("TRUNCATE {table}", table=("hr_tenant", table))) == -1


@pytest.mark.parametrize("table", IDENTITY)
def test_department_cannot_turn_back_its_own_sequence(hr: psycopg.Connection, table: str) -> None:
    assert value(hr, "SELECT nextval(%s::regclass)", f"hr_tenant.{table}_id_seq") > 1
    refused(hr, compose("SELECT setval({SEQUENCE}::regclass, 1)", SEQUENCE=f"hr_tenant.{table}_id_seq"))
    refused(hr, compose("SELECT last_value FROM {sequence}", sequence=("hr_tenant", f"{table}_id_seq")))


@pytest.mark.parametrize("statement", ["DROP OWNED BY hr_role", "DROP OWNED BY federation_department_role"])
def test_department_cannot_shed_its_walls(fleet: Database, root: psycopg.Connection, statement: str) -> None:
    """DROP OWNED also takes a role out of policies and revokes what was granted to it."""
    policies = "SELECT count(*) FROM pg_policy WHERE 'hr_role'::regrole::oid = ANY (polroles)"
    shared = grants_of(root, "federation_department_role")
    own = grants_of(root, "hr_role")
    assert value(root, policies) == len(TABLES)
    with fleet.login("hr_role") as connection, suppress(InsufficientPrivilege):
        connection.execute(statement)
    assert value(root, policies) == len(TABLES)
    assert grants_of(root, "hr_role") == own
    assert grants_of(root, "federation_department_role") == shared


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("role", ["hr_role", "operator"])
def test_rows_of_a_log_are_only_ever_added(logins: Database, root: psycopg.Connection, table: str, role: str) -> None:
    log = ("hr_tenant", table)
    with logins.login(role) as connection:
        assert works(connection, another_row("hr", table)) == 1
        assert count(connection, "hr", table) == 1
        for statement in (
            "UPDATE {table} SET department = department",
            "UPDATE {table} SET id = id WHERE false",
            "DELETE FROM {table}",
            "DELETE FROM {table} WHERE false",
            "TRUNCATE {table}",
            "SELECT FROM {table} FOR UPDATE",
            "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
            "WITH gone AS (DELETE FROM {table} RETURNING *) SELECT * FROM gone",
        ):
            refused(connection, compose(statement, table=log))
        refused(connection, another_row("hr", table) + compose(" ON CONFLICT (id) DO UPDATE SET department = 'hr'"))
    assert count(root, "hr", table) == 1
    assert works(root, compose("DELETE FROM {table}", table=log)) == 1


@pytest.mark.parametrize("schema", ["hr_tenant", "sales_tenant", "federation"])
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM {table}",
        "SELECT 1 FROM {table}",
        "UPDATE {table} SET version_num = 'x'",
        "DELETE FROM {table}",
        "INSERT INTO {table} VALUES ('x')",
        "TRUNCATE {table}",
        "COPY {table} TO STDOUT",
        "LOCK TABLE {table} IN ACCESS SHARE MODE",
    ],
)
def test_version_tables_are_nobodys_but_the_owners(
    logins: Database, root: psycopg.Connection, schema: str, statement: str
) -> None:
    assert value(root, compose("SELECT count(*) FROM {table}", table=(schema, "alembic_version"))) == 1
    for role in ("hr_role", "operator", "gateway", "reader", "stranger"):
        with logins.login(role) as connection:
            refused(connection, compose(statement, table=(schema, "alembic_version")))


@pytest.mark.parametrize("table", TABLES)
def test_row_security_cannot_be_switched_off(hr: psycopg.Connection, root: psycopg.Connection, table: str) -> None:
    query = compose("SELECT * FROM {table}", table=("hr_tenant", table))
    assert hr.execute(query).rowcount == 1
    hr.execute("SET row_security = off")
    refused(hr, query, match="would be affected by row-level security")


@pytest.mark.parametrize("table", TABLES)
def test_department_works_in_its_own_table(hr: psycopg.Connection, table: str) -> None:
    """Without this, everything above could hold because nothing works at all."""
    assert count(hr, "hr", table) == 1
    assert works(hr, another_row("hr", table)) == 1
    if table not in APPEND_ONLY:
        assert works(hr, compose("UPDATE {table} SET department = 'hr'", table=("hr_tenant", table))) == 1
        assert works(hr, compose("DELETE FROM {table}", table=("hr_tenant", table))) == 1


@pytest.mark.parametrize("table", ["contacts", *PRIVATE])
def test_department_cannot_copy_into_its_own_table(hr: psycopg.Connection, table: str) -> None:
    """PostgreSQL has no COPY FROM under row-level security; departments are told so."""
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        hr.execute(compose("COPY {table} FROM STDIN", table=("hr_tenant", table)))
