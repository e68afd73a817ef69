"""In which order a fleet is worked on: canaries first, then a tenth, then the rest; and how much may fail."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedschema.department import Department
from fedschema.errors import InvalidBudget

#: The part of the fleet that follows the canaries, before the rest does.
_SECOND_WAVE = 0.1


@dataclass(frozen=True, slots=True)
class Budget:
    """How many departments may fail before nothing new is begun.

    Attributes:
        count: so many.
        percent: or this part of the fleet; the larger of the two holds.
    """

    count: int = 0
    percent: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``3`` or ``5%``.

        Raises:
            InvalidBudget
        """
        found = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)(%?)", text.strip(), re.ASCII)
        if not found or (not found[2] and "." in found[1]) or (found[2] and float(found[1]) > 100):  # noqa: PLR2004
            raise InvalidBudget(text)
        return cls(percent=float(found[1])) if found[2] else cls(count=int(found[1]))

    def is_spent(self, failures: int, fleet: int) -> bool:
        """Tell whether more have failed than may."""
        return failures > max(self.count, math.floor(fleet * self.percent / 100))


def waves(
    departments: Sequence[Department], canaries: int, sizes: Mapping[Department, int], least: int
) -> list[list[Department]]:
    """Split a fleet into waves; each is finished before the next begins.

    Args:
        departments: in the order in which they were asked for.
        canaries: how many go first, the largest and the smallest among them; 0 for a single wave.
        sizes: of each, in whatever unit.
        least: how many the second wave has at least.
    """
    if not canaries or canaries >= len(departments):
        return [list(departments)]
    by_size = sorted(departments, key=lambda department: (-sizes.get(department, 0), department))
    first = by_size[:1] if canaries == 1 else [by_size[0], by_size[-1], *_spread(by_size[1:-1], canaries - 2)]
    rest = [department for department in departments if department not in set(first)]
    second = max(least, math.ceil(len(departments) * _SECOND_WAVE))
    return [wave for wave in (first, rest[:second], rest[second:]) if wave]


def _spread(departments: Sequence[Department], wanted: int) -> list[Department]:
    """Pick so many, evenly over the sizes between the largest and the smallest."""
    return [departments[(2 * number + 1) * len(departments) // (2 * wanted)] for number in range(wanted)]
