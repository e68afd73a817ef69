"""What was found, and whether it keeps within the limit. Limits are those of the project's own promise."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.pairs import Pair, Spread

Unit = Literal["s", "times", "s more", "round trips", "microseconds", "MB", "locks"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        what: what was measured.
        unit: of `compared` and `limit`.
        ours: fedschema's median (seconds), or its count.
        floor: psql's, where there is one.
        compared: each pair's comparison summed up, where pairs were run.
        limit: the most that `judged` may be, or None where nothing is promised.
    """

    what: str
    unit: Unit
    ours: float
    floor: float | None = None
    compared: Spread | None = None
    limit: float | None = None

    @property
    def judged(self) -> float:
        """The figure that the limit is about."""
        return self.compared.median if self.compared else self.ours

    @property
    def within(self) -> bool:
        """It keeps its promise."""
        return self.limit is None or self.judged <= self.limit


def ratio(what: str, pairs: Sequence[Pair], limit: float | None) -> Finding:
    """Judge how many times the floor's time we took; without a limit, only tell."""
    return _compared(what, "times", pairs, lambda pair: pair.ratio, limit)


def excess(what: str, pairs: Sequence[Pair], limit: float | None) -> Finding:
    """Judge how many seconds more than the floor we took; without a limit, only tell."""
    return _compared(what, "s more", pairs, lambda pair: pair.excess, limit)


def _compared(
    what: str, unit: Unit, pairs: Sequence[Pair], compare: Callable[[Pair], float], limit: float | None
) -> Finding:
    return Finding(
        what,
        unit,
        ours=statistics.median(pair.ours for pair in pairs),
        floor=statistics.median(pair.floor for pair in pairs),
        compared=Spread.of([compare(pair) for pair in pairs]),
        limit=limit,
    )
