"""`fedschema grant`, `revoke`, `grants`, `audit`: what they say, how they end, and that a slip touches nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.cli.typing_in import type_in
from tests.conftest import ROOT, Database, Run
from tests.security.conftest import count, value
from tests.sharing.conftest import JsonOf, asking, claim, grant, recorded, search

READ = ("--type", "read", "--resource", "contacts")
GRANTS = "SELECT * FROM federation.cross_dept_permissions"
NO_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


def rows(root: psycopg.Connection) -> list[tuple[object, ...]]:
    return root.execute(GRANTS).fetchall()


# ----------------------------------------------------------------------------------------------------- grant and revoke


def test_grant_opens_and_revoke_closes(shared: Database, command: Run, root: psycopg.Connection) -> None:
    with asking(shared) as connection:
        assert count(connection, "sales", "contacts") == 0
        done = command("grant", "hr", "sales", *READ)
        assert (done.status, done.stdout) == (0, "hr may read contacts of sales\n")
        assert count(connection, "sales", "contacts") == 1
        done = command("revoke", "hr", "sales", *READ)
        assert (done.status, done.stdout) == (0, "hr may no longer read contacts of sales\n")
        assert count(connection, "sales", "contacts") == 0


def test_table_s_name_is_taken_for_the_resource(shared: Database, command: Run, root: psycopg.Connection) -> None:
    done = command("grant", "hr", "sales", "--type", "search", "--resource", "drive_document_repository")
    assert done.stdout == "hr may search drive_documents of sales\n"
    assert command("revoke", "hr", "sales", "--type", "search", "--resource", "drive_document_repository").status == 0
    assert rows(root) == []


def test_granting_again_renews_and_switches_on(shared: Database, command: Run, root: psycopg.Connection) -> None:
    grant(root, enabled=False, expires_at=datetime.now(UTC) - timedelta(days=1))
    assert command("grant", "hr", "sales", *READ, "--by", "ada@example.com").status == 0
    assert root.execute("SELECT enabled, expires_at, granted_by FROM federation.cross_dept_permissions").fetchall() == [
        (True, None, "ada@example.com")
    ]


def test_grant_without_effect_is_a_warning_that_names_what_has_one(shared: Database, command: Run) -> None:
    done = command("grant", "hr", "sales", "--type", "search", "--resource", "tool_calls")
    assert done.status == 0
    assert (
        done.stderr
        == "warning: there is nothing to search in tool_calls; what can be: *, contacts, drive_documents, emails\n"
    )
    assert command("grant", "hr", "sales", "--type", "search", "--resource", "contacts").stderr == ""
    done = command("grant", "hr", "sales", "--type", "aggregate", "--resource", "contacts")
    assert done.stderr.startswith("warning: there is nothing to aggregate in contacts; what can be: *, agent_context")


def test_revoke_says_what_still_admits_it(shared: Database, command: Run, root: psycopg.Connection) -> None:
    grant(root)
    grant(root, "read", "*")
    done = command("revoke", "hr", "sales", *READ)
    assert (done.status, done.stdout) == (0, "the grant on contacts is gone\n")
    assert done.stderr == (
        "warning: hr may still read contacts of sales: a grant on * is in force "
        "(fedschema revoke hr sales --type read --resource '*')\n"
    )
    with asking(shared) as connection:
        assert count(connection, "sales", "contacts") == 1


@pytest.mark.parametrize("state", [{"enabled": False}, {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}], ids=str)
def test_revoke_says_nothing_of_what_admits_nobody(
    shared: Database, command: Run, root: psycopg.Connection, state: dict[str, Any]
) -> None:
    grant(root)
    grant(root, "read", "*", **state)
    done = command("revoke", "hr", "sales", *READ)
    assert (done.status, done.stdout, done.stderr) == (0, "hr may no longer read contacts of sales\n", "")


def test_revoke_of_nothing_is_an_error_and_changes_nothing(
    shared: Database, command: Run, root: psycopg.Connection
) -> None:
    grant(root, "read", "emails")
    before = rows(root)
    done = command("revoke", "hr", "sales", *READ)
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr == (
        "error: revoking read on contacts of sales from hr: there is no such grant; nothing was changed\n"
        "hint: fedschema grants\n"
    )
    assert rows(root) == before


@pytest.mark.parametrize("name", ["grant", "revoke"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hr", "hr", *READ), "hr needs no grant on its own data"),
        (("hr", "nobody", *READ), "nobody"),
        (("nobody", "sales", *READ), "nobody"),
        (("HR", "sales", *READ), "HR"),
        (("hr", "sales'; --", *READ), "sales'; --"),
        (("hr", "sales", "--type", "write", "--resource", "contacts"), "write"),
        (("hr", "sales", "--type", "READ", "--resource", "contacts"), "READ"),
        (("hr", "sales", "--type", "read", "--resource", "nothing"), "'nothing' cannot be shared"),
        (("hr", "sales", "--type", "read", "--resource", "api_keys"), "'api_keys' cannot be shared"),
        (("hr", "sales", "--type", "read", "--resource", "audit_trail"), "'audit_trail' cannot be shared"),
        (("hr", "sales", "--type", "read", "--resource", "session_context"), "'session_context' cannot be shared"),
        (("hr", "sales", "--type", "read", "--resource", "alembic_version"), "'alembic_version' cannot be shared"),
        (("hr", "sales", "--type", "read", "--resource", "\x1b[31m"), "cannot be shared"),
        (("hr", "sales", "--type", "read", "--resource", ""), "'' cannot be shared"),
        (("hr", "sales", "--type", "read"), "--resource"),
        (("hr", "sales", "--resource", "contacts"), "--type"),
        (("hr", *READ), "TARGET"),
        (("hr", "sales", *READ, "--by", ""), "--by is empty"),
        (("hr", "sales", *READ, "--by", "  "), "--by is empty"),
        (("hr", "sales", *READ, "--by", "x" * 300), "--by is longer"),
        (("hr", "sales", *READ, "--by", "ada\x1b[31m"), "--by is longer than 255 characters or holds control"),
    ],
)
def test_slip_is_named_and_touches_nothing(
    shared: Database, command: Run, root: psycopg.Connection, name: str, arguments: tuple[str, ...], message: str
) -> None:
    grant(root)
    before = rows(root)
    with recorded(root) as record:
        done = command(name, *arguments)
    assert (done.status, done.stdout) == (2, "")
    assert message in done.stderr
    assert not NO_CONTROLS.search(done.stderr.replace("\n\t", "\n"))  # typer lists choices behind tabs
    assert rows(root) == before
    assert record.events == []


EXPIRES = [
    "",
    " ",
    "0d",
    "-1d",
    "1",
    "d",
    "1 month",
    "1.5d",
    "tomorrow",
    "1d2h",
    "yesterday",
    "2020-01-01",
    "2026-13-01",
    "99999y",
    "9" * 30 + "d",
    "1d; DROP TABLE x",
    "infinity",
    "\u0661d",
]


@pytest.mark.parametrize("text", EXPIRES)
def test_end_that_is_none_is_refused_before_the_database_is_asked(
    shared: Database, root: psycopg.Connection, text: str
) -> None:
    nowhere = "postgresql://u@127.0.0.1:1/none"
    done = type_in("grant", "hr", "sales", *READ, "--expires", text, url=nowhere, cwd=ROOT)
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {text!r} is not a span of time or a future moment\nhint: for example: 30d, 24h, 2w or 2027-01-31\n"
    )


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("1m", timedelta(minutes=1)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("2w", timedelta(weeks=2)),
        ("1y", timedelta(days=365)),
        ("1D", timedelta(days=1)),
    ],
)
def test_end_may_be_a_span(
    shared: Database, command: Run, root: psycopg.Connection, text: str, span: timedelta
) -> None:
    assert command("grant", "hr", "sales", *READ, "--expires", text).status == 0
    left = value(root, "SELECT expires_at - now() FROM federation.cross_dept_permissions")
    assert timedelta() <= span - left < timedelta(seconds=10)


def test_end_may_be_a_moment_and_is_shown_in_utc(shared: Database, command: Run, json_of: JsonOf) -> None:
    done = command("grant", "hr", "sales", *READ, "--expires", "2099-12-31T23:00+02:00")
    assert done.stdout == "hr may read contacts of sales, until 2099-12-31 21:00:00Z\n"
    assert json_of("grants")[0]["expires_at"] == "2099-12-31T21:00:00.000Z"


def test_end_at_the_end_of_time_is_an_end_or_a_refusal(shared: Database, command: Run) -> None:
    """Whatever was stored, the list of grants can be read afterwards."""
    done = command("grant", "hr", "sales", *READ, "--expires", "9999-12-31T23:59:59-23:00")
    assert done.status in {0, 2}, done
    assert command("grants").status == 0


@pytest.mark.parametrize("moment", ["infinity", "-infinity"])
def test_grants_are_listed_whatever_somebody_wrote_into_them(
    shared: Database, command: Run, json_of: JsonOf, root: psycopg.Connection, moment: str
) -> None:
    """Operators write with plain SQL too, and 'infinity' is how SQL says never."""
    grant(root)
    root.execute("UPDATE federation.cross_dept_permissions SET expires_at = %s", (moment,))
    assert command("grants").status == 0
    (one,) = json_of("grants")
    assert one["in_force"] is (moment == "infinity")
    assert command("revoke", "hr", "sales", *READ).status == 0


# ------------------------------------------------------------------------------------------------------------- grants


def test_grants_are_listed_with_their_state(shared: Database, command: Run, root: psycopg.Connection) -> None:
    done = command("grants")
    assert (done.status, done.stdout) == (0, "")
    assert "nothing is shared" in done.stderr
    grant(root)
    grant(root, "search", "*", enabled=False)
    grant(root, "aggregate", "emails", expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    done = command("grants")
    lines = [re.split(r"  +", line) for line in done.stdout.splitlines()]
    assert lines == [
        ["SOURCE", "TARGET", "TYPE", "RESOURCE", "STATE", "EXPIRES", "GRANTED BY"],
        ["hr", "sales", "aggregate", "emails", "expired", "2020-01-01 00:00:00Z", "admin@company.com"],
        ["hr", "sales", "read", "contacts", "in force", "-", "admin@company.com"],
        ["hr", "sales", "search", "*", "disabled", "-", "admin@company.com"],
    ]


COLUMNS = [
    "source_department_id",
    "target_department_id",
    "permission_type",
    "resource_type",
    "enabled",
    "granted_by",
    "granted_at",
    "expires_at",
]


def test_documents_have_the_columns_own_names(shared: Database, json_of: JsonOf, root: psycopg.Connection) -> None:
    made = json_of("grant", "hr", "sales", *READ, "--expires", "30d", "--by", "ada@example.com")
    assert list(made) == COLUMNS
    assert made["granted_by"] == "ada@example.com"
    assert json_of("grants") == [made | {"in_force": True}]
    grant(root, "read", "*")
    gone = json_of("revoke", "hr", "sales", *READ)
    assert gone["revoked"] is True
    assert [list(still) for still in gone["still_admitted_by"]] == [COLUMNS]
    assert json_of("revoke", "hr", "sales", *READ, status=1)["error"]["code"] == "grant_missing"
    assert json_of("grant", "hr", "hr", *READ, status=2)["error"]["code"] == "same_department"


def test_who_decided_and_who_typed_are_both_on_record(shared: Database, command: Run, root: psycopg.Connection) -> None:
    with recorded(root) as record:
        command("grant", "hr", "sales", *READ, "--by", "ada@example.com")
        command("grant", "hr", "sales", *READ, "--by", "bob@example.com")
        command("revoke", "hr", "sales", *READ, "--by", "eve@example.com")
    assert [(row["event_type"], row["user_role"], row["details"]["by"]) for row in record.events] == [
        ("CROSS_DEPT_GRANTED", "postgres", "ada@example.com"),
        ("CROSS_DEPT_GRANT_CHANGED", "postgres", "bob@example.com"),
        ("CROSS_DEPT_REVOKED", "postgres", "eve@example.com"),
    ]


def test_member_of_the_owner_grants_without_being_a_superuser(shared: Database, root: psycopg.Connection) -> None:
    if "granting_operator" not in shared.passwords:
        shared.create_login("granting_operator", "federation_owner")
    url = f"postgresql://granting_operator:{shared.passwords['granting_operator']}@{shared.server.host}:{shared.server.port}/{shared.name}"
    with recorded(root) as record:
        assert type_in("grant", "hr", "sales", *READ, url=url, cwd=ROOT).status == 0
        assert type_in("revoke", "hr", "sales", *READ, url=url, cwd=ROOT).status == 0
    assert {(row["user_role"], row["details"]["by"]) for row in record.events} == {("granting_operator",) * 2}


@pytest.mark.parametrize("login", ["hr_role", "hr_gateway", "bare_gateway"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("grant", "hr", "sales", *READ),
        ("revoke", "hr", "sales", *READ),
        ("grants",),
        ("audit",),
        ("gateway", "list"),
        ("admin", "list"),
    ],
)
def test_who_is_no_operator_is_refused_without_a_traceback(
    shared: Database, root: psycopg.Connection, login: str, arguments: tuple[str, ...]
) -> None:
    grant(root, "read", "emails")
    before = rows(root)
    url = f"postgresql://{login}:{shared.passwords[login]}@{shared.server.host}:{shared.server.port}/{shared.name}"
    done = type_in(*arguments, url=url, cwd=ROOT)
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert "hint: " in done.stderr
    assert rows(root) == before


# ---------------------------------------------------------------------------------------------------------- --terminate


def test_terminate_ends_the_sessions_that_an_older_snapshot_lives_in(
    shared: Database, command: Run, root: psycopg.Connection
) -> None:
    """Those of the gateways that may speak for the source, and nobody else's."""
    grant(root)
    with (
        asking(shared) as old,
        asking(shared, "all_gateway") as other,
        asking(shared, "bare_gateway") as third,
        shared.login("sales_role") as sales,
    ):
        for connection in (old, other):
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            assert count(connection, "sales", "contacts") == 1
        done = command("revoke", "hr", "sales", *READ, "--terminate")
        assert done.status == 0, done
        for connection in (old, other):
            with pytest.raises(psycopg.OperationalError):
                count(connection, "sales", "contacts")
        assert value(third, "SELECT 1") == value(sales, "SELECT 1") == 1


def test_terminate_that_the_login_may_not_do_is_said_and_the_grant_is_gone(
    shared: Database, root: psycopg.Connection
) -> None:
    if "granting_operator" not in shared.passwords:
        shared.create_login("granting_operator", "federation_owner")
    url = f"postgresql://granting_operator:{shared.passwords['granting_operator']}@{shared.server.host}:{shared.server.port}/{shared.name}"
    grant(root)
    with asking(shared) as old:
        assert count(old, "sales", "contacts") == 1
        done = type_in("revoke", "hr", "sales", *READ, "--terminate", url=url, cwd=ROOT)
        assert (done.status, done.stdout) == (1, "")
        assert done.stderr.startswith(
            "error: the grant is revoked, but open sessions of the gateways of hr could not be ended"
        )
        assert "hint: as a superuser: GRANT pg_signal_backend" in done.stderr
        assert rows(root) == []
        assert count(old, "sales", "contacts") == 0


# --------------------------------------------------------------------------------------------------------------- audit


def test_audit_lists_the_newest_first_and_denials_alone(
    shared: Database, command: Run, json_of: JsonOf, root: psycopg.Connection
) -> None:
    with asking(shared) as connection:
        search(connection, "secret")
        grant(root, "search", "contacts")
        search(connection, "secret")
    newest = json_of("audit", "--limit", "2")
    assert [row["success"] for row in newest] == [True, False]
    assert list(newest[0]) == [
        "id",
        "created_at",
        "source_department_id",
        "target_department_id",
        "query_type",
        "resource_type",
        "query_params",
        "requester_login",
        "requester_session_id",
        "requester_ip",
        "results_returned",
        "success",
        "error_message",
        "latency_ms",
    ]
    assert newest[0]["query_params"] == {"query": "secret", "max_results": 20}
    assert newest[0]["requester_ip"] == "127.0.0.1"
    assert [row["success"] for row in json_of("audit", "--denied", "--limit", "1")] == [False]
    assert json_of("audit", "--since", "1h", "--limit", "2") == newest
    lines = command("audit", "--limit", "1").stdout.splitlines()
    assert lines[0].split() == ["WHEN", "SOURCE", "TARGET", "TYPE", "RESOURCE", "LOGIN", "FROM", "ANSWER"]
    assert "127.0.0.1  granted, 1 result" in lines[1]
    assert command("audit", "--denied", "--limit", "1").stdout.splitlines()[1].endswith("DENIED: there is no grant")


@pytest.mark.parametrize("text", ["", " ", "0d", "x", "-1h", "2999-01-01", "1d ago", "99999y", "2026-13-01"])
def test_since_that_is_no_past_is_refused_before_the_database_is_asked(text: str) -> None:
    done = type_in("audit", "--since", text, url="postgresql://u@127.0.0.1:1/none", cwd=ROOT)
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {text!r} is not a span of time or a moment in the past\nhint: for example: ")


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", "", "99999999999999999999"])
def test_limit_that_is_none_is_wrong_usage(shared: Database, command: Run, limit: str) -> None:
    done = command("audit", "--limit", limit)
    assert (done.status, done.stdout) == (2, ""), done


@pytest.mark.parametrize("since", ["0001-01-01", "2000-01-01T00:00:00+14:00", "1m", "10y"])
def test_since_may_be_long_ago(shared: Database, command: Run, since: str) -> None:
    assert command("audit", "--since", since).status == 0


HOSTILE = "\x1b[31mred\x1b]0;title\x07\r\n\x08\x7f\x9b2J\u202egnp.exe\u2028 \t end"


@pytest.mark.parametrize(
    "arguments", [("audit", "--limit", "1"), ("audit", "--limit", "1", "--json"), ("grants", "--json"), ("grants",)]
)
def test_what_clients_wrote_does_not_move_the_terminal(
    shared: Database, root: psycopg.Connection, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads the record is the one that an attacker wants to mislead. As a process, whose output is UTF-8."""
    monkeypatch.setenv("PYTHONUTF8", "1")
    with asking(shared) as connection:
        claim(connection, HOSTILE)
        connection.execute("SELECT set_config('app.session_id', %s, false)", (HOSTILE,))
        search(connection, HOSTILE, resource=HOSTILE, target=HOSTILE)
    root.execute(
        """
        INSERT INTO federation.cross_dept_permissions
            (source_department_id, target_department_id, permission_type, resource_type, granted_by)
        VALUES ('hr', 'sales', 'read', 'contacts', %s)
        """,
        (HOSTILE,),
    )
    shown = subprocess.run(
        [sys.executable, "-m", "fedschema", *arguments],
        env={**os.environ, "FEDSCHEMA_DATABASE_URL": shared.url},
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert "red" in shown
    assert not NO_CONTROLS.search(shown)
    if "--json" in arguments:
        (document,) = json.loads(shown)
        assert HOSTILE in {document.get("requester_session_id"), document.get("granted_by")}
    else:
        assert len(shown.splitlines()) == 2
