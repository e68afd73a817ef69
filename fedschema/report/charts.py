"""Where the bars of a chart over days go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WIDTH = 760
HEIGHT = 180
_LEFT = 46
_TOP = 12
_BOTTOM = 26
#: How many lines across, at most, and how they may be apart: times a power of ten.
_LINES = 4
_NICE = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: where its bar is, and how high."""

    day: date
    value: int
    x: float
    y: float
    width: float
    height: float
    named: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across with its number."""

    value: int
    y: float


@dataclass(frozen=True, slots=True)
class Chart:
    """All of it."""

    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    floor: int = HEIGHT - _BOTTOM


def bars(values: Sequence[tuple[date, int]]) -> Chart:
    """Lay out a bar for each day; what is not nothing is seen, however little it is beside the rest."""
    step = _step(max((value for _, value in values), default=0))
    top = step * max(1, -(-max((value for _, value in values), default=0) // step))
    room = HEIGHT - _TOP - _BOTTOM
    each = (WIDTH - _LEFT) / max(1, len(values))
    found = []
    for number, (day, value) in enumerate(values):
        height = max(2.0, round(value / top * room, 1)) if value else 0.0
        x = round(_LEFT + number * each + each * 0.12, 1)
        named = (len(values) - 1 - number) % 7 == 0
        found.append(Bar(day, value, x, HEIGHT - _BOTTOM - height, round(each * 0.76, 1), height, named))
    marks = [Mark(value, round(HEIGHT - _BOTTOM - value / top * room, 1)) for value in range(0, top + 1, step)]
    return Chart(tuple(found), tuple(marks))


def _step(most: int) -> int:
    """Return how far lines are apart: 1, 2 or 5 times a power of ten, so that there are few."""
    power = 1
    while True:
        for nice in _NICE:
            if nice * power * _LINES >= most:
                return nice * power
        power *= 10
