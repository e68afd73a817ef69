"""Schemas that nobody of the platform made: like ours in all but who made them, or in the old generator's manner."""

from __future__ import annotations

import re

from fedschema import passwords, statements
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.tenancy import NewDepartment, creation_script
from tests.conftest import Database, Server

#: What only the platform says, and who says it.
_OURS = re.compile(
    r"^\s*(?:--[^\n]*\n\s*)*(?:BEGIN|COMMIT|SET LOCAL|CALL federation\.|UPDATE federation\.|CREATE ROLE)"
)
_ELSEWHERE = re.compile(r"alembic_version|OWNER TO|CREATE ON SCHEMA")


def by_hand(compiler: Compiler, department: Department) -> str:
    """Return plain SQL that makes a department's schema and role; whoever runs it owns what it makes."""
    script = creation_script(compiler, NewDepartment(department, "By hand"))
    kept = [
        part
        for part in statements.split(script)
        if not _OURS.match(part) and not _ELSEWHERE.search(part) and part.strip("; \n")
    ]
    role = f"CREATE ROLE {department.role} LOGIN"
    closed = f"REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {department.schema} FROM PUBLIC"  # not by default for others
    return ";\n".join([role, *(part.strip().rstrip(";") for part in kept), closed]) + ";\n"


#: Turns a schema like ours into one as the old generator made them: walls of other kinds, GRANT ALL, nothing forced, no
#: CHECK, none of what came later.
_OLD_MANNER = """
DO $old$
DECLARE
    found record;
BEGIN
    FOR found IN SELECT tablename, policyname FROM pg_policies WHERE schemaname = '{schema}' LOOP
        EXECUTE format('DROP POLICY %I ON {schema}.%I', found.policyname, found.tablename);
    END LOOP;
    FOR found IN SELECT tablename FROM pg_tables WHERE schemaname = '{schema}' LOOP
        EXECUTE format('ALTER TABLE {schema}.%I NO FORCE ROW LEVEL SECURITY', found.tablename);
        EXECUTE format('ALTER TABLE {schema}.%I DROP CONSTRAINT IF EXISTS %I', found.tablename,
                       found.tablename || '_department_check');
        EXECUTE format('CREATE POLICY department_isolation ON {schema}.%I '
                       'USING (department = current_setting(''app.department'', true))', found.tablename);
        EXECUTE format('CREATE POLICY admin_bypass ON {schema}.%I TO federation_admin_role USING (true)',
                       found.tablename);
    END LOOP;
END
$old$;
DROP FUNCTION {schema}.search_documents;
DROP TABLE {schema}.conversation_history_archive CASCADE;
ALTER TABLE {schema}.drive_document_repository DROP COLUMN search_vector CASCADE;
GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role};
GRANT USAGE ON SCHEMA {schema} TO PUBLIC;
COMMENT ON TABLE {schema}.contacts IS 'people';
ALTER ROLE {role} SET search_path TO {schema}, public;
INSERT INTO {schema}.contacts (contact_id, full_name) VALUES ('people/1', 'Ann'), ('people/2', 'Bo');
INSERT INTO {schema}.conversation_history (id, session_id, turn_index, speaker, message_text)
VALUES (41, 's', 1, 'user', 'hello');
"""


def in_the_old_manner(compiler: Compiler, department: Department) -> str:
    """Return what makes a schema as the old generator did, with some rows."""
    return by_hand(compiler, department) + _OLD_MANNER.format(schema=department.schema, role=department.role)


def make(database: Database, department_id: str, *, old: bool = False) -> Department:
    """Make a schema by hand, as the superuser, and a login with a password for it."""
    department = Department(department_id)
    script = (in_the_old_manner if old else by_hand)(database.compiler, department)
    database.passwords[department.role] = passwords.generate().text
    with database.connect() as connection:
        connection.execute(script.encode())
        connection.execute(f"ALTER ROLE {department.role} PASSWORD '{database.passwords[department.role]}'".encode())
        connection.execute(f"COMMENT ON ROLE {department.role} IS '{_COMMENT}'".encode())
    return department


#: Of the roles that are made here.
_COMMENT = "made by hand"


def drop_roles_made_by_hand(server: Server) -> None:
    """Drop the roles that are still nobody's, after their database is gone."""
    with server.connect() as connection:
        question = "SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = %s"
        for (role,) in connection.execute(question, (_COMMENT,)).fetchall():
            connection.execute(f"DROP ROLE {role}".encode())
