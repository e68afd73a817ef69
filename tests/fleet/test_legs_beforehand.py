"""`--plan` and `--rehearse=live` of what goes in several legs: committed one by one, or done outside a transaction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fedschema import batches, linting, previews
from fedschema.department import Department
from fedschema.fleet.outlook import as_sent
from fedschema.plans import Plan
from tests.fleet.building import FILLED, INDEX, add_backfill_revision, add_index_revision, make_busy_fleet, writing
from tests.fleet.conftest import AFTER, BEFORE, Fleet, MakeFleet, statuses
from tests.fleet.looking import everything, own, revise, strongest

REQUIRED = "tenant_9003_required"
NOT_BUILT = f"revision {INDEX}: index idx_contacts_busy is made concurrently, which is not tried"


@pytest.fixture
def fleet(make_fleet: MakeFleet) -> Fleet:
    """Departments with rows that need three legs: a column, its values, NOT NULL."""
    fleet = make_busy_fleet(make_fleet, 2)
    assert fleet.type_in("downgrade", "--all", "--to", BEFORE, "--yes").status == 0
    add_backfill_revision(fleet, after=AFTER)
    revise(
        fleet.project,
        "ALTER TABLE {schema}.contacts ALTER COLUMN nickname SET NOT NULL",
        revision=REQUIRED,
        after=FILLED,
    )
    return fleet


@pytest.fixture
def with_index(make_fleet: MakeFleet) -> Fleet:
    """Departments with rows that need one leg: a unique index; `d01` has names that are there twice."""
    fleet = make_busy_fleet(make_fleet, 2)
    add_index_revision(fleet, after=AFTER, unique=True)
    with fleet.database.connect() as connection:
        connection.execute(
            "UPDATE d01_tenant.contacts SET full_name = 'Ada' WHERE full_name IN ('Name 1', 'Name 2', 'Name 3')"
        )
    return fleet


def planned(fleet: Fleet) -> dict[str, Any]:
    done = fleet.type_in("upgrade", "--plan", "--json")
    assert done.status == 0, done
    (group,) = json.loads(done.stdout)["groups"]
    found: dict[str, Any] = group
    return found


def rehearsed(fleet: Fleet, status: int = 0) -> dict[str, dict[str, Any]]:
    before = everything(fleet.database)
    done = fleet.type_in("upgrade", "--rehearse=live", "--json")
    assert everything(fleet.database) == before
    assert done.status == status, done
    return {result["department_id"]: result for result in json.loads(done.stdout)["results"]}


# ------------------------------------------------------------------------------------------------------------ --plan


def test_each_leg_takes_its_locks_anew_and_lets_them_go(fleet: Fleet) -> None:
    group = planned(fleet)

    statements = own(group["statements"])
    last = statements[-1]
    assert [one["leg"] for one in (statements[0], last)] == [1, 3]
    assert (strongest(statements[0]), strongest(last)) == ("ACCESS EXCLUSIVE contacts",) * 2
    held = [(lock["leg"], lock["mode"]) for lock in group["held"] if lock["relation"] == "contacts"]
    assert held == [(1, "ACCESS EXCLUSIVE"), (2, "ROW EXCLUSIVE"), (3, "ACCESS EXCLUSIVE")]
    assert all(one["tried"] for one in group["statements"])
    assert group["error"] is None


def test_people_see_until_when_each_lock_is_held(fleet: Fleet) -> None:
    done = fleet.type_in("upgrade", "--plan")

    assert [line for line in done.stdout.splitlines() if line.startswith("held")] == [
        f"held until {AFTER} is committed: ACCESS EXCLUSIVE contacts",
        f"held until {REQUIRED} is committed: ACCESS EXCLUSIVE contacts",
    ]
    assert f"revision {FILLED} is done outside the transaction" in done.stdout
    assert "warning: revision" not in done.stderr  # it is how it is done, and nothing to be warned of


def test_effects_are_those_of_the_statement_that_has_them(fleet: Fleet) -> None:
    statements = own(planned(fleet)["statements"])

    filling = [one for one in statements if one["revision"] == FILLED]
    assert [strongest(one) for one in filling if "UPDATE" in one["statement"]] == ["ROW EXCLUSIVE contacts"]
    others = [one for one in filling if "UPDATE" not in one["statement"]]
    assert others
    assert all((one["locks"], one["reads"]) == ([], []) for one in others)


def test_statements_are_the_batches_of_all_legs(fleet: Fleet) -> None:
    (plan,) = (fleet.project.compiler().upgrade(Department("d00"), (BEFORE,), "head"),)

    statements = planned(fleet)["statements"]

    sent = [batches.migration(Department("d00"), leg) for leg in plan.legs]
    assert [one["statement"] for one in statements] == [
        text for batch, leg in zip(sent, plan.legs, strict=True) for text, _ in batches.statements_of(batch, leg)
    ]


def test_each_leg_is_linted_as_the_script_that_it_is(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    really = linting.lint

    def listen(sql: str, server_version: int, project: Path) -> tuple[linting.Lint, ...]:
        looked_at.append(sql)
        return really(sql, server_version, project)

    monkeypatch.setattr(previews, "lint", listen)
    group = planned(fleet)

    plan: Plan = as_sent(fleet.project.compiler().upgrade(Department("d00"), (BEFORE,), "head"))
    assert looked_at == [batches.migration(Department("d00"), leg).sql for leg in plan.legs]
    for lint in group["lints"]:
        about = group["statements"][lint["statement"]]["statement"]
        assert ("SET NOT NULL" in about) == (lint["rule"] == "adding-not-nullable-field"), (lint, about)
    assert any(lint["rule"] == "adding-not-nullable-field" for lint in group["lints"])


def test_locks_of_a_leg_that_only_its_commit_would_refuse_are_known(fleet: Fleet) -> None:
    key = "FOREIGN KEY (nickname) REFERENCES {schema}.contacts (contact_id) DEFERRABLE INITIALLY DEFERRED"
    revise(
        fleet.project,
        "ALTER TABLE {schema}.contacts ADD COLUMN nickname text",
        f"ALTER TABLE {{schema}}.contacts ADD CONSTRAINT knows {key}",
        "SET LOCAL ROLE federation_admin_role",
        "INSERT INTO {schema}.contacts (contact_id, nickname) VALUES ('people/1', 'nobody')",
        "SET LOCAL ROLE federation_owner",
    )

    done = fleet.type_in("upgrade", "--plan", "--json")

    (group,) = json.loads(done.stdout)["groups"]
    assert (done.status, group["error"]["code"]) == (1, "statement_failed")
    assert "knows" in group["error"]["message"]
    assert [one["leg"] for one in group["statements"] if one["tried"]] == [1] * 9
    assert strongest(own(group["statements"])[0]) == "ACCESS EXCLUSIVE contacts"
    assert group["notes"] == [group["notes"][0]]  # what is done outside the transaction, and nothing of locks


def test_lock_of_a_concurrent_build_is_held_by_no_transaction_to_its_end(with_index: Fleet) -> None:
    group = planned(with_index)

    (built,) = own(group["statements"])
    assert strongest(built) == "SHARE UPDATE EXCLUSIVE contacts"
    assert [lock for lock in group["held"] if lock["relation"] == "contacts"] == []


# ------------------------------------------------------------------------------------------------------------- live


def test_nothing_is_tried_from_a_backfill_on_where_there_are_rows(fleet: Fleet) -> None:
    results = rehearsed(fleet)

    for result in results.values():
        assert result["status"] == "sound"
        tried = {one["revision"] for one in own(result["statements"]) if one["tried"]}
        assert tried == {AFTER}
        (note,) = result["notes"]
        assert note.startswith(f"from revision {FILLED} on nothing was tried: it changes the rows of contacts outside")
    done = fleet.type_in("upgrade", "--rehearse=live")
    assert done.stdout.splitlines()[0].endswith(f"; not tried from {FILLED} on")
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("warning:")]
    assert told.startswith(f"warning: from revision {FILLED} on nothing was tried")
    assert told.endswith("(d00, d01)")


def test_backfill_of_an_empty_table_is_tried_like_the_rest(fleet: Fleet) -> None:
    with fleet.database.connect() as connection:
        connection.execute("TRUNCATE d00_tenant.contacts CASCADE")

    results = rehearsed(fleet)

    assert all(one["tried"] for one in results["d00"]["statements"])
    assert not all(one["tried"] for one in results["d01"]["statements"])
    assert [REQUIRED in note for note in results["d00"]["notes"]] == [False, True]  # under the locks of the others
    assert fleet.type_in("upgrade", "--rehearse=live").status == 0


def test_rows_in_the_way_of_a_unique_index_are_counted_though_it_is_not_built(with_index: Fleet) -> None:
    with writing(with_index.database, "d00"), writing(with_index.database, "d01"):  # a build would wait for them
        done = with_index.type_in("upgrade", "--rehearse=live", "--json")
    results = {result["department_id"]: result for result in json.loads(done.stdout)["results"]}

    assert {name: result["status"] for name, result in results.items()} == {"d00": "sound", "d01": "failed"}
    assert results["d01"]["error"]["code"] == "statement_failed"
    assert "idx_contacts_busy" in results["d01"]["error"]["message"]
    assert results["d01"]["rows"]["count"] == 3
    assert results["d00"]["notes"] == [
        f"{NOT_BUILT}, but no rows are in its way",
    ]
    assert "CREATE UNIQUE INDEX CONCURRENTLY" in own(results["d00"]["statements"])[0]["statement"]
    assert statuses(with_index.upgrade("--on-error", "continue")) == {"upgraded": ["d00"], "failed": ["d01"]}


@pytest.mark.parametrize(("columns", "count"), [("lower(notes), full_name", 0), ("notes", 0), ("job_title", 500)])
def test_unique_index_is_counted_as_it_is_written(with_index: Fleet, columns: str, count: int) -> None:
    """Values that are missing are not the same, unless that is said."""
    with with_index.database.connect() as connection:
        connection.execute("UPDATE d01_tenant.contacts SET job_title = 'one'")
    add_index_revision(with_index, after=AFTER, columns=columns, unique=True)

    results = rehearsed(with_index, status=int(count > 0))

    assert (results["d01"]["rows"] or {"count": 0})["count"] == count


def test_index_that_is_not_unique_is_said_not_to_be_tried(with_index: Fleet) -> None:
    add_index_revision(with_index, after=AFTER)

    results = rehearsed(with_index)

    assert results["d01"]["status"] == "sound"
    assert results["d01"]["notes"] == [
        NOT_BUILT,
    ]
    assert "which is not tried (d00, d01)" in with_index.type_in("upgrade", "--rehearse=live").stderr
    (built,) = own(results["d01"]["statements"])
    assert (built["tried"], built["duration_seconds"]) == (False, None)


def test_index_on_an_empty_table_is_tried(with_index: Fleet) -> None:
    with with_index.database.connect() as connection:
        connection.execute("TRUNCATE d01_tenant.contacts CASCADE")

    results = rehearsed(with_index)

    assert results["d01"]["notes"] == []
    assert all(one["tried"] for one in results["d01"]["statements"])
