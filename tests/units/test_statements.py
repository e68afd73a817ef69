"""Splitting SQL agrees with the server on what a statement is, since that is how a failing one gets its name."""

from __future__ import annotations

import itertools

import psycopg
import pytest
from psycopg import generators, pq

from fedschema.batches import Batch, execute
from fedschema.errors import StatementFailed
from fedschema.statements import first_names, headline, split
from tests.conftest import Server

#: One statement each, as the server sees it.
STATEMENTS = {
    "plain": "SELECT 1",
    "string with a semicolon": "SELECT 'a; b'",
    "doubled quote": "SELECT 'it''s; b'",
    "backslash at the end": r"SELECT 'a\'",
    "escaped quote": r"SELECT E'a\'; b'",
    "escaped quote in small": r"SELECT e'\\\'; b'",
    "identifier": 'SELECT 1 AS "a; b"',
    "identifier with a quote": """SELECT 1 AS "a""; 'b" """,
    "dollar quotes": "SELECT $$ a; 'b $$",
    "tagged dollar quotes": "SELECT $x$ a; $$ b; $$ $y$ ; $x$",
    "dollar inside a name": "SELECT 1 AS a$b$c",
    "two dollars inside names": "SELECT 1 AS a$b$, 2 AS c$b$",
    "parameter sign": "SELECT '$1'",
    "remark": "SELECT 1 -- a; 'b\n",
    "remark before": "-- a; b\nSELECT 1",
    "block remark": "SELECT /* a; 'b */ 1",
    "nested remark": "SELECT /* a /* b; */ c; ' */ 1",
    "remark that looks like a string": "SELECT 1 /* it's */",
    "string that looks like a remark": "SELECT '/*', '--', '*/'",
    "minus minus in a string": "SELECT '-- not; a remark'",
    "unicode string": "SELECT U&'a\\0041; b'",
    "bit string": "SELECT B'101', X'1F'",
    "national string": "SELECT N'a; b'",
    "name that ends in e": "SELECT typname FROM pg_type WHERE typname='a\\'",
    "case outside a body": "SELECT CASE WHEN true THEN 1 ELSE 2 END",
    "do": "DO $$ BEGIN PERFORM 1; PERFORM CASE WHEN true THEN 2 END; END $$",
    "plpgsql": "CREATE FUNCTION pg_temp.p() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$",
    "atomic": "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END",
    "atomic with case": (
        "CREATE FUNCTION pg_temp.g() RETURNS int LANGUAGE sql BEGIN ATOMIC "
        "SELECT CASE WHEN true THEN CASE WHEN false THEN 1 ELSE 2 END END; SELECT 'END;'::text::int; END"
    ),
    "atomic with names": (
        'CREATE FUNCTION pg_temp.h("end" int, "case" int) RETURNS int LANGUAGE sql '
        'BEGIN ATOMIC SELECT "end" + "case"; END'
    ),
    "atomic over lines": (
        "CREATE FUNCTION pg_temp.i() RETURNS int LANGUAGE sql\nBEGIN -- a; remark\n ATOMIC\n"
        "  SELECT 1 AS weekend, 2 AS end_; -- END;\n  SELECT 3;\nEND"
    ),
    "table": ("CREATE TEMP TABLE r (x int)"),
    "savepoint": "SAVEPOINT a",
    "set": "SET LOCAL search_path = pg_catalog",
    "letters": "SELECT 'é; ü' AS straße",
}


@pytest.fixture
def connection(server: Server) -> psycopg.Connection:
    return server.connect()


@pytest.fixture(autouse=True)
def _closed(connection: psycopg.Connection) -> object:
    yield
    connection.close()


def results_before_the_failure(connection: psycopg.Connection, script: str) -> int:
    """Send a script whose last statement fails, and count the results that came before."""
    connection.execute("BEGIN")
    connection.pgconn.send_query(script.encode())
    results = connection.wait(generators.execute(connection.pgconn))
    connection.execute("ROLLBACK")
    assert results[-1].status == pq.ExecStatus.FATAL_ERROR
    assert "division by zero" in results[-1].get_error_message("utf-8"), results[-1].get_error_message("utf-8")
    return len(results) - 1


@pytest.mark.parametrize("kind", STATEMENTS)
def test_server_agrees_on_what_one_statement_is(kind: str, connection: psycopg.Connection) -> None:
    statement = STATEMENTS[kind]
    script = f"SELECT 0;\n{statement};\nSELECT 1 / 0;\n"

    parts = split(script)

    assert parts[0] == "SELECT 0"
    assert parts[1] == statement.strip()
    assert parts[2:] == ["SELECT 1 / 0"]
    assert results_before_the_failure(connection, script) == 2


def test_server_agrees_on_all_of_them_together(connection: psycopg.Connection) -> None:
    script = ";\n".join([*STATEMENTS.values(), "SELECT 1 / 0"])

    assert len(split(script)) == len(STATEMENTS) + 1
    assert results_before_the_failure(connection, script) == len(STATEMENTS)


@pytest.mark.parametrize("empty", ["", " ", ";", ";;", "-- a; remark\n", "/* a; b */", "\n;\t;\n", "--", "/* ' */;"])
def test_pieces_without_a_statement_are_left_out(empty: str, connection: psycopg.Connection) -> None:
    assert split(empty) == []
    script = f"{empty}\n;SELECT 0;{empty}\n;{empty}\n;SELECT 1 / 0;{empty}"
    assert len(split(script)) == 2
    assert results_before_the_failure(connection, script) == 1


def test_statement_without_its_terminator_is_one() -> None:
    assert split("SELECT 1") == ["SELECT 1"]
    assert split("SELECT 1; SELECT 2") == ["SELECT 1", "SELECT 2"]


@pytest.mark.parametrize("position", range(3))
def test_failing_statement_of_a_batch_is_the_one_that_is_named(position: int, connection: psycopg.Connection) -> None:
    texts = [STATEMENTS[kind] for kind in ("nested remark", "atomic with case", "tagged dollar quotes")]
    texts.insert(position, "-- about to fail; really\nSELECT 1 / 0 AS culprit")

    with pytest.raises(StatementFailed) as caught, connection.transaction():
        execute(connection, Batch("a test", ";\n".join(texts)))

    assert caught.value.statement == "SELECT 1 / 0 AS culprit"
    assert "(in: SELECT 1 / 0 AS culprit)" in caught.value.message


def test_password_in_a_failing_statement_is_not_shown(connection: psycopg.Connection) -> None:
    with pytest.raises(StatementFailed) as caught, connection.transaction():
        execute(connection, Batch("a test", "ALTER ROLE fedschema_absent PASSWORD 'SCRAM-SHA-256$4096:secret'"))

    assert "secret" not in caught.value.message
    assert "ALTER ROLE fedschema_absent PASSWORD" in caught.value.message


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SELECT 1", "SELECT 1"),
        ("-- why\n-- really\nSELECT 1", "SELECT 1"),
        ("/* why */ SELECT 1", "SELECT 1"),
        ("  -- why\n /* really */\n SELECT\n    1", "SELECT 1"),
        ("SELECT 'a -- b'", "SELECT 'a -- b'"),
        ("/* a /* nested */ remark */ SELECT 1", "SELECT 1"),
    ],
)
def test_headline_is_the_statement_on_one_line_without_its_remarks(statement: str, shown: str) -> None:
    assert headline(statement) == shown


def test_headline_is_cut_with_a_sign(server: Server) -> None:
    assert headline("SELECT " + "x" * 500, 20) == "SELECT xxxxxxxxxxxx…"
    assert len(headline("x" * 500)) == 120
    assert headline("x" * 120) == "x" * 120


def test_any_two_statements_are_two() -> None:
    for first, second in itertools.permutations(STATEMENTS.values(), 2):
        assert split(f"{first};{second}") == [first.strip(), second.strip()]


@pytest.mark.parametrize(
    "definition",
    [
        "a int, updated_at timestamptz, CHECK (a > 0)",
        'a int\n, "updated_at" timestamptz',
        "UPDATED_AT timestamptz",
        'updated_at/* now */"timestamptz"',
        '"a, ""updated_at""" int, "Updated_At" int',
        "a text DEFAULT 'x, updated_at y', -- b int, updated_at timestamptz,\n c text /* , updated_at text */",
        "a int[] DEFAULT ARRAY[1, 2], b numeric(10, 2), CONSTRAINT updated_at UNIQUE (a, b)",
        "a text DEFAULT $x$, updated_at int$x$, straße text, b$c int",
        "updated_at_all text, not_updated_at text",
    ],
)
def test_server_agrees_on_the_columns_of_a_table(definition: str, connection: psycopg.Connection) -> None:
    connection.execute(f"CREATE TEMP TABLE measured ({definition})".encode())
    columns = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'pg_temp.measured'::regclass AND attnum > 0 ORDER BY attnum"
    ).fetchall()

    names = first_names(definition)

    assert [name for name in names if name not in {"check", "constraint"}] == [name for (name,) in columns]
