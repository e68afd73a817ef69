"""`fedschema tenant suspend`, `resume` and `rename`."""

from __future__ import annotations

from typing import Annotated

import typer

from fedschema import suspension, tenancy
from fedschema.cli import output
from fedschema.cli.record import text_for_the_record
from fedschema.cli.session import DepartmentId, JsonOption, session_of
from fedschema.department import parse_name
from fedschema.suspension import Suspension


def _parse_reason(text: str) -> str:
    """Check why a department is suspended: any text."""
    return text_for_the_record("--reason", text, '"incident 4711"')


def suspend(
    context: typer.Context,
    department: DepartmentId,
    *,
    reason: Annotated[
        str | None,
        typer.Option("--reason", parser=_parse_reason, metavar="TEXT", help="For the record."),
    ] = None,
    terminate: Annotated[
        bool, typer.Option("--terminate", help="Also end the sessions of gateways that may see something of it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take a department out of service: its role cannot log in or read, grants admit nothing, migrations go on."""
    session = session_of(context)
    done = suspension.suspend(session.conninfo, session.compiler, department, reason, gateways=terminate)
    if as_json:
        output.document(_as_json(done))
        return
    ended = (
        f"; {done.sessions_ended} session{'' if done.sessions_ended == 1 else 's'} ended" if done.sessions_ended else ""
    )
    if not done.changed:
        output.say(f"department {department} was suspended already{ended}")
        return
    output.say(f"department {department} is suspended: {department.role} can neither log in nor read{ended}")
    output.note(f"its schema goes on to be migrated; to put it back in service: fedschema tenant resume {department}")


def resume(context: typer.Context, department: DepartmentId, *, as_json: JsonOption = False) -> None:
    """Put a suspended department back in service, if its walls stand."""
    session = session_of(context)
    done = suspension.resume(session.conninfo, session.compiler, department)
    if as_json:
        output.document(_as_json(done))
        return
    output.say(f"department {department} is {'back in service' if done.changed else 'in service, and was'}")
    if not done.can_log_in:
        output.warning(
            f"{department.role} cannot log in, as before it was suspended; to let it: "
            f"ALTER ROLE {department.role} LOGIN"
        )


def rename(
    context: typer.Context,
    department: DepartmentId,
    *,
    name: Annotated[str, typer.Option("--name", parser=parse_name, metavar="NAME", help="The new display name.")],
    as_json: JsonOption = False,
) -> None:
    """Give a department another display name; its id, schema and role stay."""
    session = session_of(context)
    before = tenancy.rename(session.conninfo, session.compiler, department, name)
    if as_json:
        output.document({"department_id": department.id, "department_name": name, "before": before})
    elif before == name:
        output.say(f"department {department} is called {output.printable(name)} already")
    else:
        output.say(f"department {department} is called {output.printable(name)} (before: {output.printable(before)})")


def _as_json(done: Suspension) -> dict[str, object]:
    return {
        "department_id": done.department.id,
        "status": done.status,
        "changed": done.changed,
        "can_log_in": done.can_log_in,
        "sessions_ended": done.sessions_ended,
    }
