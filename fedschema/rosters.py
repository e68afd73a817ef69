"""Reads a list of departments from CSV, and says everything that is wrong with it at once.

    department_id,name,admin_email
    legal,Legal Department,legal@example.com
    hr,,

The first line names the columns, in any order; only the id is needed. Commas or semicolons, UTF-8.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedschema.department import MAX_TEXT_LENGTH, Department, parse_email, parse_name
from fedschema.errors import InvalidDepartmentId, InvalidDepartmentName, InvalidEmail, InvalidRoster, UsageError

#: What a column may be called, and what it is.
_COLUMNS = {
    "department_id": "department_id",
    "id": "department_id",
    "name": "name",
    "department_name": "name",
    "admin_email": "admin_email",
}

#: Far more than any list of departments has; what is longer is some other file.
MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """One department of a roster.

    Attributes:
        line: where it begins in the file, from 1.
        department: its id, schema and role.
        name: its display name, made from the id when the roster has none.
        email: whom to write to, or None.
    """

    line: int
    department: Department
    name: str
    email: str | None


@dataclass(frozen=True, slots=True)
class _Row:
    """One row as it was written; `line` is where it begins."""

    line: int
    cells: list[str]


def read(path: Path) -> list[RosterEntry]:
    """Read a roster from a file; see `parse`.

    Raises:
        InvalidRoster
        UsageError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "name another file with --from") from error
    return parse(data, str(path))


def parse(data: bytes, source: str) -> list[RosterEntry]:
    """Read a roster: every department in it, in its order, or every problem of every row.

    Args:
        data: the CSV, with or without a byte order mark.
        source: what it is called in messages.

    Raises:
        InvalidRoster
    """
    problems: list[str] = []
    rows = _rows(_text(data, source), problems)
    header = next(rows, None)
    if header is None:
        raise InvalidRoster(source, problems or ["it is empty, and its first line has to name the columns"])
    columns = _columns(header, source)
    entries = [entry for row in rows if (entry := _entry(row, columns, problems))]
    entries = _without_repetitions(entries, problems)
    if problems:
        raise InvalidRoster(source, sorted(problems, key=_line_of))
    if not entries:
        raise InvalidRoster(source, ["it names no department below its first line"])
    return entries


def _text(data: bytes, source: str) -> str:
    """Decode a roster. Guessing another encoding would put wrong letters into names."""
    if len(data) > MAX_BYTES:
        raise InvalidRoster(source, [f"it is larger than {MAX_BYTES // 1024**2} MiB"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        found = f"byte 0x{data[error.start]:02x} is no UTF-8; save the file as UTF-8"
        raise InvalidRoster(source, [_at(line, found)]) from None


def _rows(text: str, problems: list[str]) -> Iterator[_Row]:
    """Yield the rows that are not blank; what cannot be read as CSV ends them, and is a problem."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = ";" if ";" in first and "," not in first else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield _Row(line, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        problems.append(_at(line, f"no CSV from here on: {error}"))


def _columns(header: _Row, source: str) -> list[str]:
    """Return what each column is; a wrong one is all that can be said, since the rows cannot be read without it."""
    names = [cell.strip().lower() for cell in header.cells]
    known = "the columns are department_id, name and admin_email"
    problems = [
        _at(header.line, f"unknown column {_shown(cell)}; {known}")
        for name, cell in zip(names, header.cells, strict=True)
        if name not in _COLUMNS
    ]
    columns = [_COLUMNS.get(name, "") for name in names]
    problems += [
        _at(header.line, f"there are {columns.count(column)} columns for {column}")
        for column in dict.fromkeys(_COLUMNS.values())
        if columns.count(column) > 1
    ]
    if "department_id" not in columns:
        problems.append(_at(header.line, f"there is no column department_id; {known}"))
    if problems:
        raise InvalidRoster(source, problems)
    return columns


def _entry(row: _Row, columns: Sequence[str], problems: list[str]) -> RosterEntry | None:
    """Return the department of a row, or None after adding everything that is wrong with the row."""
    if len(row.cells) > len(columns):
        problems.append(_at(row.line, f"{len(row.cells)} cells, and the first line names {len(columns)} columns"))
        return None
    if too_long := [
        f"{column} has {len(cell)} characters, at most {MAX_TEXT_LENGTH} fit"
        for column, cell in zip(columns, row.cells, strict=False)
        if len(cell) > MAX_TEXT_LENGTH
    ]:
        problems += [_at(row.line, problem) for problem in too_long]
        return None
    return _parsed(row.line, dict(zip(columns, row.cells, strict=False)), problems)


def _parsed(line: int, cells: Mapping[str, str], problems: list[str]) -> RosterEntry | None:
    """Parse the cells of a row, all of them also when the first is wrong already."""
    name, email = cells.get("name", ""), cells.get("admin_email", "")
    department, parsed_name, parsed_email = None, "", None
    try:
        department = Department.parse(cells.get("department_id", ""))
    except InvalidDepartmentId as error:
        suggestion = f" (try: {error.suggestion})" if error.suggestion else ""
        problems.append(_at(line, f"{error.message}{suggestion}"))
    try:
        parsed_name = parse_name(name) if name.strip() else ""
    except InvalidDepartmentName as error:
        problems.append(_at(line, error.message))
    try:
        parsed_email = parse_email(email) if email.strip() else None
    except InvalidEmail as error:
        problems.append(_at(line, error.message))
    if department is None:
        return None
    return RosterEntry(line, department, parsed_name or department.default_name, parsed_email)


def _without_repetitions(entries: Sequence[RosterEntry], problems: list[str]) -> list[RosterEntry]:
    """Keep the first entry of each department; every other is a problem."""
    first: dict[Department, RosterEntry] = {}
    for entry in entries:
        first.setdefault(entry.department, entry)
    problems += [
        _at(entry.line, f"{entry.department} is in line {first[entry.department].line} already")
        for entry in entries
        if first[entry.department] is not entry
    ]
    return list(first.values())


def _at(line: int, problem: str) -> str:
    return f"line {line}: {problem}"


def _line_of(problem: str) -> int:
    return int(problem.removeprefix("line ").partition(":")[0])


def _shown(cell: str) -> str:
    """Repeat what stands in a cell, without what would move a terminal's cursor, and not at any length."""
    return ascii(cell) if len(cell) <= MAX_TEXT_LENGTH else f"{cell[:MAX_TEXT_LENGTH]!a}…"
