"""What an expression of a CHECK tells about values that it takes: the literals, numbers and patterns in it.

Nothing here has to be right: whatever is found is only tried, and the server says what it takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

_TEXT = re.compile(r"(?:(?P<pattern>~\*?|~~\*?|similar_to_escape\()\s*)?E?'(?P<text>(?:[^']|'')*)'", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.'])-?\d+(?:\.\d+)?(?![\w.])")
_ESCAPES = {"d": "5", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a", "m": "", "M": "", "y": "", "A": "", "Z": ""}
_TIMES = re.compile(r"\{(\d+)(?:,\d*)?\}")
_RANGE = 2


def texts(expression: str) -> list[str]:
    """Return the texts in an expression, and for a pattern a text that meets it."""
    found: dict[str, None] = {}
    for literal in _TEXT.finditer(expression):
        text = literal["text"].replace("''", "'")
        pattern = literal["pattern"]
        if pattern and pattern.startswith("~~"):
            found[text.replace("%", "").replace("_", "x")] = None
            found[text.replace("%", "x").replace("_", "x")] = None
        elif pattern:
            found[matching(text)] = None
            found[matching(text, longer=1)] = None
        else:
            found[text] = None
    return list(found)


def numbers(expression: str) -> list[str]:
    """Return the numbers in an expression with what is between and around them."""
    without = _TEXT.sub(" ", expression)
    named = sorted({float(number) for number in _NUMBER.findall(without)})
    between = [(low + high) / 2 for low, high in pairwise(named)]
    around = [near for value in named for near in (value, value + 1, value - 1, value + 0.5, value * 2, value / 2)]
    return list(dict.fromkeys(f"{value:.10g}" for value in (*between, *around)))


def matching(pattern: str, longer: int = 0) -> str:
    """Write a text that meets a regular expression; of what cannot be understood, something near.

    Args:
        pattern: POSIX, as PostgreSQL has them.
        longer: how many more times than needed what may be repeated is.
    """
    text, _ = _alternatives(pattern, 0, longer)
    return text


def _alternatives(pattern: str, at: int, longer: int) -> tuple[str, int]:
    """Read up to the closing parenthesis, and return the first of the alternatives that is not empty."""
    found: list[str] = []
    branch: list[str] = []
    while at < len(pattern) and pattern[at] != ")":
        if pattern[at] == "|":
            found.append("".join(branch))
            branch = []
            at += 1
            continue
        piece, at = _piece(pattern, at, longer)
        times, at = _times(pattern, at, longer)
        branch.append(piece * times)
    found.append("".join(branch))
    return next((text for text in found if text), ""), at + 1


def _piece(pattern: str, at: int, longer: int) -> tuple[str, int]:  # noqa: PLR0911 - one for each kind of piece
    letter = pattern[at]
    if letter in "^$":
        return "", at + 1
    if letter == ".":
        return "a", at + 1
    if letter == "\\" and at + 1 < len(pattern):
        return _ESCAPES.get(pattern[at + 1], pattern[at + 1]), at + 2
    if letter == "[":
        return _of_class(pattern, at)
    if letter == "(":
        inside = at + 1
        if pattern.startswith(("?:", "?=", "?!"), inside):
            text, end = _alternatives(pattern, inside + 2, longer)
            return (text if pattern[inside + 1] == ":" else ""), end
        return _alternatives(pattern, inside, longer)
    return letter, at + 1


def _of_class(pattern: str, at: int) -> tuple[str, int]:
    """Return a character of a bracket expression, and where that ends."""
    begin = at + 1
    negated = pattern.startswith("^", begin)
    begin += negated
    end = begin + pattern.startswith("]", begin)  # the first one would be a character
    while end < len(pattern) and pattern[end] != "]":
        end = pattern.index(":]", end) + _RANGE if pattern.startswith("[:", end) and ":]" in pattern[end:] else end + 1
    inside = pattern[begin:end]
    if not negated:
        return (_named(inside) or inside.lstrip("\\")[:1] or "a"), end + 1
    excluded = re.compile(f"[{re.escape(inside)}]")
    return next((letter for letter in "ax1-_ Z" if not excluded.match(letter)), "~"), end + 1


def _named(inside: str) -> str | None:
    names = {"[:alpha:]": "a", "[:alnum:]": "a", "[:digit:]": "5", "[:upper:]": "A", "[:lower:]": "a", "[:space:]": " "}
    escapes = {"\\d": "5", "\\w": "a", "\\s": " "}
    return next((letter for name, letter in (names | escapes).items() if inside.startswith(name)), None)


def _times(pattern: str, at: int, longer: int) -> tuple[int, int]:
    """Return how often what stands before is repeated, and where that ends."""
    if at >= len(pattern):
        return 1, at
    if found := _TIMES.match(pattern, at):
        return int(found[1]), _greedy(pattern, found.end())
    if pattern[at] in "*?+":
        once = 1 if pattern[at] == "+" else 0
        return once + (longer if pattern[at] != "?" else min(longer, 1)), _greedy(pattern, at + 1)
    return 1, at


def _greedy(pattern: str, at: int) -> int:
    return at + 1 if pattern.startswith("?", at) else at


def lengths(expression: str) -> Iterator[int]:
    """Yield the whole numbers of an expression that a text could be long, shortest first."""
    without = _TEXT.sub(" ", expression)
    for number in sorted({int(text) for text in _NUMBER.findall(without) if text.isdigit()}):
        if number <= _LONGEST:
            yield number


#: A text that has to be longer than this is not made.
_LONGEST = 100_000
