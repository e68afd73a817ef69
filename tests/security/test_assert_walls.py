"""A transaction that would leave a table of a department open cannot be committed: `federation.assert_walls` ends it.

Each test does as a migration would: becomes the owner, opens a hole by hand, and comes to the end of its transaction.
"""

from __future__ import annotations

import psycopg
import pytest

from fedschema.connections import WALLS_MISSING
from tests.security.conftest import owning

CHECK = "ALTER TABLE hr_tenant.contacts DROP CONSTRAINT contacts_department_check"
NEW_CHECK = CHECK + "; ALTER TABLE hr_tenant.contacts ADD CONSTRAINT contacts_department_check CHECK "

ROW_SECURITY = {
    "disabled": "ALTER TABLE hr_tenant.contacts DISABLE ROW LEVEL SECURITY",
    "not forced": "ALTER TABLE hr_tenant.contacts NO FORCE ROW LEVEL SECURITY",
    "disabled on a private table": "ALTER TABLE hr_tenant.api_keys DISABLE ROW LEVEL SECURITY",
    "not forced on the archive": "ALTER TABLE hr_tenant.conversation_history_archive NO FORCE ROW LEVEL SECURITY",
}

CHECKS = {
    "missing": CHECK,
    "of another department": "TRUNCATE hr_tenant.contacts; " + NEW_CHECK + "(department = 'sales')",
    "of two departments": NEW_CHECK + "(department IN ('hr', 'sales'))",
    "or null": NEW_CHECK + "(department = 'hr' OR department IS NULL)",
    "or anything": NEW_CHECK + "(department = 'hr' OR true)",
    "of another column": NEW_CHECK + "(contact_id = 'hr' OR contact_id <> 'hr')",
    "not validated": NEW_CHECK + "(department = 'hr') NOT VALID",
}

ISOLATION = {
    "missing": "DROP POLICY isolation ON hr_tenant.contacts",
    "reads all": "ALTER POLICY isolation ON hr_tenant.contacts USING (true)",
    "writes all": "ALTER POLICY isolation ON hr_tenant.contacts WITH CHECK (true)",
    "reads another": "ALTER POLICY isolation ON hr_tenant.contacts USING (department = 'sales')",
    "reads by a setting": """
        ALTER POLICY isolation ON hr_tenant.contacts
            USING (department = current_setting('app.department'))
    """,
    "to another department": "ALTER POLICY isolation ON hr_tenant.contacts TO sales_role",
    "to another department too": "ALTER POLICY isolation ON hr_tenant.contacts TO hr_role, sales_role",
    "to what departments have in common": "ALTER POLICY isolation ON hr_tenant.contacts TO federation_department_role",
    "to everybody": "ALTER POLICY isolation ON hr_tenant.contacts TO PUBLIC",
    "renamed": "ALTER POLICY isolation ON hr_tenant.contacts RENAME TO isolation2",
    "for one command": """
        DROP POLICY isolation ON hr_tenant.contacts;
        CREATE POLICY isolation ON hr_tenant.contacts FOR SELECT TO hr_role USING (department = 'hr')
    """,
    "restrictive": """
        DROP POLICY isolation ON hr_tenant.contacts;
        CREATE POLICY isolation ON hr_tenant.contacts AS RESTRICTIVE TO hr_role
            USING (department = 'hr') WITH CHECK (department = 'hr')
    """,
    "without a check": """
        DROP POLICY isolation ON hr_tenant.contacts;
        CREATE POLICY isolation ON hr_tenant.contacts FOR ALL TO hr_role USING (department = 'hr')
    """,
}

ADMIN_BYPASS = {
    "missing": "DROP POLICY admin_bypass ON hr_tenant.contacts",
    "writes all": "ALTER POLICY admin_bypass ON hr_tenant.contacts WITH CHECK (true)",
    "sees nothing": "ALTER POLICY admin_bypass ON hr_tenant.contacts USING (false)",
    "to everybody": "ALTER POLICY admin_bypass ON hr_tenant.contacts TO PUBLIC",
    "to a department": "ALTER POLICY admin_bypass ON hr_tenant.contacts TO hr_role",
    "to a department too": "ALTER POLICY admin_bypass ON hr_tenant.contacts TO federation_admin_role, sales_role",
    "to the owner": "ALTER POLICY admin_bypass ON hr_tenant.contacts TO federation_owner",
}

CROSS_DEPT_READ = {
    "missing": "DROP POLICY cross_dept_read ON hr_tenant.contacts",
    "open": "ALTER POLICY cross_dept_read ON hr_tenant.contacts USING (true)",
    "open by a claim": """
        ALTER POLICY cross_dept_read ON hr_tenant.contacts
            USING (current_setting('app.source_department', true) <> '')
    """,
    "open as well": """
        ALTER POLICY cross_dept_read ON hr_tenant.contacts
            USING ((SELECT federation.cross_dept_gate('hr', 'contacts')) OR true)
    """,
    "to everybody": "ALTER POLICY cross_dept_read ON hr_tenant.contacts TO PUBLIC",
    "to another department": "ALTER POLICY cross_dept_read ON hr_tenant.contacts TO sales_role",
    "to another department too": """
        ALTER POLICY cross_dept_read ON hr_tenant.contacts
            USING ((SELECT federation.cross_dept_gate('hr', 'contacts')) OR true)
    """,
    "by the gate of another department": """
        ALTER POLICY cross_dept_read ON hr_tenant.contacts
            USING ((SELECT federation.cross_dept_gate('sales', 'contacts')))
    """,
    "by the gate of another resource": (
        "ALTER POLICY cross_dept_read ON hr_tenant.contacts USING ((SELECT federation.cross_dept_gate('hr', 'emails')))"
    ),
    "by the gate for all resources": (
        "ALTER POLICY cross_dept_read ON hr_tenant.contacts USING ((SELECT federation.cross_dept_gate('hr', '*')))"
    ),
    "asked for each row": (
        "ALTER POLICY cross_dept_read ON hr_tenant.contacts USING (federation.cross_dept_gate('hr', 'contacts'))"
    ),
    "for all commands": """
        DROP POLICY cross_dept_read ON hr_tenant.contacts;
        CREATE POLICY cross_dept_read ON hr_tenant.contacts FOR ALL TO cross_dept_query_role
            USING ((SELECT federation.cross_dept_gate('hr', 'contacts')))
    """,
    "on a private table": """
        CREATE POLICY cross_dept_read ON hr_tenant.api_keys FOR SELECT TO cross_dept_query_role
            USING ((SELECT federation.cross_dept_gate('hr', 'contacts')))
    """,
    "open on a private table": "CREATE POLICY cross_dept_read ON hr_tenant.session_context USING (true)",
}

READER = {
    "missing": "DROP POLICY reader ON hr_tenant.contacts",
    "to everybody": "ALTER POLICY reader ON hr_tenant.contacts TO PUBLIC",
    "to gateways": "ALTER POLICY reader ON hr_tenant.contacts TO cross_dept_query_role",
    "to its department": "ALTER POLICY reader ON hr_tenant.contacts TO hr_role",
    "to another department too": "ALTER POLICY reader ON hr_tenant.contacts TO federation_reader_role, sales_role",
    "for all commands": """
        DROP POLICY reader ON hr_tenant.contacts;
        CREATE POLICY reader ON hr_tenant.contacts FOR ALL TO federation_reader_role USING (true)
    """,
    "on a private table": """
        CREATE POLICY reader ON hr_tenant.api_keys FOR SELECT TO federation_reader_role
            USING (true)
    """,
    "open on a private table": "CREATE POLICY reader ON hr_tenant.audit_trail USING (true)",
}

ONE_TOO_MANY = {
    "for everybody": "CREATE POLICY extra ON hr_tenant.contacts USING (true)",
    "for its department": "CREATE POLICY extra ON hr_tenant.contacts TO hr_role USING (true)",
    "for another": "CREATE POLICY extra ON hr_tenant.contacts FOR SELECT TO sales_role USING (true)",
    "for gateways": "CREATE POLICY extra ON hr_tenant.contacts FOR SELECT TO cross_dept_query_role USING (true)",
    "for the owner": "CREATE POLICY extra ON hr_tenant.contacts TO federation_owner USING (true)",
    "for writing": "CREATE POLICY extra ON hr_tenant.contacts FOR INSERT TO hr_role WITH CHECK (true)",
    "that admits nothing yet": "CREATE POLICY extra ON hr_tenant.contacts USING (false)",
    "of the same text": """
        CREATE POLICY extra ON hr_tenant.contacts TO hr_role
            USING (department = 'hr') WITH CHECK (department = 'hr')
    """,
    "in another case": 'CREATE POLICY "Isolation" ON hr_tenant.contacts USING (true)',
}

BEHIND_THE_HELPERS = {
    "bare": "CREATE TABLE hr_tenant.stray (x integer)",
    "empty": "CREATE TABLE hr_tenant.stray ()",
    "with its column": """
        CREATE TABLE hr_tenant.stray
            (department varchar(100) NOT NULL DEFAULT 'hr' CHECK (department = 'hr'))
    """,
    "like another": "CREATE TABLE hr_tenant.stray (LIKE hr_tenant.contacts INCLUDING ALL)",
    "as a query": "CREATE TABLE hr_tenant.stray AS SELECT * FROM hr_tenant.contacts",
    "that inherits": "CREATE TABLE hr_tenant.stray () INHERITS (hr_tenant.contacts)",
    "unlogged": "CREATE UNLOGGED TABLE hr_tenant.stray (x integer)",
    "partitioned": "CREATE TABLE hr_tenant.stray (x integer) PARTITION BY LIST (x)",
    "materialized": "CREATE MATERIALIZED VIEW hr_tenant.stray AS SELECT * FROM hr_tenant.contacts",
    "moved in": "CREATE TABLE federation.stray (x integer); ALTER TABLE federation.stray SET SCHEMA hr_tenant",
    "renamed": "ALTER TABLE hr_tenant.contacts RENAME TO stray; CREATE TABLE hr_tenant.contacts (x integer)",
    "in quotes": 'CREATE TABLE hr_tenant."Stray Table" (x integer)',
    "of the version table's name, nearly": "CREATE TABLE hr_tenant.alembic_version2 (x integer)",
    "without a policy": """
        CREATE TABLE hr_tenant.stray (department varchar(100) NOT NULL DEFAULT 'hr' CHECK (department = 'hr'));
        ALTER TABLE hr_tenant.stray ENABLE ROW LEVEL SECURITY;
        ALTER TABLE hr_tenant.stray FORCE ROW LEVEL SECURITY
    """,
}

GRANTED_TOO_MUCH = {
    "TRUNCATE passes by row security": "GRANT TRUNCATE ON hr_tenant.contacts TO hr_role",
    "REFERENCES": "GRANT REFERENCES ON hr_tenant.contacts TO hr_role",
    "TRIGGER": "GRANT TRIGGER ON hr_tenant.contacts TO hr_role",
    "ALL": "GRANT ALL ON hr_tenant.contacts TO hr_role",
    "to another department": "GRANT SELECT ON hr_tenant.contacts TO sales_role",
    "to all departments": "GRANT SELECT ON hr_tenant.contacts TO federation_department_role",
    "to everybody": "GRANT SELECT ON hr_tenant.contacts TO PUBLIC",
    "a column to everybody": "GRANT SELECT (notes) ON hr_tenant.contacts TO PUBLIC",
    "writing to gateways": "GRANT UPDATE ON hr_tenant.contacts TO cross_dept_query_role",
    "a private table to gateways": "GRANT SELECT ON hr_tenant.api_keys TO cross_dept_query_role",
    "changing a log, to operators too": """
        GRANT UPDATE, DELETE ON hr_tenant.audit_trail TO hr_role, federation_admin_role
    """,
    "changing a log": "GRANT UPDATE, DELETE ON hr_tenant.audit_trail TO hr_role",
    "the version table": "GRANT SELECT ON hr_tenant.alembic_version TO hr_role",
    "a column of the version table": "GRANT SELECT (version_num) ON hr_tenant.alembic_version TO hr_role",
    "turning back a sequence": "GRANT UPDATE ON SEQUENCE hr_tenant.drive_access_log_id_seq TO hr_role",
    "a sequence to another department": "GRANT USAGE ON SEQUENCE hr_tenant.drive_access_log_id_seq TO sales_role",
    "a sequence with grant option": """
        GRANT USAGE ON SEQUENCE hr_tenant.drive_access_log_id_seq TO hr_role WITH GRANT OPTION
    """,
    "a function to everybody": "GRANT EXECUTE ON FUNCTION hr_tenant.set_updated_at() TO PUBLIC",
    "a function to another department": """
        GRANT EXECUTE ON FUNCTION hr_tenant.cleanup_expired_session_context() TO sales_role
    """,
    "a view that reads as its owner": """
        CREATE VIEW hr_tenant.secrets AS SELECT * FROM federation.oauth_credentials;
        GRANT SELECT ON hr_tenant.secrets TO hr_role
    """,
    "the schema with grant option": "GRANT USAGE ON SCHEMA hr_tenant TO hr_role WITH GRANT OPTION",
    "the schema to everybody": "GRANT USAGE ON SCHEMA hr_tenant TO PUBLIC",
    "CREATE in the schema": "GRANT CREATE ON SCHEMA hr_tenant TO hr_role",
    "the schema to another": "GRANT USAGE ON SCHEMA hr_tenant TO sales_role",
    "with grant option": "GRANT SELECT ON hr_tenant.contacts TO hr_role WITH GRANT OPTION",
    "owned by its department": """
        RESET ROLE;
        ALTER TABLE hr_tenant.contacts OWNER TO hr_role; SET LOCAL ROLE federation_owner
    """,
}

GRANTED_TOO_LITTLE = {
    "a table that its department cannot use": "REVOKE ALL ON hr_tenant.contacts FROM hr_role",
    "a table that is only read": "REVOKE INSERT ON hr_tenant.contacts FROM hr_role",
    "a table that no operator can use": "REVOKE ALL ON hr_tenant.contacts FROM federation_admin_role",
    "a shared table that gateways cannot read": "REVOKE SELECT ON hr_tenant.contacts FROM cross_dept_query_role",
}


def is_refused(root: psycopg.Connection, opening: str) -> bool:
    """Open a hole as the owner and tell whether the end of the transaction finds it."""
    with owning(root):
        root.execute("CALL federation.assert_walls('hr')")  # all is well before
        root.execute(opening)
        try:
            with root.transaction():
                root.execute("CALL federation.assert_walls('hr')")
        except psycopg.Error as error:
            return error.sqlstate == WALLS_MISSING
    return False


@pytest.mark.parametrize("opening", ROW_SECURITY.values(), ids=ROW_SECURITY)
def test_table_without_row_security_is_refused(root: psycopg.Connection, opening: str) -> None:
    assert is_refused(root, opening)


@pytest.mark.parametrize("opening", CHECKS.values(), ids=CHECKS)
def test_table_whose_check_does_not_bind_is_refused(root: psycopg.Connection, opening: str) -> None:
    assert is_refused(root, opening)


def test_table_whose_check_is_not_enforced_is_refused(root: psycopg.Connection) -> None:
    """PostgreSQL 18 can keep a constraint and not enforce it; older ones do not know the words."""
    opening = NEW_CHECK + "(department = 'hr') NOT ENFORCED"
    if root.info.server_version >= 180000:
        assert is_refused(root, opening)
    else:
        with pytest.raises(psycopg.errors.SyntaxError):
            is_refused(root, opening)


@pytest.mark.parametrize("opening", ISOLATION.values(), ids=ISOLATION)
def test_changed_isolation_policy_is_refused(root: psycopg.Connection, opening: str) -> None:
    assert is_refused(root, opening)


@pytest.mark.parametrize("opening", ADMIN_BYPASS.values(), ids=ADMIN_BYPASS)
def test_changed_admin_policy_is_refused(root: psycopg.Connection, opening: str) -> None:
    assert is_refused(root, opening)


@pytest.mark.parametrize("opening", CROSS_DEPT_READ.values(), ids=CROSS_DEPT_READ)
def test_changed_gateway_policy_is_refused(root: psycopg.Connection, opening: str) -> None:
    assert is_refused(root, opening)


@pytest.mark.parametrize("opening", READER.values(), ids=READER)
def test_changed_reader_policy_is_refused(root: psycopg.Connection, opening: str) -> None:
    assert is_refused(root, opening)


@pytest.mark.parametrize("opening", ONE_TOO_MANY.values(), ids=ONE_TOO_MANY)
def test_policy_that_is_none_of_the_four_is_refused(root: psycopg.Connection, opening: str) -> None:
    assert is_refused(root, opening)


@pytest.mark.parametrize("opening", BEHIND_THE_HELPERS.values(), ids=BEHIND_THE_HELPERS)
def test_table_made_behind_the_helpers_back_is_refused(root: psycopg.Connection, opening: str) -> None:
    assert is_refused(root, opening)


@pytest.mark.parametrize("opening", GRANTED_TOO_MUCH.values(), ids=GRANTED_TOO_MUCH)
def test_privilege_too_many_is_refused(root: psycopg.Connection, opening: str) -> None:
    assert is_refused(root, opening)


@pytest.mark.parametrize("opening", GRANTED_TOO_LITTLE.values(), ids=GRANTED_TOO_LITTLE)
def test_missing_privilege_is_refused(root: psycopg.Connection, opening: str) -> None:
    assert is_refused(root, opening)


@pytest.mark.parametrize("department_id", ["hr", "sales"])
def test_departments_as_they_are_made_pass(root: psycopg.Connection, department_id: str) -> None:
    with owning(root):
        root.execute("CALL federation.assert_walls(%s)", (department_id,))


def test_hole_in_one_department_is_no_others(root: psycopg.Connection) -> None:
    with owning(root):
        root.execute(ROW_SECURITY["disabled"])
        root.execute("CALL federation.assert_walls('sales')")


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE hr_tenant.contacts ADD COLUMN x integer",
        "CREATE INDEX ON hr_tenant.contacts (notes)",
        "ALTER TABLE hr_tenant.contacts ADD CONSTRAINT x CHECK (notes <> '')",
        "DROP TABLE hr_tenant.contacts",
        "CREATE VIEW hr_tenant.x AS SELECT id FROM hr_tenant.contacts",
        "CREATE SEQUENCE hr_tenant.x",
        """
        REVOKE ALL ON hr_tenant.contacts FROM hr_role;
        GRANT SELECT, INSERT, UPDATE, DELETE ON hr_tenant.contacts TO hr_role
        """,
        "REVOKE USAGE ON SCHEMA hr_tenant FROM hr_role; GRANT USAGE ON SCHEMA hr_tenant TO hr_role",
    ],
)
def test_change_that_opens_nothing_passes(root: psycopg.Connection, change: str) -> None:
    with owning(root):
        root.execute(change)
        root.execute("CALL federation.assert_walls('hr')")
