"""A grant and the end of a department at the same moment: whichever comes first, no grant is left for the next one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import ForeignKeyViolation, SerializationFailure

from fedschema import tenancy
from tests.conftest import Database
from tests.security.conftest import count, fill, value
from tests.sharing.conftest import HR, SALES, add_gateway, asking, drop_logins, grant, search

GRANT = """
    INSERT INTO federation.cross_dept_permissions
        (source_department_id, target_department_id, permission_type, resource_type, granted_by)
    VALUES ('hr', 'sales', 'read', '*', 'x')
"""
WRITES = {
    "a grant to it": GRANT,
    "a grant of it": GRANT.replace("'hr', 'sales'", "'sales', 'hr'"),
    "an entitlement": "INSERT INTO federation.gateway_entitlements (login_role, department_id) VALUES ('x', 'sales')",
}
LEFT = """
    SELECT (
        SELECT count(*) FROM federation.cross_dept_permissions
        WHERE 'sales' IN (source_department_id, target_department_id)
    ) + (SELECT count(*) FROM federation.gateway_entitlements WHERE department_id = 'sales')
"""


@pytest.fixture
def departments(database: Database) -> Iterator[Database]:
    for department_id in ("hr", "sales"):
        database.add(department_id)
        fill(database, department_id)
    yield database
    drop_logins(database)


class Dropping:
    """Drops sales on another thread."""

    def __init__(self, database: Database) -> None:
        self.error: BaseException | None = None
        self._database = database
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            tenancy.drop(self._database.conninfo, self._database.compiler, SALES, confirm=lambda _: None)
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            self.error = error

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()
        assert self.error is None, self.error


def wait_until_somebody_waits(root: psycopg.Connection) -> None:
    deadline = time.monotonic() + 10
    while not value(root, "SELECT count(*) FROM pg_locks WHERE NOT granted"):
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_grant_that_is_being_written_goes_with_the_department(departments: Database, write: str) -> None:
    """The writer is first: dropping waits for it, and then finds what it wrote."""
    with departments.connect() as root, departments.connect() as writer:
        dropping = Dropping(departments)
        writer.execute("BEGIN")
        writer.execute(write)
        dropping.start()
        wait_until_somebody_waits(root)
        writer.execute("COMMIT")
        dropping.finish()
        assert value(root, "SELECT status FROM federation.departments WHERE department_id = 'sales'") == "DEPROVISIONED"
        assert value(root, LEFT) == 0


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_grant_that_comes_while_the_department_is_being_dropped_is_refused(
    departments: Database, write: str, level: str
) -> None:
    """The drop is first, and has not been committed: the writer waits for it, and then finds the department gone."""
    with departments.connect() as root, departments.connect() as dropper, departments.connect() as writer:
        outcome: list[type[BaseException] | None] = []
        writer.execute(f"BEGIN ISOLATION LEVEL {level}")
        writer.execute("SELECT count(*) FROM federation.departments")
        dropper.execute("BEGIN")
        dropper.execute("SET LOCAL ROLE federation_owner")
        dropper.execute("CALL federation.lock_department('sales')")
        dropper.execute("CALL federation.retire_department('sales')")

        def run() -> None:
            try:
                writer.execute(write)
                writer.execute("COMMIT")
                outcome.append(None)
            except psycopg.Error as error:
                outcome.append(type(error))

        thread = threading.Thread(target=run)
        thread.start()
        wait_until_somebody_waits(root)
        dropper.execute("COMMIT")
        thread.join(30)
        assert outcome == [ForeignKeyViolation if level == "READ COMMITTED" else SerializationFailure]
        writer.execute("ROLLBACK")
        assert value(root, LEFT) == 0


def test_department_that_comes_again_is_shared_with_nobody_and_spoken_for_by_nobody(departments: Database) -> None:
    """Although the sessions that used the old one are still open."""
    add_gateway(departments, "hr_gateway", HR)
    add_gateway(departments, "sales_gateway", SALES)
    with (
        departments.connect() as root,
        asking(departments) as to_it,
        asking(departments, "sales_gateway", "sales") as of_it,
    ):
        for permission in ("read", "search"):
            grant(root, permission, "*")
            grant(root, permission, "*", source="sales", target="hr")
        assert (count(to_it, "sales", "contacts"), len(search(to_it, "secret"))) == (1, 1)
        assert (count(of_it, "hr", "contacts"), len(search(of_it, "secret", target="hr"))) == (1, 1)
        tenancy.drop(departments.conninfo, departments.compiler, SALES, confirm=lambda _: None)
        assert search(to_it, "secret") == search(of_it, "secret", target="hr") == []
        departments.add("sales")
        fill(departments, "sales")
        assert (count(to_it, "sales", "contacts"), len(search(to_it, "secret"))) == (0, 0)
        assert (count(of_it, "hr", "contacts"), len(search(of_it, "secret", target="hr"))) == (0, 0)
        grant(root, "search", "*", source="sales", target="hr")
        assert search(of_it, "secret", target="hr") == []  # its gateway was the old one's
        root.execute(
            "INSERT INTO federation.gateway_entitlements (login_role, department_id) VALUES ('sales_gateway', 'sales')"
        )
        assert len(search(of_it, "secret", target="hr")) == 1
