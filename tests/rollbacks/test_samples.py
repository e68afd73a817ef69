"""Rows are made for any table, whatever it asks; what takes none is said."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from fedschema import samples
from fedschema.samples import expressions
from tests.conftest import Server, janitor_of

SCHEMA = "odd_tenant"
#: Tables by their name: what they are made of, besides.
TABLES = {
    "domains": "c code NOT NULL UNIQUE, d pair, e mood NOT NULL, f mood[] CHECK (cardinality(f) > 0)",
    "numbers": "a numeric(3,2) NOT NULL CHECK (a > 0.2 AND a < 0.3), b smallint CHECK (b BETWEEN 700 AND 800), "
    "c integer NOT NULL, d integer NOT NULL, e integer NOT NULL, CHECK (c = d * e), CHECK (c > 50)",
    "times": "a timestamptz NOT NULL, b timestamptz NOT NULL, CHECK (b > a), d date CHECK (d > '2000-01-01')",
    "either": "x integer, y text, z uuid, CHECK (num_nonnulls(x, y, z) = 1)",
    "patterns": "h text NOT NULL CHECK (h ~ '^[0-9a-f]{64}$'), "
    "i text NOT NULL CHECK (i LIKE 'people/%' AND i = lower(i)), "
    "j text NOT NULL CHECK (length(j) BETWEEN 300 AND 302), k char(2) NOT NULL CHECK (k ~ '^[A-Z]{2}$'), "
    "l text CHECK (l ~* '^(mr|mrs)\\. [[:alpha:]]+(-\\d+)?$')",
    "documents": "a jsonb NOT NULL CHECK (jsonb_typeof(a -> 'kind') = 'string'), b json, c xml, d bytea CHECK "
    "(octet_length(d) = 32), e text[] NOT NULL CHECK (e <@ ARRAY['on', 'it''s'])",
    "chosen": '"Odd "" Name" text NOT NULL CHECK ("Odd "" Name" IN (\'it\'\'s\', \'b\')), alone boolean UNIQUE '
    "NOT NULL DEFAULT true CHECK (alone)",
    "made": "a integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b integer, "
    "c integer GENERATED ALWAYS AS (b * 2) STORED",
    "children": "id serial PRIMARY KEY, code code NOT NULL UNIQUE REFERENCES domains (c), "
    "parent integer REFERENCES children (id)",
    "circles": "k1 integer, k2 text, PRIMARY KEY (k1, k2), s1 integer NOT NULL, s2 text NOT NULL, "
    "FOREIGN KEY (s1, s2) REFERENCES circles (k1, k2)",
    "spans": "during int4range NOT NULL, EXCLUDE USING gist (during WITH &&)",
    "bits": "a bit(3) NOT NULL, b varbit(9), c inet, d cidr, e macaddr, f point, g box, h tsvector, "
    "i tsquery, j pg_lsn, k interval, l timetz, m money, n numrange",
    "parted": "id integer NOT NULL, d date NOT NULL) PARTITION BY RANGE (d",
}
#: Tables that take no row, and a part of why.
NONE = {
    "contradicts": ("x integer NOT NULL CHECK (x > 5 AND x < 3)", "no value was found for x that meets"),
    "guarded": ("x integer", "nobody writes here"),
    "orphans": ("x integer NOT NULL REFERENCES contradicts_key (x)", "null value in column"),
    "strange": ("x cube_like NOT NULL", "null value in column"),
}
BESIDES = """
CREATE DOMAIN code AS varchar(8) CHECK (VALUE ~ '^[A-Z]{2}-[0-9]{3}$');
CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
CREATE TYPE pair AS (a integer, b text);
CREATE TYPE cube_like AS RANGE (subtype = text);
CREATE TABLE contradicts_key (x integer PRIMARY KEY CHECK (x > 5 AND x < 3));
"""
AFTER = """
CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM ('2000-01-01') TO ('2100-01-01');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'nobody writes here'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.fixture(scope="module")
def odd(server: Server) -> Iterator[psycopg.Connection]:
    name = "fedschema_test_samples"
    with janitor_of(server, name), server.connect(name) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {0}; SET search_path = {0}").format(sql.Identifier(SCHEMA)))
        connection.execute(BESIDES)
        for table, body in (TABLES | {table: body for table, (body, _) in NONE.items()}).items():
            connection.execute(f"CREATE TABLE {table} ({body})".encode())
        connection.execute(AFTER)
        connection.execute("SET search_path = pg_catalog, pg_temp")
        yield connection


@pytest.fixture(scope="module")
def refused(odd: psycopg.Connection) -> dict[str, str]:
    """The tables that took no row, and why."""
    with odd.transaction():
        return samples.fill(odd, SCHEMA, samples.tables(odd, SCHEMA).values(), 1)


@pytest.mark.parametrize("table", TABLES)
def test_table_gets_rows_whatever_it_asks(odd: psycopg.Connection, refused: dict[str, str], table: str) -> None:
    row = odd.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(SCHEMA, table))).fetchone()

    assert row is not None
    assert row[0] > 0, refused.get(table)


@pytest.mark.parametrize("table", NONE)
def test_table_that_takes_no_row_is_named_with_the_reason(refused: dict[str, str], table: str) -> None:
    assert NONE[table][1] in refused[table]


def test_rows_differ_where_they_have_to(odd: psycopg.Connection, refused: dict[str, str]) -> None:
    row = odd.execute("SELECT count(DISTINCT c) FROM odd_tenant.domains").fetchone()

    assert row is not None
    assert row[0] > 1, "the code is unique, and all of it is asked by a pattern"


def test_parts_of_a_table_are_filled_through_it(odd: psycopg.Connection) -> None:
    assert "part_1" not in samples.tables(odd, SCHEMA)


def test_rows_hold_values_null_and_long_texts(odd: psycopg.Connection, refused: dict[str, str]) -> None:
    row = odd.execute(
        "SELECT count(DISTINCT y), count(*) FILTER (WHERE y IS NULL), max(length(y)) FROM odd_tenant.either"
    ).fetchone()

    assert row is not None
    assert row[0] > 1
    assert row[1] > 0
    assert row[2] == 2000


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^[A-Z]{2}-[0-9]{3}$", "AA-000"),
        ("^(mr|mrs)\\. \\w+$", "mr. a"),
        ("^[^@ ]+@[^@]+\\.[a-z]{2,}$", "a@a.aa"),
        ("^\\d{4}-(?:0[1-9]|1[0-2])$", "5555-01"),
        ("^[[:alpha:]_][[:alnum:]_]*$", "a"),
        ("", ""),
        ("(", ""),
        ("[", "a"),
    ],
)
def test_text_is_written_for_a_pattern(pattern: str, text: str) -> None:
    assert expressions.matching(pattern) == text
