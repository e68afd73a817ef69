"""How things are shown: data on stdout, all else on stderr; aligned text for people, one JSON document for machines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

import typer

from fedschema.cli import journal
from fedschema.cli.journal import Level
from fedschema.errors import FedschemaError

_GAP = "  "


def _colourful(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR")


def _styled(text: str, stream: TextIO, **style: Any) -> str:  # noqa: ANN401 - typer's own styles
    return typer.style(text, **style) if _colourful(stream) else text


def say(text: str = "") -> None:
    """Print a line of data."""
    sys.stdout.write(f"{text}\n")


def heading(text: str) -> None:
    """Print the heading of what follows."""
    say()
    say(_styled(f"# {text}", sys.stdout, fg="green", bold=True))


def prompt(text: str) -> None:
    """Print what is being run."""
    say(_styled(text, sys.stdout, fg="cyan"))


def note(text: str) -> None:
    """Print a remark for the person at the terminal."""
    if journal.wanted():
        if text:
            journal.record(Level.INFO, "noted", text)
        return
    sys.stderr.write(f"{text}\n")


def warning(text: str) -> None:
    """Print a warning."""
    if journal.wanted():
        journal.record(Level.WARNING, "warned", text)
        return
    note(f"{_styled('warning:', sys.stderr, fg='yellow', bold=True)} {text}")


def failure(code: str, message: str, hint: str | None, *, as_json: bool = False, department: str | None = None) -> None:
    """Print what went wrong and what to type next; as JSON, on stdout, when a machine reads.

    Args:
        code: the stable name of what went wrong.
        message: what it was.
        hint: what to type next.
        as_json: a machine reads.
        department: whom it is about, for the journal; people read it in the message.
    """
    if as_json:
        document({"error": {"code": code, "message": message, "hint": hint}})
    if journal.wanted():
        journal.record(Level.ERROR, "failed", message, department=department, error_code=code, hint=hint)
    if as_json or journal.wanted():
        return
    note(f"{_styled('error:', sys.stderr, fg='red', bold=True)} {message}")
    if hint:
        note(f"{_styled('hint:', sys.stderr, fg='cyan')} {hint}")


def error_document(error: FedschemaError | None) -> dict[str, str | None] | None:
    """Return a failure as JSON has it; None for none."""
    return {"code": error.code, "message": error.message, "hint": error.hint} if error else None


def document(value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print one JSON document."""
    as_utf8 = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    text = json.dumps(value, default=_plain, ensure_ascii=not as_utf8, indent=2)
    # What JSON lets through and a terminal obeys: C1 controls, directions of writing, DEL.
    sys.stdout.write("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text) + "\n")


def _plain(value: object) -> object:
    """Turn what JSON does not know into what the interface promises: times in UTC ending in Z."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, UUID | IPv4Address | IPv6Address):
        return str(value)
    if isinstance(value, IPv4Interface | IPv6Interface):
        return str(value.ip)
    raise TypeError(f"no JSON for {type(value).__name__}")


def moment(value: datetime | None) -> str:
    """Show a time to people: in UTC, to the second."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if value else "-"


def size(count: int) -> str:
    """Show a number of bytes to people."""
    for unit, each in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= each:
            return f"{count / each:.1f} {unit}"
    return f"{count} bytes"


def printable(text: str | None) -> str:
    """Show a text that somebody else wrote: what would move a terminal's cursor or colour it is spelled out."""
    if not text:
        return "-"
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, upper: bool = True) -> None:
    """Print rows in aligned columns. Nothing is cut: what a terminal wraps, a pipe still reads whole.

    Args:
        headings: one for each column.
        rows: the cells.
        upper: headings are words; False when they are names, which stay as they are.
    """
    body = [list(row) for row in rows]
    widths = [max(len(line[index]) for line in [list(headings), *body]) for index in range(len(headings))]
    shown = [heading.upper() if upper else heading for heading in headings]
    say(_styled(_line(shown, widths), sys.stdout, bold=True))
    for row in body:
        say(_line(row, widths))


def facts(values: Mapping[str, str]) -> None:
    """Print names with their values, one a line."""
    width = max(len(name) for name in values)
    for name, value in values.items():
        say(f"{name.ljust(width)}{_GAP}{value}")


def place(file: Path) -> str:
    """Show a file as it can be opened from here."""
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
