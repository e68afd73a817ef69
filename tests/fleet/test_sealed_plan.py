"""A plan that was sealed is done as it was sealed, or nothing is done at all."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fedschema import sealing
from fedschema.addresses import describe
from fedschema.department import Department
from fedschema.fleet import run as release
from fedschema.fleet import seal
from fedschema.releases import Direction, Outcome, Release
from tests.conftest import Finished, Run
from tests.fleet.building import INDEX, add_index_revision, make_busy_fleet, revision_of
from tests.fleet.conftest import (
    AFTER,
    BEFORE,
    CHECK,
    NEW,
    OLD,
    SLOWLY,
    Fleet,
    MakeFleet,
    Start,
    sleeping,
    spoil,
    statuses,
)
from tests.fleet.looking import everything, revise
from tests.tenancy.conftest import eventually


@pytest.fixture
def fleet(make_fleet: MakeFleet) -> Fleet:
    return make_fleet(3)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "plan.json"


def sealed(fleet: Fleet, file: Path, *words: str) -> dict[str, Any]:
    """Seal a plan, and return what is in the file."""
    done = fleet.type_in("upgrade", *words, "--plan", "--out", str(file))
    assert done.status == 0, done
    assert (
        done.stdout.splitlines()[-1]
        == f"sealed in {file}; to do this and nothing else: fedschema upgrade --apply {file}"
    )
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def apply(fleet: Fleet, file: Path, *words: str) -> dict[str, dict[str, Any]]:
    return fleet.upgrade("--apply", str(file), *words)


def refused(fleet: Fleet, file: Path, *words: str, code: str = "plan_moved", status: int = 1) -> str:
    """See that a plan is refused with nothing touched, and return why."""
    before = everything(fleet.database)
    done = fleet.type_in("upgrade", "--apply", str(file), *words, "--json")
    assert everything(fleet.database) == before
    assert done.status == status, done
    error = json.loads(done.stdout)["error"]
    assert error["code"] == code
    return str(error["message"])


# ------------------------------------------------------------------------------------------------------------ sealing


def test_sealed_plan_holds_who_is_where_and_what_would_run(fleet: Fleet, file: Path) -> None:
    assert fleet.type_in("upgrade", "d02").status == 0

    document = sealed(fleet, file)

    assert (document["format"], document["wanted"], document["target"]) == ("fedschema-plan/1", "all", "head")
    assert document["direction"] == "upgrade"
    assert [(each["department_id"], each["start"]) for each in document["departments"]] == [
        ("d00", [BEFORE]),
        ("d01", [BEFORE]),
        ("d02", [AFTER]),
    ]
    first, second = document["groups"]
    assert (first["start"], first["end"], second["end"]) == ([BEFORE], [AFTER], [AFTER])
    assert [step["revision"] for step in first["steps"]] == [AFTER]
    assert second["steps"] == []
    assert document["created_at"].endswith("Z")


def test_sealed_plan_holds_no_secret_and_may_be_read(fleet: Fleet, file: Path) -> None:
    document = sealed(fleet, file)

    assert fleet.database.server.password not in file.read_text(encoding="utf-8")
    assert document["database"] == describe(fleet.database.url)
    assert stat.S_IMODE(file.stat().st_mode) & 0o600 == 0o600
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".plan")] == []


def test_seal_is_a_checksum_that_anybody_can_compute(fleet: Fleet, file: Path) -> None:
    document = sealed(fleet, file)
    given = document.pop("seal")

    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))

    assert given == "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def test_plan_replaces_a_plan_and_no_other_file(fleet: Fleet, file: Path) -> None:
    first = sealed(fleet, file)
    assert sealed(fleet, file, "d00") != first
    for text in ("precious", '{"format": "mine"}', "[]"):
        file.write_text(text, encoding="utf-8")
        done = fleet.type_in("upgrade", "--plan", "--out", str(file), "--json")
        assert done.status == 2
        assert json.loads(done.stdout)["error"]["code"] == "invalid_plan_file"
        assert file.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("place", ["nowhere/plan.json", "."])
def test_plan_that_cannot_be_written_is_wrong_usage(fleet: Fleet, tmp_path: Path, place: str) -> None:
    done = fleet.type_in("upgrade", "--plan", "--out", str(tmp_path / place), "--json")

    assert done.status == 2
    assert json.loads(done.stdout)["error"]["code"] == "invalid_plan_file"


def test_department_in_disorder_cannot_be_sealed(fleet: Fleet, file: Path) -> None:
    with fleet.database.connect() as connection:
        connection.execute("UPDATE d01_tenant.alembic_version SET version_num = 'nobody_knows'")

    done = fleet.type_in("upgrade", "--plan", "--out", str(file), "--json")

    assert done.status == 1
    found = json.loads(done.stdout)
    assert (found["sealed"], found["error"]["code"]) == (None, "plan_unsealable")
    assert not file.exists()
    assert fleet.type_in("upgrade", "d00", "d02", "--plan", "--out", str(file)).status == 0


@pytest.mark.parametrize("online", [False, True], ids=["fails", "reads"])
def test_what_fails_already_or_is_not_known_cannot_be_sealed(fleet: Fleet, file: Path, *, online: bool) -> None:
    revise(fleet.project, "SELECT 1/0", online=online)

    done = fleet.type_in("upgrade", "--plan", "--out", str(file))

    assert done.status == 1
    assert "error: this cannot be sealed:" in done.stderr
    assert not file.exists()


# ----------------------------------------------------------------------------------------------------------- applying


def test_what_was_sealed_is_done(fleet: Fleet, file: Path) -> None:
    sealed(fleet, file)

    results = apply(fleet, file, "--jobs", "2", "--canary", "1")

    assert statuses(results) == {"upgraded": list(fleet.ids)}
    assert fleet.states() == dict.fromkeys(fleet.ids, NEW)
    assert fleet.applied() == dict.fromkeys(fleet.ids, (1, 0))


def test_only_those_that_were_named_are_done(fleet: Fleet, file: Path) -> None:
    sealed(fleet, file, "d01")
    fleet.database.add("newcomer")  # of no concern: not all were meant

    assert statuses(apply(fleet, file)) == {"upgraded": ["d01"]}
    assert fleet.states() == {"d00": OLD, "d01": NEW, "d02": OLD}


def test_plan_goes_no_farther_than_it_was_sealed(fleet: Fleet, file: Path) -> None:
    done = fleet.type_in("upgrade", "--to", "+1", "--plan", "--out", str(file))
    assert done.status == 0

    assert {result["to"] for result in apply(fleet, file).values()} == {AFTER}


def test_whole_of_a_plan_is_refused_when_one_department_is_elsewhere(fleet: Fleet, file: Path) -> None:
    sealed(fleet, file)
    assert fleet.type_in("downgrade", "d01", "--to", "-1").status == 0

    message = refused(fleet, file)

    assert f"department d01 was at {BEFORE} and is at tenant_0006_configuration" in message
    assert "d00" not in message


def test_department_that_is_there_already_is_refused_unless_resumed(fleet: Fleet, file: Path) -> None:
    sealed(fleet, file)
    assert fleet.type_in("upgrade", "d01").status == 0

    assert "--resume" in refused(fleet, file)
    results = apply(fleet, file, "--resume")

    assert statuses(results) == {"upgraded": ["d00", "d02"], "unchanged": ["d01"]}
    assert fleet.applied() == dict.fromkeys(fleet.ids, (1, 0))


def test_resuming_goes_on_after_a_failure_and_refuses_what_is_elsewhere(make_fleet: MakeFleet, file: Path) -> None:
    fleet = make_fleet(4, before=CHECK)
    sealed(fleet, file)
    spoil(fleet.database, "d01")
    assert statuses(apply(fleet, file))["failed"] == ["d01"]
    with fleet.database.connect() as connection:
        connection.execute("UPDATE d01_tenant.contacts SET notes = 'mended'")

    refused(fleet, file)
    assert fleet.type_in("downgrade", "d02", "--to", "-1").status == 0
    assert "department d02 was at" in refused(fleet, file, "--resume")
    assert fleet.type_in("upgrade", "d02", "--to", "+1").status == 0
    results = apply(fleet, file, "--resume")

    assert statuses(results) == {"unchanged": ["d00"], "upgraded": ["d01", "d02", "d03"]}
    assert statuses(apply(fleet, file, "--resume")) == {"unchanged": list(fleet.ids)}


def test_resuming_goes_on_between_two_legs(make_fleet: MakeFleet, file: Path) -> None:
    fleet = make_busy_fleet(make_fleet, 2)
    assert fleet.type_in("downgrade", "--all", "--to", BEFORE, "--yes").status == 0
    add_index_revision(fleet, after=AFTER, unique=True)
    sealed(fleet, file)
    with fleet.database.connect() as connection:
        connection.execute("UPDATE d01_tenant.contacts SET full_name = 'Ada' WHERE full_name < 'Name 11'")
        assert statuses(apply(fleet, file)) == {"upgraded": ["d00"], "failed": ["d01"]}
        assert revision_of(fleet.database, "d01") == AFTER
        connection.execute("UPDATE d01_tenant.contacts SET full_name = contact_id")

    message = refused(fleet, file)
    results = apply(fleet, file, "--resume")

    assert f"department d00 was at {BEFORE} and is at {INDEX} already, where the plan ends (--resume" in message
    assert f"department d01 was at {BEFORE} and is at {AFTER}, on the plan's way (--resume goes on" in message
    assert statuses(results) == {"unchanged": ["d00"], "upgraded": ["d01"]}
    assert revision_of(fleet.database, "d01") == INDEX
    assert fleet.applied() == {"d00": (1, 0), "d01": (1, 0)}
    assert fleet.applied(INDEX) == {"d00": (1, 0), "d01": (1, 1)}


def test_department_that_is_gone_is_refused(fleet: Fleet, file: Path) -> None:
    sealed(fleet, file)
    assert fleet.type_in("tenant", "drop", "d02", "--yes").status == 0

    assert "department d02 is gone" in refused(fleet, file)


def test_department_that_is_new_is_refused_where_all_were_meant(fleet: Fleet, file: Path) -> None:
    sealed(fleet, file)
    fleet.database.add("newcomer")

    assert "new since then: newcomer" in refused(fleet, file)


def test_revision_that_was_changed_is_refused(fleet: Fleet, file: Path) -> None:
    document = sealed(fleet, file)
    fleet.revise(after="op.execute('SELECT 1')\n")

    message = refused(fleet, file)

    assert f"revision {AFTER} is another" in message
    assert document["groups"][0]["steps"][0]["checksum"] in message


def test_step_more_is_refused(fleet: Fleet, file: Path) -> None:
    sealed(fleet, file)
    revise(fleet.project, "SELECT 1", revision="tenant_9002_more", after=AFTER)

    assert f"the steps were {AFTER} and are {AFTER}, tenant_9002_more" in refused(fleet, file)


def test_revision_that_is_gone_is_refused(fleet: Fleet, file: Path) -> None:
    sealed(fleet, file)
    (fleet.project.directory / "alembic" / "versions" / "tenant" / f"{AFTER}.py").unlink()

    assert f"the steps were {AFTER} and are none" in refused(fleet, file)


def test_everything_that_moved_is_named_at_once(fleet: Fleet, file: Path) -> None:
    sealed(fleet, file)
    fleet.type_in("downgrade", "d00", "--to", "-1")
    fleet.type_in("tenant", "drop", "d01", "--yes")
    fleet.database.add("newcomer")
    fleet.revise(after="op.execute('SELECT 1')\n")

    lines = refused(fleet, file).splitlines()

    assert len(lines) == 5
    assert [any(word in line for line in lines) for word in ("d00", "d01", "newcomer", AFTER)] == [True] * 4


def test_plan_of_another_database_is_refused(fleet: Fleet, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "database_identity", lambda _: "4711/elsewhere")
        sealed(fleet, file)

    assert "this is another database than" in refused(fleet, file)


# ------------------------------------------------------------------------------------------------------------- races


def _run(fleet: Fleet, file: Path) -> release.Run:
    return sealing.prepare_sealed(
        fleet.database.conninfo, fleet.project.compiler(), seal.read(file), Release(Direction.UPGRADE, "head")
    )


def test_department_that_is_moved_while_it_runs_is_not_planned_anew(fleet: Fleet, file: Path) -> None:
    sealed(fleet, file)
    run = _run(fleet, file)
    assert fleet.type_in("downgrade", "d01", "--to", "-1").status == 0

    results = {result.department.id: result for result in run.results()}

    assert [result.outcome for result in results.values()] == [Outcome.UPGRADED, Outcome.FAILED, Outcome.SKIPPED]
    error = results["d01"].error
    assert error is not None
    assert error.code == "department_moved"
    assert fleet.states()["d01"][0] == "tenant_0006_configuration"


def test_department_that_another_release_brought_there_is_no_failure(fleet: Fleet, file: Path) -> None:
    sealed(fleet, file)
    run = _run(fleet, file)
    assert fleet.type_in("upgrade", "d01").status == 0

    results = {result.department: result for result in run.results()}

    after = results[Department("d01")].after
    assert after is not None
    assert (after.revision, results[Department("d01")].error) == (AFTER, None)
    assert fleet.states() == dict.fromkeys(fleet.ids, NEW)
    assert fleet.applied() == dict.fromkeys(fleet.ids, (1, 0))


def test_apply_beside_an_upgrade_migrates_each_department_once(make_fleet: MakeFleet, file: Path, start: Start) -> None:
    fleet = make_fleet(4, after=SLOWLY.format(0.3))
    sealed(fleet, file)
    with psycopg.connect(fleet.database.conninfo) as holder, fleet.database.connect() as watcher:
        holder.execute("SELECT FROM federation.departments FOR UPDATE")
        processes = [start(fleet, "upgrade", *words) for words in (("--apply", str(file)), ())]
        assert eventually(lambda: _waiting(watcher) == 2)
        holder.rollback()
    ended = [(*process.communicate(timeout=60), process.returncode) for process in processes]

    assert [status for *_, status in ended] == [0, 0], ended
    assert fleet.applied() == dict.fromkeys(fleet.ids, (1, 0))


def _waiting(watcher: psycopg.Connection) -> int:
    row = watcher.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_interrupted_apply_is_resumed(make_fleet: MakeFleet, file: Path, start: Start) -> None:
    import signal

    fleet = make_fleet(3, after=SLOWLY.format(0.6))
    sealed(fleet, file)
    with fleet.database.connect() as watcher:
        process = start(fleet, "upgrade", "--apply", str(file))
        assert eventually(lambda: len(sleeping(watcher)) == 1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert fleet.states() == {"d00": NEW, "d01": OLD, "d02": OLD}

    assert statuses(apply(fleet, file, "--resume")) == {"unchanged": ["d00"], "upgraded": ["d01", "d02"]}


# ------------------------------------------------------------------------------------------------------ wrong files


def _edited(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        document = json.loads(text)
        change(document)
        return json.dumps(document)

    return edit


def _resealed(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        document = json.loads(text)
        document.pop("seal")
        change(document)
        return json.dumps(seal._sealed(document))

    return edit


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_edited(lambda d: d["departments"].pop()), "changed after it was sealed"),
        (_edited(lambda d: d.update(target="base")), "changed after it was sealed"),
        (_edited(lambda d: d.pop("seal")), "changed after it was sealed"),
        (_edited(lambda d: d["groups"][0]["steps"][0].update(checksum="sha256:0")), "changed after it was sealed"),
        (_edited(lambda d: d.update(format="fedschema-plan/9")), "has the format"),
        (_edited(lambda d: d.pop("format")), "is no plan of fedschema"),
        (_resealed(lambda d: d.pop("groups")), "is incomplete"),
        (_resealed(lambda d: d.update(departments=[{"department_id": "HR", "group": 1}])), "is incomplete"),
        (_resealed(lambda d: d.update(departments=7)), "is incomplete"),
        (lambda text: text[:-20], "no JSON"),
        (lambda text: "[]", "is no plan of fedschema"),
        (lambda text: "", "no JSON"),
        (lambda text: "[" * 200_000, "nested too deeply"),
        (lambda text: '{"format":"fedschema-plan/1","a":' + "[" * 900 + "]" * 900 + "}", "changed after it was sealed"),
    ],
)
def test_file_that_is_no_sealed_plan_is_wrong_usage(
    fleet: Fleet, file: Path, edit: Callable[[str], str], reason: str
) -> None:
    sealed(fleet, file)
    file.write_text(edit(file.read_text(encoding="utf-8")), encoding="utf-8")

    assert reason in refused(fleet, file, code="invalid_plan_file", status=2)


def test_file_that_was_only_set_otherwise_is_the_same_plan(fleet: Fleet, file: Path) -> None:
    document = sealed(fleet, file)
    file.write_text(json.dumps(document, indent=7), encoding="utf-8")

    assert statuses(apply(fleet, file)) == {"upgraded": list(fleet.ids)}


def test_file_that_cannot_be_read_is_wrong_usage(fedschema_nowhere: Run, tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing.json", ".", "latin", "pipe"):
        done: Finished = fedschema_nowhere("upgrade", "--apply", str(tmp_path / name), "--json")
        assert done.status == 2
        assert json.loads(done.stdout)["error"]["code"] == "invalid_plan_file"
