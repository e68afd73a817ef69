"""`fedschema lint`: what is wrong with revisions, before they run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from fedschema import review as reviewing
from fedschema.cli import output
from fedschema.cli.session import JsonOption, session_of
from fedschema.errors import OperationError, UsageError
from fedschema.review import Finding, Level, Review

_OLDEST = 14


def lint(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    revisions: Annotated[
        list[str] | None,
        typer.Argument(metavar="[REVISION]...", help="The revisions, or what their ids begin with; else the new ones."),
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Released revisions too.")] = False,
    release: Annotated[
        bool, typer.Option("--release", help="Record them as released, if nothing is an error.")
    ] = False,
    applied: Annotated[
        bool, typer.Option("--applied", help="Also ask the database whether departments got what there is.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="A warning fails as well.")] = False,
    pg_version: Annotated[
        int | None,
        typer.Option("--pg-version", metavar="MAJOR", min=_OLDEST, help="The PostgreSQL that squawk judges for."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at revisions as they will run, and at whether released ones are what they were. No database is needed."""
    if revisions and every:
        raise UsageError("--all is for all revisions, and some are named", "leave one out")
    session = session_of(context)
    compiler = session.compiler
    server = pg_version * 10000 if pg_version else reviewing.NEWEST_SERVER
    database = session.conninfo if applied else None
    seen = reviewing.review(compiler, revisions or (), every=every, server=server, database=database)
    if not as_json:
        _show(seen)
    failed = bool(seen.findings) if strict else not seen.ok
    recorded = reviewing.release(compiler, seen) if release and not failed else ()
    if as_json:
        output.document(_as_json(seen, recorded, ok=not failed))
    for one in () if as_json else recorded:
        output.say(f"released: {one}")
    if failed:
        if release and not as_json:
            output.note("nothing was recorded as released")
        raise typer.Exit(OperationError.exit_status)


def _show(seen: Review) -> None:
    for one in seen.findings:
        output.say(output.printable(_headline(one)))
        for label, text in (("", one.statement), ("mend: ", one.mend)):
            if text:
                output.say(output.printable(f"    {label}{text}"))
    errors = sum(one.level is Level.ERROR for one in seen.findings)
    warnings = len(seen.findings) - errors
    looked_at = len(seen.looked_at)
    output.say(
        f"{looked_at} revision{'' if looked_at == 1 else 's'} looked at, {len(seen.released)} released; "
        f"{errors} error{'' if errors == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}"
    )


def _headline(one: Finding) -> str:
    place = ":".join(str(part) for part in (one.file, one.line) if part is not None)
    direction = f" ({one.direction})" if one.direction == "downgrade" else ""
    whose = place or one.revision or "the project"
    return f"{whose}: {one.level.value}: {one.rule}: {one.message}{direction}"


def _as_json(seen: Review, recorded: tuple[str, ...], *, ok: bool) -> dict[str, Any]:
    return {
        "ok": ok,
        "revisions": list(seen.looked_at),
        "released": sorted(seen.released | set(recorded)),
        "recorded": list(recorded),
        "findings": [asdict(one) | {"level": one.level.value} for one in seen.findings],
    }
