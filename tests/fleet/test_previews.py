"""`upgrade --plan` and `--rehearse`: what would be done, by group, measured on departments that never were."""

from __future__ import annotations

import json
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fedschema import batches, lender, linting, previews
from fedschema.embedded.errors import BinariesMissing
from fedschema.plans import Plan
from fedschema.releases import Direction, Release
from tests.conftest import Database, Run
from tests.fleet.building import INDEX, add_index_revision, make_busy_fleet, writing
from tests.fleet.conftest import AFTER, BEFORE, OLD, SLOWLY, Fleet, MakeFleet, Start, sleeping, statuses
from tests.fleet.looking import everything, own, revise, strongest
from tests.migrations.conftest import CopiedProject
from tests.tenancy.conftest import eventually

NOT_NULL = "ALTER TABLE {schema}.contacts ALTER COLUMN full_name SET NOT NULL"
REWRITE = "ALTER TABLE {schema}.tool_calls ALTER COLUMN execution_time_ms TYPE bigint"


@pytest.fixture
def fleet(make_fleet: MakeFleet) -> Fleet:
    return make_fleet(3)


def plan(fleet: Fleet, *words: str, url: str | None = None, status: int = 0) -> dict[str, Any]:
    """Look, as a machine does."""
    done = fleet.type_in("upgrade", *(words or ("--plan",)), "--json", url=url)
    assert done.status == status, done
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def read_only(database: Database) -> str:
    return database.url + "?options=-c%20default_transaction_read_only%3Don"


# ------------------------------------------------------------------------------------------------------------- groups


def test_departments_with_the_same_before_them_are_one_group(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(5)
    legal = fleet.database.add("legal")
    fleet.project.add_revision(
        "departments/legal", "legal_0001", "op.execute('SELECT 1')", label="legal", depends_on=BEFORE
    )
    assert fleet.type_in("downgrade", "d03", "--to", "-1").status == 0
    assert fleet.type_in("upgrade", "d04").status == 0

    found = plan(fleet)

    groups = {tuple(each["departments"]): each for each in found["groups"]}
    assert set(groups) == {("d00", "d01", "d02"), ("d03",), (legal.id,)}
    assert next(iter(groups)) == ("d00", "d01", "d02")
    assert [step["revision"] for step in groups["d00", "d01", "d02"]["revisions"]] == [AFTER]
    assert [step["revision"] for step in groups[("d03",)]["revisions"]] == [BEFORE, AFTER]
    assert {step["revision"] for step in groups[("legal",)]["revisions"]} == {AFTER, "legal_0001"}
    assert groups[("d03",)]["start"] != groups["d00", "d01", "d02"]["start"] == [BEFORE]
    assert all(step["checksum"].startswith("sha256:") for each in found["groups"] for step in each["revisions"])
    assert all(each["error"] is None and each["notes"] == [] for each in found["groups"])
    assert all(one["tried"] for each in found["groups"] for one in each["statements"])
    assert found["unchanged"] == ["d04"]


def test_department_in_disorder_is_named_and_keeps_nobody_else_from_being_shown(fleet: Fleet) -> None:
    with fleet.database.connect() as connection:
        connection.execute("UPDATE d01_tenant.alembic_version SET version_num = 'nobody_knows'")

    found = plan(fleet, status=1)

    assert [each["departments"] for each in found["groups"]] == [["d00", "d02"]]
    assert [(each["department_id"], each["error"]["code"]) for each in found["problems"]] == [
        ("d01", "unknown_revision")
    ]


def test_nothing_to_do_is_said(fleet: Fleet) -> None:
    assert fleet.type_in("upgrade").status == 0

    done = fleet.type_in("upgrade", "--plan")

    assert (done.status, done.stdout) == (0, "nothing to do for 3 departments: d00, d01, d02\n")
    assert plan(fleet)["groups"] == []


def test_fleet_without_departments_says_so(make_fleet: MakeFleet) -> None:
    done = make_fleet(0).type_in("upgrade", "--plan")

    assert (done.status, done.stdout) == (0, "")
    assert "no departments yet" in done.stderr


# --------------------------------------------------------------------------------------------------------- measuring


def test_locks_rewrites_and_whole_readings_are_measured(fleet: Fleet) -> None:
    revise(
        fleet.project,
        "ALTER TABLE {schema}.contacts ADD COLUMN nickname text",
        "CREATE INDEX idx_contacts_nickname ON {schema}.contacts (nickname)",
        REWRITE,
        "ALTER TABLE {schema}.email_logs ALTER COLUMN error_message SET NOT NULL",
        "ALTER TABLE {schema}.notifications ALTER COLUMN title SET STATISTICS 500",
        "ALTER TABLE {schema}.contacts ADD COLUMN born timestamptz DEFAULT clock_timestamp()",
        "COMMENT ON COLUMN {schema}.contacts.born IS 'when'",
        "SELECT 1",
    )

    group = plan(fleet)["groups"][0]
    statements = own(group["statements"])

    assert [(strongest(one), one["rewrites"], one["reads"]) for one in statements] == [
        ("ACCESS EXCLUSIVE contacts", [], []),
        ("SHARE contacts", [], ["contacts"]),
        ("ACCESS EXCLUSIVE tool_calls", ["tool_calls"], ["tool_calls"]),
        ("ACCESS EXCLUSIVE email_logs", [], ["email_logs"]),
        ("SHARE UPDATE EXCLUSIVE notifications", [], []),
        (None, ["contacts"], ["contacts"]),  # it holds that lock already
        ("SHARE UPDATE EXCLUSIVE contacts", [], []),
        (None, [], []),
    ]
    assert all(one["duration_seconds"] >= 0 and one["revision"] == AFTER for one in statements)
    assert [f"{lock['mode']} {lock['relation']}" for lock in group["held"]] == [
        "ACCESS EXCLUSIVE contacts",
        "ACCESS EXCLUSIVE email_logs",
        "ACCESS EXCLUSIVE tool_calls",
        "SHARE UPDATE EXCLUSIVE notifications",
    ]


def test_what_the_transaction_made_itself_disturbs_nobody(fleet: Fleet) -> None:
    revise(
        fleet.project,
        "CREATE TABLE {schema}.fresh (id integer)",
        "CREATE INDEX ON {schema}.fresh (id)",
        "ALTER TABLE {schema}.fresh ALTER COLUMN id TYPE bigint",
        "DROP TABLE {schema}.fresh",
        "DROP TABLE {schema}.api_keys",
    )

    group = plan(fleet)["groups"][0]

    assert [(strongest(one), one["rewrites"], one["reads"]) for one in own(group["statements"])] == [
        *[(None, [], [])] * 4,
        ("ACCESS EXCLUSIVE api_keys", [], []),
    ]


def test_statements_are_those_that_run(fleet: Fleet) -> None:
    """All of them, in their order, for the first of the group."""
    statements = plan(fleet)["groups"][0]["statements"]

    assert [one["bookkeeping"] for one in statements] == [True, False, False, True, True, True]
    assert statements[1]["statement"].endswith("ALTER TABLE d00_tenant.contacts ADD COLUMN nickname text")
    assert statements[-1]["statement"].endswith("CALL federation.assert_walls('d00')")


def test_dropped_tables_and_columns_are_named(fleet: Fleet) -> None:
    revise(fleet.project, "ALTER TABLE {schema}.contacts DROP COLUMN job_title CASCADE", "DROP TABLE {schema}.api_keys")

    assert plan(fleet)["groups"][0]["drops"] == [
        "column contacts.job_title",
        "column contacts.search_vector",  # which is made of it
        "table api_keys",
    ]


def test_plan_of_a_downgrade_is_shown(fleet: Fleet) -> None:
    done = fleet.type_in("downgrade", "--all", "--to", "-1", "--plan", "--json")

    assert done.status == 0
    found = json.loads(done.stdout)
    assert (found["direction"], found["target"]) == ("downgrade", "-1")
    assert found["groups"][0]["drops"] == ["table conversation_history_archive"]


def test_people_see_tables_by_group(fleet: Fleet) -> None:
    done = fleet.type_in("upgrade", "--plan")

    assert (done.status, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "group 1, 3 departments: d00, d01, d02"
    assert lines[1] == f"upgrade {BEFORE} -> {AFTER}"
    assert lines[3].split("  ")[0] == "STATEMENT"
    cells = [re.split(r" {2,}", line) for line in lines[4:6]]
    assert [cell[:2] for cell in cells] == [
        ["ALTER TABLE d00_tenant.contacts ADD COLUMN nickname text", "ACCESS EXCLUSIVE contacts"],
        ["CREATE INDEX idx_contacts_nickname ON d00_tenant.contacts (nickname)", "SHARE contacts"],
    ]
    assert cells[1][2] == "reads contacts"
    assert any(
        line.startswith("squawk: require-concurrent-index-creation: CREATE INDEX idx_contacts_nickname ON ")
        for line in lines
    )
    assert "assert_walls" not in done.stdout
    assert "\n\n\n" not in done.stdout
    assert lines[-1]


def test_plan_that_fails_already_on_a_scratch_department_says_where(fleet: Fleet) -> None:
    revise(fleet.project, "SELECT 1", "ALTER TABLE {schema}.contacts DROP COLUMN nonsense", "SELECT 2")

    found = plan(fleet, status=1)["groups"][0]
    done = fleet.type_in("upgrade", "--plan")

    assert [one["tried"] for one in own(found["statements"])] == [True, False, False]
    assert found["error"]["code"] == "statement_failed"
    assert "d00_tenant" in found["error"]["message"]
    assert "rehearsal_" not in json.dumps(found)
    assert [line.split()[-1] for line in done.stdout.splitlines() if "SELECT 2" in line] == ["-"]
    assert "FAILS" in done.stdout
    assert done.stderr.startswith("error: rehearsal on a scratch department failed in revision")


def test_savepoints_of_a_revision_are_its_own(fleet: Fleet) -> None:
    """And neither way of trying it takes them away with savepoints of its own."""
    revise(
        fleet.project,
        "SAVEPOINT a",
        "ALTER TABLE {schema}.contacts DROP COLUMN phone_numbers",
        "rollback to savepoint a",
        "ALTER TABLE {schema}.contacts ADD COLUMN more text",
        "RELEASE a",
        "SAVEPOINT b",
    )

    found = plan(fleet)["groups"][0]
    live = fleet.type_in("upgrade", "d00", "--rehearse=live", "--json")

    assert [one["tried"] for one in own(found["statements"])] == [True] * 6
    assert (found["drops"], found["error"]) == ([], None)
    assert live.status == 0, live
    assert [one["tried"] for one in own(json.loads(live.stdout)["results"][0]["statements"])] == [True] * 6
    assert statuses(fleet.upgrade()) == {"upgraded": list(fleet.ids)}


def test_savepoint_that_is_not_there_fails_where_it_is_asked_for(fleet: Fleet) -> None:
    revise(fleet.project, "SAVEPOINT a", "RELEASE a", "ROLLBACK TO a", "SELECT 2")

    found = plan(fleet, status=1)["groups"][0]

    assert [one["tried"] for one in own(found["statements"])] == [True, True, False, False]
    assert 'savepoint "a" does not exist' in found["error"]["message"]


def test_table_without_walls_is_noticed(fleet: Fleet) -> None:
    revise(fleet.project, "CREATE TABLE {schema}.open (id integer)")

    assert plan(fleet, status=1)["groups"][0]["error"]["code"] == "walls_missing"


def test_revision_that_reads_is_shown_and_not_measured(fleet: Fleet) -> None:
    revise(fleet.project, "SELECT 1", online=True)

    found = plan(fleet)["groups"][0]

    assert not any(one["tried"] for one in found["statements"])
    assert any(note.startswith("not measured: ") and AFTER in note for note in found["notes"])
    assert plan(fleet, "--rehearse", status=1)["error"]["code"] == "not_rehearsable"


def test_department_below_the_first_revision_is_rehearsed(fleet: Fleet) -> None:
    assert fleet.type_in("downgrade", "d00", "--to", "base").status == 0

    found = plan(fleet, "d00", "--rehearse")["groups"][0]

    assert (found["start"], found["error"]) == ([], None)
    assert all(one["tried"] for one in found["statements"])


def test_locks_are_unknown_where_no_other_postgresql_can_be_started(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: object) -> None:
        raise BinariesMissing("nowhere to be found")

    monkeypatch.setattr(lender, "throwaway_server", missing)
    done = fleet.type_in("upgrade", "--plan")
    found = plan(fleet)["groups"][0]

    assert [one["locks"] for one in found["statements"]] == [None] * 6
    assert own(found["statements"])[1]["reads"] == ["contacts"]
    assert "warning: the locks are not known, for no PostgreSQL could be started" in done.stderr
    assert "unknown" in done.stdout


def test_other_version_of_postgresql_is_told(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lender.Lender, "is_alike", property(lambda _: False))

    (note,) = plan(fleet)["groups"][0]["notes"]

    assert re.fullmatch(r"the locks were measured on PostgreSQL [\d.]+ of this machine, and the server is a \d+", note)


def test_programs_of_the_servers_version_are_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lender, "_PLACES", (str(tmp_path / "{}" / "bin"),))
    programs = tmp_path / "15" / "bin"
    programs.mkdir(parents=True)
    (programs / "initdb").touch()

    assert lender.programs(15) == programs
    assert lender.programs(16) is None


def test_locks_after_a_statement_that_only_the_server_understands_are_unknown(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one on loan lacks an extension, say."""
    with fleet.database.connect() as connection:
        connection.execute("CREATE FUNCTION public.only_here() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
    revise(fleet.project, "SELECT 1", "SELECT public.only_here()", "SELECT 2")

    found = plan(fleet)["groups"][0]

    assert [one["locks"] for one in own(found["statements"])] == [[], None, None]
    assert [one["tried"] for one in own(found["statements"])] == [True] * 3
    assert found["error"] is None
    assert [note for note in found["notes"] if "only this server understands" in note]


# ------------------------------------------------------------------------------------------------------ nothing left


def test_nothing_is_left_of_a_plan_or_a_rehearsal(fleet: Fleet) -> None:
    before = everything(fleet.database)

    for words in (("--plan",), ("--rehearse",), ("--rehearse=scratch",), ("--rehearse", "d01")):
        assert plan(fleet, *words)["groups"][0]["error"] is None
    revise(fleet.project, "SELECT 1", "SELECT 1/0")
    assert plan(fleet, "--rehearse", status=1)["groups"][0]["error"]["code"] == "statement_failed"

    assert everything(fleet.database) == before


def test_comparison_would_see_what_is_left(fleet: Fleet) -> None:
    before = everything(fleet.database)
    fleet.database.add("rehearsal_left")

    after = everything(fleet.database)

    different = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert {"roles", "memberships", "schemas", "relations", "shared comments"} <= different
    assert {"federation.departments", "federation.schema_migrations"} <= different


def test_rehearse_takes_what_follows_it_for_a_department(fleet: Fleet) -> None:
    assert plan(fleet, "--rehearse", "d01")["groups"][0]["departments"] == ["d01"]
    assert plan(fleet, "d02", "--rehearse")["groups"][0]["departments"] == ["d02"]
    error = plan(fleet, "--rehearse", "live", status=2)["error"]
    assert (error["code"], error["hint"][-15:]) == ("unknown_department", "--rehearse=live")


def test_rehearsals_at_once_do_not_meet(fleet: Fleet) -> None:
    before = everything(fleet.database)
    fleet.revise(after=SLOWLY.format(0.3))

    with ThreadPoolExecutor(3) as pool:
        processes = [fleet.start("upgrade", "--rehearse", "--json") for _ in range(3)]
        ended = list(pool.map(lambda process: (*process.communicate(timeout=60), process.returncode), processes))

    assert [(status, stderr) for _, stderr, status in ended] == [(0, "")] * 3
    assert everything(fleet.database) == before


def test_department_is_added_while_a_rehearsal_is_under_way(fleet: Fleet, start: Start) -> None:
    fleet.revise(after=SLOWLY.format(3))
    with fleet.database.connect() as watcher:
        process = start(fleet, "upgrade", "--rehearse")
        assert eventually(lambda: len(sleeping(watcher)) == 1)
        fleet.database.add("newcomer")
        assert len(sleeping(watcher)) == 1  # it did not wait for the rehearsal
        assert process.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_rehearsal_leaves_nothing(fleet: Fleet, start: Start, number: signal.Signals) -> None:
    fleet.revise(after=SLOWLY.format(30))
    before = everything(fleet.database)
    with fleet.database.connect() as watcher:
        process = start(fleet, "upgrade", "--rehearse")
        assert eventually(lambda: len(sleeping(watcher)) == 1)
        os.kill(process.pid, number)
        process.communicate(timeout=20)
        assert process.returncode != 0
        for pid in sleeping(watcher):  # the server notices by itself, but only when it wants to answer
            watcher.execute("SELECT pg_terminate_backend(%s)", (pid,))
        assert eventually(lambda: not sleeping(watcher))
    assert everything(fleet.database) == before


# -------------------------------------------------------------------------------------------------------- privileges


def test_operator_who_is_no_superuser_may_rehearse(fleet: Fleet) -> None:
    database = fleet.database
    database.create_login("fedschema_test_operator", "federation_owner")
    server, password = database.server, database.passwords["fedschema_test_operator"]
    url = f"postgresql://fedschema_test_operator:{password}@{server.host}:{server.port}/{database.name}"
    before = everything(database)

    found = plan(fleet, "--rehearse", url=url)["groups"][0]

    assert (found["error"], found["notes"]) == (None, [])
    assert all(one["tried"] for one in found["statements"])
    assert everything(database) == before


def test_read_only_server_is_refused_by_a_rehearsal(fleet: Fleet) -> None:
    error = plan(fleet, "--rehearse", url=read_only(fleet.database), status=1)["error"]

    assert error["code"] == "read_only_server"
    assert "target_session_attrs" in error["hint"]


def test_plan_is_shown_on_a_read_only_server(fleet: Fleet) -> None:
    found = plan(fleet, "--plan", url=read_only(fleet.database))["groups"][0]

    assert strongest(own(found["statements"])[0]) == "ACCESS EXCLUSIVE contacts"
    assert [note for note in found["notes"] if "takes no scratch department" in note and "read-only" in note]


def test_neither_scratch_department_can_be_made_and_the_plan_is_shown(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: object) -> None:
        raise BinariesMissing("nowhere to be found")

    monkeypatch.setattr(lender, "throwaway_server", missing)
    found = plan(fleet, "--plan", url=read_only(fleet.database))["groups"][0]

    assert not any(one["tried"] for one in found["statements"])
    assert [note for note in found["notes"] if note.startswith("not measured: ")]
    assert found["lints"]


# ------------------------------------------------------------------------------------------------------------ squawk


def test_squawk_looks_at_exactly_the_sql_that_runs(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    really = linting.lint

    def listen(sql: str, *rest: Any) -> tuple[linting.Lint, ...]:
        looked_at.append(sql)
        return really(sql, *rest)

    monkeypatch.setattr(previews, "lint", listen)
    group = plan(fleet)["groups"][0]
    monkeypatch.undo()

    ran: list[str] = []
    send = batches.execute

    def overhear(connection: psycopg.Connection, batch: batches.Batch, its_plan: Plan | None = None) -> None:
        ran.append(batch.sql)
        send(connection, batch, its_plan)

    monkeypatch.setattr(batches, "execute", overhear)
    assert fleet.type_in("upgrade", "d00").status == 0
    assert looked_at == ran
    assert [(lint["rule"], lint["statement"]) for lint in group["lints"]] == [("require-concurrent-index-creation", 2)]
    assert "CREATE INDEX" in group["statements"][2]["statement"]


def test_without_squawk_the_plan_says_loudly_that_it_is_not_linted(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linting, "program", lambda: None)

    group = plan(fleet)["groups"][0]
    done = fleet.type_in("upgrade", "--plan")

    assert group["lints"] is None
    assert group["notes"] == ["not linted: squawk is not installed here: pip install squawk-cli"]
    assert "warning: not linted: squawk is not installed here" in done.stderr
    assert done.status == 0


# ------------------------------------------------------------------------------------------------------- wrong usage


@pytest.mark.parametrize(
    "words",
    [
        ("upgrade", "--plan", "--rehearse"),
        ("upgrade", "--plan", "--rehearse=live"),
        ("upgrade", "--rehearse=dead"),
        ("upgrade", "--out", "plan.json"),
        ("upgrade", "--rehearse", "--out", "plan.json"),
        ("upgrade", "--plan", "--apply", "plan.json"),
        ("upgrade", "--rehearse", "--apply", "plan.json"),
        ("upgrade", "hr", "--apply", "plan.json"),
        ("upgrade", "--to", "head", "--apply", "plan.json"),
        ("upgrade", "--out", "x.json", "--apply", "plan.json"),
        ("upgrade", "--resume"),
        ("upgrade", "--plan", "--resume"),
        ("downgrade", "hr", "--to", "-1", "--plan", "--rehearse"),
        ("downgrade", "--to", "-1", "--plan"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_together_is_wrong_usage(fedschema_nowhere: Run, words: tuple[str, ...]) -> None:
    done = fedschema_nowhere(*words, "--json")

    assert done.status == 2
    assert json.loads(done.stdout)["error"]["code"] == "usage"


def test_service_sees_the_same(fleet: Fleet) -> None:
    import fedschema

    before = everything(fleet.database)
    seen = fedschema.preview(fleet.database.conninfo, fleet.project.compiler(), [], Release(Direction.UPGRADE, "head"))

    assert [each.group.departments for each in seen.groups] == [tuple(seen.run.departments)]
    assert not seen.would_fail
    assert everything(fleet.database) == before
    assert fleet.states() == dict.fromkeys(fleet.ids, OLD)


def test_unreachable_database_says_so(copied_project: CopiedProject) -> None:
    with pytest.raises(Exception, match="cannot reach PostgreSQL"):
        previews.preview("host=127.0.0.1 port=1", copied_project.compiler(), [], Release(Direction.UPGRADE, "head"))


def test_lost_connection_is_an_error_and_no_finding(fleet: Fleet, start: Start) -> None:
    fleet.revise(after=SLOWLY.format(30))
    with psycopg.connect(fleet.database.conninfo, autocommit=True) as watcher:
        process = start(fleet, "upgrade", "--plan", "--json")
        assert eventually(lambda: len(sleeping(watcher)) == 1)
        watcher.execute("SELECT pg_terminate_backend(%s)", (sleeping(watcher)[0],))
        stdout, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert json.loads(stdout)["error"]["code"] == "connection_lost"


def test_what_is_done_outside_the_transaction_is_shown_as_it_is_sent(make_fleet: MakeFleet) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_index_revision(fleet, after=AFTER)
    fleet.project.add_revision(
        "tenant", "tenant_9003_fill", 'op.backfill("contacts", assign="notes = 1", where="notes IS NULL")', after=INDEX
    )

    seen = json.loads(fleet.type_in("upgrade", "--plan", "--json").stdout)

    (group,) = seen["groups"]
    shown = [one for one in group["statements"] if not one["bookkeeping"]]
    built = next(one for one in shown if "INDEX" in one["statement"])
    filled = next(one for one in shown if "UPDATE d00_tenant.contacts" in one["statement"])
    assert "CREATE INDEX CONCURRENTLY" in built["statement"]
    assert built["locks"] == [{"mode": "SHARE UPDATE EXCLUSIVE", "relation": "contacts"}]
    assert filled["locks"] == [{"mode": "ROW EXCLUSIVE", "relation": "contacts"}]
    assert not [one for one in group["lints"] if "concurrent" in one["rule"]]
    assert sum("outside the transaction" in note for note in group["notes"]) == 2


def test_live_rehearsal_keeps_no_writer_out_for_an_index_that_is_built_concurrently(make_fleet: MakeFleet) -> None:
    fleet = make_busy_fleet(make_fleet, 1)
    add_index_revision(fleet, after=AFTER)
    with writing(fleet.database, "d00"):  # an ordinary CREATE INDEX would wait for it, and fail
        done = fleet.type_in("upgrade", "--rehearse=live")

    assert done.status == 0, done
