"""`fedschema retention`: what is typed, what is shown, what is refused."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

import psycopg
import pytest

from fedschema import tenancy
from tests.conftest import Database, Run
from tests.retention.conftest import TIMES, JsonOf, fill, put, rows_in
from tests.security.conftest import undone, value

ARCHIVE = "conversation_history_archive"


def test_period_is_set_shown_replaced_and_taken_back(typed: Run, json_of: JsonOf) -> None:
    assert typed("set", "hr", "conversation_history", "1y").stdout == "hr keeps conversation_history for 1 year\n"
    assert json_of("set", "hr", "conversation_history", "18mo")["kept_for"] == "1 year 6 mons"
    assert typed("set", "hr", "email_logs", "never").stdout == "hr keeps email_logs for good\n"

    listed = {(one["table_name"], one["kept_for"], one["default_kept_for"]) for one in json_of("list")}
    shown = {one["table_name"]: one for one in json_of("show", "hr")}
    others = {one["table_name"]: one["kept_for"] for one in json_of("show", "sales")}

    assert listed == {("conversation_history", "1 year 6 mons", "2 years"), ("email_logs", None, None)}
    assert (shown["conversation_history"]["kept_for"], shown["conversation_history"]["set_by"]) == (
        "1 year 6 mons",
        "postgres",
    )
    assert others["conversation_history"] == "2 years"
    assert set(shown) == set(TIMES)
    assert "for 2 years, as everybody does" in typed("set", "hr", "conversation_history", "default").stdout
    assert [one["table_name"] for one in json_of("list")] == ["email_logs"]


def test_changes_of_periods_are_on_record_whoever_made_them(typed: Run, root: psycopg.Connection) -> None:
    start = value(root, "SELECT clock_timestamp()")
    typed("set", "hr", "email_logs", "90d")
    root.execute("UPDATE federation.retention_periods SET kept_for = '1 day'")
    typed("set", "hr", "email_logs", "default")

    found = root.execute(
        """
        SELECT event_type, source_department_id, user_role, details FROM federation.security_audit
        WHERE created_at > %s ORDER BY created_at
        """,
        (start,),
    ).fetchall()
    assert found == [
        ("RETENTION_PERIOD_SET", "hr", "postgres", {"table": "email_logs", "kept_for": "90 days"}),
        ("RETENTION_PERIOD_SET", "hr", "postgres", {"table": "email_logs", "kept_for": "1 day"}),
        ("RETENTION_PERIOD_REMOVED", "hr", "postgres", {"table": "email_logs", "kept_for": "1 day"}),
    ]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("set", "hr", "email_logs", "6m"), "invalid_period"),
        (("set", "hr", "email_logs", "0d"), "invalid_period"),
        (("set", "hr", "email_logs", "1 fortnight"), "invalid_period"),
        (("set", "hr", "email_logs", "101y"), "invalid_period"),
        (("set", "hr", "contacts", "1y"), "not_expirable"),
        (("set", "hr", "audit_trail", "1y"), "not_expirable"),
        (("set", "hr", "email_logs'; DROP TABLE x", "1y"), "not_expirable"),
        (("set", "nobody", "email_logs", "1y"), "unknown_department"),
        (("set", "federation", "security_audit", "1y"), "invalid_department_id"),
        (("run", "nobody"), "unknown_department"),
        (("run", "hr", "--all"), "usage"),
        (("run", "--jobs", "100000"), "no_room"),
        (("show", "nobody"), "unknown_department"),
        (("export", "hr", "--to", "/tmp/fedschema-none-such", "--table", "api_keys"), "not_expirable"),
        (("schedule", "--at", "25:00"), "usage"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage_and_touches_nothing(
    root: psycopg.Connection, json_of: JsonOf, words: tuple[str, ...], code: str
) -> None:
    fill(root, "hr", 1)

    assert json_of(*words, status=2)["error"]["code"] == code

    assert rows_in(root, "hr", "conversation_history") == 1
    assert value(root, "SELECT count(*) FROM federation.retention_periods") == 0


def test_run_sums_up_by_department_and_table(typed: Run, root: psycopg.Connection) -> None:
    fill(root, "hr", 3)
    put(root, "hr", "session_context", "1 second")
    put(root, "sales", "session_context", "1 second", "-1 hour")

    before = typed("run", "--dry-run")
    done = typed("run")

    assert before.stdout.splitlines() == [
        "hr: conversation_history 3 would be archived, session_context 1 would be deleted",
        "sales: session_context 1 would be deleted",
        "audit: nothing to do",
        "2 departments: 5 rows would go",
    ]
    assert done.stdout.splitlines() == [
        "hr: conversation_history 3 archived, session_context 1 deleted",
        "sales: session_context 1 deleted",
        "audit: nothing to do",
        "2 departments: 5 rows went",
    ]
    assert rows_in(root, "hr", ARCHIVE) == 3
    assert typed("run").stdout.endswith("2 departments: 0 rows went\n")


def test_dry_run_changes_nothing(root: psycopg.Connection, json_of: JsonOf) -> None:
    fill(root, "hr", 3)
    start = value(root, "SELECT clock_timestamp()")

    assert json_of("run", "--dry-run")["rows"] == 3

    assert rows_in(root, "hr", "conversation_history") == 3
    assert value(root, "SELECT count(*) FROM federation.security_audit WHERE created_at > %s", start) == 0


def test_department_that_is_named_is_the_only_one_touched(root: psycopg.Connection, json_of: JsonOf) -> None:
    fill(root, "hr", 3)
    fill(root, "sales", 3)

    found = json_of("run", "hr")

    assert [result["department_id"] for result in found["results"]] == ["hr"]
    assert (rows_in(root, "hr", "conversation_history"), rows_in(root, "sales", "conversation_history")) == (0, 3)
    assert rows_in(root, "sales", ARCHIVE) == 0


def test_department_out_of_service_is_skipped_and_said_so(root: psycopg.Connection, json_of: JsonOf) -> None:
    fill(root, "hr", 3)
    root.execute("UPDATE federation.departments SET status = 'SUSPENDED' WHERE department_id = 'hr'")

    found = json_of("run")["results"]
    named = json_of("run", "hr", status=1)["results"]

    assert [(result["department_id"], result["status"]) for result in found] == [
        ("hr", "skipped"),
        ("sales", "done"),
        (None, "done"),
    ]
    assert (named[0]["status"], named[0]["reason"]) == ("skipped", "it is SUSPENDED")
    assert rows_in(root, "hr", "conversation_history") == 3


def test_one_that_fails_keeps_no_other_from_it(root: psycopg.Connection, json_of: JsonOf, kept: Database) -> None:
    fill(root, "hr", 25)
    fill(root, "sales", 25)
    with kept.connect() as blocker, blocker.transaction(force_rollback=True):
        blocker.execute("LOCK TABLE hr_tenant.conversation_history IN ACCESS EXCLUSIVE MODE")
        results = json_of("run", "--batch-rows", "10", "--lock-timeout", "100ms", "--retries", "0", status=1)["results"]

    assert [(result["department_id"], result["status"], result["rows"]) for result in results] == [
        ("hr", "failed", 0),
        ("sales", "done", 25),
        (None, "done", 0),
    ]
    assert results[0]["error"]["code"] == "lock_timeout"
    assert rows_in(root, "hr", "conversation_history") == 25


def test_next_department_of_that_name_inherits_no_period(typed: Run, kept: Database, root: psycopg.Connection) -> None:
    legal = kept.add("legal")
    typed("set", "legal", "email_logs", "1d")
    tenancy.drop(kept.conninfo, kept.compiler, legal, lambda _: None)

    assert value(root, "SELECT count(*) FROM federation.retention_periods") == 0
    with undone(root), pytest.raises(psycopg.errors.ForeignKeyViolation):
        root.execute("INSERT INTO federation.retention_periods VALUES ('legal', 'email_logs', '1 day')")


def test_department_without_an_archive_yet_keeps_its_transcripts(kept: Database, root: psycopg.Connection) -> None:
    with undone(root):
        root.execute("DROP TABLE hr_tenant.conversation_history_archive CASCADE")
        root.execute("SET LOCAL ROLE federation_owner")
        found = {name for (name,) in root.execute("SELECT table_name FROM federation.retention_of('hr')")}

    assert found == {*TIMES} - {ARCHIVE, "conversation_history"}


# ------------------------------------------------------------------------------------------------------------- export

TRICKY = 'a "quote", a\ttab, a\nline, \\ and \u0001, Ü'


@pytest.fixture
def archived(root: psycopg.Connection, typed: Run) -> None:
    fill(root, "hr", 3)
    root.execute("UPDATE hr_tenant.conversation_history SET message_text = %s WHERE turn_index = 1", (TRICKY,))
    assert typed("run", "hr").status == 0


@pytest.mark.usefixtures("archived")
def test_export_is_whole_private_and_readable(typed: Run, json_of: JsonOf, tmp_path: Path) -> None:
    lines, table = tmp_path / "a.jsonl", tmp_path / "a.csv"

    assert typed("export", "hr", "--to", str(lines)).stdout == f"3 rows of {ARCHIVE} of hr: in {lines}\n"
    assert json_of("export", "hr", "--to", str(table))["format"] == "csv"

    rows = [json.loads(line) for line in lines.read_text("utf-8").split("\n") if line]
    with table.open(encoding="utf-8", newline="") as file:
        same = list(csv.DictReader(file))
    assert [row["message_text"] for row in rows] == [TRICKY, "hello 2", "hello 3"]
    assert [row["message_text"] for row in same] == [TRICKY, "hello 2", "hello 3"]
    assert rows[0]["timestamp"].endswith("Z")
    assert rows[0]["timestamp"] == same[0]["timestamp"]
    assert (lines.stat().st_mode & 0o777, table.stat().st_mode & 0o777) == (0o600, 0o600)


@pytest.mark.usefixtures("archived")
def test_export_is_on_record(typed: Run, root: psycopg.Connection, tmp_path: Path) -> None:
    typed("export", "hr", "--to", str(tmp_path / "a"))

    newest = """
        SELECT event_type, source_department_id, details FROM federation.security_audit
        ORDER BY created_at DESC LIMIT 1
    """
    assert root.execute(newest).fetchone() == ("ROWS_EXPORTED", "hr", {"table": ARCHIVE, "rows": 3})


def test_export_writes_over_nothing_and_leaves_nothing(json_of: JsonOf, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")

    assert json_of("export", "hr", "--to", str(there), status=2)["error"]["code"] == "file_in_the_way"
    assert json_of("export", "hr", "--to", str(tmp_path / "no" / "x"), status=1)["error"]["code"] == "export_failed"
    assert json_of("export", "nobody", "--to", str(tmp_path / "x"), status=2)["error"]["code"] == "unknown_department"

    assert there.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


# ----------------------------------------------------------------------------------------------------------- schedule


def test_without_pg_cron_the_lines_for_cron_run_it(
    kept: Database, root: psycopg.Connection, json_of: JsonOf, typed: Run, tmp_path: Path
) -> None:
    """cron gives the line to a shell, after a ``\\%`` has become a ``%``."""
    shown = json_of("schedule", "--at", "4:05")
    fill(root, "hr", 2)
    times, line = shown["crontab"].split(" cd ", 1)

    password_file = tmp_path / "pgpass"
    password_file.write_text(f"*:*:*:*:{kept.server.password}\n")
    password_file.chmod(0o600)
    done = subprocess.run(
        ["/bin/sh", "-c", f"cd {line}".replace(r"\%", "%")],
        env={"PGPASSFILE": str(password_file), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (times, done.returncode) == ("5 4 * * *", 0), done
    assert "hr: conversation_history 2 archived" in done.stdout
    for text in (shown["crontab"], shown["systemd_service"], shown["systemd_timer"], typed("schedule").stdout):
        assert kept.server.password == "" or kept.server.password not in text
    assert "OnCalendar=*-*-* 04:05:00" in shown["systemd_timer"]


def test_there_is_nothing_to_remove_without_pg_cron(json_of: JsonOf) -> None:
    assert json_of("schedule", "--remove") == {"by": None, "removed": 0}
