"""A release through PgBouncer in transaction mode, whose pool has a single connection."""

from __future__ import annotations

import pytest

from tests.fleet.conftest import NEW, OLD, SLOWLY, Fleet, MakeFleet, copied_project, make_fleet, statuses
from tests.programs.conftest import StartPool

__all__ = ["copied_project", "make_fleet"]


def _through_a_pool(fleet: Fleet, start_pool: StartPool) -> str:
    database = fleet.database
    database.create_login("pooled_operator", "federation_owner")
    port, password = start_pool().port, database.passwords["pooled_operator"]
    return f"postgresql://pooled_operator:{password}@127.0.0.1:{port}/{database.name}?sslmode=disable"


@pytest.mark.parametrize("words", [(), ("--jobs", "4"), ("--canary", "2"), ("--max-lock-hold", "5s")], ids=" ".join)
def test_fleet_is_upgraded_over_a_single_connection(
    make_fleet: MakeFleet, start_pool: StartPool, words: tuple[str, ...]
) -> None:
    fleet = make_fleet(20)

    results = fleet.upgrade(*words, url=_through_a_pool(fleet, start_pool))

    assert statuses(results) == {"upgraded": list(fleet.ids)}
    assert fleet.states() == dict.fromkeys(fleet.ids, NEW)


def test_locks_are_held_no_longer_than_they_may_be(make_fleet: MakeFleet, start_pool: StartPool) -> None:
    fleet = make_fleet(2, after=SLOWLY.format(30))
    url = _through_a_pool(fleet, start_pool)

    results = fleet.upgrade("--on-error", "continue", "--lock-timeout", "200ms", "--max-lock-hold", "500ms", url=url)

    assert {result["error"]["code"] for result in results.values()} == {"lock_held_too_long"}
    assert fleet.states() == dict.fromkeys(fleet.ids, OLD)
