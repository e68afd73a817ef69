"""The entry point: runs a command and turns what goes wrong into one message and an exit status.

0 done · 1 an operation or a check failed · 2 wrong usage, nothing was touched · 3 from ``status --check`` alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from typer import Abort, Exit, TyperException

from fedschema.cli import output
from fedschema.cli.app import app
from fedschema.errors import FedschemaError

INTERRUPTED = 130


def main() -> None:
    """Run what was typed and end the process with its exit status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; no traceback is shown for what can go wrong.

    Args:
        arguments: what was typed after ``fedschema``.
    """
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
        # The reader has gone (`… | head`); Python would complain about it once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if status == INTERRUPTED:  # typer turns Ctrl-C into this status
        output.failure("interrupted", "interrupted; what had begun was rolled back", None, as_json=as_json)
    return status if isinstance(status, int) else 0


def _show_usage(error: TyperException, *, as_json: bool) -> None:
    """Show what was wrong with the words of a command, with its usage."""
    show = getattr(error, "show", None)
    if as_json or show is None:
        output.failure("usage", error.format_message(), "fedschema --help", as_json=as_json)
    else:
        show()
