"""`fedschema demo`: prints the story as it happens."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import typer

from fedschema.cli import output
from fedschema.cli.session import session_of
from fedschema.demo import Chapter, Demo
from fedschema.embedded import EmbeddedServer
from fedschema.settings import EMBEDDED_DIRECTORY


def demo(context: typer.Context) -> None:
    """Show the whole story on the embedded server, in under a minute; what it makes stays there to be looked at."""
    began = time.monotonic()
    directory = Path.cwd() / EMBEDDED_DIRECTORY
    output.note(f"the embedded PostgreSQL, in {directory}")
    endpoint = EmbeddedServer(directory).ensure_running()
    for shown in Demo(endpoint, session_of(context).compiler, directory / "demo").play():
        if isinstance(shown, Chapter):
            output.heading(shown.title)
        else:
            output.prompt(shown.prompt)
            output.say(shown.output)
    output.heading(f"Done in {time.monotonic() - began:.0f} s")
    output.say("The departments are still running. Look around, and clean up when you like:")
    program = _as_typed()
    output.say(f"  {program} tenant show hr")
    output.say(f"  {program} tenant env hr --password-file .fedschema/demo/hr.password")
    if shutil.which("psql"):
        output.say(f'  psql "$({program} server url)"')
    output.say(f"  {program} server stop && rm -r .fedschema")


def _as_typed() -> str:
    """Return how this program is called from here: by its name where that is found, else by its path."""
    return "fedschema" if shutil.which("fedschema") else os.path.relpath(Path(sys.executable).parent / "fedschema")
