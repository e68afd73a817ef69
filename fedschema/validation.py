"""Checks departments: `fedschema validate`, by the catalogue, and with the probe by trying."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fedschema import checks, drift, probe, registry
from fedschema.checks import CATALOGUE_CHECKS, LOCK_TIMEOUT, REMARKS, SCHEMA_CHECK, STATE_CHECKS, Check, Hole
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.differences import Difference
from fedschema.drift import Drift
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
        if chosen:
            holes += _drifted(drift.examine(conninfo, compiler, chosen), holes)
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
_WORD = re.compile(r"\w+")


def _drifted(found: Iterable[Drift], holes: Sequence[Hole]) -> list[Hole]:
    """Return what departments have otherwise than their revisions make it, where no other check says so already."""
    told = {(hole.target, word) for hole in holes for word in _WORD.findall(hole.object)}
    return [
        Hole(SCHEMA_CHECK.name, None, one.department.id, str(difference.thing), _said(difference), None)
        for one in found
        for difference in one.differences
        if difference.thing.kind not in _JUDGED_ELSEWHERE
        and not difference.part_of_missing
        and (one.department.id, _owner_of(difference)) not in told
    ]


def _owner_of(difference: Difference) -> str:
    """Return the table or the function that an object is, or belongs to."""
    name = difference.thing.name.rpartition(" on ")[2]
    return name.partition(".")[0].partition("(")[0]


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
