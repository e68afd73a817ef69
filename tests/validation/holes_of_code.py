"""Holes that code is: views, functions, and what decides and records in the control plane."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import PROJECT
from tests.validation.holes import ALL_PAIRS, Opening, Pair

CONTROL_PLANE = PROJECT.templates / "federation" / "control_plane"


def _as_made(name: str, template: str) -> str:
    """Return the statement by which the control plane makes a function."""
    text = Path(CONTROL_PLANE / f"{template}.sql.j2").read_text("utf-8")
    begin = text.index(f"CREATE FUNCTION federation.{name}(")
    end = text.index("$function$;", begin) + len("$function$;")
    return f"SET LOCAL ROLE federation_owner; {text[begin:end].replace('CREATE', 'CREATE OR REPLACE', 1)}; RESET ROLE"


def _view(law: str, opens: str, closes: str, thing: str, *pairs: Pair, **also: set[Pair]) -> Opening:
    return Opening(
        law,
        opens,
        closes,
        {"views": set(pairs), **also},
        object=thing,
        says="it shows table contacts as postgres sees it",
    )


OVER_CONTACTS = "CREATE VIEW public.shown AS SELECT * FROM hr_tenant.contacts"
VIEWS = [
    _view(
        "a view for everybody",
        f"{OVER_CONTACTS}; GRANT SELECT ON public.shown TO PUBLIC",
        "DROP VIEW public.shown",
        "shown",
        ("PUBLIC", "hr"),
    ),
    _view(
        "a view for another department",
        f"{OVER_CONTACTS}; GRANT SELECT ON public.shown TO sales_role",
        "DROP VIEW public.shown",
        "shown",
        ("sales", "hr"),
    ),
    _view(
        "a view of which another department may read a column",
        f"{OVER_CONTACTS}; GRANT SELECT (full_name) ON public.shown TO sales_role",
        "DROP VIEW public.shown",
        "shown",
        ("sales", "hr"),
    ),
    _view(
        "a view in its own schema",
        "CREATE VIEW hr_tenant.shown AS SELECT * FROM hr_tenant.contacts; GRANT SELECT ON hr_tenant.shown TO hr_role",
        "DROP VIEW hr_tenant.shown",
        "hr_tenant.shown",
        ("hr", "hr"),
        walls={("postgres", "hr")},
    ),
    _view(
        "a view in another department's schema",
        """CREATE VIEW sales_tenant.shown AS SELECT * FROM hr_tenant.contacts;
             GRANT SELECT ON sales_tenant.shown TO sales_role""",
        "DROP VIEW sales_tenant.shown",
        "sales_tenant.shown",
        ("sales", "hr"),
        walls={("postgres", "sales")},
    ),
    _view(
        "a view over a view",
        f"""{OVER_CONTACTS}; CREATE VIEW public.over AS SELECT * FROM public.shown;
             GRANT SELECT ON public.over TO sales_role""",
        "DROP VIEW public.shown CASCADE",
        "over",
        ("sales", "hr"),
    ),
    _view(
        "a materialized view",
        """CREATE MATERIALIZED VIEW public.kept AS SELECT * FROM hr_tenant.contacts;
             GRANT SELECT ON public.kept TO sales_role""",
        "DROP MATERIALIZED VIEW public.kept",
        "kept",
        ("sales", "hr"),
    ),
    Opening(
        "a view of the control plane's secrets",
        """CREATE VIEW public.shown AS SELECT * FROM federation.oauth_credentials;
           GRANT SELECT ON public.shown TO sales_role""",
        "DROP VIEW public.shown",
        {"views": {("sales", "*")}},
        object="shown",
        says="it shows table federation.oauth_credentials",
    ),
]


def _definer(law: str, owner: str, to: str, pair: Pair) -> Opening:
    name = "public.peek()"
    return Opening(
        law,
        f"""CREATE FUNCTION {name} RETURNS bigint LANGUAGE sql SECURITY DEFINER
                AS 'SELECT count(*) FROM hr_tenant.contacts';
            ALTER FUNCTION {name} OWNER TO {owner}; REVOKE ALL ON FUNCTION {name} FROM PUBLIC;
            GRANT EXECUTE ON FUNCTION {name} TO {to}""",
        f"DROP FUNCTION {name}",
        {"functions": {pair}},
        object="peek",
        says=f"it runs with the rights of {owner}",
        mend=f"peek() FROM {to}",
    )


FUNCTIONS = [
    *(
        _definer(f"a function that lends {to} the rights of {owner}", owner, to, (source, "*"))
        for owner in ("postgres", "federation_owner", "federation_admin_role", "federation_reader_role")
        for to, source in (("PUBLIC", "PUBLIC"), ("sales_role", "sales"))
    ),
    Opening(
        "a function that lends everybody the rights of a department",
        """CREATE FUNCTION public.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER
               AS 'SELECT count(*) FROM hr_tenant.contacts';
           ALTER FUNCTION public.peek() OWNER TO hr_role""",
        "DROP FUNCTION public.peek()",
        {"functions": {("PUBLIC", "hr")}, "ownership": {("hr", "hr")}},
        object="peek()",
        says="it runs with the rights of hr_role",
    ),
    Opening(
        "a function in a schema of its own that lends rights",
        """CREATE SCHEMA tools; CREATE FUNCTION tools.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER
               AS 'SELECT count(*) FROM hr_tenant.contacts'""",
        "DROP SCHEMA tools CASCADE",
        {"functions": {("PUBLIC", "*")}},
        object="function tools.peek()",
        says="it runs with the rights of postgres",
    ),
    Opening(
        "a function in a department's schema that lends rights",
        """CREATE FUNCTION hr_tenant.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER
               AS 'SELECT count(*) FROM hr_tenant.contacts';
           REVOKE ALL ON FUNCTION hr_tenant.peek() FROM PUBLIC;
           GRANT EXECUTE ON FUNCTION hr_tenant.peek() TO sales_role""",
        "DROP FUNCTION hr_tenant.peek()",
        {"grants": {("sales", "hr")}, "walls": {(None, "hr")}},
        object="peek",
        says="it was given EXECUTE",
    ),
]


def _replaced(name: str, template: str, arguments: str, signature: str, body: str, **also: set[Pair]) -> Opening:
    return Opening(
        f"{name} that was replaced",
        f"""SET LOCAL ROLE federation_owner;
            CREATE OR REPLACE FUNCTION federation.{name}{arguments} LANGUAGE plpgsql VOLATILE SECURITY DEFINER
                SET search_path = pg_catalog, pg_temp AS $body$ {body} $body$;
            RESET ROLE""",
        _as_made(name, template),
        {"decisions": {(None, "*")}, **also},
        object=f"function federation.{name}({signature})",
        says="it was replaced",
    )


DECISIONS = [
    _replaced(
        "cross_dept_gate",
        "cross_dept_gate",
        "(target text, resource text) RETURNS boolean",
        "text,text",
        "BEGIN RETURN true; END",
        probe_gate=set(ALL_PAIRS),
    ),
    _replaced(
        "admit",
        "admission",
        "(kind text, target text, resource text, OUT source text, OUT refusal text)",
        "text,text,text",
        "BEGIN source := 'hr'; END",
        probe_gate=set(ALL_PAIRS),
    ),
    _replaced(
        "write_attempt",
        "admission",
        """(kind text, source text, target text, resource text, refusal text, params jsonb DEFAULT NULL,
            results integer DEFAULT NULL, latency integer DEFAULT NULL) RETURNS void""",
        "text,text,text,text,text,jsonb,integer,integer",
        "BEGIN END",
    ),
    Opening(
        "a gate that belongs to somebody else",
        "ALTER FUNCTION federation.cross_dept_gate OWNER TO postgres",
        "ALTER FUNCTION federation.cross_dept_gate OWNER TO federation_owner",
        {"decisions": {(None, "*")}},
        object="function federation.cross_dept_gate(text,text)",
        says="it belongs to postgres",
        mend="ALTER ROUTINE federation.cross_dept_gate(text,text) OWNER TO federation_owner",
    ),
    Opening(
        "a gate that looks names up elsewhere",
        "ALTER FUNCTION federation.cross_dept_gate SET search_path = public",
        "ALTER FUNCTION federation.cross_dept_gate SET search_path = pg_catalog, pg_temp",
        {"decisions": {(None, "*")}},
        object="function federation.cross_dept_gate(text,text)",
        says="it looks names up where its caller may put others",
    ),
    *(
        Opening(
            f"{trigger} of {table} switched off",
            f"ALTER TABLE federation.{table} DISABLE TRIGGER {trigger}",
            f"ALTER TABLE federation.{table} ENABLE TRIGGER {trigger}",
            {"decisions": {(None, "*")}},
            object=f"trigger {trigger} of table {table}",
            says="it is switched off",
            mend=f"ALTER TABLE federation.{table} ENABLE TRIGGER {trigger}",
        )
        for trigger, table in (
            ("keep_audit", "security_audit"),
            ("keep_audit", "cross_dept_audit"),
            ("record_permission", "cross_dept_permissions"),
            ("record_entitlement", "gateway_entitlements"),
            ("canonical_resource", "cross_dept_permissions"),
        )
    ),
    Opening(
        "a trigger that is gone",
        "DROP TRIGGER keep_audit ON federation.security_audit",
        """CREATE TRIGGER keep_audit BEFORE UPDATE OR DELETE OR TRUNCATE ON federation.security_audit
               FOR EACH STATEMENT EXECUTE FUNCTION federation.keep_audit()""",
        {"decisions": {(None, "*")}},
        object="trigger keep_audit of table security_audit",
        says="it is missing",
    ),
    Opening(
        "a table of the control plane that belongs to somebody else",
        "ALTER TABLE federation.oauth_credentials OWNER TO stranger",
        "ALTER TABLE federation.oauth_credentials OWNER TO federation_owner",
        {"control_plane": {("stranger", "*")}},
        object="table oauth_credentials",
        says="it does not belong to federation_owner",
        mend="ALTER TABLE federation.oauth_credentials OWNER TO federation_owner",
    ),
]


def _harmless(law: str, opens: str, closes: str, since: int = 0) -> Opening:
    return Opening(law, opens, closes, {}, since=since)


NO_HOLES = [
    _harmless("a view that nobody may read", OVER_CONTACTS, "DROP VIEW public.shown"),
    _harmless(
        "a view for administrators",
        f"{OVER_CONTACTS}; GRANT SELECT ON public.shown TO federation_admin_role",
        "DROP VIEW public.shown",
    ),
    _harmless(
        "a view that reads as its reader",
        """CREATE VIEW public.shown WITH (security_invoker = on) AS SELECT * FROM hr_tenant.contacts;
           GRANT SELECT ON public.shown TO PUBLIC""",
        "DROP VIEW public.shown",
        since=15,
    ),
    _harmless(
        "a view that reads as its reader, put in other words",
        """CREATE VIEW public.shown WITH (security_invoker = 1) AS SELECT * FROM hr_tenant.contacts;
           GRANT SELECT ON public.shown TO PUBLIC""",
        "DROP VIEW public.shown",
        since=15,
    ),
    _harmless(
        "a table of everybody's",
        "CREATE TABLE public.news (line text); GRANT SELECT ON public.news TO PUBLIC",
        "DROP TABLE public.news",
    ),
    _harmless(
        "a function that runs as its caller",
        "CREATE FUNCTION public.peek() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM hr_tenant.contacts'",
        "DROP FUNCTION public.peek()",
    ),
    _harmless("a stranger who monitors", "GRANT pg_monitor TO stranger", "REVOKE pg_monitor FROM stranger"),
    _harmless(
        "a department's limits",
        "ALTER ROLE hr_role SET statement_timeout = '30s'",
        "ALTER ROLE hr_role RESET statement_timeout",
    ),
    _harmless("an owner of the server", "ALTER ROLE stranger SUPERUSER", "ALTER ROLE stranger NOSUPERUSER"),
    _harmless(
        "a stranger who asks for nobody",
        "GRANT cross_dept_query_role TO stranger",
        "REVOKE cross_dept_query_role FROM stranger",
    ),
]

HOLES = [*VIEWS, *FUNCTIONS, *DECISIONS]
