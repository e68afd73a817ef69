"""What the commands of one call share: the project, the database, and how they were named."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import typer

from fedschema.addresses import conninfo_of
from fedschema.cli import journal, output
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.logins import parse_login
from fedschema.settings import Settings

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; what holds rows may go.")]
DepartmentId = Annotated[Department, typer.Argument(parser=Department.parse, metavar="ID", help="The department's id.")]
DepartmentIds = Annotated[
    list[Department] | None,
    typer.Argument(parser=Department.parse, metavar="[ID]...", help="The departments; all when none is named."),
]
LoginArgument = Annotated[str, typer.Argument(parser=parse_login, metavar="LOGIN", help="The login's name.")]


@dataclass
class Session:
    """One call of `fedschema`.

    Attributes:
        config: ``--config``.
        database_url: ``--database-url``.
        direct_url: ``--direct-url``.
    """

    config: Path | None = None
    database_url: str | None = None
    direct_url: str | None = None

    @cached_property
    def settings(self) -> Settings:
        """The project and the database that are meant."""
        return Settings.load(self.config, self.database_url, self.direct_url)

    @cached_property
    def compiler(self) -> Compiler:
        """The project's revisions."""
        return Compiler(self.settings.project)

    @cached_property
    def conninfo(self) -> str:
        """The connection string; says so when it is the embedded server's, which is started if need be."""
        embedded = self.settings.database.embedded
        if embedded is not None:
            output.note(f"using the embedded PostgreSQL in {embedded} (to stop it: fedschema server stop)")
        return conninfo_of(self.settings.database)

    @cached_property
    def direct(self) -> str | None:
        """The connection string that leads past a pooler; None when none was given."""
        return conninfo_of(self.settings.direct) if self.settings.direct else None


def session_of(context: typer.Context) -> Session:
    """Return the session of a running command."""
    journal.name_command(context.command_path)
    session = context.find_root().obj
    assert isinstance(session, Session)  # noqa: S101 - the root command made it
    return session
