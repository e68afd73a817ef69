"""`fedschema report`: the federation on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedschema import whole_files
from fedschema.addresses import describe
from fedschema.cli import output
from fedschema.cli.session import JsonOption, session_of
from fedschema.department import Department
from fedschema.report import facts, page


def report(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.html", help="Where the page goes.")],
    *,
    tables_of: Annotated[
        Department | None,
        typer.Option(
            "--tables-of",
            parser=Department.parse,
            metavar="ID",
            help="Whose tables are drawn; else one's where most are.",
        ),
    ] = None,
    for_all: Annotated[
        bool, typer.Option("--readable", help="Let every user of this machine read it, rather than you alone.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file also when it is no report.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a page on all departments: where they are, who may see whose data, what was denied, how large they are."""
    page.refuse_other_files(file, force=force)
    session = session_of(context)
    found = facts.gather(session.conninfo, session.compiler, tables_of)
    text = page.render(found, describe(session.conninfo))
    page.write(file, text, force=force, mode=whole_files.PUBLIC if for_all else whole_files.PRIVATE)
    departments = len(found.fleet.positions)
    if as_json:
        output.document({"file": str(file), "departments": departments, "bytes": len(text.encode())})
    else:
        noun = "department" if departments == 1 else "departments"
        output.say(f"report on {departments} {noun} written to {output.printable(str(file))}")
