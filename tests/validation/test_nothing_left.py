"""Nothing is left of what was tried, however it ends, and nothing waits for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql

from fedschema import audit_channel, gateways, passwords, validation
from fedschema.department import Department
from fedschema.errors import ConnectionLost
from tests.conftest import ROOT, Database
from tests.validation.conftest import probed, told

State = dict[str, object]

_CATALOGUE = {
    "memberships": "SELECT roleid, member, grantor, admin_option FROM pg_auth_members ORDER BY 1, 2, 3",
    "policies": "SELECT * FROM pg_policies ORDER BY schemaname, tablename, policyname",
    "sequences": "SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2",
    "relations": "SELECT oid::regclass::text, relacl::text FROM pg_class WHERE relkind <> 't' ORDER BY 1",
    "schemas": "SELECT nspname, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp' ORDER BY 1",
    "functions": "SELECT oid::regprocedure::text, proacl::text FROM pg_proc ORDER BY 1",
    "roles": "SELECT rolname, rolsuper, rolcanlogin, rolconfig FROM pg_roles ORDER BY 1",
    "locks": "SELECT relation FROM pg_locks WHERE relation >= 16384 AND pid <> pg_backend_pid()",
}


def state_of(root: psycopg.Connection) -> State:
    """Return all that there is: every row of every table, and what the catalogue says of roles and privileges."""
    state: State = {name: root.execute(query.encode()).fetchall() for name, query in _CATALOGUE.items()}
    tables = root.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname !~ '^pg_' AND schemaname <> 'information_schema'"
    ).fetchall()
    for schema, table in tables:
        query = sql.SQL("SELECT count(*), md5(string_agg(line::text, ' ' ORDER BY line::text)) FROM {} AS line")
        state[f"{schema}.{table}"] = root.execute(query.format(sql.Identifier(schema, table))).fetchone()
    for schema, sequence in root.execute("SELECT schemaname, sequencename FROM pg_sequences").fetchall():
        query = sql.SQL("SELECT last_value, is_called FROM {}")
        state[f"{schema}.{sequence}"] = root.execute(query.format(sql.Identifier(schema, sequence))).fetchone()
    return state


@pytest.fixture(scope="module", autouse=True)
def _in_use(walled: Database, root: psycopg.Connection) -> Iterator[None]:
    """Rows, a grant, a gateway, and the durable audit channel, which no rollback undoes."""
    audit_channel.install(walled.conninfo, walled.compiler)
    gateways.add(walled.conninfo, walled.compiler, "portal", [], passwords.generate())
    root.execute("""
        INSERT INTO federation.cross_dept_permissions
            (source_department_id, target_department_id, permission_type, resource_type, granted_by)
        VALUES ('hr', 'sales', 'read', '*', 'ann')
    """)
    with walled.login("sales_role") as sales:
        sales.execute("INSERT INTO contacts (department, contact_id, full_name) VALUES ('sales', 'c1', 'Ada')")
        sales.execute("""
            INSERT INTO conversation_history (department, session_id, turn_index, speaker, message_text)
            VALUES ('sales', 's1', 1, 'user', 'hello')
        """)
    yield
    audit_channel.remove(walled.conninfo, walled.compiler)


@pytest.mark.parametrize(
    ("opens", "closes"),
    [
        ("", ""),
        ("GRANT federation_admin_role TO hr_role", "REVOKE federation_admin_role FROM hr_role"),
        ("GRANT cross_dept_query_role TO hr_role", "REVOKE cross_dept_query_role FROM hr_role"),
        ("GRANT sales_role TO hr_role", "REVOKE sales_role FROM hr_role"),
        (
            "ALTER POLICY isolation ON hr_tenant.conversation_history USING (true) WITH CHECK (true)",
            """ALTER POLICY isolation ON hr_tenant.conversation_history
                   USING (department = 'hr') WITH CHECK (department = 'hr')""",
        ),
        (
            "ALTER TABLE sales_tenant.contacts DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE sales_tenant.contacts ENABLE ROW LEVEL SECURITY",
        ),
    ],
    ids=["no hole", "an administrator's rights", "a gateway's rights", "another's rights", "its own rows", "a table"],
)
def test_nothing_is_left_whatever_was_reached(
    walled: Database, root: psycopg.Connection, opens: str, closes: str
) -> None:
    root.execute(opens)
    try:
        before = state_of(root)
        found = probed(walled)
        after = state_of(root)
    finally:
        root.execute(closes)

    assert found.ok == (not opens)
    assert {name for name in before | after if before.get(name) != after.get(name)} == set()


def _in_the_middle(root: psycopg.Connection) -> int:
    """Wait until a validation has put something into a table; return its backend's process id."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = root.execute("""
            SELECT pid FROM pg_stat_activity
            WHERE application_name = 'fedschema' AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
        """).fetchone()
        if found:
            return int(found[0])
        time.sleep(0.001)
    raise AssertionError("no validation was seen at work")


@pytest.fixture
def before(root: psycopg.Connection) -> State:
    return state_of(root)


def _gone(root: psycopg.Connection, pid: int) -> None:
    deadline = time.monotonic() + 20
    while root.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (pid,)).rowcount:
        assert time.monotonic() < deadline, "the backend has not ended"
        time.sleep(0.01)


def test_killed_process_leaves_nothing(walled: Database, root: psycopg.Connection, before: State) -> None:
    environment = os.environ | {"FEDSCHEMA_DATABASE_URL": walled.url}
    with subprocess.Popen(
        [sys.executable, "-m", "fedschema", "validate", "--probe"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        backend = _in_the_middle(root)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    _gone(root, backend)

    assert state_of(root) == before
    assert told(probed(walled)) == []


def test_terminated_backend_leaves_nothing_and_is_told(
    walled: Database, root: psycopg.Connection, before: State
) -> None:
    raised: list[BaseException] = []

    def work() -> None:
        try:
            validation.validate(f"{walled.conninfo} application_name=fedschema", walled.compiler, [], by_trying=True)
        except ConnectionLost as error:
            raised.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    backend = _in_the_middle(root)
    root.execute("SELECT pg_terminate_backend(%s)", (backend,))
    worker.join()
    _gone(root, backend)

    assert [type(error) for error in raised] == [ConnectionLost]
    assert state_of(root) == before


@pytest.mark.parametrize("mode", ["ACCESS EXCLUSIVE", "SHARE"])
def test_locked_table_is_said_to_be_untried_and_nothing_waits_for_it(walled: Database, mode: str) -> None:
    with walled.connect() as holder, holder.transaction(force_rollback=True):
        holder.execute(f"LOCK TABLE sales_tenant.contacts IN {mode} MODE")
        began = time.monotonic()
        found = probed(walled)
        lasted = time.monotonic() - began
        process = holder.info.backend_pid

    untried = {("probe_own", "sales"), ("probe_gate", "sales")} | ({("walls", "sales")} if mode != "SHARE" else set())
    assert {(hole.check, hole.target) for hole in found.holes} == untried
    assert {(hole.object, hole.message) for hole in found.holes} == {
        ("table contacts", f"not tried: process {process} holds a lock on it")
    }
    assert f"pg_terminate_backend({process})" in (found.holes[0].mend or "")
    assert lasted < 15


def test_locked_table_does_not_hide_the_holes_of_others(walled: Database, root: psycopg.Connection) -> None:
    root.execute("GRANT USAGE ON SCHEMA hr_tenant TO legal_role")
    try:
        with walled.connect() as holder, holder.transaction(force_rollback=True):
            holder.execute("LOCK TABLE sales_tenant.contacts IN ACCESS EXCLUSIVE MODE")
            found = validation.validate(walled.conninfo, walled.compiler, [Department("hr"), Department("sales")])
    finally:
        root.execute("REVOKE USAGE ON SCHEMA hr_tenant FROM legal_role")

    assert {(hole.check, hole.source, hole.target) for hole in found.holes} == {
        ("walls", None, "sales"),
        ("walls", None, "hr"),
        ("grants", "legal", "hr"),
    }


def test_several_at_once_do_not_disturb_each_other(walled: Database, before: State, root: psycopg.Connection) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: probed(walled), range(6)))

    assert [told(one) for one in found] == [[]] * 6
    assert [one.remarks for one in found] == [()] * 6
    assert state_of(root) == before
