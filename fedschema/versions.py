"""What keeps revisions apart and what a version table holds: the vocabulary of everything that migrates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

#: The label of every department's revisions, and of the control plane's.
TENANT = "tenant"
FEDERATION = "federation"

#: The name of a version table; each department has one in its schema, the control plane in its own.
VERSION_TABLE = "alembic_version"

#: The rows of a version table.
Heads: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ControlPlaneRevisions:
    """The control plane's lineage, as far as one has to know it to check a database.

    Attributes:
        heads: where this fedschema needs a database to be.
        known: every revision that it has.
    """

    heads: Heads
    known: frozenset[str]


def place(heads: Heads) -> str:
    """Name where a department is, for people."""
    return " + ".join(heads) or "base"
