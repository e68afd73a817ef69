"""`fedschema init`."""

from __future__ import annotations

from typing import Annotated

import typer

from fedschema import audit_channel, federation, projects
from fedschema.cli import output
from fedschema.cli.session import JsonOption, session_of


def init(
    context: typer.Context,
    *,
    durable_audit: Annotated[
        bool | None,
        typer.Option(
            "--durable-audit/--no-durable-audit",
            help="Write each cross-department attempt over a connection of its own, so that no rollback takes it away "
            "(needs a superuser and dblink); or stop doing so.",
        ),
    ] = None,
    audit_host: Annotated[
        str, typer.Option("--audit-host", help="The address at which the server reaches itself, for --durable-audit.")
    ] = audit_channel.DEFAULT_HOST,
    as_json: JsonOption = False,
) -> None:
    """Make the control plane: schema federation, the platform roles, functions. Safe to repeat."""
    session = session_of(context)
    made = federation.initialise(session.conninfo, session.compiler)
    for text in made.warnings:
        output.warning(text)
    if lacking := projects.lacking_revisions(session.settings.project):
        names = ", ".join(map(str, lacking))
        command = projects.update_command(session.settings.project.root)
        output.warning(f"this fedschema comes with revisions that the project lacks: {names} ({command})")
    if durable_audit is True:
        audit_channel.install(session.conninfo, session.compiler, audit_host)
    elif durable_audit is False:
        audit_channel.remove(session.conninfo, session.compiler)
    installed = audit_channel.is_installed(session.conninfo)
    if as_json:
        document = {"revision": made.revision, "before": made.before, "applied": made.applied}
        output.document(document | {"durable_audit": installed})
        return
    if made.before is None:
        output.say(f"control plane made, at {made.revision}")
        output.note("next: fedschema tenant add legal")
    elif made.applied:
        output.say(f"control plane brought from {made.before} to {made.revision}")
    else:
        output.say(f"control plane is up to date, at {made.revision}")
    if installed or durable_audit is not None:
        output.say(f"the durable audit channel is {'installed' if installed else 'removed'}")
