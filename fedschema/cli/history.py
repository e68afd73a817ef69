"""`fedschema history`."""

from __future__ import annotations

from typing import Annotated

import typer

from fedschema import releases
from fedschema.cli import output
from fedschema.cli.session import JsonOption, Session, session_of
from fedschema.department import Department


def history(
    context: typer.Context,
    department: Annotated[
        Department | None, typer.Argument(parser=Department.parse, metavar="[ID]", help="One department; else all.")
    ] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows, the newest first.")] = 50,
    revisions: Annotated[bool, typer.Option("--revisions", help="The revisions that there are, instead.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what was applied: when, by whom, how long it took, and what failed."""
    session = session_of(context)
    if revisions:
        _show_revisions(session, department, as_json=as_json)
        return
    records = releases.history(session.conninfo, session.compiler, department, limit)
    if as_json:
        output.document([{name: getattr(record, name) for name in record.__slots__} for record in records])
        return
    rows = [
        (
            output.moment(record.applied_at),
            record.department_id,
            record.direction,
            record.migration_name,
            f"{record.duration_seconds:.3f}" if record.duration_seconds is not None else "-",
            record.applied_by,
            "ok" if record.success else f"FAILED: {record.error_message}",
        )
        for record in records
    ]
    output.table(("applied at", "department", "direction", "revision", "seconds", "by", "result"), rows)


def _show_revisions(session: Session, department: Department | None, *, as_json: bool) -> None:
    listed = releases.revisions(session.compiler, department)
    if as_json:
        output.document([{"revision": item.revision, "lineage": item.lineage, "doc": item.doc} for item in listed])
    else:
        output.table(("revision", "lineage", "what it does"), [(i.revision, i.lineage, i.doc) for i in listed])
