"""`fedschema retention …`: how long departments keep rows, and taking away those whose time is over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fedschema import retention
from fedschema.cli import output
from fedschema.cli.interrupts import halting
from fedschema.cli.pace import DEFAULT_LOCK_TIMEOUT, JobsOption, LockTimeoutOption, RetriesOption
from fedschema.cli.progress import bar_for
from fedschema.cli.retention_schedule import BatchRowsOption, schedule
from fedschema.cli.session import DepartmentId, DepartmentIds, JsonOption, session_of
from fedschema.department import Department
from fedschema.durations import parse_period
from fedschema.errors import UsageError
from fedschema.fleet.pace import Pace
from fedschema.retention import Expired, Expiry, Export, Format, Outcome, OwnPeriod, Period, Result
from fedschema.workers import Halt

app = typer.Typer(no_args_is_help=True, help="How long rows are kept: periods, runs, exports, a schedule.")
app.command()(schedule)

TableArgument = Annotated[str, typer.Argument(metavar="TABLE", help="The table; `retention show` lists them.")]
_DEFAULT = "default"
_DEFAULTS = Expiry()


@app.command("set")
def set_period(
    context: typer.Context,
    department: DepartmentId,
    table: TableArgument,
    period: Annotated[
        str, typer.Argument(metavar="PERIOD", help="90d, 8w, 6mo, 1y; never, for good; default, as for everybody.")
    ],
    *,
    as_json: JsonOption = False,
) -> None:
    """Say how long a department keeps the rows of a table. Nothing goes before the next run."""
    kept_for = None if period.strip().lower() == _DEFAULT else parse_period(period)
    session = session_of(context)
    if period.strip().lower() == _DEFAULT:
        rule = retention.use_default(session.conninfo, session.compiler, department, table)
        now, document = rule.kept_for, _period_json(rule) | {"department_id": department.id}
    else:
        own = retention.set_period(session.conninfo, session.compiler, department, table, kept_for)
        now, document = own.kept_for, _own_json(own)
    if as_json:
        output.document(document)
        return
    as_ever = ", as everybody does" if period.strip().lower() == _DEFAULT else ""
    output.say(f"{department} keeps {table} {_kept(now)}{as_ever}")


@app.command("list")
def list_periods(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List the periods that departments have of their own."""
    session = session_of(context)
    found = retention.own_periods(session.conninfo, session.compiler)
    if as_json:
        output.document([_own_json(own) for own in found])
    elif found:
        rows = [
            (
                own.department_id,
                own.table_name,
                _kept(own.kept_for),
                _kept(own.default_kept_for),
                output.printable(own.set_by),
                output.moment(own.set_at),
            )
            for own in found
        ]
        output.table(("department", "table", "kept", "default", "set by", "set"), rows)
    else:
        output.note("no department has a period of its own; to set one: fedschema retention set hr email_logs 1y")


@app.command()
def show(
    context: typer.Context,
    department: Annotated[
        Department | None,
        typer.Argument(
            parser=Department.parse, metavar="[ID]", help="The department; the rules for all when left out."
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show how long the rows of each table are kept, and what becomes of them then."""
    session = session_of(context)
    if department:
        found = retention.periods(session.conninfo, session.compiler, department)
    else:
        found = retention.rules(session.conninfo, session.compiler)
    if as_json:
        output.document([_period_json(one) for one in found])
        return
    rows = [
        (
            one.table_name,
            _kept(one.kept_for),
            one.time_column,
            "-" if one.kept_for is None else f"to {one.archive_table}" if one.archive_table else "deleted",
            f"{output.printable(one.set_by)}, {output.moment(one.set_at)}" if one.set_by else "default",
        )
        for one in found
    ]
    output.table(("table", "kept", "counted from", "then", "by"), rows)


@app.command()
def run(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    ids: DepartmentIds = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Every department and the audit, as when no department is named.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
    batch_rows: BatchRowsOption = _DEFAULTS.batch_rows,
    jobs: JobsOption = None,
    lock_timeout: LockTimeoutOption = DEFAULT_LOCK_TIMEOUT,  # type: ignore[assignment] # typer parses it
    retries: RetriesOption = _DEFAULTS.pace.retries,
    as_json: JsonOption = False,
) -> None:
    """Take away the rows whose time is over, in short transactions: of all departments, or of those that are named.

    Without names the two tables of the audit are cleaned as well. A department that fails keeps no other from it.
    """
    if ids and every:
        raise UsageError("--all is every department; name some, or leave it out", "fedschema retention run --all")
    expiry = Expiry(dry_run, batch_rows, jobs, Pace(lock_timeout, retries=retries))
    session = session_of(context)
    whose = retention.chosen(session.conninfo, session.compiler, ids or [], expiry)
    results: list[Result] = []
    with halting(Halt()) as halt, bar_for(0 if as_json else len(whose.departments)) as bar:
        for result in retention.run(session.conninfo, whose, expiry, halt):
            results.append(result)
            if bar is not None:
                bar.advance(failed=result.outcome is Outcome.FAILED)
            elif not as_json:
                _show(result, dry_run=dry_run)
    if as_json:
        output.document(
            {"dry_run": dry_run, "rows": _total(results), "results": [_result_json(result) for result in results]}
        )
    else:
        if bar is not None:
            for result in results:
                if result.outcome is not Outcome.DONE or any(table.remaining for table in result.tables):
                    _show(result, dry_run=dry_run)
        _sum_up(results, dry_run=dry_run)
    undone = {Outcome.FAILED, Outcome.STOPPED} | ({Outcome.SKIPPED} if ids else set())
    if any(result.outcome in undone for result in results):
        raise typer.Exit(1)


def _show(result: Result, *, dry_run: bool) -> None:
    name = str(result.department or "audit")
    parts = [_went(table, dry_run=dry_run) for table in result.tables if table.rows or table.remaining]
    text = ", ".join(parts) or "nothing to do"
    match result.outcome:
        case Outcome.DONE:
            output.say(f"{name}: {text}")
        case Outcome.FAILED:
            assert result.error is not None  # noqa: S101 - a failure has a reason
            if parts:
                output.say(f"{name}: {text}, before it failed")
            output.failure(result.error.code, result.error.message, result.error.hint)
        case Outcome.STOPPED if parts:
            output.say(f"{name}: {text}, then stopped: {result.reason}")
        case _:
            output.say(f"{name}: {result.outcome}: {result.error.message if result.error else result.reason}")


def _went(table: Expired, *, dry_run: bool) -> str:
    verb = "archived" if table.archive_table else "deleted"
    waiting = f" ({table.remaining} have to wait, held or referred to by others)" if table.remaining else ""
    return f"{table.table_name} {table.rows} {'would be ' if dry_run else ''}{verb}{waiting}"


def _sum_up(results: Sequence[Result], *, dry_run: bool) -> None:
    departments = [result for result in results if result.department]
    if not departments:
        output.note("there are no departments yet; add one with: fedschema tenant add legal")
        return
    counted = {outcome: sum(result.outcome is outcome for result in departments) for outcome in Outcome}
    notable = [f"{number} {outcome}" for outcome, number in counted.items() if number and outcome is not Outcome.DONE]
    rows = _total(results)
    went = "would go" if dry_run else "went"
    plural = "" if len(departments) == 1 else "s"
    output.say(
        f"{len(departments)} department{plural}: {rows} row{'' if rows == 1 else 's'} {went}"
        + "".join(f", {part}" for part in notable)
    )


def _total(results: Sequence[Result]) -> int:
    return sum(result.rows for result in results)


@app.command()
def export(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    department: DepartmentId,
    *,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="A new file, which only you may read.")],
    table: Annotated[
        str, typer.Option("--table", metavar="TABLE", help="Whose rows: any table that retention knows.")
    ] = "conversation_history_archive",
    format_: Annotated[
        Format | None, typer.Option("--format", help="How; else by the file's name, .csv or anything else.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a department's archived transcripts, or another table's rows, to a file. That it was done is on record."""
    session = session_of(context)
    form = format_ or (Format.CSV if to.suffix.lower() == ".csv" else Format.JSONL)
    wanted = Export(department, table, to, form)
    rows = retention.export(session.conninfo, session.compiler, wanted)
    if as_json:
        output.document(
            {
                "department_id": department.id,
                "table_name": table,
                "rows": rows,
                "file": str(to),
                "format": form.value,
            }
        )
    else:
        output.say(f"{rows} row{'' if rows == 1 else 's'} of {table} of {department}: in {to}")


def _kept(kept_for: str | None) -> str:
    """Show a period to people."""
    if kept_for is None:
        return "for good"
    return "no longer" if _is_none(kept_for) else f"for {kept_for}"


def _is_none(kept_for: str) -> bool:
    return kept_for == "00:00:00"


def _plain(kept_for: str | None) -> str | None:
    return "0" if kept_for and _is_none(kept_for) else kept_for


def _own_json(own: OwnPeriod) -> dict[str, Any]:
    return {
        "department_id": own.department_id,
        "table_name": own.table_name,
        "kept_for": _plain(own.kept_for),
        "default_kept_for": _plain(own.default_kept_for),
        "set_by": own.set_by,
        "set_at": own.set_at,
    }


def _period_json(one: Period) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__} | {"kept_for": _plain(one.kept_for)}


def _result_json(result: Result) -> dict[str, Any]:
    return {
        "department_id": result.department.id if result.department else None,
        "status": result.outcome.value,
        "rows": result.rows,
        "tables": [
            {
                "table_name": table.table_name,
                "kept_for": _plain(table.kept_for),
                "archive_table": table.archive_table,
                "rows": table.rows,
                "remaining": table.remaining,
            }
            for table in result.tables
        ],
        "duration_seconds": round(result.duration_seconds, 3),
        "reason": result.reason,
        "error": output.error_document(result.error),
    }
