"""`fedschema audit`: who tried to see what of whom, and whether they could."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from fedschema import audit as auditing
from fedschema.audit import Attempt
from fedschema.cli import output
from fedschema.cli.session import JsonOption, session_of
from fedschema.durations import parse_past

#: More would not fit into a terminal, nor into memory.
_MOST = 1_000_000


def audit(
    context: typer.Context,
    *,
    denied: Annotated[bool, typer.Option("--denied", help="Only what was refused.")] = False,
    since: Annotated[str | None, typer.Option("--since", help="How far back: 24h, 7d, or 2026-12-31.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=_MOST, help="At most so many, the newest first.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Show who tried to see what of whom, and whether they could: the newest first."""
    begin = parse_past(since, datetime.now(UTC)) if since is not None else None
    session = session_of(context)
    found = auditing.attempts(session.conninfo, session.compiler, denied_only=denied, since=begin, limit=limit)
    if as_json:
        output.document([asdict(attempt) for attempt in found])
        return
    if not found:
        output.note("no such attempt is on record")
        return
    headings = ("when", "source", "target", "type", "resource", "login", "from", "answer")
    output.table(headings, [_row(attempt) for attempt in found])
    if len(found) == limit:
        output.note(f"these are the newest {limit}; for more: --limit {limit * 10}")


def _row(attempt: Attempt) -> tuple[str, ...]:
    count = attempt.results_returned
    results = "" if count is None else f", {count} result{'' if count == 1 else 's'}"
    return (
        output.moment(attempt.created_at),
        output.printable(attempt.source_department_id),
        output.printable(attempt.target_department_id),
        attempt.query_type,
        output.printable(attempt.resource_type),
        output.printable(attempt.requester_login),
        str(getattr(attempt.requester_ip, "ip", attempt.requester_ip) or "-"),
        f"granted{results}" if attempt.success else f"DENIED: {output.printable(attempt.error_message)}",
    )
