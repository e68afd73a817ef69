"""Describes what is in departments' schemas, object by object, in one question for all of them.

A description is made by the server alone (templates/inspection/objects.sql.j2), from what it would print itself. One
of a department that was made for the purpose says what another should look like: its names are nobody else's, so that
they can be replaced.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import psycopg

from fedschema.department import Department
from fedschema.rendering import Templates

_TEMPLATE = "inspection/objects"

#: What an object is made of: ``{"type": "text", "not null": True}``; what is not there is left out.
Definition: TypeAlias = Mapping[str, object]


#: An identifier as the server quotes it, so that it can be told where it ends and goes into SQL as it is.
_NAME = r'(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
_PARTS = {
    "column": re.compile(rf"(?P<table>{_NAME})\.(?P<own>{_NAME})"),
    "function": re.compile(rf"(?P<own>{_NAME})(?P<arguments>\(.*\))", re.DOTALL),
    "privilege": re.compile(
        rf"(?P<own>PUBLIC|{_NAME}) on (?P<what>schema|table|sequence|function) (?P<table>{_NAME})"
        r"(?P<arguments>\(.*\))?",
        re.DOTALL,
    ),
    "default privilege": re.compile(rf"(?P<own>PUBLIC|{_NAME}) on what (?P<maker>{_NAME}) makes"),
    "comment": re.compile(
        rf"on (?P<what>table|view|materialized view|sequence|column) (?P<table>{_NAME})(?:\.(?P<own>{_NAME}))?"
    ),
}
_ATTACHED = re.compile(rf"(?P<own>{_NAME}) on (?P<table>{_NAME})")
_BY_ITSELF = re.compile(rf"(?P<own>{_NAME})")
_ATTACHED_KINDS = ("constraint", "index", "policy", "trigger", "rule")


@dataclass(frozen=True, slots=True, order=True)
class Thing:
    """An object of a department's schema.

    Attributes:
        kind: ``table``, ``column``, ``index``, ``policy``, …
        name: which one: ``contacts``, ``contacts.email``, ``isolation on contacts``; each name in it is quoted as SQL
            needs it.
    """

    kind: str
    name: str

    @property
    def parts(self) -> Mapping[str, str]:
        """The names in it, quoted as SQL needs them: ``own``, ``table``, …; none where they cannot be told."""
        pattern = _PARTS.get(self.kind, _ATTACHED if self.kind in _ATTACHED_KINDS else _BY_ITSELF)
        found = pattern.fullmatch(self.name)
        return {key: value for key, value in found.groupdict().items() if value is not None} if found else {}

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()


Description: TypeAlias = Mapping[Thing, Definition]
#: A row of a description as the server writes it: kind, name, definition.
Line: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True)
class Pattern:
    """What departments at one place should look like.

    Attributes:
        of: the department that it was read from; its id stands for everybody's.
        lines: the rows of its description, as the server writes them, in order.
        kept: it was read by an earlier command; what the revisions give here may be something else by now.
    """

    of: Department
    lines: tuple[Line, ...]
    kept: bool = False

    def fingerprint(self, department: Department) -> str:
        """Return the fingerprint that a department has that looks like this; see `fingerprints`."""
        first, last = self._nobodys
        for line in self._everybodys:
            more = _halves(line.replace(self.of.id, department.id))
            first, last = first + more[0], last + more[1]
        return _md5(f"{len(self.lines)} {first} {last}")

    def description(self, department: Department) -> Description:
        """Return what a department looks like that looks like this."""
        mine = self.of.id
        return _description(
            [
                (kind, name.replace(mine, department.id), definition.replace(mine, department.id))
                for kind, name, definition in self.lines
            ]
        )

    @cached_property
    def _everybodys(self) -> list[str]:
        """The lines that the department's own names are in."""
        return [text for line in self.lines if self.of.id in (text := _text(line))]

    @cached_property
    def _nobodys(self) -> tuple[int, int]:
        """The sums over the lines that are the same for everybody."""
        halves = [_halves(text) for line in self.lines if self.of.id not in (text := _text(line))]
        return sum(first for first, _ in halves), sum(last for _, last in halves)


def _text(line: Line) -> str:
    return "\t".join(line)


def _halves(line: str) -> tuple[int, int]:
    """Return a line's share of a fingerprint: the first and the last sixty bits of its hash."""
    hashed = _md5(line)
    return int(hashed[:15], 16), int(hashed[-15:], 16)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def pattern(connection: psycopg.Connection, templates: Templates, department: Department) -> Pattern:
    """Read what one department looks like, inside an owner's transaction."""
    return Pattern(department, tuple(_lines(connection, templates, [department])[department]))


def _lines(
    connection: psycopg.Connection, templates: Templates, departments: Sequence[Department]
) -> dict[Department, list[Line]]:
    """Ask for the rows of some departments' descriptions."""
    found = templates.render(_TEMPLATE)
    question = f"SELECT department, kind, object, definition::text FROM (\n{found}\n) AS found"  # noqa: S608
    lines: dict[Department, list[Line]] = {department: [] for department in departments}
    rows = connection.execute(question.encode(), {"departments": [department.id for department in departments]})
    for department, kind, name, definition in rows:
        lines[Department(department)].append((kind, name, definition))
    return lines


def fingerprints(
    connection: psycopg.Connection, templates: Templates, departments: Sequence[Department]
) -> dict[Department, str]:
    """Return a fingerprint of each department's schema; none for one that has no schema.

    It is a sum over the hashes of the lines, so that nobody has to sort them.

    Args:
        connection: inside an owner's transaction; nothing is changed.
        templates: the project's.
        departments: which ones.
    """
    question = f"""
        SELECT department, md5(format('%%s %%s %%s', count(*),
            sum(('x' || left(hashed, 15))::bit(60)::bigint), sum(('x' || right(hashed, 15))::bit(60)::bigint)))
        FROM (
            SELECT department, md5(kind || E'\\t' || object || E'\\t' || definition::text) AS hashed
            FROM (
{templates.render(_TEMPLATE)}
) AS found
            OFFSET 0  -- so that no line is hashed twice
        ) AS line
        GROUP BY department
    """  # noqa: S608 - a template of the project
    rows = connection.execute(question.encode(), {"departments": [department.id for department in departments]})
    return {Department(department): fingerprint for department, fingerprint in rows}


def descriptions(
    connection: psycopg.Connection, templates: Templates, departments: Sequence[Department]
) -> dict[Department, Description]:
    """Return what is in each department's schema; nothing for one that has no schema. Arguments as `fingerprints`."""
    found = _lines(connection, templates, departments)
    return {department: _description(lines) for department, lines in found.items()}


def _description(lines: Sequence[Line]) -> Description:
    return {
        Thing(kind, name): {key: value for key, value in json.loads(definition).items() if value is not None}
        for kind, name, definition in lines
    }
