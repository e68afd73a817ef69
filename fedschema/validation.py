"""Checks departments: `fedschema validate`, by the catalogue, and with the probe by trying."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fedschema import checks, drift, probe, registry
from fedschema.checks import CATALOGUE_CHECKS, LOCK_TIMEOUT, NOT_TRIED, REMARKS, SCHEMA_CHECK, STATE_CHECKS, Check, Hole
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.differences import Difference, Fault
from fedschema.drift import Drift
from fedschema.errors import NotRehearsable, ReadOnlyServer
from fedschema.inspection import Thing
from fedschema.probe import PROBE_CHECKS, Sight


@dataclass(frozen=True, slots=True)
class Validation:
    """What `validate` found.

    Attributes:
        departments: those that were looked at.
        checks: what was looked for.
        holes: what does not hold; empty when all is well.
        sights: who may see what of whom, and why; empty without the probe.
        pairs: how many pairs of departments were tried; 0 without the probe.
        remarks: what is worth knowing and opens nothing by itself.
    """

    departments: tuple[Department, ...]
    checks: tuple[Check, ...]
    holes: tuple[Hole, ...]
    sights: tuple[Sight, ...] = ()
    pairs: int = 0
    remarks: tuple[Hole, ...] = ()

    @property
    def ok(self) -> bool:
        """Everything holds."""
        return not self.holes

    def holes_of(self, department: Department) -> list[Hole]:
        """Return what concerns a department."""
        return [hole for hole in self.holes if hole.concerns(department)]

    def holes_of_platform(self) -> list[Hole]:
        """Return what opens every department, or none of those that were looked at."""
        return [
            hole
            for hole in self.holes
            if hole.target == checks.EVERYBODY or not any(hole.concerns(one) for one in self.departments)
        ]


def validate(
    conninfo: str,
    compiler: Compiler,
    departments: Sequence[Department],
    *,
    by_trying: bool = False,
    sample: int | None = None,
) -> Validation:
    """Check departments; nothing is changed, and what is tried is undone.

    Args:
        conninfo: the database.
        compiler: the project.
        departments: which ones; all when none is named.
        by_trying: also set each one's role and try to read, to write and to share across.
        sample: try only so many of them, drawn by chance.

    Raises:
        UnknownDepartment
    """
    with connect(conninfo) as connection:
        with owner_transaction(connection, "validating"):
            connection.execute(LOCK_TIMEOUT)
            registry.require_control_plane(connection, compiler.blueprint.control_plane)
            entries = registry.entries(connection)
            everybody = [entry.department for entry in registry.select(entries, [])]
            chosen = [entry.department for entry in registry.select(entries, departments)]
            asked = CATALOGUE_CHECKS + STATE_CHECKS
            holes = _concerning(chosen, checks.run(connection, compiler.templates, everybody, asked))
            remarks = checks.run(connection, compiler.templates, everybody, REMARKS)
        compared = drift.examine_over(connection, conninfo, compiler, chosen) if chosen else []
        holes += [*_drifted(compared, holes), *_not_compared(compared, holes, no_fault=False)]
        remarks += _not_compared(compared, holes, no_fault=True)
        if not by_trying:
            return Validation(tuple(chosen), BY_LOOKING, tuple(holes), remarks=tuple(remarks))
        tried = _draw(chosen, sample)
        result = probe.run(connection, compiler.templates, tried, everybody if sample is None else tried)
        return Validation(
            tuple(tried),
            BY_LOOKING + PROBE_CHECKS,
            (*holes, *result.holes),
            tuple(result.sights),
            result.pairs,
            (*remarks, *result.remarks),
        )


#: What is seen without trying.
BY_LOOKING = (*CATALOGUE_CHECKS, *STATE_CHECKS, SCHEMA_CHECK)
#: What other checks judge, with more to say about it.
_JUDGED_ELSEWHERE = ("policy", "privilege", "default privilege", "schema", "view", "rule")
#: What goes with a table's walls, and is told by them first.
_WITH_WALLS = ("constraint", "trigger")
#: Why departments cannot be compared where nothing is wrong with them.
_NO_FAULT = (NotRehearsable, ReadOnlyServer)


def _drifted(found: Iterable[Drift], holes: Sequence[Hole]) -> list[Hole]:
    """Return what departments have otherwise than their revisions make it, where no other check says so already."""
    told = [(hole.target, hole.object) for hole in holes]
    return [
        Hole(SCHEMA_CHECK.name, None, one.department.id, str(difference.thing), _said(difference), None)
        for one in found
        for difference in one.differences
        if difference.matters
        and not difference.part_of_missing
        and not _is_judged_elsewhere(difference)
        and not any(target == one.department.id and _says(what, difference.thing) for target, what in told)
    ]


def _is_judged_elsewhere(difference: Difference) -> bool:
    """Tell whether it is about who may do what."""
    privileges_alone = difference.fault is Fault.CHANGED and set(difference.changes) == {"privileges"}
    return difference.thing.kind in _JUDGED_ELSEWHERE or privileges_alone


def _says(told: str, thing: Thing) -> bool:
    """Tell whether another check's hole is in the object itself, or in the walls that it is a part of."""
    if thing.kind in _WITH_WALLS:
        return told.endswith(f"table {thing.parts.get('table')}")
    return told == f"{thing.kind} {thing.parts.get('own')}"


def _not_compared(found: Iterable[Drift], holes: Sequence[Hole], *, no_fault: bool) -> list[Hole]:
    """Return the departments that could not be compared: for a reason of theirs, or of the project's or the server's.

    That a department's position is not known other checks say, and who holds a table of it.
    """
    held = {hole.target for hole in holes if hole.message.startswith(NOT_TRIED)}
    return [
        Hole(
            SCHEMA_CHECK.name,
            None,
            one.department.id,
            f"schema {one.department.schema}",
            f"not compared: {one.problem.message}",
        )
        for one in found
        if one.problem
        and not one.position.problem
        and isinstance(one.problem, _NO_FAULT) is no_fault
        and one.department.id not in held
    ]


def _said(difference: Difference) -> str:
    """Say what is wrong with an object, without naming it again."""
    return str(difference).removeprefix(str(difference.thing)).lstrip(": ")


def _draw(departments: list[Department], sample: int | None) -> list[Department]:
    if sample is None or sample >= len(departments):
        return departments
    return sorted(random.SystemRandom().sample(departments, sample))


def _concerning(chosen: Iterable[Department], holes: Iterable[Hole]) -> list[Hole]:
    """Keep what concerns one that was named, or the platform as a whole."""
    named = list(chosen)
    return [hole for hole in holes if hole.target == checks.EVERYBODY or any(hole.concerns(one) for one in named)]
