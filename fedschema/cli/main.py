"""The entry point: runs a command and turns what goes wrong into one message and an exit status.

0 done · 1 an operation or a check failed · 2 wrong usage, nothing was touched · 3 from ``status --check`` alone.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from typer import Abort, Exit, TyperException

from fedschema.cli import journal, output
from fedschema.cli.app import app
from fedschema.errors import FedschemaError

INTERRUPTED = 130


def main() -> None:
    """Run what was typed and end the process with its exit status."""
    _prepare_streams()
    status = 1
    with journal.opened(journal.format_of(sys.argv[1:])):
        try:
            status = run(sys.argv[1:])
        finally:
            status = _flush(status)
    sys.exit(status)


def _prepare_streams() -> None:
    """Make sure that there is something to read from and to write to, and that no name is a letter too many for it."""
    if sys.stdin is None:  # closed by who started us: then there is nothing to read, and nobody to ask
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - open to the end
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started us
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open to the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush(status: int) -> int:
    """Write out what is left while an error can still be told, and return the exit status."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would flush again when it ends, and complain in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            output.failure("output_failed", f"the output could not be written: {error.strerror}", None)
        return status or 1
    return status


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; no traceback is shown for what can go wrong.

    Args:
        arguments: what was typed after ``fedschema``.
    """
    with journal.opened(journal.format_of(arguments)) as opened:
        try:
            status = _run(arguments)
        except Exception as error:
            if not journal.wanted():
                raise
            journal.record_unexpected(error)
            status = 1
        journal.record_end(opened, status)
    return status


def _run(arguments: Sequence[str]) -> int:
    as_json = "--json" in arguments
    try:
        status = app(args=list(arguments), prog_name="fedschema", standalone_mode=False)
    except FedschemaError as error:
        output.failure(error.code, error.message, error.hint, as_json=as_json)
        return error.exit_status
    except TyperException as error:
        _show_usage(error, as_json=as_json)
        return error.exit_code
    except Exit as ending:
        return ending.exit_code
    except (Abort, KeyboardInterrupt):
        status = INTERRUPTED
    except BrokenPipeError:
        return 1  # the reader has gone: … | head
    except OSError as error:
        output.failure("output_failed", f"the output could not be written: {error.strerror}", None)
        return 1
    if status == INTERRUPTED:  # typer turns Ctrl-C into this status
        output.failure("interrupted", "interrupted; what had begun was rolled back", None, as_json=as_json)
    return status if isinstance(status, int) else 0


def _show_usage(error: TyperException, *, as_json: bool) -> None:
    """Show what was wrong with the words of a command, with its usage."""
    show = getattr(error, "show", None)
    if as_json or show is None or journal.wanted():
        output.failure("usage", error.format_message(), "fedschema --help", as_json=as_json)
    else:
        show()
