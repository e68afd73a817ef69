"""`fedschema grant`, `revoke` and `grants`: who may see what of whom."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from fedschema import sharing
from fedschema.cli import output
from fedschema.cli.record import text_for_the_record
from fedschema.cli.session import JsonOption, session_of
from fedschema.department import Department
from fedschema.durations import parse_future
from fedschema.sharing import Grant, PermissionType, Sharing


def _parse_by(text: str) -> str:
    """Check who decided: any text that a person would recognise, an e-mail address as a rule."""
    return text_for_the_record("--by", text, "admin@example.com")


SourceArgument = Annotated[
    Department, typer.Argument(parser=Department.parse, metavar="SOURCE", help="The department that may look.")
]
TargetArgument = Annotated[
    Department, typer.Argument(parser=Department.parse, metavar="TARGET", help="The department whose data it is.")
]
TypeOption = Annotated[PermissionType, typer.Option("--type", help="Which kind of access.")]
ResourceOption = Annotated[
    str, typer.Option("--resource", help="drive_documents, emails, contacts, a table's name, or * for all.")
]
ByOption = Annotated[
    str | None, typer.Option("--by", parser=_parse_by, metavar="EMAIL", help="Who decided; else the login.")
]


def grant(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    source: SourceArgument,
    target: TargetArgument,
    *,
    permission: TypeOption,
    resource: ResourceOption,
    expires: Annotated[str | None, typer.Option("--expires", help="When it ends: 30d, 12h, or 2027-01-31.")] = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let SOURCE read, search or aggregate a resource of TARGET; a second time renews the grant."""
    until = parse_future(expires, datetime.now(UTC)) if expires is not None else None
    session = session_of(context)
    asked = Sharing(source, target, permission, resource)
    made = sharing.grant(session.conninfo, session.compiler, asked, by, until)
    if permission is not PermissionType.READ:  # whatever can be shared can be read
        _warn_of_no_effect(sharing.resources(session.conninfo, session.compiler), made.resource_type, permission)
    if as_json:
        output.document(asdict(made))
    else:
        ends = f", until {output.moment(made.expires_at)}" if made.expires_at else ""
        output.say(f"{source} may {permission} {_shown(made.resource_type)} of {target}{ends}")


def _warn_of_no_effect(resources: list[sharing.Resource], resource: str, permission: PermissionType) -> None:
    able = [found.resource_type for found in resources if found.admits(permission)]
    if resource not in able:
        output.warning(f"there is nothing to {permission} in {resource}; what can be: {', '.join(able)}")


def revoke(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    source: SourceArgument,
    target: TargetArgument,
    *,
    permission: TypeOption,
    resource: ResourceOption,
    by: ByOption = None,
    terminate: Annotated[
        bool, typer.Option("--terminate", help="Also end the sessions of the gateways that speak for SOURCE.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take a grant back, from the next statement on."""
    session = session_of(context)
    asked = Sharing(source, target, permission, resource)
    remaining = sharing.revoke(session.conninfo, session.compiler, asked, by, terminate=terminate)
    for found in remaining:
        output.warning(
            f"{source} may still {permission} {resource} of {target}: a grant on {found.resource_type} is in force "
            f"(fedschema revoke {source} {target} --type {permission} --resource '{found.resource_type}')"
        )
    if as_json:
        output.document({"revoked": True, "still_admitted_by": [asdict(found) for found in remaining]})
    elif not remaining:
        output.say(f"{source} may no longer {permission} {_shown(resource)} of {target}")
    else:
        output.say(f"the grant on {resource} is gone")


def grants(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List the grants, also those that are disabled or have expired."""
    session = session_of(context)
    found = sharing.grants(session.conninfo, session.compiler)
    if as_json:
        output.document([asdict(one) | {"in_force": _state(one) == "in force"} for one in found])
        return
    if not found:
        output.note("nothing is shared; to share: fedschema grant hr sales --type read --resource drive_documents")
        return
    headings = ("source", "target", "type", "resource", "state", "expires", "granted by")
    output.table(headings, [_row(one) for one in found])


def _row(one: Grant) -> tuple[str, ...]:
    return (
        one.source_department_id,
        one.target_department_id,
        one.permission_type,
        one.resource_type,
        _state(one),
        output.moment(one.expires_at),
        output.printable(one.granted_by),
    )


def _state(one: Grant) -> str:
    if not one.enabled:
        return "disabled"
    return "expired" if one.expires_at and one.expires_at <= datetime.now(UTC) else "in force"


def _shown(resource: str) -> str:
    return "everything that can be shared" if resource == "*" else resource
