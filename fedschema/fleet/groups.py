"""Departments that have the same before them: what is looked at once for all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fedschema.department import Department
from fedschema.errors import FedschemaError
from fedschema.plans import Direction, Plan, PlanStep


@dataclass(frozen=True, slots=True)
class Step:
    """A step as it can be told from another: by the fingerprint of its SQL."""

    revision: str
    direction: Direction
    checksum: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """Departments with the same plan.

    Attributes:
        plan: the plan.
        departments: in the order in which they were asked for; there is at least one.
    """

    plan: Plan
    departments: tuple[Department, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """What lies before them."""
        return steps_of(self.plan)


def steps_of(plan: Plan) -> tuple[Step, ...]:
    """Return the steps of a plan, without their SQL."""
    return tuple(Step(step.revision, step.direction, _checksum(step)) for step in plan.steps)


def _checksum(step: PlanStep) -> str | None:
    """Return what a step is known by: its SQL, and what is done instead of it outside the transaction."""
    if step.nontransactional is None or step.checksum is None:
        return step.checksum
    whole = f"{step.checksum} {step.nontransactional.told}"
    return f"sha256:{hashlib.sha256(whole.encode()).hexdigest()}"


def group(plans: Mapping[Department, Plan | FedschemaError]) -> list[Group]:
    """Put departments together that begin at the same place and have the same steps.

    Departments that have no plan are in none of the groups. The largest group comes first; one with nothing to do last.
    """
    members: dict[object, list[Department]] = {}
    first: dict[object, Plan] = {}
    for department, plan in plans.items():
        if isinstance(plan, Plan):
            key = (plan.start, plan.end, steps_of(plan), plan.collateral)
            first.setdefault(key, plan)
            members.setdefault(key, []).append(department)
    groups = [Group(first[key], tuple(departments)) for key, departments in members.items()]
    return sorted(groups, key=lambda each: (not each.plan.steps, -len(each.departments)))


def those_without(plans: Mapping[Department, Plan | FedschemaError]) -> dict[Department, FedschemaError]:
    """Return the departments that have no plan, and why."""
    return {department: plan for department, plan in plans.items() if isinstance(plan, FedschemaError)}


def named(departments: Iterable[Department], at_most: int = 5) -> str:
    """Name the first few of some departments, and say how many more there are."""
    ids = [department.id for department in departments]
    more = f", … ({len(ids) - at_most} more)" if len(ids) > at_most else ""
    return ", ".join(ids[:at_most]) + more
