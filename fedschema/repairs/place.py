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
    """A difference, and the names in it, quoted."""

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

    def qualified(self, name: str) -> str:
        """Return a name of the department's schema, qualified and quoted."""
        return f"{quote_identifier(self.department.schema)}.{quote_identifier(name)}"

    @property
    def own_name(self) -> str:
        """The first part of ``isolation on contacts``, quoted."""
        return quote_identifier(self.difference.thing.name.rpartition(" on ")[0])

    @property
    def table(self) -> str:
        """The second part of ``isolation on contacts``, qualified."""
        return self.qualified(self.difference.thing.name.rpartition(" on ")[2])
