"""What a server holds: taken before and after a command, it shows whether anything was touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from tests.conftest import Database, Server

Rows = list[tuple[Any, ...]]

_OF_THE_CLUSTER = {
    "roles": """
        SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolbypassrls, rolconnlimit,
               shobj_description(oid, 'pg_authid')
        FROM pg_roles ORDER BY rolname
    """,
    "passwords": "SELECT rolname, rolpassword FROM pg_authid ORDER BY rolname",
    "role settings": "SELECT setdatabase, setrole, setconfig FROM pg_db_role_setting ORDER BY 1, 2",
    "memberships": "SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members ORDER BY 1, 2",
    "databases": "SELECT datname, datdba, datacl::text FROM pg_database ORDER BY datname",
}
_OF_THE_DATABASE = {
    "schemas": "SELECT oid, nspname, nspowner, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY nspname",
    "relations": """
        SELECT oid, relnamespace, relname, relowner, relacl::text, relrowsecurity, relforcerowsecurity
        FROM pg_class WHERE relnamespace::regnamespace::text !~ '^(pg_|information_schema)' ORDER BY oid
    """,
    "functions": """
        SELECT oid, proname, proacl::text FROM pg_proc
        WHERE pronamespace::regnamespace::text !~ '^(pg_|information_schema)' ORDER BY oid
    """,
    "policies": "SELECT oid, polrelid, polname FROM pg_policy ORDER BY oid",
}
_OF_THE_CONTROL_PLANE = {
    "registry": "SELECT * FROM federation.departments ORDER BY department_id",
    "history": "SELECT * FROM federation.schema_migrations ORDER BY id",
    "versions": "SELECT * FROM federation.alembic_version ORDER BY 1",
}


def inventory(server: Server, name: str) -> dict[str, Rows]:
    """List everything that a command could have changed: roles, privileges, schemas, objects, registry, history."""
    with server.connect(name) as connection:
        questions = _OF_THE_CLUSTER | _OF_THE_DATABASE
        if connection.execute("SELECT to_regclass('federation.departments') IS NOT NULL").fetchone() == (True,):
            questions |= _OF_THE_CONTROL_PLANE
        return {title: connection.execute(question).fetchall() for title, question in questions.items()}


@dataclass(frozen=True)
class Traces:
    """What is there of one department.

    Attributes:
        status: of its registry row; None without one.
        roles: how many roles have its role's name.
        schemas: how many schemas have its schema's name.
        tables: how many tables there are in that schema.
        applied: the revisions that the history says were applied.
        versions: the rows of its version table.
    """

    status: str | None
    roles: int
    schemas: int
    tables: int
    applied: tuple[str, ...]
    versions: tuple[str, ...]


NOTHING = Traces(None, 0, 0, 0, (), ())
WHOLE = Traces(
    "ACTIVE",
    1,
    1,
    26,  # the 24, the archive of transcripts, and the version table
    (
        "tenant_0001_core",
        "tenant_0002_documents",
        "tenant_0003_communication",
        "tenant_0004_analytics",
        "tenant_0005_workflows",
        "tenant_0006_configuration",
        "tenant_0007_retention",
    ),
    ("tenant_0007_retention",),
)


def traces(database: Database, department_id: str) -> Traces:
    """Look for everything that there can be of a department."""
    schema, role = f"{department_id}_tenant", f"{department_id}_role"
    with database.connect() as connection:
        status = connection.execute(
            "SELECT status FROM federation.departments WHERE department_id = %s", (department_id,)
        ).fetchone()
        applied = connection.execute(
            "SELECT migration_name FROM federation.schema_migrations WHERE department_id = %s ORDER BY id",
            (department_id,),
        ).fetchall()
        return Traces(
            status[0] if status else None,
            _count(connection, "SELECT count(*) FROM pg_roles WHERE rolname = %s", role),
            _count(connection, "SELECT count(*) FROM pg_namespace WHERE nspname = %s", schema),
            _count(connection, "SELECT count(*) FROM pg_tables WHERE schemaname = %s", schema),
            tuple(name for (name,) in applied),
            _versions(connection, schema),
        )


def _count(connection: psycopg.Connection, question: str, name: str) -> int:
    row = connection.execute(question, (name,)).fetchone()
    assert row is not None
    return int(row[0])


def _versions(connection: psycopg.Connection, schema: str) -> tuple[str, ...]:
    table = psycopg.sql.Identifier(schema, "alembic_version")
    if _count(connection, "SELECT count(*) FROM pg_tables WHERE schemaname = %s", schema) == 0:
        return ()
    rows = connection.execute(psycopg.sql.SQL("SELECT version_num FROM {} ORDER BY 1").format(table)).fetchall()
    return tuple(version for (version,) in rows)
