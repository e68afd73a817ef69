"""Holes that privileges are, on departments' objects, on the control plane, and on the database."""

from __future__ import annotations

from tests.validation.holes import Opening, Pair

ON_CONTACTS = "TABLE hr_tenant.contacts"
TO_HR: Pair = (None, "hr")


def _grant(privilege: str, place: str, to: str, source: str, thing: str, **also: set[Pair]) -> Opening:
    """A privilege on something of hr's."""
    return Opening(
        f"{privilege} on {place} for {to}",
        f"GRANT {privilege} ON {place} TO {to}",
        f"REVOKE {privilege} ON {place} FROM {to}",
        {"grants": {(source, "hr")}, **also},
        object=thing,
        says="it was given " + privilege.partition(" ")[0],
        mend="REVOKE ALL",
    )


TENANT_GRANTS = [
    _grant("SELECT", ON_CONTACTS, "stranger", "stranger", "table contacts", walls={TO_HR}),
    _grant("USAGE", "SCHEMA hr_tenant", "gateway", "gateway", "schema hr_tenant", walls={TO_HR}),
    *(
        _grant(privilege, place, to, source, thing, walls={TO_HR})
        for to, source in (("sales_role", "sales"), ("PUBLIC", "PUBLIC"))
        for privilege, place, thing in (
            ("USAGE", "SCHEMA hr_tenant", "schema hr_tenant"),
            ("SELECT", ON_CONTACTS, "table contacts"),
            ("SELECT (full_name)", ON_CONTACTS, "column full_name of table contacts"),
            ("USAGE", "SEQUENCE hr_tenant.conversation_history_id_seq", "sequence conversation_history_id_seq"),
            ("EXECUTE", "FUNCTION hr_tenant.search_documents", "function search_documents"),
        )
    ),
    *(
        _grant(privilege, ON_CONTACTS, "sales_role", "sales", "table contacts", walls={TO_HR})
        for privilege in ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
    ),
    _grant("CREATE", "SCHEMA hr_tenant", "sales_role", "sales", "schema hr_tenant", walls={TO_HR}),
    _grant("SELECT", "TABLE hr_tenant.alembic_version", "sales_role", "sales", "table alembic_version", walls={TO_HR}),
    Opening(
        "a department's rows behind open doors",
        """GRANT USAGE ON SCHEMA hr_tenant TO sales_role; GRANT SELECT, UPDATE ON hr_tenant.contacts TO sales_role;
           CREATE POLICY extra ON hr_tenant.contacts TO sales_role USING (true)""",
        """REVOKE USAGE ON SCHEMA hr_tenant FROM sales_role; REVOKE ALL ON hr_tenant.contacts FROM sales_role;
           DROP POLICY extra ON hr_tenant.contacts""",
        {
            "probe_across": {("sales", "hr")},
            "grants": {("sales", "hr")},
            "policies": {("sales", "hr")},
            "walls": {TO_HR},
        },
        object="table contacts",
        says="it could read a row",
    ),
    *(
        Opening(
            f"{privilege} on its own contacts for a department",
            f"GRANT {privilege} ON hr_tenant.contacts TO hr_role",
            f"REVOKE {privilege} ON hr_tenant.contacts FROM hr_role",
            {"walls": {("hr", "hr")}},
            object="table contacts",
            says="the privileges of its department are not as they should be",
        )
        for privilege in ("TRUNCATE", "REFERENCES", "TRIGGER")
    ),
    Opening(
        "the version table for its own department",
        "GRANT SELECT ON hr_tenant.alembic_version TO hr_role",
        "REVOKE SELECT ON hr_tenant.alembic_version FROM hr_role",
        {"walls": {TO_HR}},
        object="table alembic_version",
        says="a role has privileges on the version table",
    ),
    Opening(
        "a privilege that a department may hand on",
        "GRANT SELECT ON hr_tenant.contacts TO hr_role WITH GRANT OPTION",
        "REVOKE GRANT OPTION FOR SELECT ON hr_tenant.contacts FROM hr_role",
        {"walls": {TO_HR}},
        object="table contacts",
        says="with grant option",
    ),
    Opening(
        "a private table for gateways",
        "GRANT SELECT ON hr_tenant.api_keys TO cross_dept_query_role",
        "REVOKE SELECT ON hr_tenant.api_keys FROM cross_dept_query_role",
        {"walls": {("cross_dept_query_role", "hr")}},
        object="table api_keys",
        says="the privileges of gateways",
    ),
    Opening(
        "a department that may make tables",
        "GRANT CREATE ON SCHEMA hr_tenant TO hr_role",
        "REVOKE CREATE ON SCHEMA hr_tenant FROM hr_role",
        {"probe_share": {("hr", "*")}, "walls": {TO_HR}},
        object="role hr_role",
        says="it could make a table",
    ),
]


def _platform(privilege: str, place: str, to: str, source: str, thing: str, **also: set[Pair]) -> Opening:
    """A privilege on something of the control plane."""
    return Opening(
        f"{privilege} on {place} for {to}",
        f"GRANT {privilege} ON {place} TO {to}",
        f"REVOKE {privilege} ON {place} FROM {to}",
        {"control_plane": {(source, "*")}, **also},
        object=thing,
        says=f"it was given {privilege.partition(' ')[0]}",
        mend="REVOKE ALL",
    )


CONTROL_PLANE_GRANTS = [
    _platform("INSERT", "TABLE federation.gateway_entitlements", "gateway", "gateway", "table gateway_entitlements"),
    _platform("SELECT", "TABLE federation.oauth_credentials", "stranger", "stranger", "table oauth_credentials"),
    _platform("USAGE", "SCHEMA federation", "stranger", "stranger", "schema federation"),
    *(
        _platform(privilege, place, to, source, thing)
        for to, source in (
            ("hr_role", "hr"),
            ("PUBLIC", "PUBLIC"),
        )
        for privilege, place, thing in (
            ("USAGE", "SCHEMA federation", "schema federation"),
            ("INSERT", "TABLE federation.cross_dept_permissions", "table cross_dept_permissions"),
            ("SELECT", "TABLE federation.oauth_credentials", "table oauth_credentials"),
            ("EXECUTE", "FUNCTION federation.admit", "function federation.admit(text,text,text)"),
        )
    ),
    _platform(
        "SELECT (id)",
        "TABLE federation.oauth_credentials",
        "stranger",
        "stranger",
        "column id of table oauth_credentials",
    ),
    _platform(
        "INSERT",
        "TABLE federation.gateway_entitlements",
        "federation_admin_role",
        "federation_admin_role",
        "table gateway_entitlements",
    ),
    _platform("CREATE", "SCHEMA federation", "federation_reader_role", "federation_reader_role", "schema federation"),
    _platform(
        "SELECT",
        "TABLE federation.cross_dept_permissions",
        "cross_dept_query_role",
        "cross_dept_query_role",
        "table cross_dept_permissions",
    ),
    Opening(
        "grants that a department can write",
        "GRANT USAGE ON SCHEMA federation TO hr_role; GRANT INSERT ON federation.cross_dept_permissions TO hr_role",
        "REVOKE ALL ON SCHEMA federation FROM hr_role; REVOKE ALL ON federation.cross_dept_permissions FROM hr_role",
        {"probe_share": {("hr", "*")}, "control_plane": {("hr", "*")}},
        object="role hr_role",
        says="it could grant itself everything",
    ),
    *(
        Opening(
            f"default privileges that open {kind.lower()} to {to}",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE federation_owner{where} GRANT {privilege} ON {kind} TO {to}",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE federation_owner{where} REVOKE {privilege} ON {kind} FROM {to}",
            {"control_plane": {(source, "*")}},
            object="default privileges of federation_owner",
            says=f"what the owner makes from now on would be open: {privilege}",
            mend="ALTER DEFAULT PRIVILEGES FOR ROLE federation_owner",
        )
        for kind, privilege, to, source, where in (
            ("TABLES", "SELECT", "sales_role", "sales", ""),
            ("TABLES", "SELECT", "PUBLIC", "PUBLIC", " IN SCHEMA hr_tenant"),
            ("SEQUENCES", "USAGE", "stranger", "stranger", ""),
            ("FUNCTIONS", "EXECUTE", "PUBLIC", "PUBLIC", ""),
        )
    ),
]


def _on_database(law: str, privilege: str, place: str, to: str, source: str) -> Opening:
    return Opening(
        law,
        f"GRANT {privilege} ON {place} TO {to}",
        f"REVOKE {privilege} ON {place} FROM {to}",
        {"database": {(source, "*")}},
        object=place.lower(),
        says=f"was given {privilege}",
        mend=f"REVOKE {privilege} ON {place} FROM {to}",
    )


DATABASE = [
    _on_database("a database that everybody may enter", "CONNECT", "DATABASE fedschema_walls", "PUBLIC", "PUBLIC"),
    _on_database(
        "a database where everybody may make schemas", "CREATE", "DATABASE fedschema_walls", "PUBLIC", "PUBLIC"
    ),
    _on_database("temporary tables for everybody", "TEMPORARY", "DATABASE fedschema_walls", "PUBLIC", "PUBLIC"),
    _on_database("temporary tables for a department", "TEMPORARY", "DATABASE fedschema_walls", "hr_role", "hr"),
    _on_database(
        "temporary tables for every department",
        "TEMPORARY",
        "DATABASE fedschema_walls",
        "federation_department_role",
        "federation_department_role",
    ),
    _on_database("schemas that a department makes", "CREATE", "DATABASE fedschema_walls", "hr_role", "hr"),
    _on_database("a public schema where everybody makes things", "CREATE", "SCHEMA public", "PUBLIC", "PUBLIC"),
    _on_database("a public schema where a department makes things", "CREATE", "SCHEMA public", "hr_role", "hr"),
    _on_database("a public schema where a gateway makes things", "CREATE", "SCHEMA public", "gateway", "gateway"),
    Opening(
        "a database that is a template",
        "ALTER DATABASE fedschema_walls IS_TEMPLATE true",
        "ALTER DATABASE fedschema_walls IS_TEMPLATE false",
        {"database": {(None, "*")}},
        object="database fedschema_walls",
        says="whoever may create databases can copy it",
        mend="ALTER DATABASE fedschema_walls IS_TEMPLATE false",
    ),
    Opening(
        "sessions in which no trigger fires",
        "ALTER DATABASE fedschema_walls SET session_replication_role = replica",
        "ALTER DATABASE fedschema_walls RESET session_replication_role",
        {"database": {(None, "*")}},
        object="database fedschema_walls",
        says="every session begins with session_replication_role=replica",
        mend="ALTER DATABASE fedschema_walls RESET session_replication_role",
    ),
    Opening(
        "a database that belongs to a department",
        "ALTER DATABASE fedschema_walls OWNER TO hr_role",
        "ALTER DATABASE fedschema_walls OWNER TO CURRENT_USER",
        {"ownership": {("hr", "hr")}, "database": {("hr", "*")}},
        object="database fedschema_walls",
        says="it belongs to hr_role",
    ),
    Opening(
        "a publication of all tables",
        "CREATE PUBLICATION everything FOR ALL TABLES",
        "DROP PUBLICATION everything",
        {"publications": {(None, "hr"), (None, "legal"), (None, "sales")}},
        object="publication everything",
        says="whoever has REPLICATION gets every row",
        mend="DROP PUBLICATION everything",
    ),
    Opening(
        "a publication of a department's table",
        "CREATE PUBLICATION part FOR TABLE hr_tenant.contacts; ALTER ROLE stranger REPLICATION",
        "DROP PUBLICATION part; ALTER ROLE stranger NOREPLICATION",
        {"publications": {("stranger", "hr")}},
        object="publication part",
        says="it publishes table contacts",
        mend="ALTER PUBLICATION part DROP TABLE",
    ),
]

HOLES = [*TENANT_GRANTS, *CONTROL_PLANE_GRANTS, *DATABASE]
