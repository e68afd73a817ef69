"""Where the boxes and lines of the tables' picture go: columns of boxes, and lines that never cross one.

A line leaves its box into the gutter beside it, goes up or down there, and where its goal is further away than the next
column, over the top of all boxes. Each has a lane of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fedschema.report.relations import Column, Link, Relations

WIDTH = 276
HEAD = 26
LINE = 18
_FOOT = 8
_GAP = 22
_LANE = 7
_MARGIN = 14


@dataclass(frozen=True, slots=True)
class Box:
    """A table."""

    name: str
    columns: tuple[Column, ...]
    x: int
    y: int
    height: int

    def y_of(self, column: str) -> int:
        """Return the middle of a column's line."""
        place = next((n for n, own in enumerate(self.columns) if own.name == column), 0)
        return self.y + HEAD + place * LINE + LINE // 2 + 2


@dataclass(frozen=True, slots=True)
class Wire:
    """A link as it is drawn: the points that it goes through."""

    link: Link
    points: tuple[tuple[int, int], ...]

    @property
    def path(self) -> str:
        """As SVG has it."""
        return "M" + "L".join(f"{x} {y}" for x, y in self.points)


@dataclass(frozen=True, slots=True)
class Picture:
    """All of it, and how large it is."""

    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]
    width: int
    height: int


def draw(relations: Relations, columns: int = 4) -> Picture:
    """Lay tables out in so many columns, those that lead to one another near each other."""
    order = _near_each_other(relations)
    stacks = _stacked(order, relations.tables, max(1, min(columns, len(order))))
    at = {name: number for number, stack in enumerate(stacks) for name in stack}
    lanes = _Lanes(relations.links, at)
    top = _MARGIN + lanes.over * _LANE + (_GAP if lanes.over else 0)
    lefts = lanes.lefts(len(stacks))
    boxes: dict[str, Box] = {}
    for number, stack in enumerate(stacks):
        y = top
        for name in stack:
            height = _height(relations.tables[name])
            boxes[name] = Box(name, relations.tables[name], lefts[number], y, height)
            y += height + _GAP
    wires = tuple(lanes.wires(boxes, lefts))
    bottom = max((box.y + box.height for box in boxes.values()), default=top)
    width = lefts[-1] + WIDTH + lanes.width(len(stacks)) if stacks else 2 * _MARGIN
    return Picture(tuple(boxes.values()), wires, width, bottom + _MARGIN)


def _height(columns: Sequence[Column]) -> int:
    return HEAD + len(columns) * LINE + _FOOT


def _near_each_other(relations: Relations) -> list[str]:
    """Order tables so that those that are linked follow one another: the most referred to first, then the rest."""
    neighbours: dict[str, list[str]] = defaultdict(list)
    for link in relations.links:
        neighbours[link.target[0]].append(link.source[0])
        neighbours[link.source[0]].append(link.target[0])
    order: dict[str, None] = {}
    for start in sorted(relations.tables, key=lambda name: (-len(neighbours[name]), name)):
        waiting = [start]
        while waiting:
            name = waiting.pop(0)
            if name not in order and name in relations.tables:
                order[name] = None
                waiting += sorted(set(neighbours[name]))
    return list(order)


def _stacked(order: Sequence[str], tables: Mapping[str, tuple[Column, ...]], columns: int) -> list[list[str]]:
    """Cut an order into columns of about the same height."""
    total = sum(_height(tables[name]) + _GAP for name in order)
    stacks: list[list[str]] = [[] for _ in range(columns if order else 0)]
    gone = 0
    for name in order:
        height = _height(tables[name]) + _GAP
        stacks[min(columns - 1, int((gone + height / 2) * columns / total))].append(name)
        gone += height
    return [stack for stack in stacks if stack]


class _Lanes:
    """Which lane each line has in which gutter; gutter `n` is to the left of column `n`. Lines go by their number."""

    def __init__(self, links: Sequence[Link], at: Mapping[str, int]) -> None:
        self._links = links
        self._gutters: dict[int, int] = defaultdict(int)
        self._lane: dict[tuple[int, int], int] = {}
        self._over: dict[int, int] = {}
        self._ways = [_gutters_of(at[link.source[0]], at[link.target[0]]) for link in links]
        for number, (first, last) in enumerate(self._ways):
            for gutter in {first, last}:
                self._gutters[gutter] += 1
                self._lane[number, gutter] = self._gutters[gutter]
            if first != last:
                self._over[number] = len(self._over)

    @property
    def over(self) -> int:
        """How many lines go over the top."""
        return len(self._over)

    def width(self, gutter: int) -> int:
        """Return how wide a gutter has to be."""
        return 2 * _MARGIN + self._gutters[gutter] * _LANE

    def lefts(self, columns: int) -> list[int]:
        """Return where each column of boxes begins."""
        found, x = [], 0
        for number in range(columns):
            x += self.width(number)
            found.append(x)
            x += WIDTH
        return found

    def wires(self, boxes: Mapping[str, Box], lefts: Sequence[int]) -> Iterator[Wire]:
        """Yield the way of each line."""
        for number, link in enumerate(self._links):
            source, target = boxes[link.source[0]], boxes[link.target[0]]
            first, last = self._ways[number]
            y1, y2 = source.y_of(link.source[1]), target.y_of(link.target[1])
            x1, x2 = self._x(number, first, lefts), self._x(number, last, lefts)
            out = source.x + WIDTH if x1 > source.x else source.x
            into = target.x + WIDTH if x2 > target.x else target.x
            if first == last:
                yield Wire(link, ((out, y1), (x1, y1), (x1, y2), (into, y2)))
            else:
                above = _MARGIN + self._over[number] * _LANE
                yield Wire(link, ((out, y1), (x1, y1), (x1, above), (x2, above), (x2, y2), (into, y2)))

    def _x(self, number: int, gutter: int, lefts: Sequence[int]) -> int:
        begin = lefts[gutter - 1] + WIDTH if gutter else 0
        return begin + _MARGIN + self._lane[number, gutter] * _LANE - _LANE // 2


def _gutters_of(source: int, target: int) -> tuple[int, int]:
    """Return the gutter that a line leaves its column by, and the one that it comes into the other from."""
    if source == target:
        return source + 1, source + 1
    if source < target:
        return source + 1, target
    return source, target + 1
