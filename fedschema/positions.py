"""Where departments are: what their version tables say, as the lineage understands it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from fedschema import registry
from fedschema.compiler import Compiler
from fedschema.connections import owner_transaction
from fedschema.department import Department
from fedschema.errors import DepartmentDamaged, FedschemaError
from fedschema.registry import RegistryEntry
from fedschema.versions import TENANT, Heads


@dataclass(frozen=True, slots=True)
class Position:
    """Where a department is.

    Attributes:
        entry: its row of the registry.
        revision: the newest applied revision of the tenant lineage; None below the first.
        branch_revision: the same of its own branch; None when it has no branch.
        at_head: nothing is left to apply.
        problem: why the position is not known, or None.
    """

    entry: RegistryEntry
    revision: str | None
    branch_revision: str | None
    at_head: bool
    problem: FedschemaError | None = None


def read(
    connection: psycopg.Connection, compiler: Compiler, wanted: Sequence[Department]
) -> list[tuple[Position, Heads]]:
    """Read where departments are, and the version rows that say so: all of them when none is named.

    Raises:
        UnknownDepartment, ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead
    """
    with owner_transaction(connection, "reading where departments are"):
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        return of(connection, compiler, registry.live(connection, wanted))


def of(
    connection: psycopg.Connection, compiler: Compiler, chosen: Sequence[RegistryEntry]
) -> list[tuple[Position, Heads]]:
    """Do as `read` does for live departments whose rows of the registry were read in the same transaction."""
    found = registry.revisions(connection, [entry.department for entry in chosen])
    return [(position_of(compiler, entry, found[entry.department]), found[entry.department] or ()) for entry in chosen]


def position_of(compiler: Compiler, entry: RegistryEntry, heads: Heads | None) -> Position:
    """Say where a department is whose version table holds `heads` (None: it has no such table)."""
    lineage = compiler.lineage(entry.department)
    if heads is None:
        problem = DepartmentDamaged(
            entry.department_id, f"schema {entry.tenant_schema} has no version table that can be read"
        )
        return Position(entry, None, None, at_head=False, problem=problem)
    try:
        branch = entry.department_id if entry.department_id in lineage.labels else None
        return Position(
            entry,
            lineage.revision_of(heads, TENANT),
            lineage.revision_of(heads, branch) if branch else None,
            at_head=lineage.is_at_head(heads),
        )
    except FedschemaError as error:
        return Position(entry, ", ".join(heads), None, at_head=False, problem=error)
