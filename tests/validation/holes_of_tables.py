"""Holes in the walls of one table: policies, row-level security, CHECK, owner, what hangs on it."""

from __future__ import annotations

from tests.validation.holes import Opening

CONTACTS = "hr_tenant.contacts"
TO_HR = {(None, "hr")}
#: Every other department, through a gateway.
THROUGH_A_GATEWAY = {("legal", "hr"), ("sales", "hr")}


def _stray(law: str, clause: str, *pairs: tuple[str | None, str], says: str = "it lets in") -> Opening:
    """A policy on hr's contacts that is none of ours."""
    return Opening(
        law,
        f"CREATE POLICY extra ON {CONTACTS} {clause}",
        f"DROP POLICY extra ON {CONTACTS}",
        {"policies": set(pairs), "walls": TO_HR},
        object="policy extra on table contacts",
        says=says,
        mend="DROP POLICY extra ON hr_tenant.contacts",
    )


def _made_anew(name: str, clause: str) -> str:
    return f"DROP POLICY IF EXISTS {name} ON {CONTACTS}; CREATE POLICY {name} ON {CONTACTS} {clause}"


ISOLATION = _made_anew("isolation", "TO hr_role USING (department = 'hr') WITH CHECK (department = 'hr')")
ADMIN_BYPASS = _made_anew("admin_bypass", "TO federation_admin_role USING (true) WITH CHECK (department = 'hr')")
GATE = _made_anew(
    "cross_dept_read",
    "FOR SELECT TO cross_dept_query_role USING ((SELECT federation.cross_dept_gate('hr', 'contacts')))",
)
READER = _made_anew("reader", "FOR SELECT TO federation_reader_role USING (true)")

STRAY_POLICIES = [
    _stray("a stray policy for another department", "TO sales_role USING (true)", ("sales", "hr")),
    _stray("a stray policy for its own department", "TO hr_role USING (false)", ("hr", "hr")),
    _stray(
        "a stray policy for what departments have in common",
        "TO federation_department_role USING (false)",
        ("federation_department_role", "hr"),
    ),
    _stray(
        "a stray policy for two departments",
        "FOR SELECT TO legal_role, sales_role USING (true)",
        ("legal", "hr"),
        ("sales", "hr"),
    ),
    _stray(
        "a stray restrictive policy",
        "AS RESTRICTIVE TO hr_role USING (department = 'hr')",
        (None, "hr"),
        says="none of ours: it keeps rows from",
    ),
    Opening(
        "a stray policy for gateways",
        f"CREATE POLICY extra ON {CONTACTS} FOR SELECT TO cross_dept_query_role USING (true)",
        f"DROP POLICY extra ON {CONTACTS}",
        {"policies": {("cross_dept_query_role", "hr")}, "walls": TO_HR, "probe_gate": THROUGH_A_GATEWAY},
        object="policy extra on table contacts",
        says="it lets in",
    ),
    Opening(
        "a stray policy for everybody",
        f"CREATE POLICY extra ON {CONTACTS} USING (true) WITH CHECK (true)",
        f"DROP POLICY extra ON {CONTACTS}",
        {
            "policies": {("PUBLIC", "hr")},
            "walls": TO_HR,
            "probe_gate": THROUGH_A_GATEWAY,
            "probe_own": {("hr", "hr")},
            "probe_owner": {("federation_owner", "hr")},
        },
        object="policy extra on table contacts",
        says="it lets in",
    ),
]

CHANGED_POLICIES = [
    Opening(
        "an isolation policy with another department's literal",
        f"ALTER POLICY isolation ON {CONTACTS} USING (department = 'sales') WITH CHECK (department = 'sales')",
        ISOLATION,
        {"walls": TO_HR},
        object="table contacts",
        says="the isolation policy is missing or changed",
        mend="fedschema tenant sql hr --rls-only",
    ),
    Opening(
        "an isolation policy for another role",
        f"ALTER POLICY isolation ON {CONTACTS} TO sales_role",
        ISOLATION,
        {"walls": TO_HR, "policies": {("sales", "hr")}},
        object="table contacts",
        says="the isolation policy is missing or changed",
    ),
    Opening(
        "an isolation policy that lets everything in",
        f"ALTER POLICY isolation ON {CONTACTS} USING (true) WITH CHECK (true)",
        ISOLATION,
        {"walls": TO_HR, "probe_own": {("hr", "hr")}},
        object="table contacts",
        says="the isolation policy is missing or changed",
    ),
    Opening(
        "an isolation policy that is gone",
        f"DROP POLICY isolation ON {CONTACTS}",
        ISOLATION,
        {"walls": TO_HR},
        object="table contacts",
        says="the isolation policy is missing or changed",
    ),
    Opening(
        "an admin_bypass policy that writes for others",
        f"ALTER POLICY admin_bypass ON {CONTACTS} WITH CHECK (true)",
        ADMIN_BYPASS,
        {"walls": TO_HR},
        object="table contacts",
        says="the admin_bypass policy is missing or changed",
    ),
    Opening(
        "an admin_bypass policy for a department",
        f"ALTER POLICY admin_bypass ON {CONTACTS} TO federation_admin_role, sales_role",
        ADMIN_BYPASS,
        {"walls": TO_HR, "policies": {("sales", "hr")}},
        object="table contacts",
        says="the admin_bypass policy is missing or changed",
    ),
    Opening(
        "an admin_bypass policy that is gone",
        f"DROP POLICY admin_bypass ON {CONTACTS}",
        ADMIN_BYPASS,
        {"walls": TO_HR},
        object="table contacts",
        says="the admin_bypass policy is missing or changed",
    ),
    Opening(
        "a cross_dept_read policy that asks nobody",
        f"ALTER POLICY cross_dept_read ON {CONTACTS} USING (true)",
        GATE,
        {"walls": {("cross_dept_query_role", "hr")}, "probe_gate": THROUGH_A_GATEWAY},
        object="table contacts",
        says="the cross_dept_read policy is missing or changed",
    ),
    Opening(
        "a cross_dept_read policy for a department",
        f"ALTER POLICY cross_dept_read ON {CONTACTS} TO cross_dept_query_role, legal_role",
        GATE,
        {"walls": {("cross_dept_query_role", "hr")}, "policies": {("legal", "hr")}},
        object="table contacts",
        says="the cross_dept_read policy is missing or changed",
    ),
    Opening(
        "a cross_dept_read policy that asks for another department",
        f"ALTER POLICY cross_dept_read ON {CONTACTS} USING ((SELECT federation.cross_dept_gate('sales', 'contacts')))",
        GATE,
        {"walls": {("cross_dept_query_role", "hr")}},
        object="table contacts",
        says="the cross_dept_read policy is missing or changed",
    ),
    Opening(
        "a cross_dept_read policy that is gone",
        f"DROP POLICY cross_dept_read ON {CONTACTS}",
        GATE,
        {"walls": {("cross_dept_query_role", "hr")}},
        object="table contacts",
        says="the cross_dept_read policy is missing or changed",
    ),
    Opening(
        "a reader policy for everybody",
        f"ALTER POLICY reader ON {CONTACTS} TO PUBLIC",
        READER,
        {
            "walls": TO_HR,
            "policies": {("PUBLIC", "hr")},
            "probe_gate": THROUGH_A_GATEWAY,
            "probe_owner": {("federation_owner", "hr")},
        },
        object="table contacts",
        says="the reader policy is missing or changed",
    ),
    Opening(
        "a reader policy that is gone",
        f"DROP POLICY reader ON {CONTACTS}",
        READER,
        {"walls": TO_HR},
        object="table contacts",
        says="the reader policy is missing or changed",
    ),
]

TABLES = [
    Opening(
        "a table that does not force row-level security",
        f"ALTER TABLE {CONTACTS} NO FORCE ROW LEVEL SECURITY",
        f"ALTER TABLE {CONTACTS} FORCE ROW LEVEL SECURITY",
        {"walls": {("federation_owner", "hr")}, "probe_owner": {("federation_owner", "hr")}},
        object="table contacts",
        says="row-level security is not forced",
        mend="ALTER TABLE hr_tenant.contacts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    ),
    Opening(
        "a table without row-level security",
        f"ALTER TABLE {CONTACTS} DISABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {CONTACTS} ENABLE ROW LEVEL SECURITY",
        {
            "walls": TO_HR,
            "probe_gate": THROUGH_A_GATEWAY,
            "probe_own": {("hr", "hr")},
            "probe_owner": {("federation_owner", "hr")},
        },
        object="table contacts",
        says="row-level security is not enabled",
        mend="ALTER TABLE hr_tenant.contacts ENABLE ROW LEVEL SECURITY",
    ),
    Opening(
        "a table that belongs to another department",
        f"ALTER TABLE {CONTACTS} OWNER TO sales_role",
        f"ALTER TABLE {CONTACTS} OWNER TO federation_owner",
        {"walls": {("sales", "hr")}, "ownership": {("sales", "hr")}},
        object="table contacts",
        says="it does not belong to federation_owner",
    ),
    Opening(
        "a table that belongs to its department",
        f"ALTER TABLE {CONTACTS} OWNER TO hr_role",
        f"""ALTER TABLE {CONTACTS} OWNER TO federation_owner;
            GRANT SELECT, INSERT, UPDATE, DELETE ON {CONTACTS} TO hr_role""",
        {"ownership": {("hr", "hr")}, "walls": {("hr", "hr")}},
        object="table hr_tenant.contacts",
        says="it belongs to hr_role",
        mend="REASSIGN OWNED BY hr_role",
    ),
    Opening(
        "a table without walls",
        "CREATE TABLE hr_tenant.stray (department text, secret text)",
        "DROP TABLE hr_tenant.stray",
        {"walls": {("postgres", "hr")}},
        object="table stray",
        says="it does not belong to federation_owner",
    ),
    Opening(
        "a table without its CHECK",
        f"ALTER TABLE {CONTACTS} DROP CONSTRAINT contacts_department_check",
        f"ALTER TABLE {CONTACTS} ADD CONSTRAINT contacts_department_check CHECK (department = 'hr')",
        {"walls": TO_HR},
        object="table contacts",
        says="no CHECK binds its department column",
        mend="ADD CHECK (department = 'hr')",
    ),
    Opening(
        "a table with heirs elsewhere",
        f"CREATE TABLE public.heir () INHERITS ({CONTACTS})",
        "DROP TABLE public.heir",
        {"walls": TO_HR},
        object="heir",
        says="it holds rows of table contacts",
    ),
    Opening(
        "a trigger that takes rows elsewhere",
        f"""CREATE TABLE public.copies (line text);
            CREATE FUNCTION public.copy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
                AS 'BEGIN INSERT INTO public.copies VALUES (NEW::text); RETURN NEW; END';
            REVOKE ALL ON FUNCTION public.copy() FROM PUBLIC;
            CREATE TRIGGER copy BEFORE INSERT ON {CONTACTS} FOR EACH ROW EXECUTE FUNCTION public.copy()""",
        "DROP FUNCTION public.copy() CASCADE; DROP TABLE public.copies",
        {"walls": TO_HR},
        object="trigger copy of table contacts",
        says="it calls a function of another schema",
    ),
    Opening(
        "a rule that takes rows elsewhere",
        f"""CREATE TABLE public.copies (line text);
            CREATE RULE copy AS ON INSERT TO {CONTACTS} DO ALSO INSERT INTO public.copies VALUES (NEW.full_name)""",
        f"DROP RULE copy ON {CONTACTS}; DROP TABLE public.copies",
        {"walls": TO_HR},
        object="rule copy of table contacts",
        says="a rule rewrites what is asked",
    ),
    Opening(
        "a schema that is gone",
        "ALTER SCHEMA hr_tenant RENAME TO elsewhere",
        "ALTER SCHEMA elsewhere RENAME TO hr_tenant",
        {"walls": TO_HR, "functions": {("hr", "*")}},
        object="schema hr_tenant",
        says="it is missing, and the registry has it",
        mend="fedschema tenant drop hr",
    ),
]

HOLES = [*STRAY_POLICIES, *CHANGED_POLICIES, *TABLES]
