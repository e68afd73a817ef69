"""What a later revision may put beside the tables: nothing that lends rights or takes rows elsewhere."""

from __future__ import annotations

import psycopg
import pytest

from tests.security.conftest import count, owning, value
from tests.security.test_assert_walls import is_refused

SEARCH_PATH = "SET search_path = pg_catalog, pg_temp"
SEARCH = "hr_tenant.search_documents(text, integer)"


def as_reader(statement: str) -> str:
    """Step into the reader, which the functions belong to, and back."""
    return f"SET LOCAL ROLE federation_reader_role; {statement}; SET LOCAL ROLE federation_owner"


BESIDE = {
    "definer of the owner": f"""
        CREATE FUNCTION hr_tenant.all_of_it() RETURNS bigint LANGUAGE sql SECURITY DEFINER {SEARCH_PATH}
        AS 'SELECT count(*) FROM hr_tenant.contacts'
    """,
    "definer of the administrators": f"""
        GRANT CREATE ON SCHEMA hr_tenant TO federation_admin_role;
        CREATE FUNCTION hr_tenant.all_of_it() RETURNS bigint LANGUAGE sql SECURITY DEFINER {SEARCH_PATH}
        AS 'SELECT count(*) FROM sales_tenant.contacts';
        ALTER FUNCTION hr_tenant.all_of_it() OWNER TO federation_admin_role;
        REVOKE CREATE ON SCHEMA hr_tenant FROM federation_admin_role
    """,
    "search that looks names up": as_reader(f"ALTER FUNCTION {SEARCH} RESET search_path"),
    "search with another path": as_reader(f"ALTER FUNCTION {SEARCH} SET search_path = hr_tenant, pg_catalog"),
    "search for gateways": as_reader(f"GRANT EXECUTE ON FUNCTION {SEARCH} TO cross_dept_query_role"),
    "search for another": as_reader(f"GRANT EXECUTE ON FUNCTION {SEARCH} TO sales_role"),
    "search for everybody": as_reader(f"GRANT EXECUTE ON FUNCTION {SEARCH} TO PUBLIC"),
    "trigger of another schema": """
        CREATE FUNCTION federation.copy_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER copy_row BEFORE INSERT ON hr_tenant.contacts FOR EACH ROW EXECUTE FUNCTION federation.copy_row()
    """,
    "trigger of another department": """
        CREATE TRIGGER copy_row BEFORE UPDATE ON hr_tenant.contacts
            FOR EACH ROW EXECUTE FUNCTION sales_tenant.set_updated_at()
    """,
    "trigger of a definer": f"""
        CREATE FUNCTION hr_tenant.copy_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {SEARCH_PATH}
        AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER copy_row BEFORE INSERT ON hr_tenant.contacts FOR EACH ROW EXECUTE FUNCTION hr_tenant.copy_row()
    """,
    "rule that copies": "CREATE RULE copied AS ON INSERT TO hr_tenant.contacts DO ALSO NOTHING",
    "rule that hides": "CREATE RULE hidden AS ON DELETE TO hr_tenant.contacts DO INSTEAD NOTHING",
    "heir elsewhere": "CREATE TABLE federation.heir () INHERITS (hr_tenant.contacts)",
    "heir in another department": "CREATE TABLE sales_tenant.heir () INHERITS (hr_tenant.contacts)",
    "foreign key into another department": """
        ALTER TABLE hr_tenant.contacts
            ADD CONSTRAINT foreign_contact FOREIGN KEY (contact_id) REFERENCES sales_tenant.contacts (contact_id)
    """,
    "foreign table": "RESET ROLE; CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
    " CREATE FOREIGN TABLE hr_tenant.far (x integer) SERVER s;"
    " ALTER FOREIGN TABLE hr_tenant.far OWNER TO federation_owner;"
    " SET LOCAL ROLE federation_owner",
    "view that reads as its owner": """
        CREATE VIEW hr_tenant.x AS SELECT * FROM hr_tenant.contacts;
        GRANT SELECT ON hr_tenant.x TO hr_role
    """,
    "view for gateways": """
        CREATE VIEW hr_tenant.x WITH (security_invoker = true) AS SELECT * FROM hr_tenant.contacts;
        GRANT SELECT ON hr_tenant.x TO cross_dept_query_role
    """,
    "function of somebody else": """
        RESET ROLE;
        CREATE FUNCTION hr_tenant.x() RETURNS integer LANGUAGE sql AS 'SELECT 1';
        REVOKE ALL ON FUNCTION hr_tenant.x() FROM PUBLIC;
        SET LOCAL ROLE federation_owner
    """,
}

FINE = {
    "function of the caller's": f"""
        CREATE FUNCTION hr_tenant.mine() RETURNS bigint LANGUAGE sql {SEARCH_PATH}
        AS 'SELECT count(*) FROM hr_tenant.contacts';
        GRANT EXECUTE ON FUNCTION hr_tenant.mine() TO hr_role
    """,
    "trigger of its own": """
        CREATE TRIGGER again BEFORE UPDATE ON hr_tenant.contacts
            FOR EACH ROW EXECUTE FUNCTION hr_tenant.set_updated_at()
    """,
}


@pytest.mark.parametrize("opening", BESIDE.values(), ids=BESIDE)
def test_what_lends_rights_or_takes_rows_elsewhere_is_refused(root: psycopg.Connection, opening: str) -> None:
    if "security_invoker" in opening and root.info.server_version < 150000:
        opening = BESIDE["view that reads as its owner"]  # PostgreSQL 14 knows no other views
    assert is_refused(root, opening)


@pytest.mark.parametrize("change", FINE.values(), ids=FINE)
def test_what_does_neither_passes(root: psycopg.Connection, change: str) -> None:
    with owning(root):
        root.execute(change)
        root.execute("CALL federation.assert_walls('hr')")


def test_heir_elsewhere_is_what_rows_would_be_read_from(root: psycopg.Connection, hr: psycopg.Connection) -> None:
    """Why it is refused: a parent's rows include its heirs', and the heir's own walls are none."""
    with owning(root):
        root.execute("CREATE TABLE federation.heir () INHERITS (hr_tenant.contacts)")
        root.execute("INSERT INTO federation.heir (contact_id) VALUES ('planted')")
        assert value(root, "SELECT count(*) FROM federation.heir") == 1
        root.execute("RESET ROLE")
        root.execute("SET LOCAL ROLE hr_role")
        assert value(root, "SELECT count(*) FROM hr_tenant.contacts") == 2
    assert count(hr, "hr", "contacts") == 1
