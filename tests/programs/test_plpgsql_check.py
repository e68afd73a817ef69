"""plpgsql_check, a linter for functions in PL/pgSQL, on all of ours: clean, or with a reason.

It needs a server whose extensions include it: Debian's postgresql-15-plpgsql-check, and FEDSCHEMA_TEST_BINDIR.
"""

import re

import psycopg
import pytest

from tests.conftest import Database

#: What it says, and why it stays.
EXCEPTIONS = {
    (
        "search",
        "text type variable is not sanitized",
    ): "the names are federation.resources' own, each through format",
    (
        "try_as",
        "text type variable is not sanitized",
    ): "running a statement is what it is for; the owner alone may call it",
    (
        "plant_probe_rows",
        "text type variable is not sanitized",
    ): "names through quote_ident, values through quote_literal",
    (
        "expire_rows",
        "text type variable is not sanitized",
    ): "names through quote_ident and %I, values as parameters; the rest is constant",
    ("try_as", "routine is marked as VOLATILE, should be STABLE"): "what it runs may write; it cannot see that",
    ("search", 'OUT variable "?" is maybe unmodified'): "RETURN QUERY EXECUTE fills it",
    ("aggregate", 'OUT variable "?" is maybe unmodified'): "RETURN QUERY EXECUTE fills it",
}

CHECK = """
    SELECT routine.proname::text, finding.message
    FROM pg_proc AS routine
    JOIN pg_language AS language ON language.oid = routine.prolang AND language.lanname = 'plpgsql'
    JOIN pg_namespace AS namespace ON namespace.oid = routine.pronamespace
    LEFT JOIN LATERAL (
        SELECT hook.tgrelid, hook.tgoldtable, hook.tgnewtable
        FROM pg_trigger AS hook WHERE hook.tgfoid = routine.oid ORDER BY hook.tgrelid LIMIT 1
    ) AS hook ON true
    CROSS JOIN LATERAL plpgsql_check_function_tb(
        routine.oid, relid => coalesce(hook.tgrelid, 0), oldtable => hook.tgoldtable, newtable => hook.tgnewtable,
        security_warnings => true, performance_warnings => true, extra_warnings => true
    ) AS finding
    WHERE namespace.nspname IN ('federation', 'hr_tenant')
"""


@pytest.fixture
def checked(database: Database) -> psycopg.Connection:
    database.add("hr")
    connection = database.connect()
    connection.execute("CREATE EXTENSION plpgsql_check SCHEMA public")
    return connection


def test_plpgsql_check_finds_nothing_but_what_is_argued(checked: psycopg.Connection) -> None:
    found = {(name, re.sub(r'"\w+"', '"?"', message)) for name, message in checked.execute(CHECK)}
    checked.close()

    assert found == set(EXCEPTIONS)


def test_plpgsql_check_would_find_something(checked: psycopg.Connection) -> None:
    checked.execute(
        "CREATE FUNCTION federation.careless(x text) RETURNS void LANGUAGE plpgsql AS "
        "$$ BEGIN EXECUTE 'SELECT ' || x; END $$"
    )
    found = {name for name, _ in checked.execute(CHECK)}
    checked.close()

    assert "careless" in found
