"""`fedschema validate`: whether the walls stand, by the catalogue, and with --probe by trying."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fedschema import validation
from fedschema.checks import Check, Hole
from fedschema.cli import output
from fedschema.cli.session import DepartmentIds, JsonOption, session_of
from fedschema.errors import OperationError, UsageError
from fedschema.probe import Sight
from fedschema.validation import Validation

#: A matrix of more departments than this is wider than a terminal; the pairs are listed instead.
_WIDEST_MATRIX = 12
#: How many objects of one hole are named; --verbose names them all.
_MOST_OBJECTS = 3


def validate(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    departments: DepartmentIds = None,
    *,
    probe: Annotated[
        bool, typer.Option("--probe", help="Also try, as the roles, to read, write and share across; nothing is left.")
    ] = False,
    sample: Annotated[
        int | None, typer.Option("--sample", min=2, help="With --probe: try so many departments, drawn by chance.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Also write the checks as JUnit's XML.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show each check, also those that hold.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check that departments are as they should be: all when none is named. Exits with 1 when one is not."""
    if sample is not None and not probe:
        raise UsageError("--sample is for --probe", "fedschema validate --probe --sample 10")
    session = session_of(context)
    found = validation.validate(session.conninfo, session.compiler, departments or [], by_trying=probe, sample=sample)
    if as_json:
        output.document(_as_json(found))
    else:
        _show(found, verbose=verbose, probe=probe)
    if junit is not None:
        from fedschema.cli.junit import write  # noqa: PLC0415 - XML takes long to import, and this alone has any

        write(junit, found)
    if not found.ok:
        raise typer.Exit(OperationError.exit_status)


def _as_json(found: Validation) -> dict[str, object]:
    return {
        "ok": found.ok,
        "departments": [
            {
                "department_id": department.id,
                "ok": not found.holes_of(department),
                "checks": _checks_as_json(found.checks, found.holes_of(department)),
            }
            for department in found.departments
        ],
        "platform": {
            "ok": not found.holes_of_platform(),
            "checks": _checks_as_json(found.checks, found.holes_of_platform()),
        },
        "matrix": [asdict(sight) for sight in found.sights],
        "pairs_tried": found.pairs,
        "remarks": [asdict(remark) for remark in found.remarks],
    }


def _checks_as_json(checks: tuple[Check, ...], holes: list[Hole]) -> list[dict[str, object]]:
    return [
        {
            "name": check.name,
            "ok": not (mine := [hole for hole in holes if hole.check == check.name]),
            "message": "; ".join(str(hole) for hole in mine) or check.reason,
            "details": [asdict(hole) for hole in mine],
        }
        for check in checks
    ]


def _show(found: Validation, *, verbose: bool, probe: bool) -> None:
    if verbose:
        rows = [
            (check.name, "FAILED" if any(hole.check == check.name for hole in found.holes) else "ok", check.reason)
            for check in found.checks
        ]
        output.table(("check", "state", "what has to hold"), rows)
        output.say()
    if probe:
        _show_matrix(found)
    for remark in found.remarks:
        output.say(output.printable(f"remark: {remark.object}: {remark.message}"))
        if remark.mend:
            output.say(output.printable(f"  to change it: {remark.mend}"))
    for name, holes in _by_check(found.holes).items():
        _show_failure(next(check for check in found.checks if check.name == name), holes, verbose=verbose)
    count = len(found.departments)
    plural = "" if count == 1 else "s"
    tried = f", {found.pairs} pairs tried, nothing left behind" if probe else ""
    outcome = "all walls stand" if found.ok else f"{len(found.holes)} hole{'' if len(found.holes) == 1 else 's'}"
    output.say(f"{count} department{plural}, {len(found.checks)} checks{tried}: {outcome}")


def _show_failure(check: Check, holes: list[Hole], *, verbose: bool) -> None:
    """Show the holes of one check, and what closes them: each hole's own statement where it has one."""
    output.say(f"FAILED {check.name}: {check.reason}")
    for line in _lines(holes, verbose=verbose):
        output.say(f"  {output.printable(line)}")
    mends = list(dict.fromkeys(hole.mend or check.mend for hole in holes))
    shown = mends if verbose else mends[:_MOST_OBJECTS]
    for mend in shown:
        output.say(f"  to mend it: {output.printable(mend)}")
    if len(shown) < len(mends):
        output.say(f"  and {len(mends) - len(shown)} more: --verbose shows them all")


def _by_check(holes: tuple[Hole, ...]) -> dict[str, list[Hole]]:
    grouped: dict[str, list[Hole]] = defaultdict(list)
    for hole in holes:
        grouped[hole.check].append(hole)
    return grouped


def _lines(holes: list[Hole], *, verbose: bool) -> list[str]:
    """Say holes in lines, those of one pair and one kind together: a role too many opens 25 tables at once."""
    if verbose:
        return [str(hole) for hole in holes]
    grouped: dict[tuple[str, str], list[str]] = defaultdict(list)
    for hole in holes:
        grouped[hole.pair, hole.message].append(hole.object)
    return [f"{pair}: {_some(objects)}: {message}" for (pair, message), objects in grouped.items()]


def _some(objects: list[str]) -> str:
    shown = ", ".join(objects[:_MOST_OBJECTS])
    return shown if len(objects) <= _MOST_OBJECTS else f"{shown} and {len(objects) - _MOST_OBJECTS} more"


def _show_matrix(found: Validation) -> None:
    """Show who may see whose data: sources down, targets across; then why."""
    seen: dict[tuple[str, str], list[Sight]] = defaultdict(list)
    for sight in found.sights:
        seen[sight.source, sight.target].append(sight)
    holes = {(hole.source, hole.target) for hole in found.holes if hole.check.startswith("probe_")}
    ids = [department.id for department in found.departments]
    if len(ids) <= _WIDEST_MATRIX:
        rows = [
            (source, *(_cell(seen.get((source, target), []), source, target, holes) for target in ids))
            for source in ids
        ]
        output.table(("may see of", *ids), rows, upper=False)
        output.say("own: its own rows; r read, s search, a aggregate: granted; -: nothing; !: reached without a grant")
        output.say()
    if found.sights:
        headings = ("source", "target", "may", "resource", "why")
        output.table(
            headings,
            [
                (sight.source, sight.target, sight.permission, sight.resource, output.printable(sight.why))
                for sight in found.sights
            ],
        )
    else:
        output.say("nothing is granted between them")
    output.say()


def _cell(sights: list[Sight], source: str, target: str, holes: set[tuple[str | None, str]]) -> str:
    if source == target:
        return "own"
    letters = "".join(sorted({sight.permission[0] for sight in sights}, key="rsa".index))
    return (letters or "-") + ("!" if (source, target) in holes else "")
