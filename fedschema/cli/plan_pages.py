"""Shows what a release would do: tables by group for people, one document for machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fedschema.cli import output
from fedschema.cli.progress import note_undone
from fedschema.downgrades import Verdict as Back
from fedschema.downgrades import WayBack, way_json
from fedschema.fleet import groups
from fedschema.fleet.findings import Rehearsal, Statement
from fedschema.fleet.groups import Group
from fedschema.fleet.measures import Lock
from fedschema.fleet.rows import Offenders
from fedschema.fleet.run import Run
from fedschema.linting import Lint
from fedschema.previews import GroupPreview, LiveRehearsal, Preview, Verdict
from fedschema.versions import place

_WIDTH = 80
#: Said after a rehearsal.
ROLLED_BACK = "everything was rolled back"
_NO_DEPARTMENTS = "there are no departments yet; add one with: fedschema tenant add legal"


# --------------------------------------------------------------------------------------------------------- for people


def show_preview(seen: Preview, sealed: str | None) -> None:
    """Show what would be done, group by group, and what stands in the way."""
    for number, each in enumerate(seen.groups, 1):
        if number > 1:
            output.say()
        _show_group(number, each)
    if seen.groups and (seen.unchanged or sealed):
        output.say()
    if seen.unchanged:
        output.say(f"nothing to do for {_counted(len(seen.unchanged))}: {groups.named(seen.unchanged)}")
    for error in seen.problems.values():
        output.failure(error.code, error.message, error.hint)
    if not seen.run.departments:
        output.note(_NO_DEPARTMENTS)
    if sealed:
        output.say(f"sealed in {sealed}; to do this and nothing else: fedschema upgrade --apply {sealed}")


def _show_group(number: int, each: GroupPreview) -> None:
    group = each.group
    output.say(f"group {number}, {_counted(len(group.departments))}: {groups.named(group.departments)}")
    output.say(_way(group))
    output.say()
    _statements_table(each.rehearsal, "seconds", [_seconds(one.duration_seconds) for one in each.rehearsal.statements])
    if each.ways_back or each.rehearsal.drops or each.lints or each.outside:
        output.say()
    for line in ways_back(each.ways_back):
        output.say(line)
    if each.rehearsal.drops:
        output.say(f"drops {', '.join(each.rehearsal.drops)}; where that holds rows it is refused without --yes")
    for lint in each.lints or ():
        _show_lint(each.rehearsal, lint)
    for text in each.outside:
        output.say(text)
    for text in each.notes:
        output.warning(text)
    if each.rehearsal.error:
        output.failure(each.rehearsal.error.code, each.rehearsal.error.message, each.rehearsal.error.hint)


def ways_back(ways: Mapping[str, WayBack]) -> list[str]:
    """Say of each revision what going back over it is, those that are exact in one line."""
    exact = [revision for revision, way in ways.items() if way.verdict is Back.EXACT]
    told = [f"way back over {', '.join(exact)}: exact"] if exact else []
    return told + [f"way back over {name}: {way}" for name, way in ways.items() if way.verdict is not Back.EXACT]


def _statements_table(rehearsal: Rehearsal, heading: str, last: Sequence[str]) -> None:
    """Show the revisions' own statements; what keeps the books is in the JSON document alone."""
    rows = [
        (one.revision or "-", _cut(one.headline), _lock(one), _effect(one), cell)
        for one, cell in zip(rehearsal.statements, last, strict=True)
        if not one.is_bookkeeping
    ]
    headings = ("revision", "statement", "strongest new lock", "whole tables", heading)
    first = 1 if len({row[0] for row in rows}) == 1 else 0  # a single revision tells nothing new
    output.table(headings[first:], [row[first:] for row in rows])
    for leg in rehearsal.legs:
        if disturbing := [str(lock) for lock in rehearsal.held(leg) if lock.disturbs]:
            until = "to the end" if len(rehearsal.legs) == 1 else f"until {rehearsal.end_of(leg)} is committed"
            output.say(f"held {until}: {', '.join(disturbing)}")


def _show_lint(rehearsal: Rehearsal, lint: Lint) -> None:
    statement = rehearsal.statements[lint.statement]
    output.say(f"squawk: {lint.rule}: {_cut(statement.headline)}")
    output.say(f"  {output.printable(lint.message)}{f' {output.printable(lint.mend)}' if lint.mend else ''}")


def show_verdict(run: Run, result: LiveRehearsal) -> None:
    """Show, as it comes, what would become of one department."""
    plan = run.plans[result.department]
    rehearsal = result.rehearsal
    if result.error is not None:
        output.failure(result.error.code, result.error.message, result.error.hint)
        if rehearsal and rehearsal.offenders:
            output.note(f"in the way: {output.printable(str(rehearsal.offenders))}")
    elif result.verdict is Verdict.UNCHANGED:
        output.say(f"{result.department}: nothing to do")
    elif result.verdict is Verdict.SKIPPED:
        output.say(f"{result.department}: skipped")
    elif rehearsal and not isinstance(plan, Exception):
        way = f"{place(plan.start)} -> {place(plan.end)}"
        so_far = f"; not tried from {rehearsal.untried_from} on" if rehearsal.untried_from else ""
        output.say(f"{result.department}: would go {way} ({rehearsal.duration_seconds or 0:.2f} s){so_far}")


def show_live(run: Run, results: Sequence[LiveRehearsal]) -> None:
    """Show, after all departments, what each statement did in each group, and sum up."""
    by_department = {result.department: result for result in results}
    for group in groups.group(run.plans):
        found = [by_department[department].rehearsal for department in group.departments]
        tried = [rehearsal for rehearsal in found if rehearsal and rehearsal.tried]
        _show_longest(group, tried)
        for text in dict.fromkeys(text for rehearsal in tried for text in rehearsal.notes):
            output.warning(f"{text} ({groups.named(each.department for each in tried if text in each.notes)})")
    undone = [result for result in results if result.verdict not in {Verdict.SOUND, Verdict.UNCHANGED}]
    if not results:
        output.note(_NO_DEPARTMENTS)
    if undone and len(results) > 1:
        note_undone([(result.department, result.verdict) for result in undone], len(results), "would be")
    output.note(ROLLED_BACK)


def _show_longest(group: Group, rehearsals: Sequence[Rehearsal]) -> None:
    """Show the statements of a group by the department that got farthest, with the longest time that each took."""
    if not rehearsals:
        return
    fullest = max(rehearsals, key=lambda one: sum(statement.effects is not None for statement in one.statements))
    longest = []
    for number, _ in enumerate(fullest.statements):
        times = [(each.statements[number].duration_seconds or -1.0, each.department) for each in rehearsals]
        seconds, department = max(times)
        longest.append(f"{seconds:.3f} ({department})" if seconds >= 0 else "-")
    output.say()
    output.say(f"{_counted(len(group.departments))}: {groups.named(group.departments)}")
    output.say(_way(group))
    output.say()
    _statements_table(fullest, "longest", longest)
    if fullest.drops:
        output.say(f"drops {', '.join(fullest.drops)}")


def _lock(one: Statement) -> str:
    if one.effects is None:
        return "FAILS" if one.failed else "not tried"
    if one.effects.locks is None:
        return "unknown"
    more = len({lock.relation for lock in one.effects.locks}) - 1
    return f"{one.effects.strongest or 'none'}{f' (+{more})' if more > 0 else ''}"


def _effect(one: Statement) -> str:
    if one.effects is None:
        return ""
    read = [table for table in one.effects.reads or () if table not in one.effects.rewrites]
    told = [f"rewrites {', '.join(one.effects.rewrites)}"] if one.effects.rewrites else []
    told += [f"reads {', '.join(read)}"] if read else []
    told += ["reads: not counted"] if one.effects.reads is None else []
    return "; ".join(told)


def _cut(headline: str) -> str:
    shown = output.printable(headline)
    return shown if len(shown) <= _WIDTH else shown[: _WIDTH - 1] + "…"


def _seconds(duration: float | None) -> str:
    return "-" if duration is None else f"{duration:.3f}"


def _counted(departments: int) -> str:
    return f"{departments} department{'' if departments == 1 else 's'}"


def _way(group: Group) -> str:
    """Say from where to where departments go, and by how many revisions where these are several."""
    several = len(group.steps) > 1
    steps = f", {len(group.steps)} revisions" if several else ""
    return f"{group.steps[0].direction} {place(group.plan.start)} -> {place(group.plan.end)}{steps}"


# ------------------------------------------------------------------------------------------------------- for machines


def preview_json(seen: Preview, sealed: str | None) -> dict[str, Any]:
    """Return everything that is known of a release, as JSON has it."""
    return {
        "direction": seen.run.release.direction.value,
        "target": seen.run.release.destination,
        "server_version": seen.server_version,
        "groups": [_group_json(number, each) for number, each in enumerate(seen.groups, 1)],
        "unchanged": [department.id for department in seen.unchanged],
        "problems": [
            {"department_id": department.id, "error": output.error_document(error)}
            for department, error in seen.problems.items()
        ],
        "sealed": sealed,
    }


def _group_json(number: int, each: GroupPreview) -> dict[str, Any]:
    group, rehearsal = each.group, each.rehearsal
    return {
        "group": number,
        "departments": [department.id for department in group.departments],
        "start": list(group.plan.start),
        "end": list(group.plan.end),
        "revisions": [
            {
                "revision": step.revision,
                "direction": step.direction,
                "checksum": step.checksum,
                **way_json(each.ways_back[step.revision]),
            }
            for step in group.steps
        ],
        "statements": _statements_json(rehearsal.statements),
        "held": _held_json(rehearsal),
        "drops": list(rehearsal.drops),
        "duration_seconds": _rounded(rehearsal.duration_seconds),
        "lints": None if each.lints is None else [_lint_json(lint) for lint in each.lints],
        "notes": [*each.outside, *each.notes],
        "error": output.error_document(rehearsal.error),
    }


def _statements_json(statements: Iterable[Statement]) -> list[dict[str, Any]]:
    return [
        {
            "revision": one.revision,
            "leg": one.leg,
            "statement": one.sql,
            "bookkeeping": one.is_bookkeeping,
            "tried": one.effects is not None,
            "locks": _locks_json(one.effects.locks) if one.effects and one.effects.locks is not None else None,
            "rewrites": list(one.effects.rewrites) if one.effects else None,
            "reads": list(one.effects.reads) if one.effects and one.effects.reads is not None else None,
            "duration_seconds": _rounded(one.duration_seconds),
        }
        for one in statements
    ]


def _locks_json(locks: Iterable[Lock]) -> list[dict[str, str]]:
    return [{"mode": lock.mode, "relation": lock.relation} for lock in locks]


def _held_json(rehearsal: Rehearsal) -> list[dict[str, Any]]:
    return [{"leg": leg, **each} for leg in rehearsal.legs for each in _locks_json(rehearsal.held(leg))]


def _lint_json(lint: Lint) -> dict[str, Any]:
    return {
        "rule": lint.rule,
        "level": lint.level,
        "message": lint.message,
        "mend": lint.mend,
        "statement": lint.statement,
    }


def live_json(run: Run, results: Sequence[LiveRehearsal]) -> dict[str, Any]:
    """Return what would become of each department, in the order in which they were asked for."""
    order = {department: number for number, department in enumerate(run.departments)}
    return {
        "direction": run.release.direction.value,
        "target": run.release.destination,
        "results": [_result_json(result) for result in sorted(results, key=lambda result: order[result.department])],
    }


def _result_json(result: LiveRehearsal) -> dict[str, Any]:
    rehearsal = result.rehearsal
    return {
        "department_id": result.department.id,
        "status": result.verdict.value,
        "statements": _statements_json(rehearsal.statements) if rehearsal else [],
        "held": _held_json(rehearsal) if rehearsal else [],
        "drops": list(rehearsal.drops) if rehearsal else [],
        "duration_seconds": _rounded(rehearsal.duration_seconds) if rehearsal else None,
        "notes": list(rehearsal.notes) if rehearsal else [],
        "rows": _rows_json(rehearsal.offenders) if rehearsal and rehearsal.offenders else None,
        "error": output.error_document(result.error),
    }


def _rows_json(offenders: Offenders) -> dict[str, Any]:
    return {
        "table": offenders.table,
        "count": offenders.count,
        "primary_key": list(offenders.key),
        "keys": [list(values) for values in offenders.keys],
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
