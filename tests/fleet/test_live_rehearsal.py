"""`upgrade --rehearse=live`: what would become of real departments, and of their rows; nothing is left of it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import sql

from fedschema import previews, releases
from fedschema.fleet import offenders, rows
from fedschema.releases import Direction, Release
from tests.conftest import Database
from tests.fleet.conftest import AFTER, OLD, SLOWLY, Fleet, MakeFleet, Start, sleeping
from tests.fleet.looking import everything, own, revise, strongest
from tests.fleet.test_contracts import CONTRACT, EXPAND, FILL
from tests.fleet.test_pace import _in_use
from tests.tenancy.conftest import eventually


@pytest.fixture
def fleet(make_fleet: MakeFleet) -> Fleet:
    return make_fleet(3)


def rehearse(fleet: Fleet, *words: str, command: tuple[str, ...] = ("upgrade",)) -> dict[str, dict[str, Any]]:
    """Rehearse on real departments, see that all is as it was, and return each department's verdict."""
    before = everything(fleet.database)
    done = fleet.type_in(*command, "--rehearse=live", *words, "--json")
    assert everything(fleet.database) == before
    results = json.loads(done.stdout)["results"]
    fine = all(result["status"] in {"sound", "unchanged"} for result in results)
    assert done.status == int(not fine), done
    return {result["department_id"]: result for result in results}


def verdicts(results: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {department: result["status"] for department, result in results.items()}


def execute(database: Database, *statements: str) -> None:
    with database.connect() as connection:
        for statement in statements:
            connection.execute(statement.encode())


def identified(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"


def contacts(database: Database, department: str, rows: Sequence[tuple[str | None, ...]]) -> None:
    """Add contacts with ids from 1 on: full name and notes of each."""
    with database.connect() as connection:
        for number, (name, notes) in enumerate(rows, 1):
            connection.execute(
                sql.SQL("INSERT INTO {} (id, contact_id, full_name, notes) VALUES (%s, %s, %s, %s)").format(
                    sql.Identifier(f"{department}_tenant", "contacts")
                ),
                (identified(number), f"people/{number}", name, notes),
            )


# --------------------------------------------------------------------------------------------------- what is measured


def test_each_department_is_tried_and_measured(fleet: Fleet) -> None:
    assert fleet.type_in("upgrade", "d02").status == 0

    results = rehearse(fleet)

    assert verdicts(results) == {"d00": "sound", "d01": "sound", "d02": "unchanged"}
    statements = own(results["d01"]["statements"])
    assert [(strongest(one), one["rewrites"], one["reads"]) for one in statements] == [
        ("ACCESS EXCLUSIVE contacts", [], []),
        ("SHARE contacts", [], ["contacts"]),
    ]
    assert "d01_tenant" in statements[0]["statement"]
    assert results["d01"]["duration_seconds"] > 0


def test_only_those_that_are_named_are_touched(fleet: Fleet) -> None:
    with psycopg.connect(fleet.database.conninfo) as holder:
        holder.execute("LOCK TABLE d00_tenant.contacts, d02_tenant.contacts")
        assert verdicts(_json(fleet, "d01")) == {"d01": "sound"}


def _json(fleet: Fleet, *words: str) -> dict[str, dict[str, Any]]:
    done = fleet.type_in("upgrade", "--rehearse=live", *words, "--json")
    return {result["department_id"]: result for result in json.loads(done.stdout)["results"]}


def test_people_see_a_line_a_department_and_the_longest_times(fleet: Fleet) -> None:
    contacts(fleet.database, "d01", [(None, None)])
    revise(fleet.project, "ALTER TABLE {schema}.contacts ALTER COLUMN full_name SET NOT NULL", "SELECT 1")

    done = fleet.type_in("upgrade", "--rehearse=live")

    assert done.status == 1
    lines = done.stdout.splitlines()
    assert [line.partition(" (")[0] for line in lines[:2]] == [
        f"{name}: would go tenant_0007_retention -> {AFTER}" for name in ("d00", "d02")
    ]
    assert lines[3] == "3 departments: d00, d01, d02"
    assert lines[4].startswith("upgrade tenant_0007_retention -> ")
    assert "ACCESS EXCLUSIVE contacts" in lines[7]
    errors = done.stderr.splitlines()
    assert errors[0].startswith("error: rehearsal of the upgrade of department d01 failed in revision")
    assert errors[-3:] == [
        f"in the way: 1 row of contacts: id {identified(1)}",
        "2 of 3 departments would be done; not done: d01 (failed)",
        "everything was rolled back",
    ]


# ------------------------------------------------------------------------------------------- rows that are in the way


def test_rows_without_a_value_are_counted(fleet: Fleet) -> None:
    contacts(fleet.database, "d01", [("Ada", None), *[(None, "secret")] * 7])
    revise(fleet.project, "ALTER TABLE {schema}.contacts ALTER COLUMN full_name SET NOT NULL")

    results = rehearse(fleet)

    assert verdicts(results) == {"d00": "sound", "d01": "failed", "d02": "sound"}
    assert results["d01"]["error"]["code"] == "statement_failed"
    assert results["d01"]["rows"] == {
        "table": "contacts",
        "count": 7,
        "primary_key": ["id"],
        "keys": [[identified(number)] for number in range(2, 7)],
    }
    assert "secret" not in json.dumps(results)


def test_new_column_that_must_have_a_value_is_missing_in_all_rows(fleet: Fleet) -> None:
    contacts(fleet.database, "d01", [("Ada", None), ("Grace", None)])
    revise(fleet.project, "ALTER TABLE {schema}.contacts ADD COLUMN nickname text NOT NULL")

    results = rehearse(fleet)

    assert verdicts(results) == {"d00": "sound", "d01": "failed", "d02": "sound"}
    assert results["d01"]["rows"]["count"] == 2


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE {schema}.contacts ADD CONSTRAINT sober CHECK (notes <> 'spoilt')",
        "ALTER TABLE {schema}.contacts ADD CHECK (notes <> 'spoilt')",
        "ALTER TABLE {schema}.contacts ADD COLUMN n text, ADD CONSTRAINT sober CHECK (notes <> 'spoilt')",
    ],
)
def test_rows_that_do_not_meet_a_check_are_counted(fleet: Fleet, statement: str) -> None:
    """A row whose answer is unknown meets it, as PostgreSQL has it."""
    contacts(fleet.database, "d00", [("Ada", "spoilt"), ("Grace", "fine"), ("Alan", None), ("Edsger", "spoilt")])
    revise(fleet.project, "SELECT 1", statement)

    results = rehearse(fleet)

    assert verdicts(results) == {"d00": "failed", "d01": "sound", "d02": "sound"}
    assert results["d00"]["rows"]["count"] == 2
    assert results["d00"]["rows"]["keys"] == [[identified(1)], [identified(4)]]
    assert [one["tried"] for one in own(results["d00"]["statements"])] == [True, False]


def test_rows_are_counted_for_a_constraint_that_is_validated_later(fleet: Fleet) -> None:
    contacts(fleet.database, "d00", [("Ada", "spoilt")])
    revise(
        fleet.project,
        "ALTER TABLE {schema}.contacts ADD CONSTRAINT sober CHECK (notes <> 'spoilt') NOT VALID",
        "ALTER TABLE {schema}.contacts VALIDATE CONSTRAINT sober",
    )

    results = rehearse(fleet)

    assert results["d00"]["rows"]["count"] == 1
    assert [strongest(one) for one in own(results["d01"]["statements"])] == [
        "ACCESS EXCLUSIVE contacts",
        "SHARE UPDATE EXCLUSIVE contacts",
    ]


@pytest.mark.parametrize(
    ("statement", "count"),
    [
        ("CREATE UNIQUE INDEX one_name ON {schema}.contacts (full_name)", 5),
        ("CREATE UNIQUE INDEX one_name ON {schema}.contacts (lower(full_name), notes)", 2),
        ("CREATE UNIQUE INDEX one_name ON {schema}.contacts (full_name) WHERE notes = 'a'", 2),
        ("ALTER TABLE {schema}.contacts ADD CONSTRAINT one_name UNIQUE (full_name)", 5),
        ("ALTER TABLE {schema}.contacts ADD UNIQUE (full_name, notes)", 2),
    ],
)
def test_rows_that_are_there_twice_are_counted(fleet: Fleet, statement: str, count: int) -> None:
    rows = [
        ("Ada", "a"),
        ("Ada", "a"),
        ("Ada", "b"),
        ("Alan", "c"),
        ("Alan", "d"),
        ("Grace", "e"),
        (None, "f"),
        (None, "f"),
    ]
    contacts(fleet.database, "d02", rows)
    revise(fleet.project, statement)

    results = rehearse(fleet)

    assert verdicts(results) == {"d00": "sound", "d01": "sound", "d02": "failed"}
    assert results["d02"]["rows"]["count"] == count
    assert len(results["d02"]["rows"]["keys"]) == count
    assert results["d02"]["rows"]["keys"][:2] == [[identified(1)], [identified(2)]]


def test_rows_that_refer_to_nothing_are_counted(fleet: Fleet) -> None:
    contacts(fleet.database, "d01", [("people/1", None), ("people/9", None), ("nobody", None), (None, None)])
    revise(
        fleet.project,
        "ALTER TABLE {schema}.contacts ADD CONSTRAINT knows FOREIGN KEY (full_name) "
        "REFERENCES {schema}.contacts (contact_id)",
    )

    results = rehearse(fleet)

    assert verdicts(results) == {"d00": "sound", "d01": "failed", "d02": "sound"}
    assert results["d01"]["error"]["code"] == "references_unmet"  # PostgreSQL itself would let it pass
    assert results["d01"]["rows"]["count"] == 2
    assert results["d01"]["rows"]["keys"] == [[identified(2)], [identified(3)]]
    assert own(results["d00"]["statements"])[0]["locks"][0]["mode"] == "SHARE ROW EXCLUSIVE"


def test_reference_that_postgresql_refuses_by_itself_is_counted(fleet: Fleet) -> None:
    """Where no row-level security keeps its owner from seeing the rows: a table that somebody made by hand."""
    contacts(fleet.database, "d01", [("people/1", None), ("nobody", None)])
    with fleet.database.connect() as connection:
        connection.execute("ALTER TABLE d01_tenant.contacts NO FORCE ROW LEVEL SECURITY")
    revise(
        fleet.project,
        "ALTER TABLE {schema}.contacts ADD CONSTRAINT knows FOREIGN KEY (full_name) "
        "REFERENCES {schema}.contacts (contact_id)",
    )

    results = rehearse(fleet, "d01")

    assert results["d01"]["error"]["code"] == "statement_failed"
    assert results["d01"]["rows"]["keys"] == [[identified(2)]]


def test_what_only_commit_would_say_is_said(fleet: Fleet) -> None:
    revise(
        fleet.project,
        "ALTER TABLE {schema}.contacts ADD CONSTRAINT knows FOREIGN KEY (full_name) "
        "REFERENCES {schema}.contacts (contact_id) DEFERRABLE INITIALLY DEFERRED",
        "SET LOCAL ROLE federation_admin_role",
        "INSERT INTO {schema}.contacts (contact_id, full_name) VALUES ('people/1', 'nobody')",
        "SET LOCAL ROLE federation_owner",
    )

    results = rehearse(fleet, "d00")

    assert all(one["tried"] for one in results["d00"]["statements"])
    assert results["d00"]["error"]["code"] == "statement_failed"
    assert "knows" in results["d00"]["error"]["message"]
    assert fleet.upgrade("d00")["d00"]["error"]["code"] == "references_unmet"  # the rows are looked at first


def test_what_cannot_be_counted_fails_without_a_number(fleet: Fleet) -> None:
    contacts(fleet.database, "d01", [("far too long a name", None)])
    revise(fleet.project, "INSERT INTO {schema}.contacts (contact_id) SELECT contact_id FROM {schema}.contacts")
    execute(fleet.database, "ALTER TABLE d01_tenant.contacts NO FORCE ROW LEVEL SECURITY")

    results = rehearse(fleet)

    assert verdicts(results) == {"d00": "sound", "d01": "failed", "d02": "sound"}
    assert (results["d01"]["rows"], results["d01"]["error"]["code"]) == (None, "statement_failed")


def test_rows_that_would_be_lost_are_named(fleet: Fleet) -> None:
    contacts(fleet.database, "d01", [("Ada", "hers"), ("Grace", None)])
    revise(fleet.project, "ALTER TABLE {schema}.contacts DROP COLUMN job_title CASCADE", "DROP TABLE {schema}.contacts")

    results = rehearse(fleet)

    assert verdicts(results) == {"d00": "sound", "d01": "failed", "d02": "sound"}
    assert results["d01"]["error"]["code"] == "would_lose_rows"
    assert "table contacts (2 rows)" in results["d01"]["error"]["message"]
    assert results["d01"]["drops"] == ["table contacts"]
    assert verdicts(rehearse(fleet, "--yes")) == dict.fromkeys(fleet.ids, "sound")


def test_downgrade_is_rehearsed_too(fleet: Fleet) -> None:
    execute(
        fleet.database,
        "ALTER TABLE d01_tenant.conversation_history_archive NO FORCE ROW LEVEL SECURITY",
    )

    results = rehearse(fleet, "--all", "--to", "-1", command=("downgrade",))

    assert set(verdicts(results).values()) == {"sound"}
    assert results["d00"]["drops"] == ["table conversation_history_archive"]


def test_column_whose_values_another_has_is_no_loss(fleet: Fleet) -> None:
    """A contract step is rehearsed as it would be done: without a question."""
    add = fleet.project.add_revision
    names = '"contacts", "email_addresses", "emails", "jsonb"'
    add("tenant", EXPAND, f"op.expand_tenant_column({names})", f"op.unexpand_tenant_column({names})", after=AFTER)
    add(
        "tenant",
        FILL,
        "op.backfill('contacts', assign='emails = email_addresses', where='emails IS NULL')",
        after=EXPAND,
    )
    add("tenant", CONTRACT, f"op.contract_tenant_column({names})", f"op.uncontract_tenant_column({names})", after=FILL)
    contacts(fleet.database, "d01", [("Ada", "hers"), ("Grace", None)])
    execute(fleet.database, "UPDATE d01_tenant.contacts SET email_addresses = '[1]'")
    assert fleet.type_in("upgrade", "--to", FILL).status == 0

    results = rehearse(fleet)

    assert verdicts(results) == dict.fromkeys(fleet.ids, "sound")
    assert {tuple(result["drops"]) for result in results.values()} == {()}
    assert fleet.type_in("upgrade").status == 0


# --------------------------------------------------------------------------------------------------------------- pace


def test_department_in_use_is_reported_at_once_and_the_others_are_tried(fleet: Fleet) -> None:
    before = everything(fleet.database)
    with _in_use(fleet.database, "d01", 30):
        began = time.monotonic()
        results = _json(fleet)
        took = time.monotonic() - began

    assert verdicts(results) == {"d00": "sound", "d01": "locked", "d02": "sound"}
    assert results["d01"]["error"]["code"] == "lock_timeout"
    assert took < 4
    assert everything(fleet.database) == before


def test_department_that_another_release_holds_is_locked(fleet: Fleet) -> None:
    with psycopg.connect(fleet.database.conninfo) as holder:
        holder.execute("SELECT FROM federation.departments WHERE department_id = 'd00' FOR UPDATE")
        assert verdicts(_json(fleet)) == {"d00": "locked", "d01": "sound", "d02": "sound"}


def test_lock_timeout_that_is_asked_for_is_the_one(fleet: Fleet) -> None:
    with _in_use(fleet.database, "d01", 1.0), ThreadPoolExecutor(1) as pool:
        assert verdicts(pool.submit(_json, fleet, "--lock-timeout", "20s").result(30)) == dict.fromkeys(
            fleet.ids, "sound"
        )


def test_reader_waits_no_longer_than_max_lock_hold(fleet: Fleet) -> None:
    fleet.revise(after=SLOWLY.format(20))
    longest = 0.0
    with ThreadPoolExecutor(1) as pool, fleet.database.login("d00_role") as reader:
        rehearsal = pool.submit(_json, fleet, "d00", "--max-lock-hold", "500ms")
        while not rehearsal.done():
            began = time.monotonic()
            reader.execute("SELECT count(*) FROM contacts")
            longest = max(longest, time.monotonic() - began)
        results = rehearsal.result(20)

    assert verdicts(results) == {"d00": "failed"}  # it is too slow; nobody was in its way
    assert results["d00"]["error"]["code"] == "lock_held_too_long"
    tried = own(results["d00"]["statements"])
    assert [(strongest(one), one["tried"]) for one in tried[:2]] == [
        ("ACCESS EXCLUSIVE contacts", True),
        ("SHARE contacts", True),
    ]
    assert (tried[2]["tried"], tried[2]["duration_seconds"] > 0.3) == (False, True)
    assert 0.2 < longest < 5
    assert fleet.applied() == dict.fromkeys(fleet.ids, (0, 0))


@pytest.mark.parametrize("option", ["--lock-timeout", "--statement-timeout"])
def test_reason_stays_where_the_rows_cannot_be_counted_in_time(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    contacts(fleet.database, "d00", [("Ada", "spoilt")])
    revise(fleet.project, "ALTER TABLE {schema}.contacts ADD CONSTRAINT sober CHECK (notes <> 'spoilt')")
    wait = "LOCK TABLE d00_tenant.email_logs" if option == "--lock-timeout" else "SELECT pg_catalog.pg_sleep(30)"

    def slowly(failure: rows.Failure, _: object) -> None:
        failure.connection.execute(wait.encode())

    monkeypatch.setattr(offenders, "counted", slowly)
    with psycopg.connect(fleet.database.conninfo) as holder:
        holder.execute("LOCK TABLE d00_tenant.email_logs")
        result = _json(fleet, "d00", option, "300ms")["d00"]

    assert (result["status"], result["error"]["code"], result["rows"]) == ("failed", "statement_failed", None)
    assert "sober" in result["error"]["message"]


def test_department_that_moved_meanwhile_has_failed(fleet: Fleet) -> None:
    run = releases.prepare(fleet.database.conninfo, fleet.project.compiler(), [], Release(Direction.UPGRADE, "head"))
    assert fleet.type_in("upgrade", "d01").status == 0

    results = {result.department.id: result for result in previews.rehearse_departments(run)}

    assert [result.verdict for result in results.values()] == ["sound", "failed", "sound"]
    assert results["d01"].error is not None
    assert results["d01"].error.code == "department_moved"


def test_several_are_tried_at_once_where_that_is_asked_for(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(4, after=SLOWLY.format(0.8))
    began = time.monotonic()

    assert set(verdicts(_json(fleet, "--jobs", "4")).values()) == {"sound"}

    assert time.monotonic() - began < 3.2


def test_interrupt_rolls_back_and_skips_the_rest(fleet: Fleet, start: Start) -> None:
    import signal

    fleet.revise(after=SLOWLY.format(30))
    before = everything(fleet.database)
    with fleet.database.connect() as watcher:
        process = start(fleet, "upgrade", "--rehearse=live", "--json")
        assert eventually(lambda: len(sleeping(watcher)) == 1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=20)

    assert process.returncode == 1
    assert [(one["status"], (one["error"] or {}).get("code")) for one in json.loads(stdout)["results"]] == [
        ("failed", "cancelled"),
        ("skipped", None),
        ("skipped", None),
    ]
    assert everything(fleet.database) == before
    assert fleet.states() == dict.fromkeys(fleet.ids, OLD)


def test_read_only_server_fails_each_department(fleet: Fleet) -> None:
    url = fleet.database.url + "?options=-c%20default_transaction_read_only%3Don"

    done = fleet.type_in("upgrade", "--rehearse=live", "--json", url=url)

    assert done.status == 1
    assert {result["error"]["code"] for result in json.loads(done.stdout)["results"]} == {"read_only_server"}
