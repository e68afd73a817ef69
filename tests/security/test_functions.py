"""Wall 6: functions lend their owner's rights only to those they name, and look names up only where they should."""

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, RaiseException

from tests.conftest import Database
from tests.security.conftest import compose, owning, refused, undone, value, works

#: The functions that run with their owner's rights: whose rights, and who else may call each.
DEFINERS: dict[str, tuple[str, set[str]]] = {
    "federation.cross_dept_gate(text,text)": ("federation_owner", {"cross_dept_query_role"}),
    "federation.search(text,text,text,integer)": ("federation_reader_role", {"cross_dept_query_role"}),
    "federation.aggregate(text,text,text,text)": ("federation_reader_role", {"cross_dept_query_role"}),
    "federation.admit(text,text,text)": ("federation_owner", {"federation_reader_role"}),
    "federation.write_attempt(text,text,text,text,text,jsonb,integer,integer)": (
        "federation_owner",
        {"federation_reader_role"},
    ),
    "federation.canonical_resource()": ("federation_owner", set()),
    "federation.record_permission()": ("federation_owner", set()),
    "federation.record_entitlement()": ("federation_owner", set()),
    "federation.count_forgotten_denials()": ("federation_owner", set()),
    "federation.cleanup_old_audit_logs()": ("federation_retention_role", {"federation_admin_role"}),
    "federation.cleanup_old_security_audit()": ("federation_retention_role", {"federation_admin_role"}),
    "hr_tenant.search_documents(text,integer)": ("federation_reader_role", {"hr_role", "federation_admin_role"}),
    "sales_tenant.search_documents(text,integer)": ("federation_reader_role", {"sales_role", "federation_admin_role"}),
}

#: The only ones that run with the rights of their caller and that somebody other than the owner may call.
HELPERS = {
    "federation.parseable(text)": {"federation_reader_role"},
    "federation.search_query(text)": {"federation_reader_role"},
    "federation.passage(text,text[])": {"federation_reader_role"},
    "hr_tenant.cleanup_expired_session_context()": {"hr_role", "federation_admin_role"},
    "hr_tenant.archive_old_conversation_history()": {"hr_role", "federation_admin_role"},
    "sales_tenant.cleanup_expired_session_context()": {"sales_role", "federation_admin_role"},
    "sales_tenant.archive_old_conversation_history()": {"sales_role", "federation_admin_role"},
}

#: Every way to call the control plane's routines.
CALLS = [
    "CALL federation.register_department('evil', 'Evil', NULL)",
    "CALL federation.claim_role('hr')",
    "CALL federation.lock_department('hr')",
    "CALL federation.begin_migration('hr', ARRAY['tenant_0007_retention'])",
    "CALL federation.record_migration('hr', 'forged', 'upgrade', NULL)",
    "CALL federation.retire_department('sales')",
    "CALL federation.drop_role('nobody')",
    "CALL federation.assert_walls('hr')",
    "SELECT * FROM federation.missing_walls('hr')",
    "SELECT federation.cross_dept_gate('sales', 'contacts')",
    "SELECT federation.cleanup_old_audit_logs()",
    "SELECT federation.cleanup_old_security_audit()",
    "SELECT * FROM federation.search('sales', 'contacts', 'secret', 5)",
    "SELECT * FROM federation.aggregate('sales', 'tool_calls', 'count', NULL)",
    "SELECT * FROM federation.admit('read', 'sales', 'contacts')",
    "SELECT * FROM federation.write_attempt('read', 'hr', 'sales', 'contacts', 'forged')",
    "SELECT * FROM federation.write_durably('{}')",
    """CALL federation.insert_attempt('{"kind": "read"}')""",
    "SELECT * FROM federation.parseable('x')",
    "SELECT * FROM federation.search_query('x')",
    "SELECT * FROM federation.passage('x', ARRAY['x'])",
    "SELECT * FROM federation.require_live_department('hr')",
    "SELECT * FROM federation.retention_of('hr')",
    "SELECT federation.retention_guards('hr_tenant.contacts', NULL)",
    "SELECT * FROM federation.expire_rows('sales', 'conversation_history', 10, NULL)",
    "SELECT federation.count_expired('sales', 'conversation_history')",
    "SELECT * FROM federation.expire_audit('security_audit', 10, NULL)",
    "SELECT federation.count_expired_audit('security_audit')",
    "SELECT * FROM federation.try_as('hr_role', 'SELECT 1')",
    "SELECT * FROM federation.plant_probe_rows('hr')",
    "SELECT * FROM federation.try_across('hr', ARRAY['sales'], ARRAY['contacts'])",
    "SELECT * FROM federation.try_gate('hr', 'sales', ARRAY['contacts'])",
    "SELECT federation.canonical_resource()",
    "SELECT federation.record_permission()",
    "SELECT federation.record_entitlement()",
    "SELECT federation.keep_audit()",
    "SELECT federation.record_retention()",
    "SELECT federation.forget_retention()",
    "SELECT federation.count_forgotten_denials()",
    "SELECT federation.set_updated_at()",
]
#: What each login may call, and how many rows it gets. Nobody was entitled or granted anything here.
ALLOWED = {
    "operator": {
        "SELECT federation.cleanup_old_audit_logs()": 1,
        "SELECT federation.cleanup_old_security_audit()": 1,
    },
    "gateway": {
        "SELECT federation.cross_dept_gate('sales', 'contacts')": 1,
        "SELECT * FROM federation.search('sales', 'contacts', 'secret', 5)": 0,
        "SELECT * FROM federation.aggregate('sales', 'tool_calls', 'count', NULL)": 0,
    },
    "reader": {  # nobody is a member of this role but the owner; it is tried as if somebody were
        "SELECT * FROM federation.search('sales', 'contacts', 'secret', 5)": 0,
        "SELECT * FROM federation.aggregate('sales', 'tool_calls', 'count', NULL)": 0,
        "SELECT * FROM federation.admit('read', 'sales', 'contacts')": 1,
        "SELECT * FROM federation.write_attempt('read', 'hr', 'sales', 'contacts', 'forged')": 1,
        "SELECT * FROM federation.parseable('x')": 1,
        "SELECT * FROM federation.search_query('x')": 1,
        "SELECT * FROM federation.passage('x', ARRAY['x'])": 1,
    },
}
TRIGGERS = (
    "canonical_resource()",
    "count_forgotten_denials()",
    "record_permission()",
    "record_entitlement()",
    "keep_audit()",
    "set_updated_at()",
    "record_retention()",
    "forget_retention()",
)


@pytest.mark.parametrize("login", ["hr_role", "sales_role", "gateway", "reader", "operator", "stranger"])
@pytest.mark.parametrize("call", CALLS)
def test_routines_of_the_control_plane_are_refused(
    logins: Database, root: psycopg.Connection, call: str, login: str
) -> None:
    with logins.login(login) as connection:
        if login == "gateway":
            connection.execute("SET ROLE cross_dept_query_role")
        allowed = ALLOWED.get(login, {})
        if call in allowed:
            assert works(connection, call) == allowed[call]
        else:
            refused(connection, call)


#: What the owner steps into another role for, and cannot call as itself: functions that are the others' own.
OTHERS_OWN = tuple(
    f"federation.{name}(" for name in ("search", "aggregate", "cleanup_old_audit_logs", "cleanup_old_security_audit")
)


@pytest.mark.parametrize("call", [call for call in CALLS if not call.endswith(TRIGGERS)])
def test_owner_can_call_them(root: psycopg.Connection, call: str) -> None:
    """What is refused above is refused to the role, not to everybody."""
    with owning(root):
        if any(name in call for name in OTHERS_OWN):
            refused(root, call)
            root.execute(
                "SET LOCAL ROLE federation_admin_role" if "cleanup" in call else "SET LOCAL ROLE federation_reader_role"
            )
        root.execute(call)


@pytest.mark.parametrize("call", CALLS)
def test_routines_are_refused_by_their_own_walls_too(logins: Database, root: psycopg.Connection, call: str) -> None:
    """USAGE on the schema is one wall, EXECUTE another: each has to hold without the other."""
    with undone(root):
        root.execute("GRANT USAGE ON SCHEMA federation TO PUBLIC")
        root.execute("SET LOCAL ROLE stranger")
        refused(root, call)
        root.execute("RESET ROLE")
        root.execute("SET LOCAL ROLE hr_role")
        refused(root, call)


def test_every_routine_of_the_control_plane_is_tried_above(root: psycopg.Connection) -> None:
    found = root.execute("SELECT proname::text FROM pg_proc WHERE pronamespace = 'federation'::regnamespace").fetchall()
    assert {name for (name,) in found} == {call.partition("federation.")[2].partition("(")[0] for call in CALLS}


def test_functions_with_their_owners_rights_are_these_alone(root: psycopg.Connection) -> None:
    found = root.execute(
        """
        SELECT p.oid::regprocedure::text FROM pg_proc AS p
        WHERE prosecdef AND pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        """
    ).fetchall()
    assert {name for (name,) in found} == set(DEFINERS)


@pytest.mark.parametrize(("function", "owner", "callers"), [(name, *rest) for name, rest in DEFINERS.items()])
def test_function_with_its_owners_rights_names_who_may_call_it(
    root: psycopg.Connection, function: str, owner: str, callers: set[str]
) -> None:
    found = root.execute(
        """
        SELECT proowner::regrole::text, ARRAY(SELECT grantee::regrole::text FROM aclexplode(proacl)),
               ARRAY(SELECT grantee::regrole::text FROM aclexplode(proacl) WHERE is_grantable), rolcanlogin
        FROM pg_proc JOIN pg_roles ON pg_roles.oid = proowner
        WHERE pg_proc.oid = %s::regprocedure
        """,
        (function,),
    ).fetchone()
    assert found is not None
    assert (found[0], set(found[1]), found[2], found[3]) == (owner, {owner, *callers}, [], False)


def test_other_functions_that_somebody_may_call_are_these_alone(root: psycopg.Connection) -> None:
    found = root.execute(
        """
        SELECT p.oid::regprocedure::text, array_agg(grants.grantee::regrole::text) FROM pg_proc AS p
        CROSS JOIN LATERAL aclexplode(coalesce(proacl, acldefault('f', proowner))) AS grants
        WHERE pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
          AND NOT prosecdef AND grants.grantee <> proowner
        GROUP BY 1
        """
    ).fetchall()
    assert {name: set(grantees) for name, grantees in found} == HELPERS


#: What these write into the server's log is not for the client, which could ask for it: client_min_messages = log.
SILENT = ("federation.admit(text,text,text)", "federation.write_durably(jsonb)")
#: What these write down as text is to be read again whatever the session's own style.
STYLED = {
    "federation.record_retention()": ["IntervalStyle=postgres"],
    "federation.expire_rows(text,text,integer,text)": ["TimeZone=UTC", "DateStyle=ISO", "IntervalStyle=postgres"],
    "federation.expire_audit(text,integer,text)": ["TimeZone=UTC", "DateStyle=ISO"],
}


def test_search_path_of_every_function_is_pinned(root: psycopg.Connection) -> None:
    """Those with a SQL body need none: their names were looked up when they were made."""
    found = root.execute(
        """
        SELECT p.oid::regprocedure::text, proconfig FROM pg_proc AS p
        WHERE pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
          AND (prosecdef OR prosqlbody IS NULL)
        """
    ).fetchall()
    assert len(found) > len(DEFINERS)
    others = {name: config for name, config in found if config != ["search_path=pg_catalog, pg_temp"]}
    more = {name: ["client_min_messages=error"] for name in SILENT} | STYLED
    assert others == {name: ["search_path=pg_catalog, pg_temp", *settings] for name, settings in more.items()}


def test_gate_is_volatile_since_it_has_to_write_what_it_decided(root: psycopg.Connection) -> None:
    gate = "federation.cross_dept_gate(text, text)"
    assert value(root, "SELECT provolatile::text FROM pg_proc WHERE oid = %s::regprocedure", gate) == "v"


#: What an attacker would like a definer's function to find instead of PostgreSQL's own.
SHADOWS = """
    CREATE SCHEMA shadow;
    CREATE FUNCTION shadow.current_setting(text, boolean) RETURNS text LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'shadow found'; END $$;
    CREATE FUNCTION shadow.pg_has_role(name, name, text) RETURNS boolean LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'shadow found'; END $$;
    CREATE FUNCTION shadow.pg_has_role(name, text, text) RETURNS boolean LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'shadow found'; END $$;
    CREATE FUNCTION shadow.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'shadow found'; END $$;
    CREATE FUNCTION shadow.now() RETURNS timestamptz LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'shadow found'; END $$;
    CREATE FUNCTION shadow.neq(text, text) RETURNS boolean LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'shadow found'; END $$;
    CREATE OPERATOR shadow.<> (FUNCTION = shadow.neq, LEFTARG = text, RIGHTARG = text);
    CREATE OPERATOR shadow.= (FUNCTION = shadow.neq, LEFTARG = text, RIGHTARG = text);
    CREATE TEMP TABLE departments (department_id varchar(100), status varchar(20));
    CREATE TEMP TABLE gateway_entitlements (login_role name, department_id varchar(100));
    CREATE TEMP TABLE cross_dept_permissions (source_department_id varchar(100));
    GRANT USAGE ON SCHEMA shadow TO PUBLIC;
    SET LOCAL search_path = pg_temp, shadow, pg_catalog;
"""


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("cross_dept_query_role", "SELECT count(*) FROM sales_tenant.contacts"),
        ("cross_dept_query_role", "SELECT * FROM federation.search('sales', 'contacts', 'secret', 5)"),
        ("cross_dept_query_role", "SELECT * FROM federation.aggregate('sales', 'tool_calls', 'count', 'status')"),
        ("hr_role", "SELECT * FROM hr_tenant.search_documents('secret', 5)"),
        ("federation_admin_role", "SELECT federation.cleanup_old_audit_logs()"),
        ("federation_admin_role", "SELECT federation.cleanup_old_security_audit()"),
        ("hr_role", "SELECT hr_tenant.cleanup_expired_session_context()"),
        ("hr_role", "SELECT hr_tenant.archive_old_conversation_history()"),
        ("hr_role", "UPDATE hr_tenant.contacts SET notes = 'x'"),
    ],
)
def test_shadowed_names_are_not_found(root: psycopg.Connection, role: str, statement: str) -> None:
    """Nobody can make the shadows; the superuser lends a hand, so that the second wall is tried by itself."""
    with undone(root):
        root.execute(SHADOWS)
        root.execute("SELECT pg_catalog.set_config('app.source_department', 'hr', true)")
        root.execute(compose("SET LOCAL ROLE {role}", role=role))
        root.execute(statement)
        with pytest.raises(RaiseException, match="shadow found"), root.transaction():
            root.execute("SELECT now()")  # the shadows are in the way of whoever does not look out


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE FUNCTION pg_temp.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT ''hr'''",
        "CREATE FUNCTION public.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT ''hr'''",
        "CREATE TEMP TABLE gateway_entitlements (login_role name, department_id text)",
        "CREATE TEMP VIEW gateway_entitlements AS SELECT session_user AS login_role, 'hr' AS department_id",
        "CREATE SCHEMA shadow",
    ],
)
@pytest.mark.parametrize("login", ["hr_role", "gateway", "reader", "operator", "stranger"])
def test_nobody_can_make_a_shadow(logins: Database, login: str, statement: str) -> None:
    with logins.login(login) as connection:
        refused(connection, statement)
        if login == "gateway":
            connection.execute("SET ROLE cross_dept_query_role")
            refused(connection, statement)


def test_session_user_cannot_be_forged(logins: Database) -> None:
    """The gate asks whose login it is, which SET ROLE leaves as it was."""
    with logins.login("gateway") as gateway:
        gateway.execute("SET ROLE cross_dept_query_role")
        assert value(gateway, "SELECT session_user") == "gateway"
        for statement in ("SET SESSION AUTHORIZATION other_gateway", "SET ROLE other_gateway", "SET ROLE operator"):
            refused(gateway, statement, InsufficientPrivilege)
