"""A list of departments is read whole: every department in it, or everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedschema import rosters
from fedschema.errors import FedschemaError, InvalidRoster, UsageError
from fedschema.rosters import RosterEntry

ID = "department_id"


def _read(text: str) -> list[tuple[str, str, str | None]]:
    return [(entry.department.id, entry.name, entry.email) for entry in rosters.parse(text.encode(), "list.csv")]


def _problems(data: str | bytes) -> tuple[str, ...]:
    with pytest.raises(InvalidRoster) as refused:
        rosters.parse(data if isinstance(data, bytes) else data.encode(), "list.csv")
    error = refused.value
    assert error.exit_status == 2
    assert error.message.startswith("list.csv cannot be used; nothing was changed:\n  ")
    assert error.hint is not None
    assert all(letter.isprintable() or letter == "\n" for letter in error.message), "it would move the cursor"
    assert len(error.message) < 10_000
    return error.problems


def test_columns_may_stand_in_any_order_and_only_the_id_is_needed() -> None:
    whole = "admin_email,name,department_id\nl@example.com,Legal Department,legal\n,,human_resources\n"

    assert _read(whole) == [
        ("legal", "Legal Department", "l@example.com"),
        ("human_resources", "Human Resources", None),
    ]
    assert _read("department_id\nlegal\n") == [("legal", "Legal", None)]
    assert _read("ID , Department_Name\nlegal,L\n") == [("legal", "L", None)]
    assert _read("department_id,name\nlegal") == [("legal", "Legal", None)]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffid,name\nlegal,Recht & Ordnung\nhr,Büro\n",
        "id;name\nlegal;Recht & Ordnung\nhr;Büro\n",
        "id,name\r\nlegal,Recht & Ordnung\r\nhr,Büro\r\n",
        "id,name\rlegal,Recht & Ordnung\rhr,Büro\r",
        '\n\nid,name\n\n"legal","Recht & Ordnung"\n,\n   \nhr,Büro\n\n',
        "id;name;;\n".replace(";;", "") + "legal;Recht & Ordnung\n;\nhr;Büro",
    ],
)
def test_spreadsheets_write_it_in_many_ways(text: str) -> None:
    assert _read(text) == [("legal", "Recht & Ordnung", None), ("hr", "Büro", None)]


def test_quotes_and_formulas_are_only_text() -> None:
    text = 'id,name\na,"Sales, ""EMEA"""\nb,=HYPERLINK(1)\nc,\'; DROP TABLE x; --\nd,"semi;colon"\n'

    assert [name for _, name, _ in _read(text)] == [
        'Sales, "EMEA"',
        "=HYPERLINK(1)",
        "'; DROP TABLE x; --",
        "semi;colon",
    ]


def test_every_problem_of_every_row_is_told_with_its_line() -> None:
    text = (
        "department_id,name,admin_email\n"
        "legal,,\n"
        "HR,,\n"
        "\n"
        "sales,bad\tname,nobody\n"
        'fin,"two\nlines",\n'
        ",Nameless,\n"
        "legal,,\n"
        "pg_x,,,\n"
        "federation_admin,,\n"
        f"it,{'x' * 300},\n"
    )

    problems = _problems(text)

    assert [problem.partition(":")[0] for problem in problems] == [
        *("line 3", "line 5", "line 5", "line 6", "line 8", "line 9", "line 10", "line 11", "line 12")
    ]
    assert problems[0].endswith("(try: hr)")
    assert "control character" in problems[1]
    assert problems[2] == "line 5: 'nobody' is not an e-mail address"
    assert "it is empty" in problems[4]
    assert problems[5] == "line 9: legal is in line 2 already"
    assert problems[6] == "line 10: 4 cells, and the first line names 3 columns"
    assert problems[8] == "line 12: name has 300 characters, at most 255 fit"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it is empty, and its first line has to name the columns"),
        (b"\n \n", "it is empty, and its first line has to name the columns"),
        (b"id,name\n,\n", "it names no department below its first line"),
        (b"legal\nhr\n", "line 1: unknown column 'legal'; the columns are department_id, name and admin_email"),
        (b"name\nLegal\n", "line 1: there is no column department_id; the columns are"),
        (b"id,colour\nhr,red\n", "line 1: unknown column 'colour'; the columns are"),
        (b"id,\x1b[31m\nhr,red\n", "line 1: unknown column '\\x1b[31m'"),
        (b"id,department_id\nhr,hr\n", "line 1: there are 2 columns for department_id"),
        (b"id,name,name\nhr,a,b\n", "line 1: there are 2 columns for name"),
        (b"id,name\nhr,B\xfcro\n", "line 2: byte 0xfc is no UTF-8; save the file as UTF-8"),
        ("id\nhr\n".encode("utf-16"), "line 1: byte 0xff is no UTF-8; save the file as UTF-8"),
        ("id\nhr\n".encode("utf-16-le"), "line 1: unknown column 'i\\x00d"),
        (b"id\nh\0r\n", "line 2: 'h\\x00r' cannot be a department id"),
        (b'id,name\nhr,"open\n', "line 2: no CSV from here on: "),
        (b'id,name\nhr,"a"b\n', "line 2: no CSV from here on: "),
        (b"id,name\nhr," + b"x" * 10_000_000 + b"\n", "line 2: no CSV from here on: field larger than field limit"),
        (b"id,name\n" + b"x" * 100_000 + b"\n", "line 2: department_id has 100000 characters, at most 255 fit"),
        (b"x" * 100_000, "line 1: unknown column 'xxx"),
        (b"id\n" * 6_000_000, "it is larger than 16 MiB"),
        ("id\nhr\u202e\n".encode(), "line 2: 'hr\\u202e' cannot be a department id"),
        (b"id\n hr\n", "line 2: ' hr' cannot be a department id"),
    ],
    ids=range(21),
)
def test_what_is_no_list_of_departments_is_refused_with_the_reason(data: bytes, problem: str) -> None:
    (told,) = _problems(data)[:1]

    assert told.startswith(problem)


def test_entries_know_where_they_begin(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text('id,admin_email\n\n"hr",\nlegal,\n')

    found = rosters.read(file)

    assert [(entry.line, entry.department.id) for entry in found] == [(3, "hr"), (4, "legal")]
    assert isinstance(found[0], RosterEntry)


def test_file_that_cannot_be_read_is_wrong_usage(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.csv"):
        with pytest.raises(UsageError, match="cannot be read: ") as refused:
            rosters.read(path)
        assert isinstance(refused.value, FedschemaError)
