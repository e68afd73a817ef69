"""`fedschema server`: the embedded PostgreSQL of the working directory."""

from __future__ import annotations

from pathlib import Path

import typer

from fedschema.cli import output
from fedschema.cli.session import JsonOption
from fedschema.embedded import EmbeddedServer
from fedschema.settings import EMBEDDED_DIRECTORY

app = typer.Typer(no_args_is_help=True, help="The embedded PostgreSQL in .fedschema/ of the working directory.")


def _server() -> EmbeddedServer:
    return EmbeddedServer(Path.cwd() / EMBEDDED_DIRECTORY)


@app.command()
def start(*, as_json: JsonOption = False) -> None:
    """Start it, if it is not running; the first time it is made, which takes two seconds."""
    server = _server()
    endpoint = server.ensure_running()
    if as_json:
        output.document({"state": "running", "url": endpoint.url(), "host": endpoint.host, "port": endpoint.port})
        return
    output.say(f"running on {endpoint.host}:{endpoint.port}, data in {server.directory}")
    output.note("next: fedschema init")


@app.command()
def stop(*, as_json: JsonOption = False) -> None:
    """Stop it; its data stays."""
    stopped = _server().stop()
    if as_json:
        output.document({"stopped": stopped})
    else:
        output.say("stopped" if stopped else "was not running")


@app.command()
def status(*, as_json: JsonOption = False) -> None:
    """Tell whether it is running."""
    found = _server().status()
    endpoint = found.endpoint
    if as_json:
        output.document(
            {
                "state": found.state,
                "directory": str(found.directory),
                "version": found.version,
                "pid": found.pid,
                "host": endpoint.host if endpoint else None,
                "port": endpoint.port if endpoint else None,
                "url": endpoint.url() if endpoint else None,
            }
        )
        return
    output.facts(
        {
            "state": found.state,
            "directory": str(found.directory),
            **({"PostgreSQL": found.version} if found.version else {}),
            **({"process": str(found.pid)} if found.pid else {}),
            **({"url": endpoint.url()} if endpoint else {}),
            "log": str(found.log),
        }
    )


@app.command()
def url(*, as_json: JsonOption = False) -> None:
    """Print the operator's URL of the running server, for psql: it needs no password."""
    found = _server().url()
    if as_json:
        output.document({"url": found})
    else:
        output.say(found)
