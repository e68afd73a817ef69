"""A department's id becomes a schema, a role and a literal: what could become anything else is refused when typed."""

import pytest
from psycopg import sql

from fedschema.department import Department
from fedschema.errors import InvalidDepartmentId
from fedschema.rendering import quote_identifier, quote_literal
from tests.conftest import Database
from tests.security.conftest import compose, count, insertion, refused, value

REFUSED = {
    "sql": "hr'; DROP SCHEMA sales_tenant CASCADE; --",
    "sql comment": "hr--",
    "double quote": 'hr"',
    "closed identifier": 'hr"; SET ROLE federation_owner; --',
    "backslash": "hr\\",
    "dollar": "hr$$",
    "percent": "hr%s",
    "braces": "{{hr}}",
    "dot": "hr.contacts",
    "slash": "hr/../sales",
    "comma": "hr,sales",
    "star": "*",
    "dash": "human-resources",
    "space": "human resources",
    "only a space": " ",
    "leading space": " hr",
    "trailing space": "hr ",
    "newline at the end": "hr\n",
    "carriage return": "hr\r\n",
    "newline at the beginning": "\nhr",
    "newline inside": "h\nr",
    "tab": "hr\t",
    "zero byte": "hr\0",
    "vertical tab": "hr\x0b",
    "line separator": "hr\u2028",
    "next line": "hr\x85",
    "empty": "",
    "capitals": "HR",
    "digit first": "1hr",
    "underscore first": "_hr",
    "cyrillic": "\u04bbr",
    "cyrillic inside": "s\u0430les",
    "greek": "\u03bf\u03c1s",
    "fullwidth": "\uff48\uff52",
    "long s": "\u017fales",
    "ligature": "\ufb01nance",
    "kelvin": "\u212a",
    "dotless i": "f\u0131nance",
    "combining": "hr\u0301",
    "accent": "caf\u00e9",
    "zero width space": "h\u200br",
    "zero width joiner": "hr\u200d",
    "right to left": "\u202erh",
    "arabic digit": "hr\u0663",
    "fullwidth digit": "hr\uff12",
    "superscript": "hr\u00b2",
    "emoji": "hr\U0001f600",
    "lone surrogate": "hr\ud800",
    "byte order mark": "\ufeffhr",
    "too long by one": "x" * 57,
    "too long for the column": "x" * 101,
    "longer than any": "x" * 10_000,
    "postgres prefix": "pg_hr",
    "postgres prefix of its role": "pg",
    "schema public": "public",
    "information schema": "information_schema",
    "control plane": "federation",
    "owner's name": "federation_owner",
    "admin's role": "federation_admin",
    "reader's role": "federation_reader",
    "department's role": "federation_department",
    "gateways' role": "cross_dept_query",
    "lineage": "tenant",
    "alembic's head": "head",
    "alembic's base": "base",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_id_that_could_be_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidDepartmentId):
        Department.parse(text)


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_suggestion_for_a_refused_id_is_one_that_is_accepted(text: str) -> None:
    with pytest.raises(InvalidDepartmentId) as caught:
        Department.parse(text)
    if caught.value.suggestion is not None:
        assert Department.parse(caught.value.suggestion).id == caught.value.suggestion


@pytest.mark.parametrize("text", ["hr", "sales2", "human_resources", "a", "x" * 56, "h__r_", "select", "user", "table"])
def test_plain_id_is_accepted_as_it_is(text: str) -> None:
    department = Department.parse(text)
    assert (department.id, department.schema, department.role) == (text, f"{text}_tenant", f"{text}_role")
    assert len(department.schema) <= 63
    assert quote_identifier(department.schema) == department.schema


def test_quoted_text_stays_one_text(database: Database) -> None:
    """Whatever the server's standard_conforming_strings says."""
    texts = ("'", "''", "\\", "\\'", "'; DROP TABLE x; --", "$$", "%s", "a\nb", '"', "\u02bc", "\U0001f600", "\\u0027")
    with database.connect() as connection:
        connection.execute("SET escape_string_warning = off")
        for conforming in ("on", "off"):
            connection.execute(compose("SET standard_conforming_strings = {state}", state=conforming))
            for text in texts:
                assert value(connection, sql.SQL("SELECT ") + sql.SQL(quote_literal(text))) == text
        for text in texts:
            cursor = connection.execute(sql.SQL("SELECT 1 AS ") + sql.SQL(quote_identifier(text)))
            assert cursor.description is not None
            assert cursor.description[0].name == text


@pytest.mark.parametrize("text", ["", "a\0b"])
def test_name_that_no_identifier_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an identifier"):
        quote_identifier(text)


def test_departments_with_difficult_names_are_walled_like_any_other(database: Database) -> None:
    """A reserved word, the longest id, and two that differ only in an underscore."""
    names = ["select", "x" * 56, "a", "a_", "role"]
    for name in names:
        database.add(name, "O'Neill; DROP SCHEMA a_tenant CASCADE; -- \\")
        with database.login(f"{name}_role") as connection:
            connection.execute(insertion(name, "contacts"))
    for name in names:
        with database.login(f"{name}_role") as connection:
            assert count(connection, name, "contacts") == 1
            for other in names:
                if other != name:
                    refused(connection, compose("SELECT * FROM {table}", table=(f"{other}_tenant", "contacts")))
                    refused(connection, insertion(name, "contacts", contact_id="c2", department=other))
