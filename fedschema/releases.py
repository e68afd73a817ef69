"""Moves departments along the lineage and says where they are: `upgrade`, `downgrade`, `status`, `history`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import psycopg

from fedschema import registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import DepartmentDamaged, FedschemaError, NeedsConfirmation, StatementFailed
from fedschema.fleet import Confirmation, run_plan
from fedschema.plans import Plan
from fedschema.registry import MigrationRecord, RegistryEntry
from fedschema.versions import TENANT, Heads


class Outcome(StrEnum):
    """How it went for one department."""

    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    SKIPPED = "skipped"


class OnError(StrEnum):
    """What a failed department means for those after it."""

    STOP = "stop"
    CONTINUE = "continue"


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


@dataclass(frozen=True, slots=True)
class Result:
    """What was done with one department."""

    department: Department
    outcome: Outcome
    before: Position | None
    after: Position | None
    duration_seconds: float
    error: FedschemaError | None = None
    plan: Plan | None = None


class Direction(StrEnum):
    """Up or down."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"

    @property
    def outcome(self) -> Outcome:
        """What a department is called that went all the way."""
        return Outcome.UPGRADED if self is Direction.UPGRADE else Outcome.DOWNGRADED


@dataclass(frozen=True, slots=True)
class Release:
    """What is asked for.

    Attributes:
        direction: up or down.
        destination: ``head``, ``base``, ``+N``, ``-N``, a revision, or ``label@…``.
        confirmed: the departments whose rows may be lost.
        hint: how to confirm, shown when a step is refused.
        on_error: what a failure means for the departments after it.
    """

    direction: Direction
    destination: str
    confirmed: frozenset[Department] = frozenset()
    hint: str = "if they may go, add --yes"
    on_error: OnError = OnError.STOP


#: Asks whether what a department would lose may go; True goes on.
Ask = Callable[[Department, NeedsConfirmation], bool]


def migrate(
    conninfo: str, compiler: Compiler, wanted: Sequence[Department], release: Release, ask: Ask | None = None
) -> Iterator[Result]:
    """Take departments to where they are asked to go, one after another, and yield each result as it is there.

    Args:
        conninfo: the database.
        compiler: the project.
        wanted: the departments; empty means all.
        release: what is asked for.
        ask: asked about a department that would lose something unconfirmed; without it such a step is refused.

    Raises:
        UnknownDepartment, UnknownRevision, ForeignRevision, CompilationFailed: before anything is touched.
        ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead
    """
    with connect(conninfo) as connection:
        positions = _positions(connection, compiler, wanted)
        plans = {position.entry.department: _plan(compiler, position, heads, release) for position, heads in positions}
        run = _Run(connection, conninfo, compiler, release, ask)
        stopped = False
        for position, _ in positions:
            department = position.entry.department
            if stopped:
                yield Result(department, Outcome.SKIPPED, position, position, 0.0)
                continue
            result = run.migrate(position, plans[department])
            stopped = result.outcome is Outcome.FAILED and release.on_error is OnError.STOP
            yield result


def _plan(compiler: Compiler, position: Position, heads: Heads, release: Release) -> Plan | FedschemaError:
    """Compile a department's plan before anything is touched; a department in disorder fails by itself, later."""
    if position.problem is not None:
        return position.problem
    compile_plan = compiler.upgrade if release.direction is Direction.UPGRADE else compiler.downgrade
    return compile_plan(position.entry.department, heads, release.destination)


@dataclass(frozen=True, slots=True)
class _Run:
    """What the departments of one release share."""

    connection: psycopg.Connection
    conninfo: str
    compiler: Compiler
    release: Release
    ask: Ask | None

    def migrate(self, position: Position, plan: Plan | FedschemaError) -> Result:
        """Take one department along its plan and say how it went."""
        department = position.entry.department
        if isinstance(plan, FedschemaError):
            return Result(department, Outcome.FAILED, position, position, 0.0, plan)
        if not plan.steps:
            return Result(department, Outcome.UNCHANGED, position, position, 0.0, plan=plan)
        began = time.monotonic()
        try:
            self._run_or_ask(department, plan)
        except FedschemaError as error:
            return Result(department, Outcome.FAILED, position, position, time.monotonic() - began, error, plan)
        after = _positions(self.connection, self.compiler, [department])[0][0]
        return Result(department, self.release.direction.outcome, position, after, time.monotonic() - began, plan=plan)

    def _run_or_ask(self, department: Department, plan: Plan) -> None:
        try:
            self._run(department, plan, confirmed=department in self.release.confirmed)
        except NeedsConfirmation as error:
            if self.ask is None or not self.ask(department, error):
                raise
            self._run(department, plan, confirmed=True)

    def _run(self, department: Department, plan: Plan, *, confirmed: bool) -> None:
        if plan.needs_connection:
            _run_with_alembic(self.conninfo, self.compiler, department, self.release, confirmed=confirmed)
        else:
            run_plan(self.connection, department, plan, Confirmation(confirmed, self.release.hint))


def _run_with_alembic(
    conninfo: str, compiler: Compiler, department: Department, release: Release, *, confirmed: bool
) -> None:
    """Run revisions that need a connection the ordinary way, through env.py."""
    import alembic.command  # noqa: PLC0415 - see `fedschema.compiler`
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    confirm = [f"confirm={department}"] if confirmed else []
    config = Config(str(compiler.project.ini), cmd_opts=argparse.Namespace(x=[f"tenant={department}", *confirm]))
    config.attributes["conninfo"] = conninfo
    try:
        getattr(alembic.command, release.direction.value)(config, release.destination)
    except CommandError as error:
        cause = error.__cause__
        if isinstance(cause, NeedsConfirmation):
            raise type(cause)(cause.owner, cause.losses, release.hint) from error
        if isinstance(cause, FedschemaError):
            raise cause from error
        raise StatementFailed(f"{release.direction} of department {department}", str(error)) from error


def _positions(
    connection: psycopg.Connection, compiler: Compiler, wanted: Sequence[Department]
) -> list[tuple[Position, Heads]]:
    """Read where departments are, and the version rows that say so."""
    with owner_transaction(connection, "reading where departments are"):
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        chosen = registry.select(registry.entries(connection), wanted)
        found = registry.revisions(connection, [entry.department for entry in chosen])
    return [(position_of(compiler, entry, found[entry.department]), found[entry.department] or ()) for entry in chosen]


def position_of(compiler: Compiler, entry: RegistryEntry, heads: Heads | None) -> Position:
    """Say where a department is whose version table holds `heads` (None: it has no such table)."""
    lineage = compiler.lineage(entry.department)
    if heads is None:
        problem = DepartmentDamaged(entry.department_id, f"schema {entry.tenant_schema} has no version table")
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


def status(conninfo: str, compiler: Compiler, wanted: Sequence[Department]) -> list[Position]:
    """Return where departments are; all of them when none is named.

    Raises:
        UnknownDepartment, ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead
    """
    with connect(conninfo) as connection:
        return [position for position, _ in _positions(connection, compiler, wanted)]


def history(conninfo: str, compiler: Compiler, department: Department | None, limit: int) -> list[MigrationRecord]:
    """Return what was applied, newest first: to one department, dropped ones too, or to all and the control plane.

    Raises:
        UnknownDepartment: for an id that the registry has never seen.
    """
    with connect(conninfo) as connection, owner_transaction(connection, "reading the history"):
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        known = registry.entries(connection)
        if department and department not in {entry.department for entry in known}:
            registry.select(known, [department])
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
