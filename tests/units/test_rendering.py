"""Nothing reaches SQL without a filter that quotes it."""

from __future__ import annotations

from pathlib import Path

import jinja2
import psycopg
import pytest

from fedschema.department import Department
from fedschema.errors import TemplateMissing
from fedschema.rendering import Templates, quote_identifier, quote_identifiers, quote_literal
from tests.conftest import PROJECT, Server

HARD_TEXTS = [
    "",
    "plain",
    "it's",
    "''",
    "a\\b",
    "\\'",
    "\\",
    "tab\tnew\nline\r",
    "$$ $1 %s %% {{ x }} :y",
    '"double"',
    "é ü 法 \U0001f600",
    "'; DROP SCHEMA hr_tenant CASCADE; --",
    "E'\\x41'",
    "\u2019 \u02bc",
]
HARD_NAMES = [
    "plain",
    "_x1",
    "Capital",
    "with space",
    'double"quote',
    '""',
    "1digit",
    "dollar$",
    "é",
    "a.b",
    "x;y",
    "back\\slash",
]


def write(directory: Path, text: str, name: str = "t") -> Templates:
    (directory / f"{name}.sql.j2").write_text(text, encoding="utf-8")
    return Templates(directory)


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("contacts", "contacts"),
        ("_a1", "_a1"),
        ("Contacts", '"Contacts"'),
        ("two words", '"two words"'),
        ('a"b', '"a""b"'),
        ("1a", '"1a"'),
        ("a$", '"a$"'),
        ("select", '"select"'),
        ("user", '"user"'),
        ("timestamp", "timestamp"),
        ("straße", '"straße"'),
        ("contacts\n", '"contacts\n"'),
    ],
)
def test_identifier_is_quoted_where_it_has_to_be(name: str, quoted: str) -> None:
    assert quote_identifier(name) == quoted


@pytest.mark.parametrize("name", ["", "a\0b", "\0"])
def test_what_no_identifier_can_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not an identifier"):
        quote_identifier(name)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("legal", "'legal'"),
        ("", "''"),
        ("it's", "'it''s'"),
        ("a\\b", "E'a\\\\b'"),
        ("\\'", "E'\\\\'''"),
        (None, "NULL"),
    ],
)
def test_literal_is_quoted(text: str | None, quoted: str) -> None:
    assert quote_literal(text) == quoted


def test_zero_byte_is_refused_in_a_literal() -> None:
    with pytest.raises(ValueError, match="zero byte"):
        quote_literal("a\0b")


def test_identifiers_are_joined_by_commas() -> None:
    assert quote_identifiers(["a", "B", "select"]) == 'a, "B", "select"'


@pytest.mark.parametrize("conforming", ["on", "off"])
def test_server_reads_back_what_was_quoted(conforming: str, server: Server) -> None:
    """Whatever standard_conforming_strings says, which decides what a backslash is."""
    with server.connect() as connection:
        connection.execute("SELECT set_config('standard_conforming_strings', %s, false)", (conforming,))
        for text in HARD_TEXTS:
            assert connection.execute(f"SELECT {quote_literal(text)}".encode()).fetchone() == (text,)
        for name in HARD_NAMES:
            cursor = connection.execute(f"SELECT 1 AS {quote_identifier(name)}".encode())
            assert [column.name for column in cursor.description or ()] == [name]


def test_every_reserved_word_of_the_server_is_quoted(server: Server) -> None:
    with server.connect() as connection:
        rows = connection.execute("SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')").fetchall()
        words = [row[0] for row in rows]
        for word in words:
            assert quote_identifier(word) == f'"{word}"'
        every = connection.execute("SELECT word FROM pg_get_keywords()").fetchall()
        for (word,) in every:
            # As a column name after a table's, where nothing but the quoting decides.
            connection.execute(f"CREATE TEMP TABLE w ({quote_identifier(word)} int); DROP TABLE w".encode())
    assert len(words) > 90


def test_filters_are_what_templates_print_with(tmp_path: Path) -> None:
    template = (
        "{{ department.schema | ident }}.{{ table | ident }} {{ department.id | literal }} {{ names | idents }}\n"
    )

    text = write(tmp_path, template).render("t", department=Department("hr"), table="Two", names=["a", "b c"])

    assert text == 'hr_tenant."Two" \'hr\' a, "b c"\n'


@pytest.mark.parametrize(
    "template",
    [
        "{{ name }}",
        "{{ name | upper }}",
        "{{ name | literal | lower }}",
        "{{ name | literal ~ name }}",
        "{{ (name | literal) + name }}",
        "{{ [name] | join }}",
        "{{ 1 }}",
        "{{ none }}",
        "{{ 'x' ~ name }}",
        "{% for n in [name] %}{{ n }}{% endfor %}",
        "{% include 'inner.sql.j2' %}",
        "{% macro m() %}{{ name }}{% endmacro %}{{ m() }}",
        "{{ name | literal | replace('x', name) }}",
        "{{ name | literal | trim }}",
        "{{ '%s' | format(name) }}",
        "{{ name | safe }}",
    ],
)
def test_output_without_a_quoting_filter_is_refused(template: str, tmp_path: Path) -> None:
    write(tmp_path, "{{ name }}", "inner")

    with pytest.raises(TypeError, match=r"without \| ident or \| literal"):
        write(tmp_path, template).render("t", name="x'; DROP")


@pytest.mark.parametrize("template", ["{{ absent | ident }}", "{{ department.absent | literal }}", "{{ absent }}"])
def test_value_that_was_not_given_is_an_error(template: str, tmp_path: Path) -> None:
    with pytest.raises((jinja2.UndefinedError, TypeError)):
        write(tmp_path, template).render("t", department=Department("hr"))


def test_template_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TemplateMissing, match="absent"):
        Templates(tmp_path).render("absent")


def test_no_template_of_the_project_makes_an_object_only_if_it_is_not_there() -> None:
    """IF NOT EXISTS would hide drift. (The bootstrap asks the catalogue, and checks what it finds.)"""
    texts = {path: path.read_text(encoding="utf-8") for path in PROJECT.templates.rglob("*.sql.j2")}

    assert len(texts) > 40
    assert [path for path, text in texts.items() if "CREATE" in text and "TABLE IF NOT EXISTS" in text] == []


def test_quoting_agrees_with_the_drivers_on_what_names_a_table(server: Server) -> None:
    with server.connect() as connection, connection.transaction(force_rollback=True):
        for name in HARD_NAMES:
            connection.execute(f"CREATE TEMP TABLE {quote_identifier(name)} (x int)".encode())
            found = connection.execute("SELECT 1 FROM pg_class WHERE relname = %s", (name,)).fetchone()
            assert found == (1,)
            assert (
                connection.execute(psycopg.sql.SQL("SELECT x FROM {}").format(psycopg.sql.Identifier(name))).rowcount
                == 0
            )
