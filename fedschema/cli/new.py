"""`fedschema new`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from fedschema import projects
from fedschema.cli import output
from fedschema.cli.session import JsonOption
from fedschema.projects import Copy


def new(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIRECTORY", help="Where it is made; not there yet, or empty but for hidden files."),
    ],
    *,
    update: Annotated[
        bool,
        typer.Option("--update", help="Write what comes with this fedschema and the project lacks, and nothing else."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a project of your own: alembic.ini, revisions and templates, to be kept in a repository and added to."""
    copy = projects.update(directory) if update else projects.create(directory)
    if as_json:
        _print_json(copy)
    elif update:
        _tell_update(directory, copy)
    else:
        revisions = sum(path.suffix == ".py" and "versions" in path.parts for path in copy.written)
        templates = sum(path.suffix == ".j2" for path in copy.written)
        output.say(f"project made in {output.printable(str(directory))}: {revisions} revisions, {templates} templates")
        output.note(f"next: {_step_into(directory)}fedschema init")


def _tell_update(directory: Path, copy: Copy) -> None:
    for path in copy.written:
        output.say(f"{path}: written")
    for path in copy.different:
        output.say(f"{path}: differs, and was left")
    if not copy.written:
        output.say("the project lacks nothing")
    if copy.different:
        output.note(f"to compare: diff -ru {shlex.quote(str(copy.shipped.root))} {shlex.quote(str(directory))}")
    if copy.written:
        output.note(f"next: {_step_into(directory)}fedschema init && fedschema upgrade")


def _step_into(directory: Path) -> str:
    """Return what has to be typed before commands, for them to be typed in the project."""
    return "" if directory.resolve() == Path.cwd() else f"cd {shlex.quote(os.fspath(directory))} && "


def _print_json(copy: Copy) -> None:
    document = {
        "directory": str(copy.project.root),
        "written": [str(path) for path in copy.written],
        "different": [str(path) for path in copy.different],
    }
    output.document(document)
