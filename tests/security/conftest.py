"""What the security tests share: two departments with a row in each table, and ways to try what must be refused.

A `fleet` serves a whole module, since attacks change nothing. Its database and its roles go before the next module
begins, so a module uses either `fleet` or the tests' own `database`, never both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from pytest_postgresql.executors import NoopExecutor

from fedschema import federation
from fedschema.compiler import Compiler
from tests.conftest import PROJECT, Database, Server, drop_roles, janitor_of

#: The tables that can be shared, each with its canonical resource name (tables.md, security.md).
SHARED = {
    "tool_calls": "tool_calls",
    "agent_context": "agent_context",
    "conversation_history": "conversation_history",
    "drive_document_repository": "drive_documents",
    "drive_access_log": "drive_access_log",
    "vector_store_embeddings": "vector_store_embeddings",
    "file_attachments": "file_attachments",
    "email_logs": "emails",
    "calendar_events": "calendar_events",
    "contacts": "contacts",
    "notifications": "notifications",
    "user_session_analytics": "user_session_analytics",
    "training_metrics": "training_metrics",
    "llm_usage_logs": "llm_usage_logs",
    "stt_usage_logs": "stt_usage_logs",
    "tts_usage_logs": "tts_usage_logs",
    "workflow_executions": "workflow_executions",
    "scheduled_tasks": "scheduled_tasks",
    "error_logs": "error_logs",
    "user_preferences": "user_preferences",
    "feature_flags": "feature_flags",
}
#: The tables that never are. The archive of transcripts is ours; the other 24 are the customer's.
PRIVATE = ("session_context", "api_keys", "audit_trail", "conversation_history_archive")
APPEND_ONLY = ("audit_trail", "conversation_history_archive")
IDENTITY = ("conversation_history", "drive_document_repository", "drive_access_log")
TABLES = (*SHARED, *PRIVATE)

#: The functions that a department may call, and administrators for it.
FUNCTIONS = (
    "cleanup_expired_session_context()",
    "archive_old_conversation_history()",
    "search_documents(text,integer)",
)

DEPARTMENTS = ("hr", "sales")

#: Text of every row that has a text, to look for where it must not turn up.
SECRET = "the quick brown secret"

#: The smallest row of each table.
ROWS: dict[str, dict[str, Any]] = {
    "tool_calls": {"tool_call_id": "t1", "session_id": "s1", "function_name": "f"},
    "agent_context": {"session_id": "s1", "context_category": "c", "context_data": "{}"},
    "conversation_history": {"session_id": "s1", "turn_index": 1, "speaker": "user", "message_text": SECRET},
    "drive_document_repository": {"drive_file_id": "d1", "drive_folder_id": "f1", "extracted_text": SECRET},
    "drive_access_log": {"drive_folder_id": "f1", "operation": "sync"},
    "vector_store_embeddings": {
        "document_id": "d1",
        "document_type": "pdf",
        "chunk_text": SECRET,
        "embedding_model": "m",
        "embedding_vector": "[]",
    },
    "file_attachments": {"session_id": "s1", "file_name": "a", "file_path": "/a"},
    "email_logs": {"session_id": "s1", "recipient_email": "a@example.com", "subject": SECRET},
    "calendar_events": {
        "calendar_event_id": "e1",
        "calendar_id": "c1",
        "start_time": "2026-01-01Z",
        "end_time": "2026-01-02Z",
    },
    "contacts": {"contact_id": "c1", "full_name": "Ada", "notes": SECRET},
    "notifications": {"user_id": "u1", "notification_type": "n", "title": "t"},
    "user_session_analytics": {"session_id": "s1", "session_start": "2026-01-01Z"},
    "training_metrics": {"session_id": "s1", "metric_type": "m"},
    "llm_usage_logs": {"session_id": "s1", "provider": "p", "model": "m"},
    "stt_usage_logs": {"session_id": "s1", "model": "m"},
    "tts_usage_logs": {"session_id": "s1", "voice": "v"},
    "workflow_executions": {"session_id": "s1", "workflow_id": "w1", "status": "DONE"},
    "scheduled_tasks": {"task_name": "t", "task_type": "t"},
    "error_logs": {"error_type": "e", "error_message": SECRET},
    "user_preferences": {"user_id": "u1", "preference_key": "k", "preference_value": "1"},
    "feature_flags": {"feature_name": "f1"},
    "session_context": {"session_id": "s1", "context_type": "t", "context_key": "k", "context_value": "1"},
    "api_keys": {"service_name": "s", "api_key_name": "k", "api_key_encrypted": b"\x00"},
    "audit_trail": {"event_type": "e", "action": "a"},
    "conversation_history_archive": {
        "id": 1,
        "session_id": "s1",
        "turn_index": 1,
        "speaker": "user",
        "message_text": SECRET,
        "timestamp": "2020-01-01Z",
    },
}

#: The columns that keep a second row of a table from being equal to the first.
KEYS = {
    "tool_calls": "tool_call_id",
    "drive_document_repository": "drive_file_id",
    "vector_store_embeddings": "document_id",
    "calendar_events": "calendar_event_id",
    "contacts": "contact_id",
    "user_preferences": "user_id",
    "feature_flags": "feature_name",
    "api_keys": "api_key_name",
    "conversation_history_archive": "id",
}


def compose(statement: str, **names: str | tuple[str, ...]) -> sql.Composed:
    """Put names into a statement as identifiers: ``compose("SELECT * FROM {table}", table=("hr_tenant", "contacts"))``.

    Words in capitals (``{ROLE}``) become string constants.
    """
    quoted: dict[str, sql.Composable] = {
        key: sql.Literal(value) if key.isupper() else sql.Identifier(*((value,) if isinstance(value, str) else value))
        for key, value in names.items()
    }
    return sql.SQL(statement).format(**quoted)


def insertion(department_id: str, table: str, **changes: Any) -> sql.Composed:
    """Return an INSERT of the smallest row of a table; `changes` replace or add columns."""
    row: Mapping[str, Any] = ROWS[table] | changes
    return sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(f"{department_id}_tenant", table),
        sql.SQL(", ").join(sql.Identifier(column) for column in row),
        sql.SQL(", ").join(sql.Literal(value) for value in row.values()),
    )


def another_row(department_id: str, table: str, **changes: Any) -> sql.Composed:
    """Return an INSERT of a row that is unlike the one that every table of a fleet has."""
    key = KEYS.get(table)
    own = {} if key is None else {key: 2 if key == "id" else "another"}
    return insertion(department_id, table, **own, **changes)


def value(connection: psycopg.Connection, statement: str | sql.Composed, *parameters: object) -> Any:
    """Return the single value of a query."""
    row = connection.execute(statement, parameters or None).fetchone()
    assert row is not None
    return row[0]


def count(connection: psycopg.Connection, department_id: str, table: str) -> int:
    """Return how many rows of a department's table the connection sees."""
    return int(value(connection, compose("SELECT count(*) FROM {table}", table=(f"{department_id}_tenant", table))))


def refused(
    connection: psycopg.Connection,
    statement: str | sql.Composed,
    error: type[psycopg.Error] | tuple[type[psycopg.Error], ...] = InsufficientPrivilege,
    match: str | None = None,
) -> None:
    """Try a statement that must be refused; whatever happens, it is undone and the connection can be used on."""
    with pytest.raises(error, match=match), connection.transaction(force_rollback=True):
        connection.execute(statement)


@contextmanager
def undone(connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Run what is inside in a transaction that is rolled back."""
    with connection.transaction(force_rollback=True):
        yield connection


@contextmanager
def owning(connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Be federation_owner in a transaction that is rolled back, as a migration is before it is committed."""
    with undone(connection):
        connection.execute("SET LOCAL ROLE federation_owner")
        yield connection


def works(connection: psycopg.Connection, statement: str | sql.Composed) -> int:
    """Run a statement that has to work, undo it, and return how many rows it touched."""
    with undone(connection):
        return connection.execute(statement).rowcount


_ACLS = """
    WITH entry (kind, object, acl) AS (
        SELECT 'schema', nspname::text, coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace
        UNION ALL
        SELECT CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, relnamespace::regnamespace || '.' || relname,
               coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
        FROM pg_class
        UNION ALL
        SELECT 'column', attrelid::regclass || '.' || attname, attacl FROM pg_attribute
        UNION ALL
        SELECT 'function', oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc
        UNION ALL
        SELECT 'database', datname, coalesce(datacl, acldefault('d', datdba)) FROM pg_database
        WHERE datname = current_database()
        UNION ALL
        SELECT 'type', oid::regtype::text, typacl FROM pg_type
        UNION ALL
        SELECT 'language', lanname, lanacl FROM pg_language
        UNION ALL
        SELECT 'tablespace', spcname, spcacl FROM pg_tablespace
        UNION ALL
        SELECT 'large object', oid::text, lomacl FROM pg_largeobject_metadata
        UNION ALL
        SELECT 'wrapper', fdwname, fdwacl FROM pg_foreign_data_wrapper
        UNION ALL
        SELECT 'server', srvname, srvacl FROM pg_foreign_server
        UNION ALL
        SELECT 'default', defaclrole::regrole || ' ' || defaclobjtype::text, defaclacl FROM pg_default_acl
    )
    SELECT kind, object, grants.privilege_type || CASE WHEN grants.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    FROM entry, aclexplode(acl) AS grants
    WHERE grants.grantee = %s::oid
"""

Grant = tuple[str, str, str]


def grants_of(root: psycopg.Connection, role: str) -> set[Grant]:
    """Return everything in this database that a role was granted by name, as (kind, object, privilege)."""
    grantee = 0 if role == "public" else value(root, "SELECT %s::regrole::oid", role)
    return set(root.execute(_ACLS, (grantee,)).fetchall())


def each(kind: str, objects: Iterable[str], *privileges: str) -> set[Grant]:
    """Return the same privileges on each of several objects, as `grants_of` has them."""
    return {(kind, name, privilege) for name in objects for privilege in privileges}


def fill(database: Database, department_id: str) -> None:
    """Put one row into each table of a department, as the department."""
    with database.login(f"{department_id}_role") as connection, connection.transaction():
        for table in TABLES:
            connection.execute(insertion(department_id, table))


@pytest.fixture(scope="module")
def fleet(server: Server, control_plane: NoopExecutor) -> Iterator[Database]:
    """A database with the departments hr and sales and one row in each of their tables, for a whole module."""
    name = "fedschema_fleet"
    compiler = Compiler(PROJECT)
    with janitor_of(server, name, control_plane.template_dbname):
        federation.initialise(server.conninfo(name), compiler)
        made = Database(server, name, compiler)
        for department_id in DEPARTMENTS:
            made.add(department_id)
            fill(made, department_id)
        yield made
    drop_roles(server, name)


@pytest.fixture(scope="module")
def root(fleet: Database) -> Iterator[psycopg.Connection]:
    """The superuser: shows that what the others do not see is there."""
    with fleet.connect() as connection:
        yield connection


@pytest.fixture
def hr(fleet: Database) -> Iterator[psycopg.Connection]:
    """hr_role, over TCP with its own password."""
    with fleet.login("hr_role") as connection:
        yield connection


@pytest.fixture
def sales(fleet: Database) -> Iterator[psycopg.Connection]:
    """sales_role, over TCP with its own password."""
    with fleet.login("sales_role") as connection:
        yield connection


#: Logins that are no department's, each with the one role that it is a member of.
LOGINS = {
    "operator": "federation_admin_role",
    "reader": "federation_reader_role",
    "gateway": "cross_dept_query_role",
    "other_gateway": "cross_dept_query_role",
    "stranger": None,
}


@pytest.fixture(scope="module")
def logins(fleet: Database) -> Database:
    """The fleet with the logins of `LOGINS`."""
    for login, membership in LOGINS.items():
        fleet.create_login(login, *([membership] if membership else []))
    return fleet
