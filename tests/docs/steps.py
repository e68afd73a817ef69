"""Takes from a page what a reader types, in order: commands with the output that is shown, blocks of SQL and code."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from tests.docs.pages import Page, rows, spans

#: What the first word of an indented line is when the line is typed into a shell.
PROGRAMS = ("alembic", "cat", "export", "fedschema", "make", "pip", "psql", "python", "umask", "vault")

_FENCE = re.compile(r" *```(\w*)")
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
#: So short is what introduces an output.
_LEAD_IN = 200
_HERE_DOCUMENT = re.compile(r"<<'(\w+)'")


@dataclass(frozen=True)
class Step:
    """Something that is typed, or put into a file or into psql.

    Attributes:
        kind: ``command``, or the language of the block.
        text: what it is.
        output: what the page shows of its output; None when it shows none.
        whole: the output is all of it, not a part.
    """

    kind: str
    text: str
    output: str | None = None
    whole: bool = True

    @property
    def name(self) -> str:
        """Its first line."""
        return self.text.strip().splitlines()[0]


def mentions(page: Page, heading: str) -> list[Step]:
    """Return the commands that the last column of the table below a heading names."""
    cells = [span for row in rows(page.section(heading).partition("\n## ")[0]) for span in spans(row[-1])]
    return [Step("command", span) for span in cells if span.split()[0] in PROGRAMS and len(span.split()) > 1]


def steps(page: Page) -> list[Step]:
    """Read a page; an indented block that holds no commands is the output of the SQL or code right before it."""
    found: list[Step] = []
    adjacent = False
    for kind, text in _blocks(page.text):
        if kind == "console":
            found += _session(text)
        elif kind == "prose":
            adjacent = adjacent and len(text.strip()) < _LEAD_IN
            continue
        elif kind != "indented":
            found.append(Step(kind, text))
        elif _is_typed(text):
            found += [Step("command", line) for line in text.splitlines() if line.strip()]
        elif adjacent and found and found[-1].kind in {"sql", "python"}:
            before = found.pop()
            shown = text if before.output is None else f"{before.output}\n{text}"
            found.append(Step(before.kind, before.text, shown, whole=False))
        adjacent = True
    return found


def _is_typed(text: str) -> bool:
    first = [word for word in text.split() if not _ASSIGNMENT.fullmatch(word)]
    return first[0] in PROGRAMS


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Cut a page into its blocks: fenced ones with their language, ``indented``, and ``prose``."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        start = number
        if not line.strip():
            number += 1
        elif fence := _FENCE.match(line):
            number += 1
            while not lines[number].strip().startswith("```"):
                number += 1
            number += 1
            yield fence[1], textwrap.dedent("\n".join(lines[start + 1 : number - 1])) + "\n"
        elif line.startswith("    "):
            while number < len(lines) and (lines[number].startswith("    ") or not lines[number].strip()):
                number += 1
            yield "indented", textwrap.dedent("\n".join(lines[start:number])).strip("\n") + "\n"
        else:
            number += 1
            while number < len(lines) and lines[number].strip() and not _FENCE.match(lines[number]):
                number += 1
            yield "prose", "\n".join(lines[start:number])


def _session(text: str) -> Iterator[Step]:
    """Take the commands and their output out of a block of ``console``."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        assert lines[number].startswith("$ "), f"not a command: {lines[number]}"
        typed = [lines[number].removeprefix("$ ")]
        number += 1
        if document := _HERE_DOCUMENT.search(typed[0]):
            while typed[-1] != document[1]:
                typed.append(lines[number])
                number += 1
        start = number
        while number < len(lines) and not lines[number].startswith("$ "):
            number += 1
        yield Step("command", "\n".join(typed), "\n".join(lines[start:number]) if number > start else None)
