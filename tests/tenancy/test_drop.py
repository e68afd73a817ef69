"""`tenant drop`: asked for twice, schema and role together, and the registry remembers."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import sql

from fedschema import catalogue, tenancy
from fedschema.department import Department
from fedschema.errors import DepartmentVanished, LockTimeout, OperationError, UnknownDepartment
from tests.conftest import Database, Run
from tests.tenancy.conftest import Inventory
from tests.tenancy.inventory import WHOLE, traces

NOBODY_ASKS: Callable[[tenancy.DepartmentDetails], None] = lambda _: None  # noqa: E731 - a name for what it means


def _fill(database: Database) -> None:
    """Put two transcripts and one log into the department hr."""
    with database.connect() as connection:
        for turn in range(2):
            connection.execute(
                "INSERT INTO hr_tenant.conversation_history (session_id, turn_index, speaker, message_text)"
                " VALUES ('s', %s, 'user', 'hello')",
                (turn,),
            )
        connection.execute("INSERT INTO hr_tenant.error_logs (error_type, error_message) VALUES ('E', 'oh')")


def test_right_id_typed_drops(database: Database, command: Run) -> None:
    database.add("hr")

    done = command("tenant", "drop", "hr", stdin="hr\n")

    assert done.status == 0, done.stderr
    left = traces(database, "hr")
    assert (left.status, left.roles, left.schemas) == ("DEPROVISIONED", 0, 0)
    assert done.stdout == "department hr dropped: schema hr_tenant and role hr_role are gone\n"


def test_anything_else_typed_refuses(database: Database, command: Run, everything: Inventory) -> None:
    database.add("hr")
    database.add("sales")
    before = everything()

    for typed in ("", "\n", "h", "y\n", "yes\n", "HR\n", "hr_tenant\n", "sales\n", "sales\nhr\n"):
        done = command("tenant", "drop", "hr", stdin=typed)

        assert done.status == 2, typed
        assert "department hr was not dropped" in done.stderr
    assert everything() == before


def test_refusal_names_the_command_that_does_not_ask(database: Database, command: Run) -> None:
    database.add("hr")

    done = command("tenant", "drop", "hr", "--json")

    assert json.loads(done.stdout)["error"]["hint"] == "fedschema tenant drop hr --yes"


def test_nothing_but_the_document_is_on_stdout_when_it_asks(database: Database, command: Run) -> None:
    database.add("hr")

    done = command("tenant", "drop", "hr", "--json", stdin="hr\n")

    assert done.stdout.startswith("{")
    assert json.loads(done.stdout)["status"] == "DEPROVISIONED"
    assert "type hr to drop it" in done.stderr


def test_what_will_be_lost_is_shown_by_table(database: Database, command: Run) -> None:
    database.add("hr")
    _fill(database)

    done = command("tenant", "drop", "hr", stdin="")

    shown = done.stderr.splitlines()
    assert shown[0] == "this drops schema hr_tenant and role hr_role, with:"
    assert [line.strip() for line in shown[1:3]] == ["conversation_history: 2 rows", "error_logs: 1 row"]
    assert traces(database, "hr") == WHOLE


def test_rows_lost_are_in_the_document(database: Database, command: Run) -> None:
    database.add("hr")
    _fill(database)

    done = command("tenant", "drop", "hr", "--yes", "--json")

    document = json.loads(done.stdout)
    lost = {table: rows for table, rows in document["rows_lost"].items() if rows}
    assert (document["department_id"], document["status"]) == ("hr", "DEPROVISIONED")
    assert lost == {"conversation_history": 2, "error_logs": 1}


def test_yes_does_not_ask(database: Database, command: Run) -> None:
    database.add("hr")

    done = command("tenant", "drop", "hr", "--yes")

    assert done.status == 0, done.stderr
    assert "type hr" not in done.stderr
    assert traces(database, "hr").schemas == 0


def test_registry_row_stays_and_history_with_it(database: Database) -> None:
    department = database.add("hr")

    tenancy.drop(database.conninfo, database.compiler, department, NOBODY_ASKS)

    with database.connect() as connection:
        row = connection.execute(
            "SELECT status, deprovisioned_at > created_at FROM federation.departments WHERE department_id = 'hr'"
        ).fetchone()
    assert row == ("DEPROVISIONED", True)
    assert traces(database, "hr").applied == WHOLE.applied


def test_dropping_one_department_leaves_another_untouched(database: Database) -> None:
    hr = database.add("hr")
    database.add("sales")

    tenancy.drop(database.conninfo, database.compiler, hr, NOBODY_ASKS)

    assert traces(database, "sales") == WHOLE
    with database.login("sales_role") as connection:
        connection.execute("SELECT FROM sales_tenant.contacts")


def _share(database: Database) -> None:
    """Let hr and sales share, give hr a gateway and a secret."""
    with database.connect() as connection:
        for source, target in (("hr", "sales"), ("sales", "hr"), ("sales", "legal")):
            connection.execute(
                """
                INSERT INTO federation.cross_dept_permissions
                    (source_department_id, target_department_id, permission_type, resource_type, granted_by)
                VALUES (%s, %s, 'read', 'contacts', 'somebody@example.com')
                """,
                (source, target),
            )
        for department in ("hr", "sales"):
            connection.execute(
                "INSERT INTO federation.gateway_entitlements (login_role, department_id) VALUES ('gateway', %s)",
                (department,),
            )
            connection.execute(
                """
                INSERT INTO federation.oauth_credentials
                    (department_id, service_name, oauth_client_id, oauth_client_secret_encrypted)
                VALUES (%s, 'gmail', 'client', 'secret')
                """,
                (department,),
            )


def _shared(database: Database) -> list[list[tuple[str, ...]]]:
    questions = (
        "SELECT source_department_id, target_department_id FROM federation.cross_dept_permissions ORDER BY 1, 2",
        "SELECT department_id FROM federation.gateway_entitlements ORDER BY 1",
        "SELECT department_id FROM federation.oauth_credentials ORDER BY 1",
    )
    with database.connect() as connection:
        return [connection.execute(question).fetchall() for question in questions]


def test_grants_entitlements_and_secrets_of_it_go_and_no_others(database: Database) -> None:
    hr = database.add("hr")
    for other in ("sales", "legal"):
        database.add(other)
    _share(database)

    tenancy.drop(database.conninfo, database.compiler, hr, NOBODY_ASKS)

    assert _shared(database) == [[("sales", "legal")], [("sales",)], [("sales",)]]


def test_added_again_it_is_a_new_department_that_inherits_nothing(database: Database) -> None:
    hr = database.add("hr")
    for other in ("sales", "legal"):
        database.add(other)
    _share(database)
    _fill(database)
    with database.connect() as connection:
        connection.execute("UPDATE federation.departments SET config = '{}', admin_email = 'old@example.com'")
        question = "SELECT id, created_at FROM federation.departments WHERE department_id = 'hr'"
        before = connection.execute(question).fetchone()
        old_password = database.passwords["hr_role"]
        tenancy.drop(database.conninfo, database.compiler, hr, NOBODY_ASKS)

        database.add("hr", "Human Resources")

        after = connection.execute(question).fetchone()
        row = connection.execute(
            "SELECT department_name, status, admin_email, config, deprovisioned_at"
            " FROM federation.departments WHERE department_id = 'hr'"
        ).fetchone()
        rows = connection.execute("SELECT count(*) FROM hr_tenant.conversation_history").fetchone()
    assert before is not None
    assert after is not None
    assert before[0] != after[0]
    assert before[1] < after[1]
    assert row == ("Human Resources", "ACTIVE", None, None, None)
    assert rows == (0,)
    assert _shared(database) == [[("sales", "legal")], [("sales",)], [("sales",)]]
    assert traces(database, "hr").applied == WHOLE.applied * 2
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(database.server.conninfo(database.name, "hr_role", old_password))


def test_dropping_twice_is_refused_and_changes_nothing(database: Database, everything: Inventory) -> None:
    department = database.add("hr")
    tenancy.drop(database.conninfo, database.compiler, department, NOBODY_ASKS)
    before = everything()

    with pytest.raises(DepartmentVanished, match="dropped already"):
        tenancy.drop(database.conninfo, database.compiler, department, NOBODY_ASKS)

    assert everything() == before


def test_unknown_department_is_refused_and_the_known_ones_are_listed(database: Database, everything: Inventory) -> None:
    database.add("hr")
    before = everything()

    with pytest.raises(UnknownDepartment, match="unknown department nosuch; the known ones are: hr"):
        tenancy.drop(database.conninfo, database.compiler, Department("nosuch"), NOBODY_ASKS)

    assert everything() == before


def test_of_two_droppings_one_wins_and_the_other_says_why(database: Database) -> None:
    department = database.add("hr")

    def drop(_: int) -> OperationError | None:
        try:
            tenancy.drop(database.conninfo, database.compiler, department, NOBODY_ASKS)
        except OperationError as error:
            return error
        return None

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(drop, range(2)))

    (refusal,) = [error for error in outcomes if error is not None]
    assert isinstance(refusal, DepartmentVanished), refusal
    assert "nothing was changed" in refusal.message
    left = traces(database, "hr")
    assert (left.status, left.roles, left.schemas) == ("DEPROVISIONED", 0, 0)


def _drop_hr_after(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let hr be dropped by another just after it was seen that it is there, for the first time."""
    answer = catalogue.schemas_with

    def answered(*arguments: Any) -> object:
        found = answer(*arguments)
        monkeypatch.setattr(catalogue, "schemas_with", answer)
        tenancy.drop(database.conninfo, database.compiler, Department("hr"), NOBODY_ASKS)
        return found

    monkeypatch.setattr(catalogue, "schemas_with", answered)


def test_department_that_vanishes_does_not_hide_the_others(
    database: Database, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.add("hr")
    database.add("sales")
    _drop_hr_after(database, monkeypatch)

    done = command("status")

    assert done.stderr == ""
    assert "sales" in done.stdout


def test_department_that_vanishes_while_it_is_to_be_dropped_is_named(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    department = database.add("hr")
    _drop_hr_after(database, monkeypatch)

    with pytest.raises(DepartmentVanished, match="department hr; nothing was changed"):
        tenancy.drop(database.conninfo, database.compiler, department, NOBODY_ASKS)


def test_tables_in_use_are_waited_for_a_while_and_then_left_alone(database: Database, everything: Inventory) -> None:
    locks = {"read": "ACCESS SHARE", "changed": "ACCESS EXCLUSIVE"}
    departments = [database.add(name) for name in locks]
    before = everything()
    with psycopg.connect(database.conninfo) as somebody, ThreadPoolExecutor(len(locks)) as pool:
        for name, mode in locks.items():
            table = sql.Identifier(f"{name}_tenant", "contacts")
            somebody.execute(sql.SQL("LOCK TABLE {} IN {} MODE").format(table, sql.SQL(mode)))
        attempts = {
            department: pool.submit(tenancy.drop, database.conninfo, database.compiler, department, NOBODY_ASKS)
            for department in departments
        }
        try:
            for department, attempt in attempts.items():
                with pytest.raises(LockTimeout) as refusal:
                    attempt.result(15)
                assert f"department {department}" in refusal.value.message
                assert "nothing was changed" in refusal.value.message
                assert refusal.value.hint is not None
        finally:
            somebody.rollback()  # whatever still waits can go on, and the test ends

    assert everything() == before


def test_department_that_is_logged_in_does_not_hold_up_the_dropping(database: Database) -> None:
    department = database.add("hr")
    with database.login("hr_role") as session:
        session.execute("SELECT FROM hr_tenant.contacts")

        tenancy.drop(database.conninfo, database.compiler, department, NOBODY_ASKS)

        with pytest.raises(psycopg.Error):
            session.execute("SELECT FROM hr_tenant.contacts")
    assert traces(database, "hr").roles == 0


@pytest.mark.parametrize("where", ["this database", "another database"])
def test_role_with_privileges_elsewhere_keeps_all_as_it_is(
    database: Database, blank_database: Database, command: Run, everything: Inventory, where: str
) -> None:
    database.add("hr")
    place = database if where == "this database" else blank_database
    with place.connect() as connection:
        connection.execute("CREATE TABLE public.somewhere ()")
        connection.execute("GRANT SELECT ON public.somewhere TO hr_role")
    before = everything()

    done = command("tenant", "drop", "hr", "--yes", "--json")

    assert done.status == 1
    error = json.loads(done.stdout)["error"]
    assert "hr_role" in error["message"]
    assert "nothing was changed" in error["message"]
    assert error["hint"], "what the role still holds has to be taken away first, and how is not said"
    assert everything() == before
    with place.connect() as connection:
        connection.execute("DROP TABLE public.somewhere")
    assert command("tenant", "drop", "hr", "--yes").status == 0


def test_department_whose_schema_is_gone_already_can_be_dropped(database: Database, command: Run) -> None:
    database.add("hr")
    with database.connect() as connection:
        connection.execute("DROP SCHEMA hr_tenant CASCADE")

    done = command("tenant", "drop", "hr", "--yes")

    assert done.status == 0, done.stderr
    left = traces(database, "hr")
    assert (left.status, left.roles, left.schemas) == ("DEPROVISIONED", 0, 0)
    database.add("hr")
    assert traces(database, "hr").schemas == 1


def test_department_below_its_first_revision_can_be_dropped(database: Database, command: Run) -> None:
    database.add("hr")
    assert command("downgrade", "hr", "--to", "base").status == 0

    done = command("tenant", "drop", "hr", "--yes")

    assert done.status == 0, done.stderr
    assert traces(database, "hr").schemas == 0


def test_gateway_whose_departments_are_gone_is_listed_and_can_be_removed(database: Database, fedschema: Run) -> None:
    database.add("hr")
    assert fedschema("gateway", "add", "lone_gateway", "--department", "hr").status == 0
    assert fedschema("tenant", "drop", "hr", "--yes").status == 0

    assert "nobody any more" in fedschema("gateway", "list").stdout
    removed = fedschema("gateway", "remove", "lone_gateway")

    assert (removed.status, removed.stdout) == (0, "lone_gateway may no longer speak for anybody; the login is gone\n")
