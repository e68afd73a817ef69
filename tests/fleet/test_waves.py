"""Who goes first, and how much may fail: what needs no database."""

from __future__ import annotations

from itertools import chain, pairwise

import pytest

from fedschema.department import Department
from fedschema.errors import InvalidBudget
from fedschema.fleet.pace import Pace
from fedschema.fleet.schedule import Budget, waves

FLEET = [Department(f"d{number:02}") for number in range(24)]
#: Neither the first nor the last of the list is the largest or the smallest.
SIZES = {department: (number * 7) % 24 * 100 for number, department in enumerate(FLEET)}
LARGEST = max(FLEET, key=SIZES.__getitem__)
SMALLEST = min(FLEET[1:], key=SIZES.__getitem__)


def test_without_canaries_there_is_one_wave_in_the_given_order() -> None:
    assert waves(FLEET, 0, SIZES, 4) == [FLEET]


def test_one_canary_is_the_largest() -> None:
    assert waves(FLEET, 1, SIZES, 4)[0] == [LARGEST]


def test_canaries_are_the_largest_the_smallest_and_some_between() -> None:
    fleet = FLEET[1:]

    first = waves(fleet, 3, SIZES, 4)[0]

    assert first[:2] == [LARGEST, SMALLEST]
    assert SIZES[SMALLEST] < SIZES[first[2]] < SIZES[LARGEST]
    assert len(first) == 3


@pytest.mark.parametrize("canaries", range(1, 24))
@pytest.mark.parametrize("least", [1, 4])
def test_every_department_is_in_one_wave_and_in_one_only(canaries: int, least: int) -> None:
    split = waves(FLEET, canaries, SIZES, least)

    assert sorted(chain(*split)) == FLEET
    assert len(split[0]) == canaries
    assert all(split)


def test_after_the_canaries_comes_a_tenth_but_enough_for_all_connections() -> None:
    hundred = [Department(f"d{number:03}") for number in range(100)]

    assert [len(wave) for wave in waves(hundred, 3, {}, 4)] == [3, 10, 87]
    assert [len(wave) for wave in waves(hundred, 3, {}, 16)] == [3, 16, 81]


def test_those_that_are_no_canaries_keep_their_order() -> None:
    first, *others = waves(FLEET, 3, SIZES, 4)

    assert list(chain(*others)) == [department for department in FLEET if department not in first]


def test_canaries_of_the_whole_fleet_leave_nobody_for_later() -> None:
    assert waves(FLEET[:3], 3, SIZES, 4) == [FLEET[:3]]
    assert waves(FLEET[:3], 9, SIZES, 4) == [FLEET[:3]]


@pytest.mark.parametrize(
    ("text", "fleet", "may_fail"),
    [("0", 24, 0), ("2", 24, 2), ("10%", 24, 2), ("10%", 9, 0), ("0.5%", 1000, 5), ("100%", 24, 24), (" 5% ", 20, 1)],
)
def test_budget_is_spent_when_more_fail_than_may(text: str, fleet: int, may_fail: int) -> None:
    budget = Budget.parse(text)

    assert not budget.is_spent(may_fail, fleet)
    assert budget.is_spent(may_fail + 1, fleet)


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "101%", "5%%", "%", "1e3", "٣", "3 5", "nan%", "1234567"])
def test_anything_else_is_no_budget(text: str) -> None:
    with pytest.raises(InvalidBudget):
        Budget.parse(text)


def test_pauses_grow_up_to_a_limit_and_differ() -> None:
    pauses = [[Pace().pause_before(attempt) for _ in range(20)] for attempt in range(12)]

    assert all(max(earlier) <= min(later) for earlier, later in pairwise(pauses[:5]))
    assert all(len(set(each)) > 1 for each in pauses)
    assert max(map(max, pauses)) <= 10
