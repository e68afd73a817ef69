"""What the benchmarks' command lines share: the server, --json, and an exit status that says how it went."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg

from benchmarks.errors import BenchmarkFailed
from benchmarks.report import Report, print_json, print_table
from fedschema.errors import FedschemaError


def parser(module: str, document: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(prog=f"python -m {module}", description=(document or "").splitlines()[0])
    server = made.add_mutually_exclusive_group()
    server.add_argument("--bindir", type=Path, metavar="DIR", help="programs of the throwaway server")
    server.add_argument("--url", help="a superuser's URL of a running server, instead of a throwaway one")
    made.add_argument("--json", action="store_true", help="print one JSON document")
    return made


def positive(text: str) -> int:
    """Read a number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def run(
    options: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], Report], arguments: Sequence[str] | None
) -> int:
    """Measure and print.

    Returns:
        0 within all limits, 1 over one, 2 when nothing could be measured.
    """
    given = options.parse_args(arguments)
    show = print_json if given.json else print_table
    try:
        report = measure(given)
    except (BenchmarkFailed, FedschemaError, psycopg.Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(report)
    return 0 if report.within else 1
