"""Describes what is in departments' schemas, object by object, in one question for all of them.

A description is made by the server alone (templates/inspection/objects.sql.j2), from what it would print itself. One
of a department that was made for the purpose says what another should look like: its names are nobody else's, so that
they can be replaced.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import psycopg

from fedschema.department import Department
from fedschema.rendering import Templates

_TEMPLATE = "inspection/objects"

#: What an object is made of: ``{"type": "text", "not null": True}``; what is not there is left out.
Definition: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True, order=True)
class Thing:
    """An object of a department's schema.

    Attributes:
        kind: ``table``, ``column``, ``index``, ``policy``, …
        name: which one: ``contacts``, ``contacts.email``, ``isolation on contacts``.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()


Description: TypeAlias = Mapping[Thing, Definition]


@dataclass(frozen=True, slots=True)
class Pattern:
    """What departments at one place should look like.

    Attributes:
        of: the department that it was read from; its id stands for everybody's.
        lines: the rows of its description, as the server writes them, in order.
    """

    of: Department
    lines: tuple[tuple[str, str, str], ...]

    def fingerprint(self, department: Department) -> str:
        """Return the fingerprint that a department has that looks like this; see `fingerprints`."""
        text = "\n".join("\t".join(line) for line in sorted(self._filled(department), key=lambda line: line[:2]))
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    def description(self, department: Department) -> Description:
        """Return what a department looks like that looks like this."""
        return _description(self._filled(department))

    def _filled(self, department: Department) -> list[tuple[str, str, str]]:
        mine = self.of.id
        return [
            (kind, name.replace(mine, department.id), definition.replace(mine, department.id))
            for kind, name, definition in self.lines
        ]


def pattern(connection: psycopg.Connection, templates: Templates, department: Department) -> Pattern:
    """Read what one department looks like, inside an owner's transaction."""
    rows = connection.execute(
        f"SELECT kind, object, definition::text FROM (\n{templates.render(_TEMPLATE)}\n) AS found".encode(),  # noqa: S608
        {"departments": [department.id]},
    )
    return Pattern(department, tuple((kind, name, definition) for kind, name, definition in rows))


def fingerprints(
    connection: psycopg.Connection, templates: Templates, departments: Sequence[Department]
) -> dict[Department, str]:
    """Return a fingerprint of each department's schema; none for one that has no schema.

    Args:
        connection: inside an owner's transaction; nothing is changed.
        templates: the project's.
        departments: which ones.
    """
    question = f"""
        SELECT department, md5(string_agg(
            kind || E'\\t' || object || E'\\t' || definition::text, E'\\n' ORDER BY kind COLLATE "C", object COLLATE "C"
        ))
        FROM (\n{templates.render(_TEMPLATE)}\n) AS found
        GROUP BY department
    """  # noqa: S608 - a template of the project
    rows = connection.execute(question.encode(), {"departments": [department.id for department in departments]})
    return {Department(department): fingerprint for department, fingerprint in rows}


def descriptions(
    connection: psycopg.Connection, templates: Templates, departments: Sequence[Department]
) -> dict[Department, Description]:
    """Return what is in each department's schema; nothing for one that has no schema. Arguments as `fingerprints`."""
    question = f"SELECT department, kind, object, definition::text FROM (\n{templates.render(_TEMPLATE)}\n) AS found"  # noqa: S608
    lines: dict[Department, list[tuple[str, str, str]]] = {department: [] for department in departments}
    rows = connection.execute(question.encode(), {"departments": [department.id for department in departments]})
    for department, kind, name, definition in rows:
        lines[Department(department)].append((kind, name, definition))
    return {department: _description(found) for department, found in lines.items()}


def _description(lines: Sequence[tuple[str, str, str]]) -> Description:
    return {
        Thing(kind, name): {key: value for key, value in json.loads(definition).items() if value is not None}
        for kind, name, definition in lines
    }
