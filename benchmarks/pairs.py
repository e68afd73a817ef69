"""Times two contestants in turn, so that whatever else the machine does meets both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.contestants import Contestant
from benchmarks.ground import Ground, draw_department


@dataclass(frozen=True, slots=True)
class Pair:
    """One run of each, seconds.

    Attributes:
        floor: psql's.
        ours: fedschema's.
    """

    floor: float
    ours: float

    @property
    def ratio(self) -> float:
        """How many times the floor we took."""
        return self.ours / self.floor

    @property
    def excess(self) -> float:
        """How many seconds more than the floor we took."""
        return self.ours - self.floor


@dataclass(frozen=True, slots=True)
class Spread:
    """What became of one figure over all pairs."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, figures: list[float]) -> Spread:
        """Sum up figures."""
        return cls(min(figures), statistics.median(figures), max(figures))


def race(ground: Ground, floor: Contestant, ours: Contestant, runs: int) -> list[Pair]:
    """Run both in turn, `runs` times, after once that does not count.

    Who begins changes from pair to pair. Both departments are dropped after each pair: so every run meets a database
    of the same size, and the figures do not depend on how many runs there are.
    """
    pairs = [_pair(ground, floor, ours, floor_first=number % 2 == 0) for number in range(runs + 1)]
    return pairs[1:]


def _pair(ground: Ground, floor: Contestant, ours: Contestant, *, floor_first: bool) -> Pair:
    departments = [draw_department(), draw_department()]
    ready_floor, ready_ours = floor(departments[0]), ours(departments[1])
    if floor_first:
        floor_seconds, our_seconds = seconds(ready_floor), seconds(ready_ours)
    else:
        our_seconds, floor_seconds = seconds(ready_ours), seconds(ready_floor)
    ground.drop(departments)
    return Pair(floor_seconds, our_seconds)


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes, by the wall clock."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
