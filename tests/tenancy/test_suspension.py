"""A suspended department reads nothing, by no way; its schema goes on to be migrated; and it comes back as it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pytest_postgresql.executors import NoopExecutor

from fedschema import drift, sessions, sharing, suspension, tenancy
from fedschema.department import Department
from fedschema.errors import LockTimeout, SessionsOpen, WallsMissing, WrongStatus
from fedschema.sharing import PermissionType, Sharing
from fedschema.suspension import Suspension
from fedschema.validation import validate
from tests.cli.typing_in import type_in
from tests.conftest import ROOT, Database, Finished, Server
from tests.validation.conftest import fresh_database, probed, told

HR, SALES = Department("hr"), Department("sales")


@pytest.fixture(scope="module")
def fleet(server: Server, control_plane: NoopExecutor) -> Iterator[Database]:
    """hr and sales, a row each; a gateway for hr, and a grant on sales."""
    with fresh_database(server, control_plane, "hr", "sales") as made:
        made.create_login("gateway", "cross_dept_query_role")
        with made.connect() as root:
            root.execute("COMMENT ON ROLE gateway IS 'fedschema: gateway of database fedschema_walls'")
            root.execute(
                "INSERT INTO federation.gateway_entitlements (login_role, department_id) VALUES ('gateway', 'hr')"
            )
            root.execute(
                "INSERT INTO federation.gateway_entitlements (login_role, department_id) VALUES ('gateway', 'sales')"
            )
        for one in (HR, SALES):
            with made.login(one.role) as connection:
                connection.execute("INSERT INTO contacts (contact_id, full_name) VALUES ('c1', 'Ada')")
                connection.execute(
                    "INSERT INTO drive_document_repository (drive_file_id, drive_folder_id, extracted_text) "
                    "VALUES ('d1', 'f1', 'the quick brown fox')"
                )
        for source, target in ((HR, SALES), (SALES, HR)):
            for kind in PermissionType:
                sharing.grant(made.conninfo, made.compiler, Sharing(source, target, kind, "*"), "ada", None)
        yield made


@pytest.fixture(autouse=True)
def _back(fleet: Database) -> Iterator[None]:
    """Put hr back in service after each test."""
    yield
    with fleet.connect() as root:
        root.execute("UPDATE federation.departments SET status = 'SUSPENDED' WHERE department_id = 'hr'")
        root.execute("ALTER ROLE hr_role LOGIN; GRANT USAGE ON SCHEMA hr_tenant TO hr_role")
        root.execute("UPDATE federation.departments SET status = 'ACTIVE' WHERE department_id = 'hr'")


def suspend(fleet: Database, **options: Any) -> Suspension:
    return suspension.suspend(fleet.conninfo, fleet.compiler, HR, **options)


def resume(fleet: Database) -> Suspension:
    return suspension.resume(fleet.conninfo, fleet.compiler, HR)


def typed(fleet: Database, *arguments: str) -> Finished:
    return type_in(*arguments, url=fleet.url, stdin="", cwd=ROOT)


def events_of(fleet: Database, event: str) -> list[dict[str, Any] | None]:
    with fleet.connect() as root:
        rows = root.execute(
            "SELECT details FROM federation.security_audit WHERE event_type = %s ORDER BY created_at", (event,)
        )
        return [details for (details,) in rows]


def state(fleet: Database) -> tuple[object, ...]:
    """Return everything about hr that suspending could change."""
    with fleet.connect() as root:
        row = root.execute(
            """
            SELECT known.status, role.rolcanlogin, role.rolconnlimit, role.rolpassword, role.rolvaliduntil,
                   ARRAY(SELECT item::text FROM unnest(schema.nspacl) AS item ORDER BY 1)
            FROM federation.departments AS known, pg_authid AS role, pg_namespace AS schema
            WHERE known.department_id = 'hr' AND role.rolname = 'hr_role' AND schema.nspname = 'hr_tenant'
            """
        ).fetchone()
    assert row is not None
    return tuple(row)


# ------------------------------------------------------------------------------------------------------- its own role


def test_role_cannot_log_in_and_its_sessions_are_ended(fleet: Database) -> None:
    with fleet.login("hr_role") as idle, fleet.login("hr_role") as working:
        working.execute("BEGIN; DECLARE mine CURSOR FOR SELECT * FROM contacts; UPDATE contacts SET full_name = 'Eve'")

        done = suspend(fleet)

        assert done.sessions_ended == 2
        for session in (idle, working):
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        fleet.login("hr_role")
    with fleet.connect() as root:
        assert root.execute("SELECT full_name FROM hr_tenant.contacts").fetchall() == [("Ada",)]


#: What a session could have kept from before, each as it begins and as it goes on.
KEPT = {
    "a plain query": ("SELECT 1", "SELECT * FROM hr_tenant.contacts"),
    "a prepared statement": ("PREPARE kept AS SELECT * FROM contacts", "EXECUTE kept"),
    "a prepared statement that was run": (
        "PREPARE kept AS SELECT * FROM contacts" + "; EXECUTE kept" * 6,
        "EXECUTE kept",
    ),
    "an open transaction": ("BEGIN; SELECT * FROM contacts", "SELECT * FROM contacts"),
    "a repeatable snapshot": (
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM contacts",
        "SELECT * FROM contacts",
    ),
    "its own search": (
        "SELECT * FROM search_documents('quick', 5)",
        "SELECT * FROM hr_tenant.search_documents('quick', 5)",
    ),
    "a write": ("SELECT 1", "INSERT INTO contacts (contact_id, full_name) VALUES ('c2', 'Eve')"),
    "a table by its number": ("SELECT 1", "SELECT table_to_xml('hr_tenant.contacts'::regclass, true, false, '')"),
    "a block of code": ("SELECT 1", "DO $$ BEGIN PERFORM FROM hr_tenant.contacts; END $$"),
    "its search_path": ("SET search_path = hr_tenant, pg_catalog", "TABLE contacts"),
}


@pytest.mark.parametrize("way", KEPT)
def test_session_that_could_not_be_ended_reads_nothing(
    fleet: Database, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    before, after = KEPT[way]
    monkeypatch.setattr(sessions, "end", lambda *_, **__: (1, 1))
    with fleet.login("hr_role") as session:
        session.execute(before)

        with pytest.raises(SessionsOpen, match=r"suspended, but open sessions of hr_role"):
            suspend(fleet)

        with pytest.raises(psycopg.Error) as refusal:
            session.execute(after)
        assert refusal.value.sqlstate in {"42501", "42P01"}  # not to be seen, or not to be found in the search_path


def test_whoever_became_the_role_reads_nothing(fleet: Database) -> None:
    with fleet.connect() as root:
        fleet.create_login("sneak", "hr_role")
        try:
            with fleet.login("sneak") as session:
                session.execute("SET ROLE hr_role; PREPARE kept AS SELECT * FROM hr_tenant.contacts; EXECUTE kept")

                suspend(fleet)

                for statement in (
                    "EXECUTE kept",
                    "SELECT * FROM hr_tenant.contacts",
                    "RESET ROLE; TABLE hr_tenant.contacts",
                ):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        session.execute(statement)
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute("ALTER ROLE hr_role LOGIN")
        finally:
            root.execute("REVOKE hr_role FROM sneak")


# ------------------------------------------------------------------------------------------------------------- grants

ASKING = {
    "read": "SELECT count(*) FROM {}_tenant.contacts",
    "search": "SELECT count(*) FROM federation.search('{}', 'drive_documents', 'quick brown')",
    "prepared": "EXECUTE kept_{}",
}


def asked(gateway: psycopg.Connection, source: str, target: str) -> dict[str, int]:
    gateway.execute("SELECT set_config('app.source_department', %s, false)", (source,))
    found = {}
    for way, question in ASKING.items():
        row = gateway.execute(sql.SQL(question.format(target))).fetchone()
        found[way] = row[0] if row else -1
    return found


def test_grants_from_and_to_it_are_inert_and_come_back(fleet: Database) -> None:
    with fleet.login("gateway") as gateway:
        gateway.execute("SET ROLE cross_dept_query_role")
        for target in ("hr", "sales"):
            gateway.execute(f"PREPARE kept_{target} AS SELECT count(*) FROM {target}_tenant.contacts")
        all_of_it = {"read": 1, "search": 1, "prepared": 1}
        assert asked(gateway, "hr", "sales") == asked(gateway, "sales", "hr") == all_of_it

        suspend(fleet)
        assert set(asked(gateway, "hr", "sales").values()) == set(asked(gateway, "sales", "hr").values()) == {0}

        resume(fleet)
        assert asked(gateway, "hr", "sales") == asked(gateway, "sales", "hr") == all_of_it
    assert len(sharing.grants(fleet.conninfo, fleet.compiler)) == 6


def test_gateways_with_an_older_snapshot_are_ended_when_asked_for(fleet: Database) -> None:
    with fleet.login("gateway") as gateway:
        gateway.execute("SET ROLE cross_dept_query_role; SET app.source_department = 'sales'")
        gateway.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM hr_tenant.contacts")
        suspend(fleet)
        assert gateway.execute("SELECT count(*) FROM hr_tenant.contacts").fetchone() == (1,)  # its snapshot is older
        conninfo = fleet.server.conninfo("postgres", "gateway", fleet.passwords["gateway"])

        with psycopg.connect(conninfo) as elsewhere:
            assert suspend(fleet, gateways=True).sessions_ended == 1
            assert elsewhere.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError):
            gateway.execute("SELECT 1")


# ---------------------------------------------------------------------------------------- what goes on and what is told


def test_suspended_department_is_sound_and_is_migrated(fleet: Database) -> None:
    suspend(fleet)

    found = probed(fleet)
    assert told(found) == []
    assert [one.differences for one in drift.examine(fleet.conninfo, fleet.compiler, [])] == [(), ()]
    assert "SUSPENDED" in typed(fleet, "tenant", "list").stdout
    assert "SUSPENDED" in typed(fleet, "status").stdout
    down = typed(fleet, "downgrade", "hr", "--to", "tenant_0006_configuration", "--yes")
    up = typed(fleet, "upgrade")
    assert (down.status, up.status) == (0, 0), down.stderr + up.stderr
    assert told(probed(fleet)) == []


def test_suspended_by_hand_alone_is_a_hole_that_the_command_closes(fleet: Database) -> None:
    with fleet.connect() as root:
        root.execute("UPDATE federation.departments SET status = 'SUSPENDED' WHERE department_id = 'hr'")

    found = validate(fleet.conninfo, fleet.compiler, [])
    assert {(hole.check, hole.mend) for hole in found.holes} == {
        ("walls", "fedschema tenant suspend hr"),
        ("attributes", "fedschema tenant suspend hr"),
    }

    assert not suspend(fleet).changed
    assert told(validate(fleet.conninfo, fleet.compiler, [])) == []


def test_resuming_restores_exactly_what_there_was(fleet: Database) -> None:
    with fleet.connect() as root:
        root.execute("ALTER ROLE hr_role CONNECTION LIMIT 7 VALID UNTIL '2031-01-01Z'")
    before = state(fleet)

    assert suspend(fleet, reason="an incident") == Suspension(HR, "SUSPENDED", changed=True, can_log_in=False)
    assert state(fleet) != before
    assert resume(fleet) == Suspension(HR, "ACTIVE", changed=True, can_log_in=True)

    assert state(fleet) == before
    with fleet.login("hr_role") as connection:
        assert connection.execute("SELECT count(*) FROM contacts").fetchone() == (1,)
    assert events_of(fleet, "DEPARTMENT_SUSPENDED")[-1] == {"could_log_in": True, "reason": "an incident"}
    assert events_of(fleet, "DEPARTMENT_RESUMED")[-1] is None


def test_role_that_could_not_log_in_before_does_not_afterwards(fleet: Database) -> None:
    with fleet.connect() as root:
        root.execute("ALTER ROLE hr_role NOLOGIN")
    suspend(fleet)
    suspend(fleet)

    back = typed(fleet, "tenant", "resume", "hr")

    assert (back.status, "ALTER ROLE hr_role LOGIN" in back.stderr) == (0, True)
    assert state(fleet)[:2] == ("ACTIVE", False)


def test_twice_says_so_and_is_on_record_once(fleet: Database) -> None:
    known = len(events_of(fleet, "DEPARTMENT_SUSPENDED"))

    once, twice = typed(fleet, "tenant", "suspend", "hr"), typed(fleet, "tenant", "suspend", "hr")

    assert (once.status, once.stdout) == (0, "department hr is suspended: hr_role can neither log in nor read\n")
    assert (twice.status, twice.stdout) == (0, "department hr was suspended already\n")
    assert len(events_of(fleet, "DEPARTMENT_SUSPENDED")) == known + 1
    assert typed(fleet, "tenant", "resume", "hr").stdout == "department hr is back in service\n"
    assert typed(fleet, "tenant", "resume", "hr").stdout == "department hr is in service, and was\n"


def test_killed_before_the_sessions_were_ended_the_next_call_ends_them(
    fleet: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> tuple[int, int]:
        raise KeyboardInterrupt

    with fleet.login("hr_role") as session:
        with monkeypatch.context() as patch:
            patch.setattr(sessions, "end", killed)
            with pytest.raises(KeyboardInterrupt):
                suspend(fleet)
        assert state(fleet)[:2] == ("SUSPENDED", False)

        again = typed(fleet, "tenant", "suspend", "hr")
        assert again.stdout == "department hr was suspended already; 1 session ended\n"
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")


def test_it_gets_a_password_and_grants_and_is_dropped_as_others_are(fleet: Database) -> None:
    third = fleet.add("legal")
    suspension.suspend(fleet.conninfo, fleet.compiler, third)
    asked = Sharing(third, SALES, PermissionType.READ, "contacts")

    sharing.grant(fleet.conninfo, fleet.compiler, asked, "ada", None)
    rotated = type_in(
        "tenant", "rotate-password", "legal", "--password-stdin", url=fleet.url, stdin="a long password 1\n", cwd=ROOT
    )

    assert rotated.status == 0, rotated.stderr
    with fleet.connect() as root:
        assert root.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'legal_role'").fetchone() == (False,)
    tenancy.drop(fleet.conninfo, fleet.compiler, third, lambda _: None)
    with pytest.raises(Exception, match="unknown department"):
        suspension.suspend(fleet.conninfo, fleet.compiler, third)


# ----------------------------------------------------------------------------------------------- what stands in the way


@pytest.mark.parametrize("status", ["PROVISIONING", "FAILED", "DEPROVISIONING"])
def test_half_made_department_is_neither_suspended_nor_resumed(fleet: Database, status: str) -> None:
    with fleet.connect() as root:
        root.execute("UPDATE federation.departments SET status = %s WHERE department_id = 'hr'", (status,))
    before = state(fleet)

    for change in (suspend, resume):
        with pytest.raises(WrongStatus, match=rf"hr is {status} and cannot be"):
            change(fleet)
    assert state(fleet) == before


def test_open_department_is_not_put_back_in_service(fleet: Database) -> None:
    suspend(fleet)
    with fleet.connect() as root:
        root.execute("ALTER TABLE hr_tenant.contacts NO FORCE ROW LEVEL SECURITY")
        try:
            with pytest.raises(WallsMissing, match="contacts of department hr would be left open"):
                resume(fleet)
            assert state(fleet)[:2] == ("SUSPENDED", False)
        finally:
            root.execute("ALTER TABLE hr_tenant.contacts FORCE ROW LEVEL SECURITY")


def test_another_way_in_is_told(fleet: Database) -> None:
    with fleet.connect() as root:
        root.execute("GRANT USAGE ON SCHEMA hr_tenant TO PUBLIC")
        try:
            with pytest.raises(WallsMissing, match="its role still reaches schema hr_tenant"):
                suspend(fleet)
            assert state(fleet)[:2] == ("SUSPENDED", False)
        finally:
            root.execute("REVOKE USAGE ON SCHEMA hr_tenant FROM PUBLIC")


def test_migration_is_waited_for_and_then_given_up(fleet: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspension, "_LOCK_TIMEOUT", "SET LOCAL lock_timeout = '100ms'")
    before = state(fleet)
    with fleet.connect() as root, root.transaction():
        root.execute("CALL federation.lock_department('hr')")
        with pytest.raises(LockTimeout):
            suspend(fleet)
    assert state(fleet) == before


def test_open_transactions_of_its_own_hold_nothing_up(fleet: Database) -> None:
    session = fleet.login("hr_role")
    session.execute("BEGIN; LOCK TABLE contacts IN ROW EXCLUSIVE MODE; UPDATE contacts SET full_name = 'Eve'")
    began = time.monotonic()
    suspend(fleet)
    assert time.monotonic() - began < 2  # less than any lock is waited for
    session.close()


@pytest.mark.parametrize("statement", ["ALTER ROLE hr_role PASSWORD 'mine'", "ALTER ROLE hr_role SET work_mem = '1MB'"])
def test_department_that_holds_its_own_role_holds_nothing_up(fleet: Database, statement: str) -> None:
    session = fleet.login("hr_role")
    session.execute("BEGIN")
    session.execute(statement)
    before = state(fleet)

    done = suspend(fleet)

    assert (done.changed, done.sessions_ended) == (True, 1)
    assert state(fleet)[:2] == ("SUSPENDED", False)
    assert state(fleet)[3] == before[3]  # what it had not committed is rolled back, its password too
    session.close()


def test_operator_without_pg_signal_backend_ends_sessions(fleet: Database) -> None:
    fleet.create_login("operator", "federation_owner")
    with fleet.connect() as root:
        root.execute("COMMENT ON ROLE operator IS 'fedschema: operator of database fedschema_walls'")
        root.execute("ALTER ROLE operator NOINHERIT")
    conninfo = fleet.server.conninfo(fleet.name, "operator", fleet.passwords["operator"])
    with fleet.login("hr_role") as session:
        assert suspension.suspend(conninfo, fleet.compiler, HR).sessions_ended == 1
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert suspension.resume(conninfo, fleet.compiler, HR).changed


def test_logins_that_keep_coming_are_outlived(fleet: Database) -> None:
    stop = threading.Event()

    def keep_coming() -> None:
        while not stop.is_set():
            try:
                with fleet.login("hr_role") as session:
                    session.execute("SELECT count(*) FROM contacts")
            except psycopg.Error:
                pass

    visitors = [threading.Thread(target=keep_coming) for _ in range(3)]
    for visitor in visitors:
        visitor.start()
    try:
        suspend(fleet)
    finally:
        stop.set()
        for visitor in visitors:
            visitor.join()
    with fleet.connect() as root:
        assert sessions.count(root, "hr_role") == 0


# ------------------------------------------------------------------------------------------------------------- its name


def test_display_name_alone_changes(fleet: Database) -> None:
    before = state(fleet)

    once = typed(fleet, "tenant", "rename", "hr", "--name", "  People & Culture ")
    again = typed(fleet, "tenant", "rename", "hr", "--name", "People & Culture")

    assert (once.status, once.stdout) == (0, "department hr is called People & Culture (before: Hr)\n")
    assert (again.status, again.stdout) == (0, "department hr is called People & Culture already\n")
    assert events_of(fleet, "DEPARTMENT_RENAMED") == [{"before": "Hr", "name": "People & Culture"}]
    assert state(fleet) == before
    assert typed(fleet, "tenant", "rename", "hr", "--name", " ").status == 2
    assert typed(fleet, "tenant", "rename", "nobody", "--name", "Nobody").status == 2
