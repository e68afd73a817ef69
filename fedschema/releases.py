"""Moves departments along the lineage and says where they are: `upgrade`, `downgrade`, `status`, `history`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import psycopg

from fedschema import positions, registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction, translated
from fedschema.department import Department
from fedschema.errors import FedschemaError
from fedschema.fleet.contracts import held_back, require_everybody
from fedschema.fleet.going_back import GoingBack
from fedschema.fleet.release import Ask, Direction, OnError, Outcome, Release, Result
from fedschema.fleet.run import Run
from fedschema.plans import Plan
from fedschema.positions import Position, position_of
from fedschema.reach import Reach
from fedschema.registry import MigrationRecord
from fedschema.versions import Heads
from fedschema.workers import Halt, jobs_for

__all__ = [
    "Ask",
    "Direction",
    "OnError",
    "Outcome",
    "Position",
    "Release",
    "Result",
    "history",
    "migrate",
    "position_of",
    "prepare",
    "revisions",
    "run_of",
    "status",
]


def migrate(  # noqa: PLR0913 - what a release is made of
    conninfo: str,
    compiler: Compiler,
    wanted: Sequence[Department],
    release: Release,
    ask: Ask | None = None,
    *,
    halt: Halt | None = None,
    direct: str | None = None,
) -> Iterator[Result]:
    """Take departments to where they are asked to go, several at a time, and yield each result as it is there.

    Args:
        conninfo: the database.
        compiler: the project.
        wanted: the departments; empty means all.
        release: what is asked for.
        ask: asked about a department that would lose something unconfirmed; without it such a step is refused.
        halt: ends it early; what was not begun is skipped.
        direct: the same database past a pooler, for what needs a session of its own; None where there is no pooler.

    Raises:
        As `prepare` does.
    """
    yield from prepare(conninfo, compiler, wanted, release, direct=direct).results(ask, halt)


def prepare(  # noqa: PLR0913 - what a release is made of
    conninfo: str,
    compiler: Compiler,
    wanted: Sequence[Department],
    release: Release,
    *,
    direct: str | None = None,
    looking: bool = False,
) -> Run:
    """Look where departments are and compile the way of each; nothing is changed.

    Args:
        conninfo: the database.
        compiler: the project.
        wanted: the departments; empty means all.
        release: what is asked for.
        direct: as for `migrate`.
        looking: it is not going to be run, so that nothing has to be confirmed.

    Raises:
        LossyStep: it goes back over a step that is on record as losing something, and that the release does not name.
        InvalidDowngradeRecord: what is on record cannot be read.
        UnknownDepartment, UnknownRevision, ForeignRevision, CompilationFailed
        ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead
        ContractBlocked: a contract step is on somebody's way, and not everybody has what it takes the place of.
        NoRoom: more connections were asked for than the server has left.
    """
    with connect(conninfo) as connection:  # no connection is kept for the run: a pool may have a single one
        found = positions.read(connection, compiler, wanted)
        departments = {position.entry.department: position for position, _ in found}
        plans = {position.entry.department: _plan(compiler, position, heads, release) for position, heads in found}
        run = run_of(connection, Reach(conninfo, direct), compiler, release, departments, plans)
    if release.direction is Direction.UPGRADE:
        return run
    going_back = GoingBack.of(compiler, plans.values(), release.lossy, fleet=len(wanted) != 1)
    if not looking:
        going_back.refuse_unnamed()
    return replace(run, going_back=going_back)


def run_of(  # noqa: PLR0913, PLR0917 - what a run is made of
    connection: psycopg.Connection,
    reach: Reach,
    compiler: Compiler,
    release: Release,
    departments: Mapping[Department, Position],
    plans: Mapping[Department, Plan | FedschemaError],
) -> Run:
    """Return a run over departments whose plans are known, with as many connections as there is room for.

    Raises:
        ContractBlocked, NoRoom: see `prepare`.
    """
    if release.direction is Direction.UPGRADE:
        _refuse_contracts(connection, compiler, plans.values())
    with translated("looking what the server has room for"):
        sizes = _sizes(connection, list(plans)) if release.canaries else {}
        jobs = jobs_for(connection, release.jobs, len(plans))
    return Run(reach, compiler, release, departments, plans, sizes, jobs)


def _plan(compiler: Compiler, position: Position, heads: Heads, release: Release) -> Plan | FedschemaError:
    """Compile a department's plan before anything is touched; a department in disorder fails by itself, later."""
    return position.problem or release.plan(compiler, position.entry.department, heads)


def _refuse_contracts(
    connection: psycopg.Connection, compiler: Compiler, plans: Iterable[Plan | FedschemaError]
) -> None:
    """Refuse the whole release for a contract step that has to wait, whoever was chosen."""
    steps = (step for plan in plans if isinstance(plan, Plan) for step in plan.steps)
    contracts = held_back(compiler, dict.fromkeys(step.revision for step in steps))
    if not contracts:
        return
    with owner_transaction(connection, "reading where departments are"):
        require_everybody(connection, compiler, contracts)


def _sizes(connection: psycopg.Connection, departments: Sequence[Department]) -> dict[Department, int]:
    """Return how many pages each department has, as the server's statistics have it."""
    rows = connection.execute(
        """
        SELECT department, coalesce(sum(class.relpages), 0)::bigint
        FROM unnest(%s::text[]) AS department
        LEFT JOIN pg_catalog.pg_class AS class
            ON class.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(department || '_tenant'))
        GROUP BY department
        """,
        ([department.id for department in departments],),
    )
    return {Department(department): int(pages) for department, pages in rows}


def status(conninfo: str, compiler: Compiler, wanted: Sequence[Department]) -> list[Position]:
    """Return where departments are; all of them when none is named.

    Raises:
        UnknownDepartment, ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead
    """
    with connect(conninfo) as connection:
        return [position for position, _ in positions.read(connection, compiler, wanted)]


def history(conninfo: str, compiler: Compiler, department: Department | None, limit: int) -> list[MigrationRecord]:
    """Return what was applied, newest first: to one department, dropped ones too, or to all and the control plane.

    Raises:
        UnknownDepartment: for an id that the registry has never seen.
    """
    with connect(conninfo) as connection, owner_transaction(connection, "reading the history"):
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        if department and not registry.entries(connection, [department]):
            registry.live(connection, [department])
        return registry.history(connection, department.id if department else None, limit)


@dataclass(frozen=True, slots=True)
class RevisionInfo:
    """A revision that there is."""

    revision: str
    lineage: str
    doc: str


def revisions(compiler: Compiler, department: Department | None) -> list[RevisionInfo]:
    """Return the revisions that apply to a department, or (None) all of the tenant lineage and the control plane's.

    No database is asked.
    """
    lineages = [compiler.lineage(department)] if department else [compiler.lineage(None), compiler.lineage(_ANYONE)]
    return [
        RevisionInfo(script.revision, lineage.owner_of(script), script.doc)
        for lineage in lineages
        for script in reversed(list(lineage.script.walk_revisions()))
        if not department or lineage.owner_of(script) in lineage.labels
    ]


#: Stands for any department where only the revisions matter.
_ANYONE = Department("any")
