"""`fedschema init`."""

from __future__ import annotations

import typer

from fedschema import federation
from fedschema.cli import output
from fedschema.cli.session import JsonOption, session_of


def init(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Make the control plane: schema federation, the platform roles, functions. Safe to repeat."""
    session = session_of(context)
    made = federation.initialise(session.conninfo, session.compiler)
    for text in made.warnings:
        output.warning(text)
    if as_json:
        output.document({"revision": made.revision, "before": made.before, "applied": made.applied})
    elif made.before is None:
        output.say(f"control plane made, at {made.revision}")
        output.note("next: fedschema tenant add legal")
    elif made.applied:
        output.say(f"control plane brought from {made.before} to {made.revision}")
    else:
        output.say(f"control plane is up to date, at {made.revision}")
