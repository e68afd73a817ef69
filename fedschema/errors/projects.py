"""The files of a project."""

from __future__ import annotations

import shlex
from pathlib import Path

from fedschema.errors.kinds import OperationError, UsageError


class DirectoryUnsuitable(UsageError):
    """A new project was to be made where something is already, or where Alembic cannot read it."""

    code = "directory_unsuitable"

    def __init__(self, directory: str, reason: str, hint: str) -> None:
        super().__init__(f"no project can be made in {directory}: {reason}", hint)


class ProjectNotWritten(OperationError):
    """The files of a project cannot be written; those that were are gone again."""

    code = "project_not_written"

    def __init__(self, directory: str, error: OSError, hint: str) -> None:
        super().__init__(
            f"the project in {directory} cannot be written: {error.strerror or error}; nothing was left there", hint
        )


class TemplateMissing(OperationError):
    """The project lacks a template, such as one that this version of fedschema came with."""

    code = "template_missing"

    def __init__(self, name: str, directory: Path) -> None:
        super().__init__(
            f"there is no template {name}.sql.j2 in {directory}",
            f"if fedschema came with it: fedschema new {shlex.quote(str(directory.parent))} --update",
        )
        self.name = name
