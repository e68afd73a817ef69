"""The options by which `upgrade` and `downgrade` say how a fleet is worked on."""

from __future__ import annotations

from typing import Annotated

import typer

from fedschema.durations import parse_seconds
from fedschema.fleet.release import OnError
from fedschema.fleet.schedule import Budget

OnErrorOption = Annotated[OnError, typer.Option(help="What a failed department means for those after it.")]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, metavar="N", help="How many departments at a time; else up to four."),
]
BudgetOption = Annotated[
    Budget | None,
    typer.Option(
        "--max-failures", parser=Budget.parse, metavar="N|P%", help="Go on until more than so many have failed."
    ),
]
CanaryOption = Annotated[
    int,
    typer.Option(
        "--canary",
        min=0,
        metavar="N",
        help="So many go first, the largest and the smallest too, and are checked.",
    ),
]
LockTimeoutOption = Annotated[
    float,
    typer.Option("--lock-timeout", parser=parse_seconds, metavar="TIME", help="How long a statement waits for a lock."),
]
StatementTimeoutOption = Annotated[
    float | None,
    typer.Option("--statement-timeout", parser=parse_seconds, metavar="TIME", help="How long a statement may run."),
]
LockHoldOption = Annotated[
    float | None,
    typer.Option(
        "--max-lock-hold",
        parser=parse_seconds,
        metavar="TIME",
        help="How long a department's transaction may hold its locks; then it is cancelled.",
    ),
]
RetriesOption = Annotated[
    int, typer.Option("--retries", min=0, max=100, help="How often a department is tried again that got no lock.")
]

#: What typer shows and parses as the default of --lock-timeout.
DEFAULT_LOCK_TIMEOUT = "5s"
