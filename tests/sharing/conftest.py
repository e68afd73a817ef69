"""What the tests of sharing share: gateways that were made by command, grants that are gone afterwards, the record.

As in tests/security a `fleet` serves a whole module. Its gateways are real logins with passwords of their own, which
connect over TCP: `hr_gateway` may speak for hr, `all_gateway` for everybody, `bare_gateway` is a member of
cross_dept_query_role and was entitled to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from fedschema import gateways, passwords
from fedschema.department import Department
from tests.cli.conftest import document
from tests.cli.typing_in import type_in
from tests.conftest import ROOT, Database, Finished, Run
from tests.security.conftest import compose, fleet, hr, root, sales, value

__all__ = ["fleet", "hr", "root", "sales"]

HR = Department("hr")
SALES = Department("sales")

GRANT = """
    INSERT INTO federation.cross_dept_permissions
        (source_department_id, target_department_id, permission_type, resource_type, enabled, expires_at, granted_by)
    VALUES (%s, %s, %s, %s, %s, %s, 'admin@company.com')
"""


def add_gateway(database: Database, login: str, *departments: Department) -> None:
    """Make a gateway as `fedschema gateway add` does, and remember its password."""
    password = passwords.generate()
    assert gateways.add(database.conninfo, database.compiler, login, departments, password)
    database.passwords[login] = password.text


def drop_logins(database: Database) -> None:
    """Drop the gateways and administrators that were made for a database; they belong to the whole cluster."""
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') IN (%s, %s)",
            (
                f"fedschema: gateway of database {database.name}",
                f"fedschema: administrator of database {database.name}",
            ),
        ).fetchall()
        for (role,) in rows:
            connection.execute(compose("DROP OWNED BY {role}", role=role))
            connection.execute(compose("DROP ROLE {role}", role=role))


@pytest.fixture(scope="module")
def shared(fleet: Database) -> Iterator[Database]:
    """The fleet with its gateways."""
    add_gateway(fleet, "hr_gateway", HR)
    add_gateway(fleet, "all_gateway")
    fleet.create_login("bare_gateway", "cross_dept_query_role")
    yield fleet
    drop_logins(fleet)


@pytest.fixture(autouse=True)
def _nothing_stays_granted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Take back what a test granted, and whom it suspended."""
    connection: psycopg.Connection | None = None
    if {"fleet", "shared"} & set(request.fixturenames):
        connection = request.getfixturevalue("root")
    yield
    if connection is not None:
        connection.execute("DELETE FROM federation.cross_dept_permissions")
        connection.execute("UPDATE federation.departments SET status = 'ACTIVE' WHERE status <> 'ACTIVE'")


def grant(
    connection: psycopg.Connection,
    permission: str = "read",
    resource: str = "contacts",
    *,
    source: str = "hr",
    target: str = "sales",
    enabled: bool = True,
    expires_at: datetime | None = None,
) -> None:
    """Write a grant as operators do, with plain SQL."""
    connection.execute(GRANT, (source, target, permission, resource, enabled, expires_at))


def claim(connection: psycopg.Connection, source: str, *, local: bool = False) -> None:
    connection.execute("SELECT set_config('app.source_department', %s, %s)", (source, local))


@contextmanager
def asking(database: Database, login: str = "hr_gateway", source: str | None = "hr") -> Iterator[psycopg.Connection]:
    """Connect as a gateway, in the role that it works in, and claim a source."""
    with database.login(login) as connection:
        connection.execute("SET ROLE cross_dept_query_role")
        if source is not None:
            claim(connection, source)
        yield connection


@pytest.fixture
def gateway(shared: Database) -> Iterator[psycopg.Connection]:
    """hr_gateway, over TCP with its own password, asking for hr."""
    with asking(shared) as connection:
        yield connection


def search(
    connection: psycopg.Connection,
    query: str | None,
    *,
    resource: str | None = "contacts",
    target: str | None = "sales",
    limit: int | None = 20,
) -> list[tuple[Any, ...]]:
    """Ask federation.search."""
    return connection.execute(
        "SELECT * FROM federation.search(%s, %s, %s, %s)", (target, resource, query, limit)
    ).fetchall()


def aggregate(
    connection: psycopg.Connection,
    key: str | None = None,
    *,
    resource: str | None = "tool_calls",
    measure: str | None = "count",
    target: str | None = "sales",
) -> list[tuple[str, int]]:
    """Ask federation.aggregate."""
    return connection.execute(
        "SELECT * FROM federation.aggregate(%s, %s, %s, %s)", (target, resource, measure, key)
    ).fetchall()


@dataclass
class Record:
    """What was put on record inside a `with recorded(...)` block, oldest first."""

    attempts: list[DictRow] = field(default_factory=list)
    events: list[DictRow] = field(default_factory=list)

    @property
    def attempt(self) -> DictRow:
        """The only one."""
        (one,) = self.attempts
        return one


@contextmanager
def recorded(connection: psycopg.Connection) -> Iterator[Record]:
    """Collect the rows that are added to the two audit tables meanwhile; nobody could delete the older ones."""
    before = value(connection, "SELECT clock_timestamp()")
    made = Record()
    yield made
    with connection.cursor(row_factory=dict_row) as cursor:
        for table, rows in (("cross_dept_audit", made.attempts), ("security_audit", made.events)):
            query = sql.SQL("SELECT * FROM {} WHERE created_at >= %s ORDER BY created_at").format(
                sql.Identifier("federation", table)
            )
            rows.extend(cursor.execute(query, (before,)).fetchall())


@contextmanager
def noticing(connection: psycopg.Connection) -> Iterator[list[str]]:
    """Collect what the server tells the client besides rows, as ``SEVERITY: text``."""
    told: list[str] = []

    def listen(diagnostic: psycopg.errors.Diagnostic) -> None:
        told.append(f"{diagnostic.severity_nonlocalized}: {diagnostic.message_primary}")

    connection.add_notice_handler(listen)
    try:
        yield told
    finally:
        connection.remove_notice_handler(listen)


@pytest.fixture
def command(fleet: Database) -> Run:
    """Type `fedschema …` inside this process, on the fleet's database."""

    def run(*arguments: str, stdin: str = "", url: str | None = None) -> Finished:
        return type_in(*arguments, url=url or fleet.url, stdin=stdin, cwd=ROOT)

    return run


JsonOf = Callable[..., Any]


@pytest.fixture
def json_of(command: Run) -> JsonOf:
    """Type a command with --json and return its document; see tests.cli.conftest.document."""

    def run(*arguments: str, status: int = 0, stdin: str = "") -> Any:
        done = command(*arguments, "--json", stdin=stdin)
        assert done.status == status, done
        return document(done)

    return run


def can_log_in(database: Database, login: str, password: str) -> bool:
    """Tell whether the server lets a login in with a password, over TCP."""
    try:
        psycopg.connect(database.server.conninfo(database.name, login, password)).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error) or "permission denied for database" in str(error):
            return False
        raise
    return True
