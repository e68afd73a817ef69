"""`fedschema revision`: begins a revision; and the commands below it."""

from __future__ import annotations

from typing import Annotated

import typer

from fedschema import scaffolding
from fedschema.cli import output, revision_check
from fedschema.cli.foresight import was_typed
from fedschema.cli.session import JsonOption, session_of
from fedschema.department import Department
from fedschema.errors import UsageError
from fedschema.scaffolding import Draft, Scaffold
from fedschema.versions import FEDERATION, TENANT

app = typer.Typer(invoke_without_command=True)
app.command("check")(revision_check.check)


@app.callback()
def revision(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    *,
    message: Annotated[str | None, typer.Option("--message", "-m", help="What it does, in a line.")] = None,
    department: Annotated[
        Department | None,
        typer.Option("--department", parser=Department.parse, metavar="ID", help="For this department alone."),
    ] = None,
    federation: Annotated[bool, typer.Option("--federation", help="For the control plane.")] = False,
    table: Annotated[str | None, typer.Option("--table", metavar="NAME", help="It makes a table.")] = None,
    contracts: Annotated[
        str | None,
        typer.Option("--contracts", metavar="REVISION", help="It waits until every department has that revision."),
    ] = None,
    rev_id: Annotated[str | None, typer.Option("--rev-id", metavar="ID", help="Its id; else the next number.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the files that a new revision begins with. No database is needed."""
    if context.invoked_subcommand is not None:
        if typed := [parameter for parameter in context.params if was_typed(context, parameter)]:
            raise UsageError(
                f"--{typed[0].replace('_', '-')} begins a revision, and check looks at those that there are"
            )
        return
    if message is None:
        raise UsageError("say what the revision does, in a line: --message", 'fedschema revision -m "add case files"')
    compiler = session_of(context).compiler
    made = scaffolding.scaffold(compiler, Draft(message, department, federation, table, contracts, rev_id))
    if as_json:
        output.document(
            {name: getattr(made, name) for name in made.__slots__} | {"files": [str(f) for f in made.files]}
        )
        return
    basis = f"follows {made.follows}" if made.follows else f"begins on {made.depends_on}"
    output.say(f"{made.revision} {basis}")
    for file in made.files:
        output.say(f"wrote {output.place(file)}")
    output.note(f"next: fill {'it' if len(made.files) == 1 else 'them'} in, then {_next(made)}")


def _next(made: Scaffold) -> str:
    if made.lineage == FEDERATION:
        return "look at it with: alembic -n federation upgrade head --sql; and apply it with: fedschema init"
    if made.lineage == TENANT:
        return "look at it with: fedschema tenant sql preview; and try it on one department: fedschema upgrade hr"
    return f"look at it with: fedschema tenant sql {made.lineage}; and try it: fedschema upgrade {made.lineage}"
