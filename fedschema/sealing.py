"""Seals what was looked at, and runs what was sealed: that and nothing else, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import psycopg

import fedschema
from fedschema import positions, releases
from fedschema.addresses import describe
from fedschema.compiler import Compiler
from fedschema.connections import connect, database_identity
from fedschema.department import Department
from fedschema.errors import FedschemaError, PlanMoved, PlanUnsealable
from fedschema.fleet.groups import Step, named, steps_of
from fedschema.fleet.release import Release
from fedschema.fleet.run import Run
from fedschema.fleet.seal import SealedGroup, SealedPlan
from fedschema.plans import Plan
from fedschema.positions import Position
from fedschema.previews import Preview
from fedschema.reach import Reach
from fedschema.versions import Heads, place


def seal(seen: Preview, *, every: bool) -> SealedPlan:
    """Return what a release would do, as it is sealed; departments with nothing to do are part of it.

    Args:
        seen: from `previews.preview`.
        every: all departments were meant, whichever there are.

    Raises:
        PlanUnsealable: a department is in disorder, the plan failed already where it was tried, or a revision has no
            SQL to be known by.
    """
    run = seen.run
    reasons = [error.message for error in seen.problems.values()]
    reasons += [each.rehearsal.error.message for each in seen.groups if each.rehearsal.error]
    plans = {department: plan for department, plan in run.plans.items() if isinstance(plan, Plan)}
    online = dict.fromkeys(revision for plan in plans.values() for revision in plan.needs_connection)
    reasons += [
        f"revision {revision} reads from the database while it runs: its SQL is not known" for revision in online
    ]
    if reasons:
        raise PlanUnsealable(reasons)
    with connect(run.reach.conninfo) as connection:
        identity = database_identity(connection)
    return SealedPlan(
        datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        fedschema.__version__,
        describe(run.reach.conninfo),
        identity,
        run.release.destination,
        every,
        {department: SealedGroup(plan.start, plan.end, steps_of(plan)) for department, plan in plans.items()},
        {revision: way for each in seen.groups for revision, way in each.ways_back.items()},
    )


def prepare_sealed(  # noqa: PLR0913 - what a run is made of
    conninfo: str,
    compiler: Compiler,
    sealed: SealedPlan,
    release: Release,
    *,
    resume: bool = False,
    direct: str | None = None,
) -> Run:
    """Look whether everything is as it was when a plan was sealed, and return what runs it; nothing is changed.

    Args:
        conninfo: the database.
        compiler: the project as it is now.
        sealed: the plan.
        release: how hard it may press; where to is the plan's to say.
        resume: departments that are where the plan ends are done, and those between two of its legs go on from there.
        direct: the same database past a pooler; None where there is no pooler.

    Raises:
        PlanMoved: naming everything that is not as it was.
        ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead, NoRoom
    """
    with connect(conninfo) as connection:
        there = {
            position.entry.department: (position, heads) for position, heads in positions.read(connection, compiler, [])
        }
        steps_moved, plans = _compiled(compiler, sealed)
        moved = list(_elsewhere(connection, sealed))
        for department, group in sealed.departments.items():
            moved += _moved(department, there.get(department), group, plans.get(department), resume=resume)
        if sealed.every:
            new = [department for department in there if department not in sealed.departments]
            moved += [f"new since then: {named(new, 20)}"] if new else []
        if moved := [*moved, *steps_moved]:
            raise PlanMoved(moved)
        as_sealed = replace(release, destination=sealed.target, replans=False)
        known = {department: there[department][0] for department in sealed.departments}
        left = {department: plan.rest_from(there[department][1]) or plan for department, plan in plans.items()}
        return releases.run_of(connection, Reach(conninfo, direct), compiler, as_sealed, known, left)


def _elsewhere(connection: psycopg.Connection, sealed: SealedPlan) -> Iterator[str]:
    identity = database_identity(connection)
    if sealed.identity and identity and sealed.identity != identity:
        yield f"this is another database than {sealed.database}, for which it was planned"


def _moved(
    department: Department,
    found: tuple[Position, Heads] | None,
    group: SealedGroup,
    plan: Plan | None,
    *,
    resume: bool,
) -> list[str]:
    """Say how a department is not where it was; with `resume` it may be anywhere on the plan's way."""
    if found is None:
        return [f"department {department} is gone"]
    position, heads = found
    if position.problem:
        return [position.problem.message]
    rest = plan.rest_from(heads) if plan else None
    if heads == group.start or (resume and rest):
        return []
    way = ""
    if heads == group.end:
        way = " already, where the plan ends (--resume takes it as done)"
    elif rest:
        way = ", on the plan's way (--resume goes on from there)"
    return [f"department {department} was at {place(group.start)} and is at {place(heads)}{way}"]


def _compiled(compiler: Compiler, sealed: SealedPlan) -> tuple[list[str], dict[Department, Plan]]:
    """Compile everything anew from where it was, and say where that is not what was sealed."""
    moved: dict[str, None] = {}
    plans: dict[Department, Plan] = {}
    for department, group in sealed.departments.items():
        try:
            plans[department] = compiler.upgrade(department, group.start, sealed.target)
        except FedschemaError as error:
            moved[error.message] = None
        else:
            moved |= dict.fromkeys(_differences(plans[department], group))
    return list(moved), plans


def _differences(plan: Plan, group: SealedGroup) -> Iterator[str]:
    """Say what a plan does that the sealed one did not, and the other way round."""
    now, then = steps_of(plan), group.steps
    if [step.revision for step in now] != [step.revision for step in then] or plan.end != group.end:
        yield f"from {place(group.start)} the steps were {_names(then)} and are {_names(now)}"
        return
    for is_now, was in zip(now, then, strict=True):
        if is_now != was:
            yield f"revision {was.revision} is another: its SQL had {was.checksum} and has {is_now.checksum}"


def _names(steps: tuple[Step, ...]) -> str:
    return ", ".join(step.revision for step in steps) or "none"
