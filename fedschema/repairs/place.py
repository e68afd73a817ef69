"""A difference with the names in it quoted, and what can be answered to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fedschema.department import Department
from fedschema.differences import Difference, Fault
from fedschema.inspection import Definition
from fedschema.rendering import quote_identifier


@dataclass(frozen=True, slots=True)
class Answer:
    """What can be done about a difference.

    Attributes:
        statements: the SQL, in order; empty where a person has to look, or where another repair brings it along.
        safe: no row can be lost by it.
        reason: why it is not safe.
        last: what has to come after all other repairs.
    """

    statements: tuple[str, ...]
    safe: bool
    reason: str | None = None
    last: tuple[str, ...] = ()


def safe(*statements: str, last: tuple[str, ...] = ()) -> Answer:
    """Answer with what takes no row along."""
    return Answer(statements, safe=True, last=last)


def unsafe(reason: str, *statements: str) -> Answer:
    """Answer with what a person has to decide about."""
    return Answer(statements, safe=False, reason=reason)


@dataclass(frozen=True, slots=True)
class Place:
    """A difference whose names can be told apart, as they go into SQL."""

    department: Department
    difference: Difference

    @property
    def fault(self) -> Fault:
        """How it differs."""
        return self.difference.fault

    @property
    def wanted(self) -> Definition:
        """How it should be."""
        return self.difference.wanted or {}

    @property
    def changes(self) -> Mapping[str, tuple[object, object]]:
        """What is not alike: how it should be, and how it is."""
        return self.difference.changes

    @property
    def schema(self) -> str:
        """The department's schema, quoted."""
        return quote_identifier(self.department.schema)

    def part(self, key: str) -> str:
        """Return one of the names in it, quoted as the server did; see `Thing.parts`."""
        return self.difference.thing.parts[key]

    @property
    def own(self) -> str:
        """Its own name, quoted."""
        return self.part("own")

    @property
    def itself(self) -> str:
        """The object, qualified; with its arguments where it is a function."""
        return f"{self.schema}.{self.own}{self.difference.thing.parts.get('arguments', '')}"

    @property
    def table(self) -> str:
        """What it is on, qualified; with its arguments where that is a function."""
        return f"{self.schema}.{self.part('table')}{self.difference.thing.parts.get('arguments', '')}"
