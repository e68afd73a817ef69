"""What a release would do, before it does it: on scratch departments, or on real ones and rolled back.

On a scratch department of the database itself everything is measured but the locks: a transaction holds all locks on
what it has made. So the same plan is tried on a throwaway PostgreSQL of this machine too, where the scratch department
was committed before, and the locks are taken from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import psycopg

from fedschema import batches, releases
from fedschema.compiler import Compiler
from fedschema.connections import connect
from fedschema.department import Department
from fedschema.downgrades import WayBack
from fedschema.errors import (
    Cancelled,
    ConnectionLost,
    FedschemaError,
    LockTimeout,
)
from fedschema.fleet import groups, outlook, scratch
from fedschema.fleet.findings import Rehearsal, Statement, untried
from fedschema.fleet.going_back import ways_back
from fedschema.fleet.groups import Group
from fedschema.fleet.measures import Lock
from fedschema.fleet.outlook import as_sent, effects_of_index
from fedschema.fleet.rehearsal import rehearse_live
from fedschema.fleet.release import Release
from fedschema.fleet.run import Run
from fedschema.fleet.transaction import Confirmation
from fedschema.lender import Lender
from fedschema.linting import Lint, NotLinted, lint
from fedschema.plans import Plan
from fedschema.workers import Halt, Workers


@dataclass(frozen=True, slots=True)
class GroupPreview:
    """What is known of departments with the same plan.

    Attributes:
        group: the departments and their plan.
        rehearsal: their statements, named for the first of them, with what was measured.
        lints: what squawk says; None when it could not be asked.
        outside: what is done outside the transaction.
        notes: what could not be found out, and why.
        ways_back: what is known of going back over each of its revisions.
    """

    group: Group
    rehearsal: Rehearsal
    lints: tuple[Lint, ...] | None
    outside: tuple[str, ...]
    notes: tuple[str, ...]
    ways_back: Mapping[str, WayBack]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a release would do.

    Attributes:
        run: the release, not begun.
        server_version: as libpq has it: 180006.
        groups: those with something to do.
        unchanged: the departments with nothing to do.
        problems: the departments that are in disorder, and why.
    """

    run: Run
    server_version: int
    groups: tuple[GroupPreview, ...]
    unchanged: tuple[Department, ...]
    problems: Mapping[Department, FedschemaError]

    @property
    def would_fail(self) -> bool:
        """Something is known already because of which not every department would arrive."""
        return bool(self.problems) or any(each.rehearsal.error for each in self.groups)


def preview(
    conninfo: str, compiler: Compiler, wanted: Sequence[Department], release: Release, *, insist: bool = False
) -> Preview:
    """Look what a release would do; nothing is changed.

    Args:
        conninfo: the database.
        compiler: the project.
        wanted: the departments; empty means all.
        release: what is asked for.
        insist: a plan that cannot be tried on this database is an error, and not only noted.

    Raises:
        As `releases.prepare` does; with `insist` also NotRehearsable, ReadOnlyServer, PrivilegeMissing, …
    """
    run = releases.prepare(conninfo, compiler, wanted, release, looking=True)
    found = groups.group(run.plans)
    todo = [each for each in found if each.plan.steps]
    idle = [department for each in found if not each.plan.steps for department in each.departments]
    with connect(conninfo) as connection, ExitStack() as stack:
        lender = Lender(compiler, connection.info.server_version // 10000, stack)
        seen = tuple(_previewed(connection, compiler, release, each, lender, insist=insist) for each in todo)
        return Preview(run, connection.info.server_version, seen, tuple(idle), groups.those_without(run.plans))


def _previewed(  # noqa: PLR0913 - what a look at a group takes
    connection: psycopg.Connection, compiler: Compiler, release: Release, each: Group, lender: Lender, *, insist: bool
) -> GroupPreview:
    department, plan = each.departments[0], each.plan
    notes: list[str] = []
    own, lent = _tried_twice(connection, compiler, release, each, lender)
    if insist and isinstance(own, FedschemaError):
        raise own
    rehearsal = _merged(department, plan, own, lent, notes)
    if isinstance(lent, Rehearsal) and rehearsal.tried and not lender.is_alike:
        ours, theirs = lender.version, connection.info.server_version // 10000
        notes.append(f"the locks were measured on PostgreSQL {ours} of this machine, and the server is a {theirs}")
    lints: tuple[Lint, ...] | None = None
    try:
        lints = tuple(_linted(department, as_sent(plan), connection.info.server_version, compiler.project.root))
    except NotLinted as reason:
        notes.append(f"not linted: {reason}")
    outside = tuple(outlook.notes(plan, department))
    return GroupPreview(each, rehearsal, lints, outside, tuple(notes), ways_back(compiler, [plan]))


def _linted(department: Department, plan: Plan, server_version: int, project: Path) -> Iterator[Lint]:
    """Ask about each leg's script, which is what runs, and number the statements through.

    Raises:
        NotLinted
    """
    before = 0
    for leg in plan.legs:
        for found in lint(batches.migration(department, leg).sql, server_version, project):
            yield replace(found, statement=before + found.statement)
        before += len(untried(department, leg))


def _tried_twice(
    connection: psycopg.Connection, compiler: Compiler, release: Release, each: Group, lender: Lender
) -> tuple[Rehearsal | FedschemaError, Rehearsal | FedschemaError]:
    """Try a plan on a scratch department here, and on one of the throwaway server."""
    plan = each.plan
    try:
        _refuse_online(plan)
        way = scratch.way_to(compiler, each.departments[0], plan.start)
    except FedschemaError as error:
        return error, error
    own: Rehearsal | FedschemaError
    try:
        own = scratch.rehearse_on_scratch(connection, compiler, release.pace, way, plan)
    except (ConnectionLost, Cancelled):
        raise
    except FedschemaError as error:
        own = error
    return own, lender.tried(way, plan)


def _refuse_online(plan: Plan) -> None:
    scratch.refuse_online(plan, "this cannot be rehearsed", "fedschema upgrade --plan shows what is known")


def _merged(
    department: Department,
    plan: Plan,
    own: Rehearsal | FedschemaError,
    lent: Rehearsal | FedschemaError,
    notes: list[str],
) -> Rehearsal:
    """Put together what was measured here and there, under a department's own name; note what could not be."""
    statements = untried(department, as_sent(plan))
    if isinstance(own, FedschemaError) and isinstance(lent, FedschemaError):
        notes.append(f"not measured: {own.message}")
        return Rehearsal(department, statements)
    if isinstance(own, FedschemaError):
        notes.append(f"this server takes no scratch department, so none of this was measured on it: {own.message}")
        own = lent
    elif isinstance(lent, FedschemaError):
        notes.append(f"the locks are not known, for no PostgreSQL could be started to measure them on: {lent.message}")
    elif lent.error and not own.error:
        notes.append(
            f"the locks after a statement that only this server understands are not known: {lent.error.message}"
        )
    assert isinstance(own, Rehearsal)  # noqa: S101 - one of the two is
    locks = (
        [one.effects.locks if one.effects else None for one in lent.statements] if isinstance(lent, Rehearsal) else []
    )
    shown = tuple(
        _as_measured(plan, statement, measured, locks[number] if locks else None)
        for number, (statement, measured) in enumerate(zip(statements, own.statements, strict=True))
    )
    return replace(own, department=department, statements=shown, error=_renamed(own, department))


def _renamed(own: Rehearsal, department: Department) -> FedschemaError | None:
    """Return why it would fail, in the name of a department that there is: the scratch one had a name by chance."""
    error = own.error
    if error is not None:
        error.message = error.message.replace(own.department.id, department.id)
        error.hint = error.hint.replace(own.department.id, department.id) if error.hint else None
    return error


def _as_measured(plan: Plan, statement: Statement, measured: Statement, locks: tuple[Lock, ...] | None) -> Statement:
    """Return what a statement would do: what its ordinary form did, but for an index that is built concurrently."""
    effects = measured.effects and replace(measured.effects, locks=locks)
    index = None if statement.is_bookkeeping or effects is None else effects_of_index(plan, statement.revision)
    return replace(
        statement,
        effects=index or effects,
        duration_seconds=measured.duration_seconds,
        apart=index is not None,
    )


class Verdict(StrEnum):
    """How a rehearsal on a real department went."""

    SOUND = "sound"
    FAILED = "failed"
    LOCKED = "locked"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class LiveRehearsal:
    """What would become of a department.

    Attributes:
        department: which one.
        verdict: whether it would arrive; ``locked`` when that could not be tried for somebody else's locks.
        rehearsal: what was measured; None when nothing was tried.
        error: why it would not, or None.
    """

    department: Department
    verdict: Verdict
    rehearsal: Rehearsal | None = None
    error: FedschemaError | None = None


def rehearse_departments(run: Run, halt: Halt | None = None) -> Iterator[LiveRehearsal]:
    """Try a release on the departments themselves, each in a transaction that is rolled back, and yield each verdict.

    Args:
        run: from `releases.prepare`. Departments go one after another unless its release asks for more at a time.
        halt: ends it early; what was not begun is skipped.
    """
    halt = halt or Halt()
    left = dict.fromkeys(run.departments)

    def work(connection: psycopg.Connection, department: Department) -> LiveRehearsal:
        return _tried(connection, run, department)

    for department, verdict in Workers(run.reach.conninfo, run.release.jobs or 1, work, halt).run(run.departments):
        left.pop(department)
        yield verdict
    for department in left:
        yield LiveRehearsal(department, Verdict.SKIPPED)


def _tried(connection: psycopg.Connection, run: Run, department: Department) -> LiveRehearsal:
    plan = run.plans[department]
    if isinstance(plan, FedschemaError):
        return LiveRehearsal(department, Verdict.FAILED, error=plan)
    if not plan.steps:
        return LiveRehearsal(department, Verdict.UNCHANGED)
    confirmation = Confirmation(run.release.confirms(department), run.release.hint, run.going_back.accepted)
    try:
        _refuse_online(plan)
        rehearsal = rehearse_live(connection, department, plan, confirmation, run.release.pace)
    except FedschemaError as error:
        return LiveRehearsal(department, Verdict.FAILED, error=error)
    locked = isinstance(rehearsal.error, LockTimeout)
    verdict = Verdict.LOCKED if locked else Verdict.FAILED if rehearsal.error else Verdict.SOUND
    return LiveRehearsal(department, verdict, rehearsal, rehearsal.error)
