"""Gateways behind PgBouncer in transaction mode: clients take turns on one connection to the server."""

import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from fedschema import doctor, gateways, passwords, sessions, sharing, suspension
from fedschema.department import Department
from fedschema.doctor import Severity
from fedschema.sharing import PermissionType, Sharing
from tests.conftest import Database
from tests.programs.conftest import StartPool

HR, SALES = Department("hr"), Department("sales")
LOOK = "SELECT count(*) FROM sales_tenant.contacts"


@pytest.fixture
def shared(database: Database) -> Database:
    """HR may read the contacts of Sales; api_gateway speaks for HR, other_gateway for Sales alone."""
    for department in (HR, SALES):
        database.add(department.id)
    with database.login("sales_role") as connection:
        connection.execute("INSERT INTO contacts (contact_id, full_name) VALUES ('c1', 'Ada')")
    for permission in PermissionType:
        asked = Sharing(HR, SALES, permission, "*")
        sharing.grant(database.conninfo, database.compiler, asked, None, None)
    for login, department in (("api_gateway", HR), ("other_gateway", SALES)):
        password = passwords.generate()
        gateways.add(database.conninfo, database.compiler, login, [department], password)
        database.passwords[login] = password.text
    return database


@pytest.fixture(autouse=True)
def _no_gateways_left(shared: Database) -> Iterator[None]:
    yield
    for login in ("api_gateway", "other_gateway"):
        gateways.remove(shared.conninfo, shared.compiler, login, [])


def _ask(connection: psycopg.Connection, query: str, source: str = "hr") -> int:
    """Ask in the way that is documented for a pool: all of it in one transaction, all of it local."""
    with connection.transaction():
        connection.execute("SET LOCAL ROLE cross_dept_query_role")
        connection.execute("SELECT set_config('app.source_department', %s, true)", (source,))
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def test_documented_session_works_through_the_pool(shared: Database, start_pool: StartPool) -> None:
    with start_pool().login("api_gateway") as client:
        assert _ask(client, LOOK) == 1
        assert _ask(client, "SELECT count(*) FROM federation.search('sales', 'contacts', 'Ada')") == 1


def test_nothing_local_is_left_for_the_next_client(shared: Database, start_pool: StartPool) -> None:
    pool = start_pool()
    with pool.login("api_gateway") as first, pool.login("api_gateway") as second:
        assert _ask(first, LOOK) == 1
        settings = second.execute(
            "SELECT current_user, current_setting('app.source_department', true), pg_backend_pid()"
        ).fetchone()
        assert settings is not None
        assert settings[:2] == ("api_gateway", "")
        assert first.execute("SELECT pg_backend_pid()").fetchone() == (settings[2],), "they share one connection"
        assert second.execute(LOOK).fetchone() == (0,)


def test_logins_have_pools_of_their_own(shared: Database, start_pool: StartPool) -> None:
    pool = start_pool()
    with pool.login("api_gateway") as entitled, pool.login("other_gateway") as other:
        assert _ask(entitled, LOOK) == 1
        assert _ask(other, LOOK) == 0, "it may not claim hr"
        assert _ask(entitled, LOOK) == 1


def test_what_is_set_for_the_session_stays_with_the_connection(shared: Database, start_pool: StartPool) -> None:
    """Why it has to be local: a client that set nothing asks in the name of whoever was there before."""
    pool = start_pool()
    with pool.login("api_gateway") as careless, pool.login("api_gateway") as next_one:
        careless.execute("SELECT set_config('app.source_department', 'hr', false)")
        assert next_one.execute(LOOK).fetchone() == (1,)


def test_pool_that_always_resets_leaves_nothing(shared: Database, start_pool: StartPool) -> None:
    pool = start_pool("server_reset_query = DISCARD ALL", "server_reset_query_always = 1")
    with pool.login("api_gateway") as careless, pool.login("api_gateway") as next_one:
        careless.execute("SELECT set_config('app.source_department', 'hr', false)")
        assert next_one.execute(LOOK).fetchone() == (0,)


@pytest.mark.parametrize("is_local", ["false", "true"])
@pytest.mark.parametrize("pooled", [False, True])
def test_documented_session_works_in_psql(
    shared: Database, start_pool: StartPool, is_local: str, *, pooled: bool
) -> None:
    conninfo = shared.server.conninfo(shared.name, "api_gateway", shared.passwords["api_gateway"])
    if pooled:
        conninfo = start_pool("server_reset_query_always = 1").conninfo("api_gateway")
    script = (
        f"BEGIN; SET LOCAL ROLE cross_dept_query_role; SELECT set_config('app.source_department', 'hr', {is_local});\n"
        "SELECT full_name FROM sales_tenant.contacts; COMMIT;\n"
    )
    done = subprocess.run(["psql", "-XAtq", conninfo], input=script, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["hr", "Ada"]


def test_attempts_behind_the_pool_are_on_record(shared: Database, start_pool: StartPool) -> None:
    pool = start_pool()
    with pool.login("other_gateway") as other:
        _ask(other, LOOK)
    with shared.connect() as root:
        rows = root.execute("SELECT requester_login, success FROM federation.cross_dept_audit").fetchall()

    assert rows == [("other_gateway", False)]


def test_suspended_department_is_shut_out_of_the_pool_too(shared: Database, start_pool: StartPool) -> None:
    pool = start_pool()
    with pool.login("hr_role") as client:
        assert client.execute("SELECT count(*) FROM hr_tenant.contacts").fetchone() == (0,)

        assert suspension.suspend(shared.conninfo, shared.compiler, HR).sessions_ended == 1
        with shared.connect() as root:  # the pool tries again for two minutes, and is refused each time
            assert sessions.count(root, "hr_role") == 0


def test_doctor_sees_the_pool(shared: Database, start_pool: StartPool) -> None:
    shared.create_login("pooled_operator", "federation_owner")
    port, password = start_pool().port, shared.passwords["pooled_operator"]
    url = f"postgresql://pooled_operator:{password}@127.0.0.1:{port}/{shared.name}?sslmode=disable"

    found = doctor.examine(url, shared.compiler)

    assert [one.severity for one in found.findings if one.check == "pooler"] == [Severity.WARNING]
    assert not [one for one in found.findings if one.check == "control_plane_revision"]
