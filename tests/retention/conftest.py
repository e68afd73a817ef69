"""What the tests of retention share: two departments for a whole module, rows of a certain age, commands about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pytest_postgresql.executors import NoopExecutor

from tests.cli.conftest import document
from tests.cli.typing_in import type_in
from tests.conftest import ROOT, Database, Finished, Run, Server
from tests.security.conftest import ROWS, compose, value
from tests.validation.conftest import fresh_database

#: The tables whose rows go with time, and the column from which their age is counted.
TIMES = {
    "session_context": "expires_at",
    "conversation_history": "timestamp",
    "conversation_history_archive": "timestamp",
    "tool_calls": "created_at",
    "agent_context": "updated_at",
    "drive_access_log": "created_at",
    "file_attachments": "created_at",
    "email_logs": "created_at",
    "notifications": "created_at",
    "user_session_analytics": "session_start",
    "training_metrics": "created_at",
    "llm_usage_logs": "created_at",
    "stt_usage_logs": "created_at",
    "tts_usage_logs": "created_at",
    "workflow_executions": "created_at",
    "error_logs": "created_at",
}

JsonOf = Callable[..., Any]


@pytest.fixture(scope="module")
def kept(server: Server, control_plane: NoopExecutor) -> Iterator[Database]:
    """A database with the departments hr and sales."""
    with fresh_database(server, control_plane, "hr", "sales") as made:
        yield made


@pytest.fixture
def root(kept: Database) -> Iterator[psycopg.Connection]:
    """The superuser; the departments are empty, in service and without periods of their own when a test begins."""
    with kept.connect() as connection:
        for department in ("hr", "sales"):
            for table in TIMES:
                connection.execute(compose("TRUNCATE {table}", table=(f"{department}_tenant", table)))
        connection.execute("UPDATE federation.departments SET status = 'ACTIVE'")
        connection.execute("DELETE FROM federation.retention_periods")
        yield connection


@pytest.fixture
def typed(kept: Database, root: psycopg.Connection) -> Run:
    """Type `fedschema retention …`."""

    def run(*arguments: str, url: str | None = None) -> Finished:
        return type_in("retention", *arguments, url=url or kept.url, cwd=ROOT)

    return run


@pytest.fixture
def json_of(typed: Run) -> JsonOf:
    """Type a command with --json and return its document."""

    def run(*arguments: str, status: int = 0) -> Any:
        done = typed(*arguments, "--json")
        assert done.status == status, done
        return document(done)

    return run


def put(connection: psycopg.Connection, department: str, table: str, *ages: str) -> None:
    """Put a row of each age into a table: its time is so long ago, by the server's clock of this transaction."""
    row = {name: given for name, given in ROWS[table].items() if name not in {TIMES[table], "id", "tool_call_id"}}
    for age in ages:
        key: dict[str, Any] = {"id": next(_IDS)} if table == "conversation_history_archive" else {}
        key |= {"tool_call_id": str(next(_IDS))} if table == "tool_calls" else {}
        time = "created_at" if table == "session_context" else TIMES[table]
        moment = sql.SQL("now() - {}::interval").format(age)
        if table == "session_context":  # it expires an hour after it was made
            moment += sql.SQL(" - interval '1 hour'")
        values = row | key
        connection.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(f"{department}_tenant", table),
                sql.SQL(", ").join(sql.Identifier(name) for name in (*values, time)),
                sql.SQL(", ").join((*(sql.Literal(given) for given in values.values()), moment)),
            )
        )


def fill(connection: psycopg.Connection, department: str, rows: int, age: str = "3 years") -> None:
    """Put many transcripts into a department, each a second younger than the one before."""
    connection.execute(
        sql.SQL(
            """
            INSERT INTO {} (session_id, turn_index, speaker, message_text, "timestamp")
            SELECT 's', n, 'user', 'hello ' || n, now() - {}::interval + n * interval '1 second'
            FROM generate_series(1, {}) AS n
            """
        ).format(sql.Identifier(f"{department}_tenant", "conversation_history"), age, rows)
    )


def rows_in(connection: psycopg.Connection, department: str, table: str) -> int:
    return int(value(connection, compose("SELECT count(*) FROM {table}", table=(f"{department}_tenant", table))))


def expire(connection: psycopg.Connection, department: str, table: str, at_most: int = 1000) -> int:
    """Take away what is over as a run does, batch by batch, inside the caller's transaction."""
    place, taken, done = None, 0, False
    connection.execute("SET LOCAL ROLE federation_owner")
    while not done:
        row = connection.execute(
            "SELECT place, taken, done FROM federation.expire_rows(%s, %s, %s, %s)", (department, table, at_most, place)
        ).fetchone()
        assert row is not None
        place, batch, done = row
        assert batch <= at_most
        taken += batch
    connection.execute("RESET ROLE")
    return taken


def _numbers() -> Iterator[int]:
    number = 10**9
    while True:
        number += 1
        yield number


_IDS = _numbers()
