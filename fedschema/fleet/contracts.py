"""Holds a contract step back until every department has what it takes the place of.

A revision that takes something away, after another one brought what replaces it, says so: ``contracts =
"tenant_0009_fill"``. Applications change over between the two. So nobody gets the contract step before everybody has
the other, in a release before. A department that is made new has never had the old state, and gets both at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import psycopg

from fedschema import registry
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.errors import CompilationFailed, ContractBlocked, FedschemaError
from fedschema.plans import SLOT
from fedschema.versions import TENANT, Heads

if TYPE_CHECKING:
    from fedschema.lineages import Lineage  # see `fedschema.compiler`


def held_back(compiler: Compiler, revisions: Iterable[str]) -> dict[str, str]:
    """Return those of the revisions that are contract steps, each with the revision that everybody has to have first.

    Raises:
        CompilationFailed: one names a revision that does not come before it.
    """
    lineage = compiler.lineage(SLOT)
    return {revision: needed for revision in revisions if (needed := _contracts(lineage, revision))}


def _contracts(lineage: Lineage, revision: str) -> str | None:
    """Return the whole id of what a revision contracts, which may be given by its beginning; None when it does not.

    Raises:
        CompilationFailed: that is no revision, several, or none that comes before it.
    """
    named: object = getattr(lineage.script_of(revision).module, "contracts", None)
    if named is None:
        return None
    before = lineage.ancestors((revision,)) - {revision}
    meant = {one for one in before if isinstance(named, str) and named and one.startswith(named)}
    if isinstance(named, str) and named in meant:
        return named
    if len(meant) == 1:
        return meant.pop()
    fault = f"which may be any of {', '.join(sorted(meant))}" if meant else "which does not come before it"
    raise CompilationFailed(
        f"revision {revision} contracts {named}, {fault}",
        "name in contracts = the revision that brings what replaces it: the backfill, if there is one",
    )


def require_everybody(connection: psycopg.Connection, compiler: Compiler, contracts: Mapping[str, str]) -> None:
    """Refuse an upgrade by contract steps of which one has to wait.

    Args:
        connection: inside a transaction of federation_owner.
        compiler: the project.
        contracts: what `held_back` found of what is to be applied, to anybody; at least one.

    Raises:
        ContractBlocked: naming the departments that are behind.
    """
    live = registry.live(connection)
    positions = registry.revisions(connection, [entry.department for entry in live])
    lineage = compiler.lineage(SLOT)
    for revision, needed in contracts.items():
        owner = lineage.owner_of(lineage.script_of(needed))
        concerned = [department for department in positions if owner in {TENANT, department.id}]
        behind = [
            (department.id, where)
            for department in concerned
            if (where := _short_of(compiler.lineage(department), positions[department], needed))
        ]
        if behind:
            raise ContractBlocked(revision, needed, behind, _command(needed, owner, concerned))


def _short_of(lineage: Lineage, heads: Heads | None, needed: str) -> str | None:
    """Say where a department is that does not have a revision; None when it has."""
    if heads is None:
        return "without a version table"
    try:
        return None if needed in lineage.applied(heads) else f"at {', '.join(heads) or 'base'}"
    except FedschemaError:  # it holds what no script has, or what is another's
        return f"at {', '.join(heads)}"


def _command(needed: str, owner: str, concerned: Sequence[Department]) -> str:
    """Return what brings those along that are behind; a branch is its department's alone."""
    whom = "" if owner == TENANT else "".join(f" {department}" for department in concerned)
    return f"fedschema upgrade{whom} --to {needed}"
