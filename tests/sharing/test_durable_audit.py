"""What no client takes away: a line in the server's log for each attempt, and rows over the durable channel.

These tests have a server of their own, which writes down all it hears.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from fedschema import audit_channel
from fedschema.embedded import throwaway_server
from fedschema.errors import AuditChannelFailed, PrivilegeMissing
from tests.cli.typing_in import type_in
from tests.conftest import ROOT, TALKATIVE, Database, overheard_on, programs
from tests.security.conftest import count, fill, owning, refused, value
from tests.sharing.conftest import HR, add_gateway, asking, claim, grant, noticing, recorded, search

#: What the server writes itself begins with the time; what continues a message begins with a tab.
OWN_LINE = re.compile(r"\d{4}-\d\d-\d\d [0-9:.]+ \S+ \[\d+\] LOG:  00000: fedschema cross-department attempt: (.*)")
FAILED = "fedschema: the durable audit channel failed: "


@dataclass(frozen=True)
class Place:
    """A database with hr, sales and a gateway, and its server's log."""

    database: Database
    log: Path

    @contextmanager
    def logged(self) -> Iterator[list[dict[str, Any]]]:
        """Collect the attempts that the server writes down meanwhile."""
        begin = self.log.stat().st_size
        found: list[dict[str, Any]] = []
        yield found
        lines = self.log.read_bytes()[begin:].decode().split("\n")
        found.extend(json.loads(own[1]) for own in map(OWN_LINE.fullmatch, lines) if own)

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with throwaway_server(programs(), TALKATIVE) as running:
        found = overheard_on(running, "heard")
        database = found.database
        for department_id in ("hr", "sales"):
            database.add(department_id)
            fill(database, department_id)
        add_gateway(database, "hr_gateway", HR)
        yield Place(database, found.log)


@pytest.fixture
def root(place: Place) -> Iterator[psycopg.Connection]:
    with place.database.connect() as connection:
        yield connection
        connection.execute("DELETE FROM federation.cross_dept_permissions")


@pytest.fixture
def channel(place: Place, root: psycopg.Connection) -> Iterator[None]:
    """With the durable channel installed."""
    audit_channel.install(place.database.conninfo, place.database.compiler)
    yield
    audit_channel.remove(place.database.conninfo, place.database.compiler)


def in_a_transaction_that_is_rolled_back(connection: psycopg.Connection) -> None:
    with connection.transaction(force_rollback=True):
        search(connection, "secret")
        count(connection, "sales", "contacts")


def to_a_savepoint(connection: psycopg.Connection) -> None:
    with connection.transaction():
        with connection.transaction(force_rollback=True):
            search(connection, "secret")
            count(connection, "sales", "contacts")
        connection.execute("SELECT 1")


def in_a_read_only_transaction(connection: psycopg.Connection) -> None:
    connection.execute("BEGIN READ ONLY ISOLATION LEVEL SERIALIZABLE DEFERRABLE")
    search(connection, "secret")
    count(connection, "sales", "contacts")
    connection.execute("COMMIT")


def and_fail_afterwards(connection: psycopg.Connection) -> None:
    for query in (
        "SELECT 1 / (count(*) * 0) FROM federation.search('sales', 'contacts', 'secret')",
        "SELECT 1 / (count(*) * 0) FROM sales_tenant.contacts",
    ):
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute(query)


def by_a_cursor_that_is_given_up(connection: psycopg.Connection) -> None:
    connection.execute("BEGIN; DECLARE c CURSOR FOR SELECT * FROM federation.search('sales', 'contacts', 'secret')")
    connection.execute("FETCH 1 FROM c")
    connection.execute("DECLARE d CURSOR FOR SELECT * FROM sales_tenant.contacts")
    connection.execute("FETCH 1 FROM d")
    connection.execute("ROLLBACK")


WAYS: list[Callable[[psycopg.Connection], None]] = [
    in_a_transaction_that_is_rolled_back,
    to_a_savepoint,
    in_a_read_only_transaction,
    and_fail_afterwards,
    by_a_cursor_that_is_given_up,
]


# ------------------------------------------------------------------------------------------------- the server's log


@pytest.mark.parametrize("granted", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_line_of_an_attempt_stays_when_its_rows_go(
    place: Place, root: psycopg.Connection, way: Callable[[psycopg.Connection], None], granted: bool
) -> None:
    if granted:
        grant(root, "search", "contacts")
        grant(root, "read", "contacts")
    with recorded(root) as record, place.logged() as lines, asking(place.database) as connection:
        way(connection)
    assert record.attempts == []
    assert [(line["kind"], line["granted"]) for line in lines] == [("search", granted), ("read", granted)]
    assert lines[0] == {
        "kind": "search",
        "source": "hr",
        "target": "sales",
        "resource": "contacts",
        "login": "hr_gateway",
        "address": "127.0.0.1",
        "granted": granted,
        "refusal": None if granted else "there is no grant",
    }


@pytest.mark.parametrize(
    "setting",
    [
        "log_min_messages = panic",
        "log_statement = none",
        "log_min_error_statement = panic",
        "log_min_duration_statement = -1",
    ],
)
def test_client_does_not_turn_the_line_off(place: Place, setting: str) -> None:
    with asking(place.database) as connection:
        refused(connection, f"SET {setting}")
        refused(connection, f"ALTER ROLE hr_gateway SET {setting}")
        connection.execute("SET client_min_messages = error")
        with place.logged() as lines:
            search(connection, "secret")
    assert len(lines) == 1


@pytest.mark.parametrize(
    "text", ["hr\n2026-01-01 LOG:  fedschema cross-department attempt: {}", "hr\r\n\x1b[2J", '"}', "\u2028x"]
)
def test_client_writes_no_line_of_its_own_into_the_log(place: Place, text: str) -> None:
    """What it says is quoted, so that a line begins with the server's own words or a tab."""
    with asking(place.database) as connection:
        claim(connection, text)
        with place.logged() as lines:
            search(connection, "secret", resource=text, target=text)
    (line,) = lines
    assert (line["source"], line["resource"], line["granted"]) == (text[:100], text, False)


def test_line_of_an_attempt_has_no_megabytes(place: Place) -> None:
    """Or a gateway fills the disk of the log, a hundred megabytes a call."""
    with asking(place.database) as connection, place.logged() as lines:
        search(connection, "secret", resource="x" * 100_000, target="y" * 100_000)
    (line,) = lines
    assert len(json.dumps(line)) < 2_000


def test_who_asks_is_not_told_what_the_log_says(place: Place, root: psycopg.Connection) -> None:
    with asking(place.database) as connection:
        connection.execute("SET client_min_messages = log")
        with noticing(connection) as told:
            count(connection, "sales", "contacts")
    assert [line for line in told if "attempt" in line] == []


# ------------------------------------------------------------------------------------------------- the durable channel


@pytest.mark.parametrize("granted", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_rows_of_an_attempt_stay_over_the_channel(
    place: Place, root: psycopg.Connection, channel: None, way: Callable[[psycopg.Connection], None], granted: bool
) -> None:
    if granted:
        grant(root, "search", "contacts")
        grant(root, "read", "contacts")
    with recorded(root) as record, asking(place.database) as connection:
        connection.execute("SET app.session_id = 'session 7'")
        way(connection)
    assert [(row["query_type"], row["success"]) for row in record.attempts] == [("search", granted), ("read", granted)]
    assert {(row["requester_login"], row["requester_session_id"]) for row in record.attempts} == {
        ("hr_gateway", "session 7")
    }
    assert {str(row["requester_ip"]).partition("/")[0] for row in record.attempts} == {"127.0.0.1"}
    assert len(record.events) == (0 if granted else 2)


def test_rows_are_written_once_and_not_also_in_the_transaction(
    place: Place, root: psycopg.Connection, channel: None
) -> None:
    rows = "SELECT count(*) FROM federation.cross_dept_audit"
    before = value(root, rows)
    with recorded(root) as record, asking(place.database) as connection, connection.transaction():
        search(connection, "secret")
        assert value(root, rows) == before + 1  # committed already, while the transaction goes on
    assert len(record.attempts) == len(record.events) == 1


def test_hostile_values_pass_the_channel_as_they_are(place: Place, root: psycopg.Connection, channel: None) -> None:
    text = "'; DROP TABLE federation.cross_dept_audit; -- \\ $q$ %L \u001b \U0001f600 \" E'\\''"
    with recorded(root) as record, asking(place.database) as connection:
        claim(connection, text)
        connection.execute("SELECT set_config('app.session_id', %s, false)", (text,))
        search(connection, text, resource=text, target=text)
    row = record.attempt
    assert (row["source_department_id"], row["target_department_id"], row["resource_type"]) == (text, text, text)
    assert (row["requester_session_id"], row["query_params"]["query"]) == (text, text)


THE_PASSWORD = """
    SELECT option_value FROM pg_options_to_table((SELECT umoptions FROM pg_user_mapping)) WHERE option_name = 'password'
"""

FORGERIES = [
    "SELECT {home}.dblink_exec('federation_audit', 'SELECT 1')",
    "SELECT {home}.dblink_connect('federation_audit')",
    "SELECT {home}.dblink_connect('x', 'federation_audit')",
    "SELECT {home}.dblink_connect_u('dbname=heard')",
    "SELECT * FROM {home}.dblink('federation_audit', 'SELECT 1') AS t (x integer)",
    "SELECT {home}.dblink_send_query('federation_audit', 'SELECT 1')",
    "SELECT {home}.dblink_open('federation_audit', 'c', 'SELECT 1')",
    "SELECT {home}.dblink_get_connections()",
    "SELECT federation.write_durably('{{}}')",
    "SELECT federation.write_attempt('read', 'sales', 'hr', 'contacts', NULL)",
    "CALL federation.insert_attempt('{{}}')",
    "INSERT INTO federation.cross_dept_audit (query_type, success) VALUES ('forged', true)",
    "INSERT INTO federation.security_audit (event_type) VALUES ('forged')",
    "ALTER SERVER federation_audit OPTIONS (SET host 'evil.example')",
    "ALTER SERVER federation_audit OWNER TO CURRENT_USER",
    "DROP SERVER federation_audit CASCADE",
    "CREATE USER MAPPING FOR CURRENT_USER SERVER federation_audit OPTIONS (user 'x')",
    "ALTER USER MAPPING FOR federation_owner SERVER federation_audit OPTIONS (SET user 'x')",
    "DROP USER MAPPING FOR federation_owner SERVER federation_audit",
    "CREATE SERVER federation_audit2 FOREIGN DATA WRAPPER dblink_fdw",
    "CREATE FOREIGN TABLE pg_temp.x (x integer) SERVER federation_audit",
    "SELECT umoptions FROM pg_catalog.pg_user_mapping",
    "ALTER ROLE {login} PASSWORD 'stolen'",
    "SET ROLE {login}",
    "GRANT {login} TO CURRENT_USER",
    "DROP ROLE {login}",
    "DROP EXTENSION dblink CASCADE",
]


@pytest.fixture
def names(root: psycopg.Connection, channel: None) -> dict[str, str]:
    """Where dblink is, and the login that writes."""
    return {
        "home": value(root, "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'dblink'"),
        "login": value(
            root,
            "SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') LIKE 'fedschema: audit login%'",
        ),
    }


def test_no_client_forges_a_row_over_the_channel(place: Place, names: dict[str, str]) -> None:
    """Neither before the gate used it, nor right after it, in the same session."""
    for login in ("hr_role", "hr_gateway"):
        with place.database.login(login) as connection:
            for statement in FORGERIES:
                refused(connection, statement.format(**names))
            if login == "hr_gateway":
                connection.execute("SET ROLE cross_dept_query_role")
                claim(connection, "hr")
                with connection.transaction():
                    search(connection, "secret")
                    count(connection, "sales", "contacts")
                    for statement in FORGERIES:
                        refused(connection, statement.format(**names))


def test_channel_leaves_no_connection_open(place: Place, root: psycopg.Connection, names: dict[str, str]) -> None:
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s"
    with asking(place.database) as connection, connection.transaction():
        search(connection, "secret")
        deadline = time.monotonic() + 2
        while value(root, open_ones, names["login"]) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert value(root, open_ones, names["login"]) == 0


def test_login_of_the_channel_only_adds_rows(place: Place, root: psycopg.Connection, names: dict[str, str]) -> None:
    """Should its password become known, the record may grow and nothing else."""
    options = dict(option.split("=", 1) for option in value(root, "SELECT umoptions FROM pg_user_mapping"))
    assert options["user"] == names["login"]
    conninfo = place.database.server.conninfo("heard", options["user"], options["password"])
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute('CALL federation.insert_attempt(\'{"kind": "read"}\')')
        for statement in (
            "SELECT * FROM federation.cross_dept_audit",
            "INSERT INTO federation.cross_dept_audit (query_type, success) VALUES ('x', true) RETURNING id",
            "UPDATE federation.cross_dept_audit SET success = true",
            "DELETE FROM federation.security_audit",
            "TRUNCATE federation.security_audit",
            "SELECT * FROM federation.departments",
            "SELECT * FROM sales_tenant.contacts",
            "SELECT federation.search('sales', 'contacts', 'secret')",
            "SET ROLE federation_owner",
            "CREATE TABLE federation.x ()",
            "CREATE TEMP TABLE x ()",
        ):
            refused(connection, statement)
    memberships = "SELECT count(*) FROM pg_auth_members WHERE member = %s::regrole"
    assert value(root, memberships, names["login"]) == 0


def test_password_of_the_channel_is_in_no_catalogue_that_a_client_reads(
    place: Place, root: psycopg.Connection, channel: None
) -> None:
    password = value(
        root,
        THE_PASSWORD,
    )
    relations = root.execute(
        """
        SELECT oid::regclass::text FROM pg_class
        WHERE relkind IN ('r', 'v') AND relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        """
    ).fetchall()
    seen = root.execute("SELECT umoptions::text FROM pg_user_mappings").fetchall()
    assert any(password in row[0] for row in seen)  # it would be found
    for login in ("hr_role", "hr_gateway"):
        readable = 0
        with place.database.login(login) as connection:
            for (relation,) in relations:
                try:
                    rows = connection.execute(f"SELECT t::text FROM {relation} AS t").fetchall()
                except (
                    InsufficientPrivilege,
                    psycopg.errors.UndefinedFunction,
                    psycopg.errors.ObjectNotInPrerequisiteState,
                ):
                    continue
                readable += 1
                assert not any(password in (row[0] or "") for row in rows), relation
        assert readable > 100


def test_password_of_the_channel_is_in_no_line_of_the_log(
    place: Place, root: psycopg.Connection, channel: None
) -> None:
    """On a server that writes down every statement: neither when it is made nor when it is used."""
    password = value(
        root,
        THE_PASSWORD,
    )
    with asking(place.database) as connection:
        search(connection, "secret")
    log = place.text()
    assert (
        "CREATE SCHEMA federation_dblink" in log or "CALL federation.insert_attempt" in log
    )  # it writes down what it hears
    assert password not in log


BREAKS = {
    "another password": "ALTER ROLE {login} PASSWORD 'another'",
    "no login": "ALTER ROLE {login} NOLOGIN",
    "no connection": "ALTER ROLE {login} CONNECTION LIMIT 0",
    "no host": "ALTER SERVER federation_audit OPTIONS (SET host '127.0.0.2', SET port '1')",
    "no privilege": "REVOKE EXECUTE ON PROCEDURE federation.insert_attempt(jsonb) FROM {login}",
    "no mapping": "DROP USER MAPPING FOR federation_owner SERVER federation_audit",
    "no function": "REVOKE EXECUTE ON FUNCTION {home}.dblink_exec(text, text) FROM federation_owner",
}


@pytest.mark.parametrize("breaking", BREAKS.values(), ids=BREAKS)
def test_broken_channel_falls_back_to_the_transaction_and_says_so_in_the_log(
    place: Place, root: psycopg.Connection, names: dict[str, str], breaking: str
) -> None:
    root.execute(breaking.format(**names))
    grant(root, "search", "contacts")
    with asking(place.database) as connection:
        connection.execute("SET client_min_messages = log")
        before = place.text().count(FAILED)
        with recorded(root) as record, noticing(connection) as told:
            assert len(search(connection, "secret")) == 1
            assert count(connection, "sales", "contacts") == 0
        assert place.text().count(FAILED) == before + 2
        assert [(row["query_type"], row["success"]) for row in record.attempts] == [("search", True), ("read", False)]
        assert len(record.events) == 1
        with connection.transaction():
            connection.execute("SET TRANSACTION READ ONLY")
            assert len(search(connection, "secret")) == 1  # it still has to be answered
    assert [line for line in told if "channel" in line or names["login"] in line] == []  # the client is not told of it


def test_channel_of_a_copied_database_does_not_write_into_the_original(
    place: Place, root: psycopg.Connection, channel: None
) -> None:
    root.execute("UPDATE pg_foreign_server SET srvoptions = '{dbname=elsewhere}' WHERE srvname = 'federation_audit'")
    with recorded(root) as record, asking(place.database) as connection:
        with connection.transaction(force_rollback=True):
            search(connection, "secret")
        search(connection, "secret")
    assert len(record.attempts) == 1


def test_installing_again_changes_the_password_and_leaves_one_login(
    place: Place, root: psycopg.Connection, channel: None
) -> None:
    mapping = "SELECT umoptions::text FROM pg_user_mapping"
    first = value(root, mapping)
    audit_channel.install(place.database.conninfo, place.database.compiler)
    assert value(root, mapping) != first
    assert (
        value(
            root,
            "SELECT count(*) FROM pg_roles WHERE shobj_description(oid, 'pg_authid') LIKE 'fedschema: audit login%'",
        )
        == 1
    )
    with owning(root):
        assert audit_channel.is_installed(place.database.conninfo)


def test_removing_leaves_nothing_behind(place: Place, root: psycopg.Connection) -> None:
    audit_channel.install(place.database.conninfo, place.database.compiler)
    audit_channel.remove(place.database.conninfo, place.database.compiler)
    for query in (
        "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'federation_audit%'",
        "SELECT count(*) FROM pg_foreign_server",
        "SELECT count(*) FROM pg_user_mapping",
        "SELECT count(*) FROM pg_extension WHERE extname = 'dblink'",
        "SELECT count(*) FROM pg_namespace WHERE nspname = 'federation_dblink'",
    ):
        assert value(root, query) == 0
    assert not audit_channel.is_installed(place.database.conninfo)


def test_channel_that_does_not_work_is_not_installed(place: Place, root: psycopg.Connection) -> None:
    with pytest.raises(AuditChannelFailed, match="nothing was changed"):
        audit_channel.install(place.database.conninfo, place.database.compiler, host="127.0.0.2")
    assert value(root, "SELECT count(*) FROM pg_foreign_server") == 0
    assert value(root, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'federation_audit%'") == 0


def test_only_a_superuser_installs_the_channel(place: Place, root: psycopg.Connection) -> None:
    place.database.create_login("plain_operator", "federation_owner")
    conninfo = place.database.server.conninfo("heard", "plain_operator", place.database.passwords["plain_operator"])
    with pytest.raises(PrivilegeMissing, match="superuser"):
        audit_channel.install(conninfo, place.database.compiler)
    assert not audit_channel.is_installed(place.database.conninfo)


def test_channel_is_installed_and_removed_by_init(place: Place, root: psycopg.Connection) -> None:
    """And nothing that the command prints is the password; a plain `init` leaves it as it is."""
    url = place.database.url
    shown = []
    for arguments, installed in (
        (("--durable-audit",), True),
        ((), True),
        (("--durable-audit", "--json"), True),
        (("--no-durable-audit",), False),
        ((), False),
        (("--no-durable-audit",), False),
    ):
        done = type_in("init", *arguments, url=url, cwd=ROOT)
        assert done.status == 0, done
        assert audit_channel.is_installed(place.database.conninfo) is installed
        shown.append(done.stdout + done.stderr)
        if installed:
            assert not any(value(root, THE_PASSWORD) in text for text in shown)
    done = type_in("init", "--durable-audit", "--audit-host", "127.0.0.2", url=url, cwd=ROOT)
    assert (done.status, done.stdout) == (1, "")
    assert "nothing was changed" in done.stderr
    assert "hint: let pg_hba.conf ask for scram-sha-256 there" in done.stderr


def test_channel_that_works_stays_when_another_does_not(place: Place, root: psycopg.Connection, channel: None) -> None:
    mapping = "SELECT umoptions::text FROM pg_user_mapping"
    before = value(root, mapping)
    with pytest.raises(AuditChannelFailed, match="nothing was changed"):
        audit_channel.install(place.database.conninfo, place.database.compiler, host="127.0.0.2")
    assert value(root, mapping) == before
    assert value(root, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'federation_audit%'") == 1
    assert audit_channel.is_installed(place.database.conninfo)
