"""A plan as it looks to whoever looks at it before it runs: what is done outside the transaction has another face."""

from __future__ import annotations

from dataclasses import replace

from fedschema.department import Department
from fedschema.fleet.measures import Effects, Lock
from fedschema.nontransactional import IndexChange
from fedschema.plans import Plan, PlanStep


def as_sent(plan: Plan) -> Plan:
    """Return a plan whose SQL is what is sent, for a reader: an index that is built concurrently says so."""
    return replace(plan, steps=tuple(_as_sent(step) for step in plan.steps))


def _as_sent(step: PlanStep) -> PlanStep:
    apart = step.nontransactional
    return replace(step, sql=f"{apart.sql};\n") if isinstance(apart, IndexChange) else step


def without_builds(plan: Plan) -> Plan:
    """Return a plan without indexes that are built concurrently, whose ordinary form would keep writers out."""
    return replace(
        plan,
        steps=tuple(
            replace(step, sql="") if isinstance(step.nontransactional, IndexChange) else step for step in plan.steps
        ),
    )


def effects_apart(plan: Plan, department: Department, revision: str | None) -> Effects | None:
    """Return what a statement does that is done outside the transaction; None for any other."""
    legs = {leg.steps[0].revision: leg for leg in plan.legs}
    apart = legs[revision].nontransactional(department) if revision in legs else None
    if apart is None:
        return None
    if isinstance(apart, IndexChange):
        return Effects((Lock("SHARE UPDATE EXCLUSIVE", apart.table),), (), (apart.table,) if apart.builds else ())
    return Effects((Lock("ROW EXCLUSIVE", apart.table),), (), (apart.table,))


def notes(plan: Plan, department: Department) -> list[str]:
    """Say of each step that is done outside the transaction what is done there."""
    told = []
    for leg in plan.legs:
        apart = leg.nontransactional(department)
        if apart is None:
            continue
        if isinstance(apart, IndexChange):
            what = f"index {apart.index} is {'made' if apart.builds else 'dropped'} concurrently"
        else:
            what = f"rows of {apart.table} are changed, about {apart.batch_rows} in a transaction"
        revision = leg.steps[0].revision
        told.append(f"revision {revision} is done outside the transaction where the table holds rows: {what}")
    return told
