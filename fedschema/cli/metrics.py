"""`fedschema metrics`: the federation as numbers, for Prometheus."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fedschema import whole_files
from fedschema.cli import output
from fedschema.cli.session import JsonOption, session_of
from fedschema.errors import FileNotWritten
from fedschema.metrics.collection import collect
from fedschema.metrics.exposition import exposition


def metrics(
    context: typer.Context,
    *,
    file: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="Replace a file, whole, instead of printing.", show_default=False
        ),
    ] = None,
    drift: Annotated[
        bool, typer.Option("--drift", help="Also compare each department with its revisions, which takes longer.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the federation's state in the text format of Prometheus."""
    session = session_of(context)
    families = collect(session.conninfo, session.compiler, with_drift=drift)
    if file is not None:
        try:
            whole_files.replace(file, exposition(families), whole_files.PUBLIC)
        except OSError as error:
            raise FileNotWritten(str(file), error.strerror) from error
    if as_json:
        output.document({"file": str(file) if file else None, "metrics": [asdict(family) for family in families]})
    elif file is None:
        sys.stdout.write(exposition(families))
