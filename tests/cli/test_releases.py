"""`fedschema upgrade`, `downgrade`, `status` and `history`: for people, for machines, and by exit status."""

from __future__ import annotations

import re

import pytest

from tests.cli.conftest import Inventory, JsonOf
from tests.conftest import Database, Run
from tests.tenancy.inventory import WHOLE, traces

HEAD = "tenant_0007_retention"
BEFORE = "tenant_0006_configuration"
RESULT_KEYS = {"department_id", "status", "from", "to", "branch_from", "branch_to", "duration_seconds", "error"}
HISTORY_KEYS = {
    "department_id",
    "migration_name",
    "direction",
    "applied_at",
    "duration_seconds",
    "applied_by",
    "success",
    "error_message",
    "checksum",
}


@pytest.fixture
def fleet(database: Database) -> Database:
    """A database with three departments at head."""
    for name in ("hr", "legal", "sales"):
        database.add(name)
    return database


@pytest.fixture
def hr(database: Database) -> Database:
    """A database with one department at head."""
    database.add("hr")
    return database


@pytest.fixture
def broken(fleet: Database, command: Run) -> Database:
    """Three departments one step behind; the second cannot take the step, since something stands in its way."""
    assert command("downgrade", "--all", "--to", "-1", "--lossy", HEAD).status == 0
    with fleet.connect() as connection:
        connection.execute("CREATE VIEW legal_tenant.conversation_history_archive AS SELECT 1 AS x")
    return fleet


def _rows(text: str) -> list[list[str]]:
    return [re.split(r" {2,}", line) for line in text.splitlines()]


# ------------------------------------------------------------------------------------------- upgrade and downgrade


def test_upgrade_of_all_tells_each_department(fleet: Database, command: Run) -> None:
    command("downgrade", "hr", "--to", "-1")

    done = command("upgrade")

    assert (done.status, done.stderr) == (0, "")
    upgraded, *unchanged = done.stdout.splitlines()
    assert re.fullmatch(rf"hr: upgraded {BEFORE} -> {HEAD} \(\d+\.\d\d s\)", upgraded)
    assert unchanged == [f"legal: unchanged, at {HEAD}", f"sales: unchanged, at {HEAD}"]


def test_upgrade_of_one_leaves_the_others(fleet: Database, command: Run) -> None:
    command("downgrade", "--all", "--to", "-1", "--lossy", HEAD)

    done = command("upgrade", "legal")

    assert done.status == 0
    assert [traces(fleet, name).versions for name in ("hr", "legal", "sales")] == [(BEFORE,), (HEAD,), (BEFORE,)]


def test_upgrade_goes_in_the_order_that_was_typed_and_to_each_once(fleet: Database, command: Run) -> None:
    done = command("upgrade", "sales", "hr", "sales")

    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["sales", "hr"]


def test_upgrade_as_a_document(fleet: Database, command: Run, json_of: JsonOf) -> None:
    command("downgrade", "hr", "--to", "-1")

    document = json_of("upgrade")

    assert set(document) == {"target", "results"}
    assert document["target"] == "head"
    assert all(set(result) >= RESULT_KEYS for result in document["results"])
    told = [[r[key] for key in ("department_id", "status", "from", "to", "error")] for r in document["results"]]
    assert told == [
        ["hr", "upgraded", BEFORE, HEAD, None],
        ["legal", "unchanged", HEAD, HEAD, None],
        ["sales", "unchanged", HEAD, HEAD, None],
    ]
    assert all(r["branch_from"] is r["branch_to"] is None for r in document["results"])
    assert all(isinstance(r["duration_seconds"], int | float) for r in document["results"])


def test_upgrade_of_nobody_says_how_to_begin(command: Run, json_of: JsonOf) -> None:
    done = command("upgrade")

    assert (done.status, done.stdout) == (0, "")
    assert "fedschema tenant add" in done.stderr
    assert json_of("upgrade") == {"target": "head", "results": []}


def test_upgrade_stops_at_the_first_that_fails(broken: Database, command: Run) -> None:
    done = command("upgrade")

    assert done.status == 1
    assert [line.split(",")[0].split(" tenant")[0] for line in done.stdout.splitlines()] == [
        "hr: upgraded",
        "sales: skipped",
    ]
    assert done.stderr.startswith("error: ")
    assert "department legal" in done.stderr.splitlines()[0]
    assert "tenant_0007_retention" in done.stderr
    assert "already exists" in done.stderr
    assert done.stderr.splitlines()[-1] == ("1 of 3 departments are done; not done: legal (failed), sales (skipped)")
    assert [traces(broken, name).versions for name in ("hr", "legal", "sales")] == [(HEAD,), (BEFORE,), (BEFORE,)]


def test_upgrade_goes_on_after_a_failure_where_that_is_asked(broken: Database, command: Run) -> None:
    done = command("upgrade", "--on-error", "continue")

    assert done.status == 1
    assert done.stderr.splitlines()[-1] == "2 of 3 departments are done; not done: legal (failed)"
    assert [traces(broken, name).versions for name in ("hr", "legal", "sales")] == [(HEAD,), (BEFORE,), (HEAD,)]


def test_upgrade_that_fails_as_a_document(broken: Database, json_of: JsonOf) -> None:
    document = json_of("upgrade", status=1)

    assert [(r["department_id"], r["status"], r["to"]) for r in document["results"]] == [
        ("hr", "upgraded", HEAD),
        ("legal", "failed", BEFORE),
        ("sales", "skipped", BEFORE),
    ]
    error = document["results"][1]["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["code"] == "statement_failed"
    assert "already exists" in error["message"]


def test_failure_is_in_the_history_and_nothing_else_of_it(broken: Database, command: Run, json_of: JsonOf) -> None:
    command("upgrade", "legal")

    newest = json_of("history", "legal", "--limit", "1")[0]

    assert (newest["migration_name"], newest["direction"], newest["success"]) == (HEAD, "upgrade", False)
    assert "already exists" in newest["error_message"]
    assert "FAILED: " in command("history", "legal", "--limit", "1").stdout


def test_failure_can_be_mended_and_the_rest_follows(broken: Database, command: Run) -> None:
    command("upgrade")
    with broken.connect() as connection:
        connection.execute("DROP VIEW legal_tenant.conversation_history_archive")

    done = command("upgrade")

    assert done.status == 0, done.stderr
    assert command("status", "--check").status == 0


def test_upgrade_to_a_revision(hr: Database, command: Run) -> None:
    command("downgrade", "hr", "--to", "base")

    for target, there in (("+1", "tenant_0001_core"), ("tenant_0004_analytics", "tenant_0004_analytics")):
        assert command("upgrade", "hr", "--to", target).status == 0
        assert traces(hr, "hr").versions == (there,)


def test_downgrade_of_all(fleet: Database, command: Run) -> None:
    done = command("downgrade", "--all", "--to", "-1", "--lossy", HEAD)

    assert (done.status, done.stderr) == (0, "")
    assert [line.split(" (")[0] for line in done.stdout.splitlines()] == [
        f"{name}: downgraded {HEAD} -> {BEFORE}" for name in ("hr", "legal", "sales")
    ]


def test_downgrade_as_a_document(hr: Database, json_of: JsonOf) -> None:
    document = json_of("downgrade", "hr", "--to", "base")

    (result,) = document["results"]
    assert document["target"] == "base"
    assert (result["department_id"], result["status"], result["from"], result["to"]) == ("hr", "downgraded", HEAD, None)


def test_downgrade_and_upgrade_come_back_to_the_same(hr: Database, command: Run) -> None:
    for target in ("-1", "base"):
        assert command("downgrade", "hr", "--to", target).status == 0
        assert command("upgrade", "hr").status == 0
        assert (traces(hr, "hr").tables, traces(hr, "hr").versions) == (WHOLE.tables, WHOLE.versions)


def _fill(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("INSERT INTO hr_tenant.feature_flags (feature_name) VALUES ('x')")


def test_downgrade_that_would_lose_rows_is_refused_and_names_them(
    hr: Database, command: Run, json_of: JsonOf, everything: Inventory
) -> None:
    _fill(hr)
    before = everything()

    done = command("downgrade", "hr", "--to", "tenant_0005_workflows")
    document = json_of("downgrade", "hr", "--to", "tenant_0005_workflows", status=1)

    assert (done.status, done.stdout) == (1, "")
    assert "this would lose table feature_flags (1 row); nothing was changed" in done.stderr
    assert "--yes" in done.stderr
    assert document["results"][0]["error"]["code"] == "would_lose_rows"
    assert everything() == before


def test_downgrade_loses_rows_where_that_is_confirmed(hr: Database, command: Run) -> None:
    _fill(hr)

    done = command("downgrade", "hr", "--to", "tenant_0005_workflows", "--yes")

    assert done.status == 0, done.stderr
    assert traces(hr, "hr").versions == ("tenant_0005_workflows",)


WRONG = {
    ("upgrade", "nosuch"): "unknown_department",
    ("upgrade", "hr", "nosuch"): "unknown_department",
    ("downgrade", "nosuch", "--to", "-1"): "unknown_department",
    ("status", "nosuch"): "unknown_department",
    ("history", "nosuch"): "unknown_department",
    ("upgrade", "--to", "nosuch"): "unknown_revision",
    ("upgrade", "--to", "+1"): "unknown_revision",
    ("upgrade", "--to", "-1"): "unknown_revision",
    ("upgrade", "hr", "--to", "tenant@-1"): "unknown_revision",
    ("downgrade", "hr", "--to", "+1"): "unknown_revision",
    ("upgrade", "--to", ""): "unknown_revision",
    ("upgrade", "--to", "tenant@"): "unknown_revision",
    ("downgrade", "hr", "--to", ""): "unknown_revision",
    ("downgrade", "hr", "--to", "-8"): "unknown_revision",
    ("downgrade", "hr", "--to", "nosuch"): "unknown_revision",
    ("upgrade", "--to", "nosuch@head"): "unknown_revision",
    ("upgrade", "Legal"): "invalid_department_id",
}


def test_what_cannot_be_meant_is_refused_before_anything_is_touched(
    hr: Database, json_of: JsonOf, everything: Inventory
) -> None:
    before = everything()

    for words, code in WRONG.items():
        error = json_of(*words, status=2)["error"]

        assert error["code"] == code, words
        assert error["hint"]
    assert everything() == before


def test_revision_of_the_control_plane_is_refused(hr: Database, json_of: JsonOf, everything: Inventory) -> None:
    before = everything()

    error = json_of("upgrade", "--to", "federation_0001_control_plane", status=2)["error"]

    assert error["code"] in {"foreign_revision", "unknown_revision"}
    assert everything() == before


# ------------------------------------------------------------------------------------------------------------ status


def test_status_is_a_table(fleet: Database, command: Run) -> None:
    command("downgrade", "legal", "--to", "-1")
    command("downgrade", "sales", "--to", "base")

    done = command("status")

    assert (done.status, done.stderr) == (0, "")
    assert _rows(done.stdout)[1:] == [
        ["hr", "ACTIVE", HEAD, "at head"],
        ["legal", "ACTIVE", BEFORE, "behind"],
        ["sales", "ACTIVE", "base", "behind"],
    ]


def test_status_of_some_is_of_those_alone(fleet: Database, command: Run, json_of: JsonOf) -> None:
    assert [row[0] for row in _rows(command("status", "sales", "hr").stdout)[1:]] == ["sales", "hr"]
    assert [position["department_id"] for position in json_of("status", "legal")] == ["legal"]


def test_status_gives_departments_as_a_document(fleet: Database, command: Run, json_of: JsonOf) -> None:
    command("downgrade", "hr", "--to", "base")

    first, second, _ = json_of("status")

    assert (
        first.items()
        >= {
            "department_id": "hr",
            "department_name": "Hr",
            "tenant_schema": "hr_tenant",
            "status": "ACTIVE",
            "revision": None,
            "branch_revision": None,
        }.items()
    )
    assert second["revision"] == HEAD


def test_check_is_0_where_all_are_at_head(fleet: Database, command: Run, json_of: JsonOf) -> None:
    assert command("status", "--check").status == 0
    json_of("status", "--check")


def test_check_is_3_where_one_is_behind(fleet: Database, command: Run, json_of: JsonOf) -> None:
    command("downgrade", "legal", "--to", "-1")

    assert command("status", "--check").status == 3
    assert command("status").status == 0
    assert command("status", "legal", "--check").status == 3
    assert command("status", "hr", "--check").status == 0
    assert [position["revision"] for position in json_of("status", "--check", status=3)] == [HEAD, BEFORE, HEAD]


def test_check_is_3_where_one_is_ahead_and_the_others_are_shown(fleet: Database, command: Run, json_of: JsonOf) -> None:
    with fleet.connect() as connection:
        connection.execute("UPDATE legal_tenant.alembic_version SET version_num = 'tenant_9999_future'")

    done = command("status", "--check")

    assert done.status == 3
    assert "tenant_9999_future" in done.stdout
    assert json_of("status", "--check", status=3)[0]["revision"] == HEAD


def test_check_is_3_where_one_is_damaged(fleet: Database, command: Run, json_of: JsonOf) -> None:
    with fleet.connect() as connection:
        connection.execute("DROP TABLE legal_tenant.alembic_version")

    assert "no version table" in command("status").stdout
    assert json_of("status", "--check", status=3)[1]["revision"] is None


def test_check_is_1_and_not_3_where_nothing_can_be_checked(nowhere: Run) -> None:
    assert nowhere("status", "--check").status == 1


def test_department_ahead_fails_by_itself_and_the_others_are_upgraded(fleet: Database, command: Run) -> None:
    command("downgrade", "sales", "--to", "-1")
    with fleet.connect() as connection:
        connection.execute("UPDATE hr_tenant.alembic_version SET version_num = 'tenant_9999_future'")

    done = command("upgrade", "--on-error", "continue")

    assert done.status == 1
    assert traces(fleet, "hr").versions == ("tenant_9999_future",)
    assert traces(fleet, "sales").versions == (HEAD,)
    assert "tenant_9999_future" in done.stderr


# ----------------------------------------------------------------------------------------------------------- history


def test_history_is_newest_first_and_of_all(fleet: Database, command: Run) -> None:
    command("downgrade", "hr", "--to", "-1")

    heading, first, *rest = _rows(command("history").stdout)

    assert heading == ["APPLIED AT", "DEPARTMENT", "DIRECTION", "REVISION", "SECONDS", "BY", "RESULT"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", first[0])
    assert first[1:4] == ["hr", "downgrade", HEAD]
    assert re.fullmatch(r"\d+\.\d{3}", first[4])
    assert first[5:] == [fleet.server.user, "ok"]
    assert {row[1] for row in rest} == {"hr", "legal", "sales", "federation"}


def test_history_of_one_is_of_that_alone(fleet: Database, command: Run) -> None:
    rows = _rows(command("history", "legal").stdout)[1:]

    assert [row[3] for row in rows] == list(reversed(WHOLE.applied))
    assert {row[1] for row in rows} == {"legal"}


def test_history_of_a_dropped_department_stays(fleet: Database, command: Run, json_of: JsonOf) -> None:
    command("tenant", "drop", "legal", "--yes")

    assert [row["migration_name"] for row in json_of("history", "legal")] == list(reversed(WHOLE.applied))


def test_history_as_a_document(hr: Database, json_of: JsonOf) -> None:
    records = json_of("history", "hr")

    assert [record["migration_name"] for record in records] == list(reversed(WHOLE.applied))
    assert all(set(record) >= HISTORY_KEYS for record in records)
    assert all(record["applied_at"].endswith("Z") for record in records)
    assert all(isinstance(record["duration_seconds"], int | float) for record in records)
    assert all(record["success"] is True and record["error_message"] is None for record in records)


def test_history_stops_where_it_is_told_to(hr: Database, json_of: JsonOf) -> None:
    assert len(json_of("history", "--limit", "3")) == 3


@pytest.mark.parametrize("words", [(), ("legal",)], ids=str)
def test_revisions_that_there_are_need_no_database(nowhere: Run, words: tuple[str, ...]) -> None:
    done = nowhere("history", *words, "--revisions")

    assert (done.status, done.stderr) == (0, "")
    assert [row[0] for row in _rows(done.stdout)[1:] if row[1] == "tenant"] == list(WHOLE.applied)
