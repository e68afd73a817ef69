"""The root command and its global options; the other modules of this package hang their commands on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fedschema import __version__
from fedschema.cli import (
    admin,
    audit,
    backup,
    demo,
    doctor,
    drift,
    federation,
    foresight,
    gateway,
    history,
    journal,
    lint,
    metrics,
    new,
    output,
    releases,
    report,
    retention,
    revision,
    secret,
    server,
    sharing,
    tenant,
    validate,
)
from fedschema.cli.journal import LogFormat
from fedschema.cli.session import Session
from fedschema.errors import UsageError

_GLOBAL_OPTIONS = ("--database-url", "--direct-url", "--config", journal.OPTION)


class _RootGroup(TyperGroup):
    """Accepts global options anywhere in a line, and ``--rehearse`` without a value, as people type them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer keeps the type to itself
        return super().parse_args(ctx, foresight.spelled_out(_global_options_first(args)))


def _global_options_first(arguments: list[str]) -> list[str]:
    """Move global options with their values to the front; what follows ``--`` stays where it is."""
    front: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            rest += [argument, *remaining]
        elif argument in _GLOBAL_OPTIONS:
            value = next(remaining, None)
            if value is None:
                raise UsageError(f"{argument} needs a value", "fedschema --help")
            front += [argument, value]
        elif argument.startswith(tuple(f"{option}=" for option in _GLOBAL_OPTIONS)):
            front.append(argument)
        else:
            rest.append(argument)
    return front + rest


app = typer.Typer(
    cls=_RootGroup,
    name="fedschema",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="One PostgreSQL schema per department, walled off and migrated together.",
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        output.say(f"fedschema {__version__}")
        raise typer.Exit


@app.callback()
def root(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url",
            help="The database; else FEDSCHEMA_DATABASE_URL, DATABASE_URL, sqlalchemy.url in alembic.ini, "
            "libpq's variables, else an embedded PostgreSQL in .fedschema/.",
        ),
    ] = None,
    direct_url: Annotated[
        str | None,
        typer.Option(
            "--direct-url",
            help="The same database past a pooler, for what needs a session of its own; else FEDSCHEMA_DIRECT_URL.",
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="The project's alembic.ini.")] = None,
    *,
    log_format: Annotated[  # noqa: ARG001 - read before anything else is, by main
        LogFormat, typer.Option(journal.OPTION, help="How what happens is written to stderr.")
    ] = LogFormat.TEXT,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One PostgreSQL schema per department, walled off and migrated together."""
    journal.name_command(context.invoked_subcommand or "")
    context.obj = Session(config, database_url, direct_url)


app.command("init")(federation.init)
app.command("new")(new.new)
app.command("demo")(demo.demo)
app.command("upgrade")(releases.upgrade)
app.command("downgrade")(releases.downgrade)
app.command("status")(releases.status)
app.command("history")(history.history)
app.command("lint")(lint.lint)
app.command("grant")(sharing.grant)
app.command("revoke")(sharing.revoke)
app.command("grants")(sharing.grants)
app.command("audit")(audit.audit)
app.command("validate")(validate.validate)
app.command("drift")(drift.drift)
app.add_typer(revision.app, name="revision")
app.command("report")(report.report)
app.command("metrics")(metrics.metrics)
app.command("doctor")(doctor.doctor)
app.add_typer(tenant.app, name="tenant")
app.add_typer(backup.app, name="backup")
app.add_typer(gateway.app, name="gateway")
app.add_typer(admin.app, name="admin")
app.add_typer(secret.app, name="secret")
app.add_typer(retention.app, name="retention")
app.add_typer(server.app, name="server")
