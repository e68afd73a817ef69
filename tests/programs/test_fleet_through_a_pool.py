"""A release through PgBouncer in transaction mode, whose pool has a single connection."""

from __future__ import annotations

import psycopg
import pytest

from tests.fleet.building import (
    FILLED,
    INDEX,
    NAME,
    add_backfill_revision,
    add_index_revision,
    indexes,
    make_busy_fleet,
    revision_of,
    unfilled,
)
from tests.fleet.conftest import AFTER, NEW, OLD, SLOWLY, Fleet, MakeFleet, copied_project, make_fleet, statuses
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


def _direct(fleet: Fleet) -> str:
    database = fleet.database
    password = database.passwords["pooled_operator"]
    return f"postgresql://pooled_operator:{password}@127.0.0.1:{database.server.port}/{database.name}"


def test_index_is_not_built_through_a_pool_whose_sessions_are_shared(
    make_fleet: MakeFleet, start_pool: StartPool
) -> None:
    """SET ROLE would stay with the server's session, and make the next client of the pool the owner."""
    fleet = make_busy_fleet(make_fleet, 1)
    add_index_revision(fleet, after=AFTER)
    url = _through_a_pool(fleet, start_pool)

    error = fleet.upgrade(url=url)["d00"]["error"]

    assert (error["code"], "--direct-url" in error["hint"]) == ("session_needed", True)
    assert (indexes(fleet.database, "d00"), revision_of(fleet.database, "d00")) == ({}, AFTER)
    with psycopg.connect(url, prepare_threshold=None) as client:
        row = client.execute("SELECT current_user, current_setting('role'), current_setting('search_path')").fetchone()
    assert row == ("pooled_operator", "none", '"$user", public')
    assert fleet.applied(INDEX) == {"d00": (0, 0)}  # it is no failure of the revision


def test_direct_url_beside_the_pool_s_builds_it(make_fleet: MakeFleet, start_pool: StartPool) -> None:
    fleet = make_busy_fleet(make_fleet, 3)
    add_index_revision(fleet, after=AFTER)
    url = _through_a_pool(fleet, start_pool)

    results = fleet.upgrade("--direct-url", _direct(fleet), "--jobs", "2", url=url)

    assert statuses(results) == {"upgraded": list(fleet.ids)}
    for department in fleet.ids:
        assert (indexes(fleet.database, department), revision_of(fleet.database, department)) == ({NAME: True}, INDEX)


def test_direct_url_that_leads_elsewhere_is_refused(make_fleet: MakeFleet, start_pool: StartPool) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_index_revision(fleet, after=AFTER)
    url = _through_a_pool(fleet, start_pool)
    elsewhere = _direct(fleet).rpartition("/")[0] + "/postgres"

    error = fleet.upgrade("--direct-url", elsewhere, url=url)["d00"]["error"]

    assert error["code"] == "direct_url_elsewhere"
    assert indexes(fleet.database, "d00") == {}


def test_backfill_needs_no_session_of_its_own(make_fleet: MakeFleet, start_pool: StartPool) -> None:
    fleet = make_busy_fleet(make_fleet, 2)
    add_backfill_revision(fleet, after=AFTER, options=", batch_rows=20")

    results = fleet.upgrade(url=_through_a_pool(fleet, start_pool))

    assert statuses(results) == {"upgraded": list(fleet.ids)}
    assert [unfilled(fleet.database, department) for department in fleet.ids] == [0, 0]
    assert revision_of(fleet.database, "d00") == FILLED
