"""`fedschema drift`: whether departments are what their revisions give, and making them so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from fedschema import drift as drifting
from fedschema.cli import journal, output
from fedschema.cli.releases import revision_text
from fedschema.cli.session import DepartmentIds, JsonOption, Session, session_of
from fedschema.department import Department
from fedschema.differences import Difference
from fedschema.drift import Drift
from fedschema.errors import FedschemaError, OperationError
from fedschema.repairs import Answer

#: How many departments are named in one line.
_MOST_NAMES = 5


def drift(
    context: typer.Context,
    ids: DepartmentIds = None,
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Run the repairs by which no row can be lost, after showing them.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare departments with what their own revisions give. Exits with 1 when something differs."""
    session = session_of(context)
    found = drifting.examine(session.conninfo, session.compiler, ids or [])
    if not as_json:
        _show(found)
    for one in found:
        outcome = "failed" if one.problem else "differs" if one.differences else "unchanged"
        journal.record_department(one.department, outcome, None, one.problem, differences=len(one.differences))
    failures: dict[Department, FedschemaError] = {}
    if repair:
        found = [_repaired(session, one, failures, as_json=as_json) for one in found]
    if as_json:
        output.document(_as_json(found, failures))
    if not all(one.ok for one in found):
        raise typer.Exit(OperationError.exit_status)


def _repaired(session: Session, before: Drift, failures: dict[Department, FedschemaError], *, as_json: bool) -> Drift:
    """Repair one department, and say how it went; one that cannot be repaired keeps no other from it."""
    if not any(one.answer.safe and one.answer.statements for one in before.repairs):
        return before
    try:
        after = drifting.repair(session.conninfo, session.compiler, before)
    except FedschemaError as error:
        failures[before.department] = error
        if not as_json:
            output.failure(error.code, error.message, error.hint, department=before.department.id)
        return before
    if not as_json:
        left = (
            f"{len(after.differences)} left, to be decided by you" if after.differences else "nothing differs any more"
        )
        output.say(f"{before.department}: repaired; {left}")
    return after


def _show(found: Sequence[Drift]) -> None:
    """Show what differs, departments that differ alike together, then how many are alike."""
    groups: dict[tuple[str, ...], list[Drift]] = defaultdict(list)
    for one in found:
        if one.problem:
            if not journal.wanted():  # it is there with the others
                output.failure(one.problem.code, one.problem.message, one.problem.hint)
        elif one.differences:
            groups[_kind_of(one)].append(one)
    for alike in groups.values():
        _show_group(alike)
    for place, alike in _alike(found).items():
        names = f" ({alike[0].department})" if len(alike) == 1 else ""
        output.say(f"{len(alike)} identical at {place}{names}")
    if unlike := sum(not one.ok for one in found):
        output.say(f"{unlike} differ{'s' if unlike == 1 else ''}")


def _kind_of(one: Drift) -> tuple[str, ...]:
    """Say what differs as it would be said of any department: without its own names."""
    schema, role = one.department.schema, one.department.role
    return tuple(str(difference).replace(schema, "").replace(role, "") for difference in one.differences)


def _alike(found: Sequence[Drift]) -> Mapping[str, list[Drift]]:
    groups: dict[str, list[Drift]] = defaultdict(list)
    for one in found:
        if one.ok:
            groups[revision_text(one.position)].append(one)
    return groups


def _show_group(alike: Sequence[Drift]) -> None:
    first = alike[0]
    names = ", ".join(one.department.id for one in alike[:_MOST_NAMES])
    more = f" and {len(alike) - _MOST_NAMES} more" if len(alike) > _MOST_NAMES else ""
    for one in first.repairs:
        if not one.difference.part_of_missing:
            output.say(output.printable(f"{names}{more}: {one.difference}"))
        for line in mend_lines(one.answer):
            output.say(f"  {output.printable(line)}")


def mend_lines(answer: Answer) -> list[str]:
    """Say what can be done about a difference, a line each."""
    label = "to repair it" if answer.safe else "by hand"
    reason = [f"not repaired: {answer.reason}"] if not answer.safe else []
    statements = [f"{label}: {' '.join(statement.split())};" for statement in answer.statements]
    last = [f"and then, after all others: {statement};" for statement in answer.last]
    return [*reason, *statements, *last]


def _as_json(found: Sequence[Drift], failures: Mapping[Department, FedschemaError]) -> dict[str, Any]:
    return {
        "ok": all(one.ok for one in found),
        "departments": [
            {
                "department_id": one.department.id,
                "ok": one.ok,
                "revision": one.position.revision,
                "branch_revision": one.position.branch_revision,
                "fingerprint": one.fingerprint,
                "differences": [difference_json(repair.difference, repair.answer) for repair in one.repairs],
                "error": output.error_document(failures.get(one.department) or one.problem),
            }
            for one in found
        ],
    }


def difference_json(difference: Difference, answer: Answer) -> dict[str, Any]:
    """Return a difference as JSON has it, with what mends it."""
    return {
        "kind": difference.thing.kind,
        "object": difference.thing.name,
        "fault": difference.fault.value,
        "message": str(difference),
        "wanted": difference.wanted,
        "found": difference.found,
        "repair": list(answer.statements),
        "repair_last": list(answer.last),
        "safe": answer.safe,
        "reason": answer.reason,
    }
