"""`fedschema upgrade`, `downgrade` and `status`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from fedschema import releases
from fedschema.cli import journal, output
from fedschema.cli.confirmation import ask_for_id
from fedschema.cli.foresight import (
    ApplyOption,
    Foresight,
    OutOption,
    PlanOption,
    RehearseOption,
    ResumeOption,
    check_apply,
    live_pace,
    sealed_run,
)
from fedschema.cli.interrupts import halting
from fedschema.cli.pace import (
    DEFAULT_LOCK_TIMEOUT,
    BudgetOption,
    CanaryOption,
    JobsOption,
    LockHoldOption,
    LockTimeoutOption,
    OnErrorOption,
    RetriesOption,
    StatementTimeoutOption,
)
from fedschema.cli.progress import bar_for, note_undone
from fedschema.cli.session import DepartmentIds, JsonOption, Session, YesOption, session_of
from fedschema.department import Department
from fedschema.errors import NeedsConfirmation, UsageError
from fedschema.fleet.pace import Pace
from fedschema.fleet.run import Run
from fedschema.releases import Direction, OnError, Outcome, Position, Release, Result
from fedschema.workers import Halt

BEHIND = 3
DEFAULT_PACE = Pace()


def upgrade(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    ids: DepartmentIds = None,
    *,
    to: Annotated[str, typer.Option(metavar="REVISION", help="head, +1, or a revision.")] = "head",
    on_error: OnErrorOption = OnError.STOP,
    max_failures: BudgetOption = None,
    jobs: JobsOption = None,
    canary: CanaryOption = 0,
    lock_timeout: LockTimeoutOption = DEFAULT_LOCK_TIMEOUT,  # type: ignore[assignment] # typer parses it
    statement_timeout: StatementTimeoutOption = None,
    max_lock_hold: LockHoldOption = None,
    retries: RetriesOption = DEFAULT_PACE.retries,
    plan: PlanOption = False,
    out: OutOption = None,
    apply: ApplyOption = None,
    resume: ResumeOption = False,
    rehearse: RehearseOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring departments up: all of them, or those that are named; or see first what that would do."""
    check_apply(context, ids or (), apply, resume=resume)
    foresight = Foresight(plan, out, rehearse)
    foresight.check()
    release = Release(
        Direction.UPGRADE,
        to,
        all_confirmed=yes,
        on_error=on_error,
        budget=max_failures,
        canaries=canary,
        jobs=jobs,
        pace=Pace(lock_timeout, statement_timeout, max_lock_hold, retries),
    )
    session = session_of(context)
    if foresight.wanted:
        foresight.run(session, ids or (), live_pace(context, release, rehearse), as_json=as_json)
    elif apply:
        _migrate(sealed_run(session, apply, release, resume=resume), as_json=as_json)
    else:
        _migrate(_prepared(session, ids or (), release), as_json=as_json)


def downgrade(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    ids: DepartmentIds = None,
    *,
    to: Annotated[str, typer.Option(metavar="REVISION", help="-1, base, or a revision.")],
    every: Annotated[bool, typer.Option("--all", help="Every department.")] = False,
    on_error: OnErrorOption = OnError.STOP,
    max_failures: BudgetOption = None,
    jobs: JobsOption = None,
    canary: CanaryOption = 0,
    lock_timeout: LockTimeoutOption = DEFAULT_LOCK_TIMEOUT,  # type: ignore[assignment] # typer parses it
    statement_timeout: StatementTimeoutOption = None,
    max_lock_hold: LockHoldOption = None,
    retries: RetriesOption = DEFAULT_PACE.retries,
    plan: PlanOption = False,
    rehearse: RehearseOption = None,
    lossy: Annotated[
        list[str] | None,
        typer.Option("--lossy", metavar="REVISION", help="It may be gone back over, and what it loses may go."),
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take departments back; what holds rows goes only when that is confirmed."""
    foresight = Foresight(plan, None, rehearse)
    foresight.check()
    if bool(ids) == every:
        raise UsageError("name the departments, or --all for every one", "fedschema downgrade hr --to -1")
    release = Release(
        Direction.DOWNGRADE,
        to,
        all_confirmed=yes,
        lossy=frozenset(lossy or ()),
        on_error=on_error,
        budget=max_failures,
        canaries=canary,
        jobs=jobs,
        pace=Pace(lock_timeout, statement_timeout, max_lock_hold, retries),
    )
    session = session_of(context)
    if foresight.wanted:
        foresight.run(session, ids or (), live_pace(context, release, rehearse), as_json=as_json)
        return
    run = _prepared(session, ids or (), release)
    if len(ids or ()) != 1 and (unknown := run.going_back.unknown):
        output.warning(
            f"what going back over {', '.join(unknown)} loses is not on record; "
            "to find out: fedschema revision check --record"
        )
    _migrate(run, as_json=as_json)


def _prepared(session: Session, ids: Sequence[Department], release: Release) -> Run:
    return releases.prepare(session.conninfo, session.compiler, ids, release, direct=session.direct)


def _migrate(run: Run, *, as_json: bool) -> None:
    """Run a release; a department that would lose something is asked about, and left alone when nobody answers."""
    ask = _ask if sys.stdin.isatty() and not as_json else None
    results: list[Result] = []
    with halting(Halt()) as halt, bar_for(0 if as_json else len(run.departments)) as bar:
        for result in run.results(ask, halt):
            results.append(result)
            places = {"revision_from": revision_text(result.before), "revision": revision_text(result.after)}
            journal.record_department(
                result.department, result.outcome, result.duration_seconds, result.error, **places
            )
            if bar is not None:
                bar.advance(failed=result.outcome is Outcome.FAILED)
            elif not as_json:
                _show(result)
    if as_json:
        order = {department: number for number, department in enumerate(run.departments)}
        results.sort(key=lambda result: order[result.department])
        output.document({"target": run.release.destination, "results": [_as_json(result) for result in results]})
    elif bar is not None:
        _show_what_needs_attention(results)
    _finish(results, as_json=as_json)


def _show_what_needs_attention(results: Sequence[Result]) -> None:
    rows = [
        (result.department.id, result.outcome.value, output.printable(result.error.message if result.error else None))
        for result in results
        if result.outcome in {Outcome.FAILED, Outcome.SKIPPED}
    ]
    if rows:
        output.table(("department", "", "why"), rows)
    else:
        changed = sum(result.outcome is not Outcome.UNCHANGED for result in results)
        output.say(f"{len(results)} departments: {changed} changed, {len(results) - changed} were there already")


def _ask(department: Department, error: NeedsConfirmation) -> bool:
    """Ask whether what a department would lose may go."""
    output.note(f"{department}: this would lose {', '.join(error.losses)}")
    return ask_for_id(department, "lose that")


def _show(result: Result) -> None:
    before = revision_text(result.before)
    after = revision_text(result.after)
    match result.outcome:
        case Outcome.FAILED:
            assert result.error is not None  # noqa: S101 - a failure has a reason
            if not journal.wanted():  # there it is on record with all that is known of the department
                output.failure(result.error.code, result.error.message, result.error.hint)
        case Outcome.UNCHANGED:
            output.say(f"{result.department}: unchanged, at {after}")
        case Outcome.SKIPPED:
            reason = f": {result.error.message}" if result.error else ""
            output.say(f"{result.department}: skipped, still at {after}{reason}")
        case _:
            output.say(f"{result.department}: {result.outcome} {before} -> {after} ({result.duration_seconds:.2f} s)")


def _finish(results: Sequence[Result], *, as_json: bool) -> None:
    """Sum up, and end with 1 when a department failed or was skipped."""
    undone = [result for result in results if result.outcome in {Outcome.FAILED, Outcome.SKIPPED}]
    if not results and not as_json:
        output.note("there are no departments yet; add one with: fedschema tenant add legal")
    if undone and len(results) > 1 and not as_json:
        note_undone([(result.department, result.outcome) for result in undone], len(results))
    if undone:
        raise typer.Exit(1)


def revision_text(position: Position | None) -> str:
    """Say where a department is, its own branch included."""
    if position is None:
        return "?"
    branch = f" + {position.branch_revision}" if position.branch_revision else ""
    return (position.revision or "base") + branch


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "department_id": result.department.id,
        "status": result.outcome.value,
        "from": result.before.revision if result.before else None,
        "to": result.after.revision if result.after else None,
        "branch_from": result.before.branch_revision if result.before else None,
        "branch_to": result.after.branch_revision if result.after else None,
        "duration_seconds": round(result.duration_seconds, 3),
        "error": output.error_document(result.error),
    }


def status(
    context: typer.Context,
    ids: DepartmentIds = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="End with 3 when a department is not at head.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show where departments are."""
    session = session_of(context)
    positions = releases.status(session.conninfo, session.compiler, ids or [])
    if as_json:
        output.document([department_json(position) for position in positions])
    elif positions:
        rows = [(p.entry.department_id, p.entry.status, revision_text(p), _state(p)) for p in positions]
        output.table(("department", "status", "revision", ""), rows)
    else:
        output.note("there are no departments yet; add one with: fedschema tenant add legal")
    if check and not all(position.at_head for position in positions):
        raise typer.Exit(BEHIND)


def _state(position: Position) -> str:
    if position.problem:
        return position.problem.message
    return "at head" if position.at_head else "behind"


def department_json(position: Position) -> dict[str, Any]:
    """Return a department as the interface has it."""
    entry = position.entry
    return {
        "department_id": entry.department_id,
        "department_name": entry.department_name,
        "tenant_schema": entry.tenant_schema,
        "status": entry.status,
        "revision": position.revision,
        "branch_revision": position.branch_revision,
        "at_head": position.at_head,
        "problem": position.problem.message if position.problem else None,
    }
