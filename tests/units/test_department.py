"""A department's id: what may be one, why another may not, and what to type instead."""

from __future__ import annotations

import pytest

from fedschema.department import (
    MAX_ID_LENGTH,
    NAME_BYTES,
    Department,
    parse_email,
    parse_name,
)
from fedschema.errors import InvalidDepartmentId, InvalidDepartmentName, InvalidEmail

LETTERS = "it must begin with a letter a-z and hold only a-z, 0-9 and _"
RESERVED = "the name is the platform's own"
POSTGRES = "PostgreSQL keeps names that begin with pg_ to itself"

#: What was typed, the reason against it, and the id that is suggested instead.
WRONG = [
    ("", "it is empty", None),
    (" ", LETTERS, None),
    ("human resources", LETTERS, "human_resources"),
    (" legal", LETTERS, "legal"),
    ("legal ", LETTERS, "legal"),
    ("Legal", LETTERS, "legal"),
    ("LEGAL", LETTERS, "legal"),
    ("human-resources", LETTERS, "human_resources"),
    ("r--d", LETTERS, "r_d"),
    ("legal'", LETTERS, "legal"),
    ('le"gal', LETTERS, "le_gal"),
    ("legal\n", LETTERS, "legal"),
    ("legal\r\n", LETTERS, "legal"),
    ("le\ngal", LETTERS, "le_gal"),
    ("legal\0", LETTERS, "legal"),
    ("2sales", LETTERS, "d2sales"),
    ("_legal", LETTERS, "legal"),
    ("-", LETTERS, None),
    ("café", LETTERS, "cafe"),
    ("Müllabfuhr", LETTERS, "mullabfuhr"),
    ("отдел", LETTERS, None),
    ("hr; DROP SCHEMA x", LETTERS, "hr_drop_schema_x"),
    ("pg_x", POSTGRES, "dept_pg_x"),
    ("pg_", POSTGRES, "dept_pg"),
    ("pg", POSTGRES, "dept_pg"),
    ("PG_Catalog", LETTERS, "dept_pg_catalog"),
    ("federation", RESERVED, "dept_federation"),
    ("public", RESERVED, "dept_public"),
    ("information_schema", RESERVED, "dept_information_schema"),
    ("federation_admin", RESERVED, "dept_federation_admin"),
    ("federation_owner", RESERVED, "dept_federation_owner"),
    ("federation_reader", RESERVED, "dept_federation_reader"),
    ("federation_department", RESERVED, "dept_federation_department"),
    ("cross_dept_query", RESERVED, "dept_cross_dept_query"),
    ("cross_dept", RESERVED, "dept_cross_dept"),
    ("tenant", RESERVED, "dept_tenant"),
    ("head", RESERVED, "dept_head"),
    ("heads", RESERVED, "dept_heads"),
    ("base", RESERVED, "dept_base"),
    ("current", RESERVED, "dept_current"),
    ("a" * 57, f"it has 57 characters and at most {MAX_ID_LENGTH} leave room for '_tenant'", "a" * 56),
    ("a" * 55 + "_b", f"it has 57 characters and at most {MAX_ID_LENGTH} leave room for '_tenant'", "a" * 55),
]


@pytest.mark.parametrize(("typed", "reason", "suggestion"), WRONG)
def test_wrong_id_is_refused_with_its_reason_and_one_that_would_do(
    typed: str, reason: str, suggestion: str | None
) -> None:
    with pytest.raises(InvalidDepartmentId) as caught:
        Department.parse(typed)

    error = caught.value
    assert error.message == f"{typed!r} cannot be a department id: {reason}"
    assert error.suggestion == suggestion
    assert error.hint == (f"try: {suggestion}" if suggestion else "an id looks like: legal, human_resources, sales2")
    assert error.exit_status == 2
    assert "\n" not in error.message


@pytest.mark.parametrize("suggestion", [suggestion for _, _, suggestion in WRONG if suggestion])
def test_every_suggestion_would_do(suggestion: str) -> None:
    assert Department.parse(suggestion).id == suggestion


@pytest.mark.parametrize(
    "typed",
    ["a", "hr", "legal", "human_resources", "sales2", "a_", "a__b", "pgx", "p_g", "headset", "select", "a" * 56],
)
def test_id_gives_schema_and_role_and_is_kept_as_it_was_typed(typed: str) -> None:
    department = Department.parse(typed)

    assert (department.id, str(department)) == (typed, typed)
    assert department.schema == f"{typed}_tenant"
    assert department.role == f"{typed}_role"
    assert len(department.schema) <= NAME_BYTES
    assert len(department.role) <= NAME_BYTES


def test_longest_id_fills_a_name_of_postgresql() -> None:
    assert MAX_ID_LENGTH == 56
    assert len(Department.parse("a" * MAX_ID_LENGTH).schema) == NAME_BYTES


def test_departments_are_values() -> None:
    assert Department.parse("hr") == Department("hr")
    assert len({Department("hr"), Department("hr"), Department("sales")}) == 2
    assert sorted([Department("sales"), Department("hr")]) == [Department("hr"), Department("sales")]


@pytest.mark.parametrize(
    ("department_id", "name"), [("legal", "Legal"), ("human_resources", "Human Resources"), ("a__b_", "A  B")]
)
def test_default_name_reads_like_one(department_id: str, name: str) -> None:
    assert Department(department_id).default_name == name


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Legal Department", "Legal Department"),
        ("  Legal  ", "Legal"),
        ("Renée's “R&D”; DROP TABLE x --", "Renée's “R&D”; DROP TABLE x --"),
        ("法務部", "法務部"),
        ("a" * 255, "a" * 255),
    ],
)
def test_name_is_any_line_of_text(typed: str, name: str) -> None:
    assert parse_name(typed) == name


@pytest.mark.parametrize("typed", ["", "  ", "a\nb", "a\tb", "a\0b", "a\u202eb", "a\u2028b\u0085c", "a" * 256])
def test_name_that_would_break_a_line_or_its_column_is_refused(typed: str) -> None:
    with pytest.raises(InvalidDepartmentName) as caught:
        parse_name(typed)
    assert "--name" in str(caught.value.hint)


@pytest.mark.parametrize("typed", ["a@b", "legal@example.com", "o'neil+x@sub.example.org", '"a@b"@example.com'])
def test_address_is_kept_as_it_was_typed(typed: str) -> None:
    assert parse_email(typed) == typed


@pytest.mark.parametrize("typed", ["", "a", "@", "a@", "@b", "a b@c", "a@b\n", "a@b c", f"{'a' * 250}@b.org", "a\0@b"])
def test_what_cannot_be_an_address_is_refused(typed: str) -> None:
    with pytest.raises(InvalidEmail):
        parse_email(typed)
