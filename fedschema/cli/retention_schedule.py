"""`fedschema retention schedule`: a job of pg_cron, or the lines for cron and systemd."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from fedschema import retention
from fedschema.cli import output
from fedschema.cli.session import JsonOption, Session, session_of
from fedschema.connections import connect
from fedschema.errors import UsageError
from fedschema.retention import Errand, Expiry, TimeOfDay, url_of

BatchRowsOption = Annotated[
    int,
    typer.Option(
        "--batch-rows", min=1, max=1_000_000, metavar="N", help="How many rows go in one transaction at most."
    ),
]
_DEFAULT_BATCH = Expiry().batch_rows
#: What typer shows and parses as the default of --at.
_DEFAULT_TIME = "03:30"


def schedule(
    context: typer.Context,
    *,
    at: Annotated[
        TimeOfDay, typer.Option("--at", parser=TimeOfDay.parse, metavar="HH:MM", help="When, every day.")
    ] = _DEFAULT_TIME,  # type: ignore[assignment] # typer parses it
    batch_rows: BatchRowsOption = _DEFAULT_BATCH,
    remove: Annotated[bool, typer.Option("--remove", help="Take the job of pg_cron back.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Have retention run every day: by pg_cron where the server has it; else show the lines for cron and systemd."""
    session = session_of(context)
    if remove:
        _remove(session, as_json=as_json)
        return
    job = retention.scheduled(session.conninfo, session.compiler, at, batch_rows)
    if job is None:
        _show_lines(_errand(session, at, batch_rows), as_json=as_json)
    elif as_json:
        output.document({"by": "pg_cron"} | {name: getattr(job, name) for name in job.__slots__})
    else:
        output.say(f"{job.change}: pg_cron runs {job.name!r} every day at {at} ({job.timezone}), as {job.username}")
        output.note(f"how it went: table cron.job_run_details in database {job.cron_database}")


def _remove(session: Session, *, as_json: bool) -> None:
    gone = retention.unscheduled(session.conninfo, session.compiler)
    if as_json:
        output.document({"by": None if gone is None else "pg_cron", "removed": gone or 0})
    elif gone:
        output.say("pg_cron does not run retention any more")
    else:
        output.note("pg_cron runs nothing of ours; a line of cron or a unit of systemd you have to remove yourself")


def _errand(session: Session, at: TimeOfDay, batch_rows: int) -> Errand:
    """Say what has to be run, so that it finds the same project and the same database as this command did."""
    words = [sys.executable, "-m", "fedschema"]
    config = session.config or os.environ.get("ALEMBIC_CONFIG")
    words += ["--config", str(Path(config).resolve())] if config else []
    words += ["retention", "run"]
    words += ["--batch-rows", str(batch_rows)] if batch_rows != _DEFAULT_BATCH else []
    url = None
    if session.settings.database.embedded is None:
        with connect(session.conninfo) as connection:
            url = url_of(connection.info.get_parameters())
    directory = Path.cwd()
    if any(not part.isprintable() for part in (str(directory), *words)):
        raise UsageError("the path of this directory cannot stand in a line of cron", "run it in another directory")
    return Errand(at, directory, words, url, getpass.getuser())


def _show_lines(errand: Errand, *, as_json: bool) -> None:
    if as_json:
        output.document(
            {
                "by": None,
                "crontab": errand.crontab(),
                "systemd_service": errand.service(),
                "systemd_timer": errand.timer(),
            }
        )
        return
    output.note("this server has no pg_cron; let cron or systemd do it. There is no password in these lines: if one is")
    output.note("needed, libpq finds it in ~/.pgpass of the user that they run as (mode 0600).")
    output.say("# a line for: crontab -e")
    output.say(errand.crontab())
    output.say()
    output.say("# or, in /etc/systemd/system/fedschema-retention.service")
    output.say(errand.service())
    output.say("# and in /etc/systemd/system/fedschema-retention.timer")
    output.say(errand.timer())
    output.say("# then: systemctl daemon-reload && systemctl enable --now fedschema-retention.timer")
