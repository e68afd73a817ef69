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


def effects_of_index(plan: Plan, revision: str | None) -> Effects | None:
    """Return what a revision does that makes or drops an index concurrently; None for any other.

    Its ordinary form is what was measured, and would keep writers out.
    """
    change = next((step.nontransactional for step in plan.steps if step.revision == revision), None)
    if not isinstance(change, IndexChange):
        return None
    locks = (Lock("SHARE UPDATE EXCLUSIVE", change.table),)
    return Effects(locks, (), (change.table,) if change.builds else ())


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
