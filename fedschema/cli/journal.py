"""What happens, one JSON object a line on stderr, for programs that collect logs: ``--log-format json``.

People get the same as text, from `fedschema.cli.output`, which asks here first. Results stay on stdout either way.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from fedschema.department import Department
from fedschema.errors import FedschemaError

OPTION = "--log-format"


class LogFormat(StrEnum):
    """How what happens is written to stderr."""

    TEXT = "text"
    JSON = "json"


class Level(StrEnum):
    """How much it matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass
class Journal:
    """The journal of one command.

    Attributes:
        format: as lines of JSON, or not at all.
        command: what was typed, without what it was given: ``tenant add``.
        began: when, by the clock that only goes forward.
    """

    format: LogFormat
    command: str | None = None
    began: float = field(default_factory=time.monotonic)


#: Each command has a journal of its own, also where several run in one process.
_CURRENT: ContextVar[Journal | None] = ContextVar("journal", default=None)


def format_of(arguments: Sequence[str]) -> LogFormat:
    """Read the format before anything else of what was typed: what is wrong with the rest is written in it too."""
    found = LogFormat.TEXT
    for number, argument in enumerate(arguments):
        if argument == "--":
            break
        value = argument.removeprefix(f"{OPTION}=")
        if argument == OPTION:
            value = next(iter(arguments[number + 1 : number + 2]), "")
        if value == LogFormat.JSON and argument.startswith(OPTION):
            found = LogFormat.JSON
    return found


@contextmanager
def opened(form: LogFormat) -> Iterator[Journal]:
    """Open the journal of a command; what libraries have to say is in it too."""
    journal = Journal(form)
    token = _CURRENT.set(journal)
    root, handler = logging.getLogger(), _Lines()
    if form is LogFormat.JSON:
        root.addHandler(handler)
        logging.captureWarnings(capture=True)
    try:
        yield journal
    finally:
        if form is LogFormat.JSON:
            root.removeHandler(handler)
            logging.captureWarnings(capture=False)
        _CURRENT.reset(token)


def wanted() -> bool:
    """What happens is to be written as lines of JSON."""
    journal = _CURRENT.get()
    return journal is not None and journal.format is LogFormat.JSON


def name_command(path: str) -> None:
    """Note which command runs, once that is known."""
    if journal := _CURRENT.get():
        journal.command = path.removeprefix("fedschema ")


def record(level: Level, event: str, message: str | None = None, **more: object) -> None:
    """Write a line, if lines are wanted; what is None is left out.

    Args:
        level: how much it matters.
        event: what kind of thing happened, a stable name: ``department_upgraded``.
        message: the same for people. Never a password, a key, or a URL that may hold one.
        more: what else there is to know, by stable names.
    """
    journal = _CURRENT.get()
    if journal is None or journal.format is not LogFormat.JSON:
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"time": now, "level": level, "event": event, "command": journal.command, "message": message, **more}
    sys.stderr.write(json.dumps({name: value for name, value in line.items() if value is not None}) + "\n")


def record_department(
    department: Department, outcome: str, seconds: float | None, error: FedschemaError | None = None, **more: object
) -> None:
    """Write how a department fared.

    Args:
        department: which one.
        outcome: how it went: ``upgraded``, ``failed``, ``skipped``, …
        seconds: how long it took, where that is known.
        error: what went wrong.
        more: what else there is to know.
    """
    level = {"failed": Level.ERROR, "skipped": Level.WARNING}.get(outcome, Level.INFO)
    record(
        level,
        f"department_{outcome}",
        error.message if error else None,
        department=department.id,
        duration_seconds=None if seconds is None else round(seconds, 3),
        error_code=error.code if error else None,
        hint=error.hint if error else None,
        **more,
    )


def record_end(journal: Journal, status: int) -> None:
    """Write that a command has ended, how, and how long it took."""
    seconds = round(time.monotonic() - journal.began, 3)
    level = Level.ERROR if status else Level.INFO
    record(level, "command_finished", exit_status=status, duration_seconds=seconds)


def record_unexpected(error: Exception) -> None:
    """Write where something went wrong that nobody foresaw; its text stays out, since it may hold anything."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    record(
        Level.ERROR,
        "failed",
        f"unexpected {type(error).__name__} in {last.name}, line {last.lineno} of {last.filename}",
        error_code="unexpected",
    )


class _Lines(logging.Handler):
    """Puts what libraries log into the journal: warnings and worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one."""
        _record_logged(record)


def _record_logged(logged: logging.LogRecord) -> None:
    level = Level.WARNING if logged.levelno < logging.ERROR else Level.ERROR
    record(level, "logged", logged.getMessage(), logger=logged.name)
