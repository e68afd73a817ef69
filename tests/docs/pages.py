"""Reads the documentation: its pages, their headings, links, tables, and what they tell people to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_ROW = re.compile(r"^\|(.+)\|$", re.MULTILINE)
_PROGRAMS = ("fedschema", "alembic")
#: What stands on a page for something that the reader knows.
_PLACEHOLDERS = {"REVISION": "head", "…": "something"}
_SEPARATORS = {"|", "||", "&&", ";", ">", ">>", "<"}


@dataclass(frozen=True)
class Page:
    """One page of the documentation."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """The text without its fenced and its indented blocks."""
        unfenced = _FENCE.sub("", self.text)
        return "\n".join(line for line in unfenced.splitlines() if not line.startswith("    "))

    def code_spans(self) -> list[str]:
        return _INLINE.findall(self.prose)

    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    def anchors(self) -> set[str]:
        """The names under which its headings can be linked to, as GitHub makes them."""
        return {_anchor(heading) for _, heading in _HEADING.findall(_FENCE.sub("", self.text))}

    def section(self, heading: str) -> str:
        """The text below a heading, up to the next one of its level or above."""
        found = [match for match in _HEADING.finditer(self.text) if match[2] == heading]
        assert found, f"{self.name} has no heading {heading!r}"
        level, start = len(found[0][1]), found[0].end()
        following = [match.start() for match in _HEADING.finditer(self.text, start) if len(match[1]) <= level]
        return self.text[start : following[0] if following else None]

    def headings(self) -> list[str]:
        return [heading for _, heading in _HEADING.findall(_FENCE.sub("", self.text))]

    def typed(self) -> list[str]:
        """Every line that the page shows as typed, in a block or within a sentence, and the output between them."""
        lines = self.code_spans()
        for language, block in _FENCE.findall(self.text):
            if language in {"", "console"}:
                lines += block.splitlines()
        lines += [line for line in _FENCE.sub("", self.text).splitlines() if line.startswith("    ")]
        return [line.strip().removeprefix("$ ") for line in lines]

    def commands(self) -> list[list[str]]:
        """Every call of our programs that the page shows, as words; what only names a program is left out."""
        return [words for line in self.typed() for words in _calls(line) if len(words) > 1]


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _calls(line: str) -> Iterator[list[str]]:
    """Take the calls of our programs out of a line of shell."""
    for inner in re.findall(r"\$\(([^()]*)\)", line):
        yield from _calls(inner)
    text = re.sub(r'"?\$\([^()]*\)"?', "value", line)
    text = re.sub(r"(?<= )2>", ">", text)  # where what happens goes is no word of the command
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    try:
        words = list(lexer)
    except ValueError:
        return  # a quotation mark of prose or of a program's output
    for call in _split(words):
        while call and re.fullmatch(r"[A-Z_]+=.*", call[0]):
            call.pop(0)
        if call and Path(call[0]).name in _PROGRAMS and (call[0] in _PROGRAMS or call[0].startswith(".venv/")):
            yield [Path(call[0]).name, *(_PLACEHOLDERS.get(word, word) for word in call[1:])]


def _split(words: list[str]) -> list[list[str]]:
    calls: list[list[str]] = [[]]
    skip = False
    for word in words:
        if word in _SEPARATORS:
            skip = word in {">", ">>", "<"}
            if not skip:
                calls.append([])
        elif skip:
            skip = False
        else:
            calls[-1].append(word)
    return calls


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without headings and rules."""
    found = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if not _ROW.fullmatch(line) or re.fullmatch(r"[|\- ]+", line) or re.fullmatch(r"\|[|\- ]+\|", following):
            continue
        found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line[1:-1])])
    return found


def spans(text: str) -> list[str]:
    """The pieces of code in a text."""
    return _INLINE.findall(text)


PAGES = [Page(path) for path in [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]]


def page(name: str) -> Page:
    """The page at a path below the project."""
    return Page(ROOT / name)
