"""Ids and display names: what is allowed works from end to end, and comes back as it was typed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from fedschema import federation
from fedschema.department import MAX_ID_LENGTH
from tests.conftest import Database, Run, Server, janitor_of
from tests.tenancy.inventory import WHOLE, traces

LONGEST = "a" + "1234567890" * 5 + "_long"

IDS = ["select", "user", "table", "a", "a__b", "a_", "x_tenant", LONGEST]
NAMES = [
    'O\'Reilly & "Sons"',
    "back\\slash \\' \\\\ \\n",
    "Größe, Ærø, Ñandú, Δίκαιο, Юристы, 法務部, قانون",
    "🦄 👩🏽‍⚖️ law",
    "100 %s %(name)s %% %",
    ":name ::text :'x' {0} {{ department.id }} {% raw %}",
    "$$ $1 $body$ ; -- /* */ DROP SCHEMA federation CASCADE;",
    "NULL",
    "x" * 255,
    "ä" * 255,
]


def test_longest_id_is_as_long_as_postgresql_allows() -> None:
    assert len(LONGEST) == MAX_ID_LENGTH
    assert len(f"{LONGEST}_tenant".encode()) == 63


@pytest.mark.parametrize("department_id", IDS)
def test_id_works_from_end_to_end(database: Database, command: Run, department_id: str) -> None:
    added = command("tenant", "add", department_id, "--password-stdin", stdin="correct horse battery")
    assert added.status == 0, added.stderr
    assert traces(database, department_id) == WHOLE

    role, schema = f"{department_id}_role", f"{department_id}_tenant"
    database.passwords[role] = "correct horse battery"
    with database.login(role) as connection:
        connection.execute(
            sql.SQL("INSERT INTO {} (session_id, recipient_email, subject) VALUES ('s', 'r@example.com', 'x')").format(
                sql.Identifier(schema, "email_logs")
            )
        )
        assert connection.execute("SELECT department FROM email_logs").fetchall() == [(department_id,)]
        connection.execute("DELETE FROM email_logs")

    for typed in (
        ("tenant", "show", department_id),
        ("tenant", "env", department_id),
        ("status", department_id),
        ("history", department_id),
        ("downgrade", department_id, "--to", "base"),
        ("upgrade", department_id),
    ):
        done = command(*typed)
        assert done.status == 0, (typed, done.stderr)
    again = traces(database, department_id)
    assert (again.tables, again.versions) == (WHOLE.tables, WHOLE.versions)

    dropped = command("tenant", "drop", department_id, "--yes")
    assert dropped.status == 0, dropped.stderr
    left = traces(database, department_id)
    assert (left.status, left.roles, left.schemas) == ("DEPROVISIONED", 0, 0)


def test_display_names_come_back_as_they_were_typed(database: Database, command: Run) -> None:
    for number, name in enumerate(NAMES):
        department_id = f"dept{number}"
        added = command("tenant", "add", department_id, "--name", name, "--json")
        assert added.status == 0, added.stderr
        assert json.loads(added.stdout)["department_name"] == name
        assert name in command("tenant", "show", department_id).stdout
        assert traces(database, department_id) == WHOLE

    listed = json.loads(command("tenant", "list", "--json").stdout)
    assert [department["department_name"] for department in listed] == NAMES
    text = command("tenant", "list").stdout
    assert all(name in text for name in NAMES)


def test_display_names_survive_the_generated_scripts(database: Database, command: Run) -> None:
    for number, name in enumerate(NAMES):
        script = command("tenant", "sql", f"dept{number}", "--name", name).stdout
        with database.connect() as connection:
            connection.pgconn.exec_(script.encode())  # as psql -f would: one script, several statements

    with database.connect() as connection:
        stored = connection.execute("SELECT department_name FROM federation.departments ORDER BY created_at").fetchall()
    assert [name for (name,) in stored] == NAMES


def test_display_name_is_made_of_the_id_when_none_is_given(database: Database, command: Run) -> None:
    command("tenant", "add", "human_resources")

    shown = json.loads(command("tenant", "show", "human_resources", "--json").stdout)

    assert shown["department_name"] == "Human Resources"


@pytest.mark.parametrize("setting", ["standard_conforming_strings = off", "client_encoding = LATIN1"])
def test_display_name_survives_settings_of_the_database(database: Database, command: Run, setting: str) -> None:
    with database.connect() as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} SET {}").format(sql.Identifier(database.name), sql.SQL(setting)))

    added = command("tenant", "add", "hr", "--name", "Größe \\ ' x")

    assert added.status == 0, added.stderr
    with psycopg.connect(database.conninfo, client_encoding="UTF8") as connection:
        stored = connection.execute("SELECT department_name FROM federation.departments").fetchall()
    assert stored == [("Größe \\ ' x",)]


def test_display_name_survives_the_encoding_of_the_operators_client(
    database: Database, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")

    added = command("tenant", "add", "hr", "--name", "Größe")

    assert added.status == 0, added.stderr
    with psycopg.connect(database.conninfo, client_encoding="UTF8") as connection:
        stored = connection.execute("SELECT department_name FROM federation.departments").fetchall()
    assert stored == [("Größe",)]


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def encoded_database(
    request: pytest.FixtureRequest, _roles_of_the_test: None, server: Server, database: Database
) -> Iterator[Database]:
    """A database whose encoding is not UTF8."""
    name = "fedschema_test_encoded"
    janitor = janitor_of(server, name)
    with server.connect() as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} ENCODING {} LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0").format(
                sql.Identifier(name), sql.Literal(request.param)
            )
        )
    yield Database(server, name, database.compiler)
    janitor.drop()


def test_display_name_survives_another_encoding_of_the_database(encoded_database: Database, command: Run) -> None:
    federation.initialise(encoded_database.conninfo, encoded_database.compiler)

    added = command("tenant", "add", "hr", "--name", "Größe", url=encoded_database.url)

    assert added.status == 0, added.stderr
    shown = command("tenant", "show", "hr", "--json", url=encoded_database.url)
    assert json.loads(shown.stdout)["department_name"] == "Größe"
    with psycopg.connect(encoded_database.conninfo, client_encoding="UTF8") as connection:
        stored = connection.execute("SELECT department_name FROM federation.departments").fetchall()
    assert stored == [("Größe",)]
