"""Gateways, administrators and departments' passwords by command: who gets in, with what, and who gets in no longer."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Database, Run
from tests.security.conftest import APPEND_ONLY, TABLES, another_row, compose, count, refused, value, works
from tests.sharing.conftest import JsonOf, asking, can_log_in, drop_logins, grant, recorded

KINDS = {"gateway": ("gateway", "add"), "admin": ("admin", "create")}
PLATFORM = (
    "federation_owner",
    "federation_admin_role",
    "federation_reader_role",
    "cross_dept_query_role",
    "federation_department_role",
    "federation_retention_role",
)
PASSWORD = "correct horse battery"
OTHER = "another long password"


@pytest.fixture(autouse=True)
def _no_login_stays(fleet: Database, root: psycopg.Connection) -> Iterator[None]:
    yield
    root.execute("DELETE FROM federation.gateway_entitlements")
    drop_logins(fleet)
    root.execute("DROP ROLE IF EXISTS by_hand")


def creation(kind: str, login: str = "ada") -> list[str]:
    """Return the command that makes a login of a kind."""
    return [*KINDS[kind], login, *(["--department", "hr"] if kind == "gateway" else [])]


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


# ----------------------------------------------------------------------------------------------------------- passwords


@pytest.mark.parametrize("role", PLATFORM)
def test_platform_role_has_no_password_and_cannot_log_in(root: psycopg.Connection, role: str) -> None:
    found = root.execute("SELECT rolcanlogin, rolpassword FROM pg_authid WHERE rolname = %s", (role,)).fetchone()
    assert found == (False, None)


@pytest.mark.parametrize("kind", KINDS)
def test_login_gets_in_with_its_own_password_alone(
    fleet: Database, command: Run, root: psycopg.Connection, kind: str
) -> None:
    done = command(*creation(kind), "--password-stdin", stdin=PASSWORD)
    assert done.status == 0, done
    assert PASSWORD not in done.stdout + done.stderr
    assert can_log_in(fleet, "ada", PASSWORD)
    for guess in ("", "ada", "postgres", "fedschema", "password", OTHER):
        assert not can_log_in(fleet, "ada", guess or "x")
    assert value(root, "SELECT rolpassword LIKE 'SCRAM-SHA-256$%%' FROM pg_authid WHERE rolname = 'ada'")


@pytest.mark.parametrize("kind", KINDS)
def test_rotated_password_replaces_the_old_one(fleet: Database, command: Run, kind: str) -> None:
    command(*creation(kind), "--password-stdin", stdin=PASSWORD)
    with psycopg.connect(fleet.server.conninfo(fleet.name, "ada", PASSWORD), autocommit=True) as open_session:
        done = command(kind, "rotate", "ada", "--password-stdin", stdin=OTHER)
        assert (done.status, done.stdout) == (
            0,
            "the password of ada is changed; what logs in with it needs the new one now\n",
        )
        assert not can_log_in(fleet, "ada", PASSWORD)
        assert can_log_in(fleet, "ada", OTHER)
        assert value(open_session, "SELECT session_user") == "ada"


def test_departments_password_is_rotated_alike(fleet: Database, command: Run) -> None:
    old = fleet.passwords["hr_role"]
    assert command("tenant", "rotate-password", "hr", "--password-stdin", stdin=OTHER).status == 0
    assert not can_log_in(fleet, "hr_role", old)
    assert can_log_in(fleet, "hr_role", OTHER)
    assert not can_log_in(fleet, "sales_role", OTHER)
    assert command("tenant", "rotate-password", "hr", "--password-stdin", stdin=old).status == 0
    assert can_log_in(fleet, "hr_role", old)


@pytest.mark.parametrize("kind", KINDS)
def test_generated_password_is_shown_once_and_never_in_json(
    fleet: Database, command: Run, json_of: JsonOf, kind: str
) -> None:
    shown = command(*creation(kind)).stdout
    password = shown.rpartition("shown only now: ")[2].strip()
    assert can_log_in(fleet, "ada", password)
    assert password not in command(kind, "list").stdout
    for document in (
        json_of(kind, "rotate", "ada"),
        json_of(*creation(kind, "bob")),
    ):  # checks that no key is a password
        assert password not in str(document)
    rotated = command(kind, "rotate", "ada", "--json")
    password = rotated.stderr.rpartition("shown only now: ")[2].strip()
    assert can_log_in(fleet, "ada", password)
    assert password not in rotated.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_password_goes_into_a_file_of_its_owner_alone(fleet: Database, command: Run, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "password"
    done = command(*creation(kind), "--password-file", str(file))
    assert done.status == 0, done
    first = file.read_text().strip()
    assert mode(file) == 0o600
    assert first not in done.stdout + done.stderr
    assert can_log_in(fleet, "ada", first)

    done = command(kind, "rotate", "ada", "--password-file", str(file))
    assert done.status == 0, done
    second = file.read_text().strip()
    assert mode(file) == 0o600
    assert first != second
    assert second not in done.stdout + done.stderr
    assert (can_log_in(fleet, "ada", first), can_log_in(fleet, "ada", second)) == (False, True)
    assert [found.name for found in tmp_path.iterdir()] == ["password"]


@pytest.mark.parametrize(
    "arguments",
    [("gateway", "rotate", "nobody"), ("admin", "rotate", "nobody"), ("tenant", "rotate-password", "nobody")],
)
def test_rotation_that_fails_leaves_the_file_as_it_was(
    command: Run, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    file.chmod(0o600)
    assert command(*arguments, "--password-file", str(file)).status != 0
    assert file.read_text() == PASSWORD
    assert [found.name for found in tmp_path.iterdir()] == ["password"]


@pytest.mark.parametrize("kind", KINDS)
def test_rotation_does_not_write_over_what_an_interrupted_one_left(
    fleet: Database, command: Run, tmp_path: Path, kind: str
) -> None:
    """FILE.new may hold the only password that is in force."""
    command(*creation(kind), "--password-stdin", stdin=PASSWORD)
    left = tmp_path / "password.new"
    left.write_text(OTHER)
    left.chmod(0o600)
    done = command(kind, "rotate", "ada", "--password-file", str(tmp_path / "password"))
    assert done.status == 2
    assert "password.new" in done.stderr
    assert left.read_text() == OTHER
    assert can_log_in(fleet, "ada", PASSWORD)


@pytest.mark.parametrize("kind", KINDS)
def test_file_that_others_may_read_is_no_password_file(
    command: Run, root: psycopg.Connection, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    file.chmod(0o644)
    done = command(*creation(kind), "--password-file", str(file))
    assert (done.status, "can be read by others" in done.stderr) == (2, True)
    assert PASSWORD not in done.stderr
    assert file.read_text() == PASSWORD
    assert value(root, "SELECT count(*) FROM pg_roles WHERE rolname = 'ada'") == 0


# ---------------------------------------------------------------------------------------------------------- what may be


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "login",
    [
        "",
        " ",
        " ada",
        "ada ",
        "ada\n",
        "ada\x1b[31m",
        "ada\u200b",
        "x" * 64,
        "é" * 32,
        "pg_ada",
        "PG_ada",
        "public",
        "none",
        "NONE",
        "current_user",
        "session_user",
        "user",
        "hr_role",
        "legal_role",
        "Legal_ROLE",
        "federation_owner",
        "Federation_x",
        "cross_dept_query_role",
        "cross_dept",
    ],
)
def test_name_that_is_anothers_or_none_is_refused(
    command: Run, root: psycopg.Connection, kind: str, login: str
) -> None:
    before = value(root, "SELECT array_agg(rolname ORDER BY oid) FROM pg_roles")
    done = command(*creation(kind, login))
    assert (done.status, done.stdout) == (2, "")
    assert "cannot be a login" in done.stderr
    assert "\x1b" not in done.stderr
    assert value(root, "SELECT array_agg(rolname ORDER BY oid) FROM pg_roles") == before
    assert value(root, "SELECT count(*) FROM federation.gateway_entitlements") == 0


@pytest.mark.parametrize(
    "login", ["Ada", 'a"da', "a'da; DROP ROLE x; --", "ädä", "select", "a b", "x" * 63, "%s", "{}"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_name_is_taken_as_it_is(fleet: Database, command: Run, root: psycopg.Connection, kind: str, login: str) -> None:
    assert command(*creation(kind, login), "--password-stdin", stdin=PASSWORD).status == 0
    assert can_log_in(fleet, login, PASSWORD)
    assert value(root, "SELECT count(*) FROM pg_roles WHERE rolname = lower(%s) AND rolname <> %s", login, login) == 0
    assert command(kind, "remove", login).status == 0
    assert not can_log_in(fleet, login, PASSWORD)


UNSUITABLE = {
    "a superuser": ("LOGIN SUPERUSER", None),
    "one that bypasses row-level security": ("LOGIN BYPASSRLS", None),
    "one that makes roles": ("LOGIN CREATEROLE", None),
    "one that replicates": ("LOGIN REPLICATION", None),
    "one that cannot log in": ("NOLOGIN", None),
    "the owner's member": ("LOGIN IN ROLE federation_owner", None),
    "an administrator": ("LOGIN IN ROLE federation_admin_role", None),
    "a reader": ("LOGIN IN ROLE federation_reader_role", None),
    "one of retention": ("LOGIN IN ROLE federation_retention_role", None),
    "a department's member": ("LOGIN IN ROLE hr_role", None),
    "one with departments' common role": ("LOGIN IN ROLE federation_department_role", None),
    "a member without inheritance": ("LOGIN NOINHERIT IN ROLE federation_admin_role", None),
    "another database's gateway": ("LOGIN", "fedschema: gateway of database elsewhere"),
    "another database's administrator": ("LOGIN", "fedschema: administrator of database elsewhere"),
    "another database's department": ("LOGIN", "fedschema: department legal of database elsewhere"),
    "a superuser's member": ("LOGIN IN ROLE {postgres}", None),
}


@pytest.mark.parametrize(("attributes", "comment"), UNSUITABLE.values(), ids=UNSUITABLE)
def test_role_that_walls_do_not_bind_does_not_become_a_gateway(
    fleet: Database, command: Run, root: psycopg.Connection, attributes: str, comment: str | None
) -> None:
    root.execute(f"CREATE ROLE by_hand {attributes.format(postgres=fleet.server.user)}")
    if comment:
        root.execute(compose("COMMENT ON ROLE by_hand IS {COMMENT}", COMMENT=comment))
    done = command("gateway", "add", "by_hand", "--all")
    assert (done.status, done.stdout) == (1, ""), done
    assert done.stderr.startswith("error: by_hand cannot be a gateway: ")
    assert value(root, "SELECT count(*) FROM federation.gateway_entitlements") == 0
    assert not value(
        root,
        """
        SELECT EXISTS (
            SELECT FROM pg_auth_members
            WHERE member = 'by_hand'::regrole AND roleid = 'cross_dept_query_role'::regrole
        )
        """,
    )


def test_login_that_was_there_becomes_a_gateway_and_keeps_its_password(
    fleet: Database, command: Run, tmp_path: Path, root: psycopg.Connection
) -> None:
    root.execute(f"CREATE ROLE by_hand LOGIN PASSWORD '{PASSWORD}'")
    file = tmp_path / "password"
    done = command("gateway", "add", "by_hand", "--department", "hr", "--password-file", str(file))
    assert done.status == 0, done
    assert not file.exists()
    assert can_log_in(fleet, "by_hand", PASSWORD)
    done = command("gateway", "remove", "by_hand")
    assert done.status == 0
    assert value(root, "SELECT count(*) FROM pg_roles WHERE rolname = 'by_hand'") == 1  # it was not made here
    assert not can_log_in(fleet, "by_hand", PASSWORD)  # but is let into this database no longer


@pytest.mark.parametrize("attributes", ["LOGIN", "NOLOGIN", "LOGIN SUPERUSER"])
def test_role_that_is_there_does_not_become_an_administrator(
    command: Run, root: psycopg.Connection, attributes: str
) -> None:
    root.execute(f"CREATE ROLE by_hand {attributes}")
    done = command("admin", "create", "by_hand")
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.startswith("error: a role by_hand exists already; nothing was changed\nhint: ")
    assert value(root, "SELECT count(*) FROM pg_auth_members WHERE member = 'by_hand'::regrole") == 0


@pytest.mark.parametrize("login", ["postgres", "sales_gateway_of_nobody"])
@pytest.mark.parametrize(
    "arguments", [("admin", "rotate"), ("admin", "remove"), ("gateway", "rotate"), ("gateway", "remove")]
)
def test_login_that_is_none_of_ours_is_left_alone(
    command: Run, root: psycopg.Connection, arguments: tuple[str, ...], login: str
) -> None:
    before = value(root, "SELECT array_agg((rolname, rolpassword)::text ORDER BY oid) FROM pg_authid")
    done = command(*arguments, login)
    assert (done.status, done.stdout) == (2, "")
    assert "nothing was changed" in done.stderr
    assert value(root, "SELECT array_agg((rolname, rolpassword)::text ORDER BY oid) FROM pg_authid") == before


def test_kinds_do_not_mix(fleet: Database, command: Run) -> None:
    """A gateway is rotated and removed as a gateway, and an administrator never becomes one."""
    command(*creation("gateway", "ada"))
    command(*creation("admin", "bob"))
    assert command("admin", "rotate", "ada").status == command("admin", "remove", "ada").status == 2
    assert command("gateway", "rotate", "bob").status == command("gateway", "remove", "bob").status == 2
    assert command("gateway", "add", "bob", "--department", "hr").status == 1
    assert command("admin", "create", "ada").status == 1


# ----------------------------------------------------------------------------------------------------------- gateways


@pytest.mark.parametrize(
    "arguments",
    [
        ("--all", "--department", "hr"),
        (),
        ("--department", "nobody"),
        ("--department", "hr", "--department", "nobody"),
        ("--department", "HR"),
        ("--department", ""),
    ],
)
def test_gateway_of_nobody_in_particular_is_not_made(
    command: Run, root: psycopg.Connection, arguments: tuple[str, ...]
) -> None:
    done = command("gateway", "add", "ada", *arguments)
    assert (done.status, done.stdout) == (2, "")
    assert value(root, "SELECT count(*) FROM pg_roles WHERE rolname = 'ada'") == 0
    assert value(root, "SELECT count(*) FROM federation.gateway_entitlements") == 0


def test_removed_gateway_asks_no_more_even_in_an_open_session(
    fleet: Database, command: Run, root: psycopg.Connection
) -> None:
    command("gateway", "add", "ada", "--department", "hr", "--password-stdin", stdin=PASSWORD)
    fleet.passwords["ada"] = PASSWORD
    grant(root)
    with asking(fleet, "ada") as connection:
        assert count(connection, "sales", "contacts") == 1
        done = command("gateway", "remove", "ada")
        assert (done.status, done.stdout) == (0, "ada may no longer speak for anybody; the login is gone\n")
        try:
            assert count(connection, "sales", "contacts") == 0
        except psycopg.Error as error:
            assert error.sqlstate  # noqa: PT017 - a session whose login is gone may also be refused outright
    assert not can_log_in(fleet, "ada", PASSWORD)


def test_gateway_loses_one_department_and_keeps_the_other(
    fleet: Database, command: Run, root: psycopg.Connection, json_of: JsonOf
) -> None:
    json_of("gateway", "add", "ada", "--department", "hr", "--department", "sales")
    assert [(row["login_role"], row["department_id"]) for row in json_of("gateway", "list")] == [
        ("ada", "hr"),
        ("ada", "sales"),
    ]
    with recorded(root) as record:
        assert json_of("gateway", "remove", "ada", "--department", "hr") == {
            "login_role": "ada",
            "dropped": False,
            "departments": ["hr"],
        }
        assert (
            json_of("gateway", "remove", "ada", "--department", "hr", status=2)["error"]["code"]
            == "unknown_entitlement"
        )
        assert json_of("gateway", "remove", "ada", "--department", "sales")["dropped"] is True
    assert [(row["event_type"], row["source_department_id"], row["user_role"]) for row in record.events] == [
        ("GATEWAY_REMOVED", "hr", "postgres"),
        ("GATEWAY_REMOVED", "sales", "postgres"),
    ]
    assert json_of("gateway", "list") == []


# ------------------------------------------------------------------------------------------------------ administrators


@pytest.fixture
def admin(fleet: Database, command: Run) -> Iterator[psycopg.Connection]:
    """An administrator made by command, over TCP."""
    assert command("admin", "create", "ada", "--password-stdin", stdin=PASSWORD).status == 0
    with psycopg.connect(fleet.server.conninfo(fleet.name, "ada", PASSWORD), autocommit=True) as connection:
        yield connection


def test_administrator_sees_every_department_and_writes_no_foreign_id(admin: psycopg.Connection) -> None:
    for department_id, other in (("hr", "sales"), ("sales", "hr")):
        for table in TABLES:
            assert count(admin, department_id, table) == 1
            assert works(admin, another_row(department_id, table)) == 1
            refused(admin, another_row(department_id, table, department=other), match="row-level security")
            if table not in APPEND_ONLY:
                change = "UPDATE {table} SET department = {DEPARTMENT}"
                refused(
                    admin,
                    compose(change, table=(f"{department_id}_tenant", table), DEPARTMENT=other),
                    match="row-level security",
                )


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM federation.security_audit",
        "DELETE FROM federation.cross_dept_audit",
        "UPDATE federation.security_audit SET user_role = 'x'",
        "INSERT INTO federation.security_audit (event_type) VALUES ('x')",
        "INSERT INTO federation.gateway_entitlements (login_role) VALUES ('ada')",
        "UPDATE federation.departments SET status = 'SUSPENDED'",
        "INSERT INTO federation.resources (resource_type, table_name) VALUES ('api_keys', 'api_keys')",
        "SELECT * FROM federation.oauth_credentials",
        "SELECT * FROM federation.search('sales', 'contacts', 'secret')",
        "SELECT federation.cross_dept_gate('sales', 'contacts')",
        "GRANT federation_admin_role TO by_hand",
        "ALTER ROLE ada CREATEROLE",
        "CREATE ROLE eve",
        "SET ROLE federation_owner",
        "SET ROLE hr_role",
        "SET ROLE federation_retention_role",
        "UPDATE hr_tenant.audit_trail SET action = 'x'",
        "DELETE FROM hr_tenant.audit_trail",
        "TRUNCATE hr_tenant.contacts",
        "ALTER TABLE hr_tenant.contacts NO FORCE ROW LEVEL SECURITY",
    ],
)
def test_administrator_does_no_more_than_write_rows_and_grants(
    admin: psycopg.Connection, root: psycopg.Connection, statement: str
) -> None:
    root.execute("CREATE ROLE by_hand")
    refused(admin, statement)


def test_administrator_writes_grants_and_is_on_record_for_each(
    admin: psycopg.Connection, root: psycopg.Connection
) -> None:
    with recorded(root) as record:
        admin.execute("SET ROLE federation_admin_role")
        grant(admin)
        admin.execute("DELETE FROM federation.cross_dept_permissions")
    assert [(row["event_type"], row["user_role"]) for row in record.events] == [
        ("CROSS_DEPT_GRANTED", "ada"),
        ("CROSS_DEPT_REVOKED", "ada"),
    ]


def test_removed_administrator_gets_in_no_more(
    fleet: Database, command: Run, json_of: JsonOf, root: psycopg.Connection
) -> None:
    with recorded(root) as record:
        command("admin", "create", "ada", "--password-stdin", stdin=PASSWORD)
        assert json_of("admin", "list") == [{"login_role": "ada", "made_here": True}]
        command("admin", "rotate", "ada", "--password-stdin", stdin=OTHER)
        assert json_of("admin", "remove", "ada") == {"login_role": "ada", "dropped": True}
    assert json_of("admin", "list") == []
    assert not can_log_in(fleet, "ada", OTHER)
    assert [(row["event_type"], row["user_role"], row["details"]["login"]) for row in record.events] == [
        (event, "postgres", "ada")
        for event in ("ADMINISTRATOR_CREATED", "ADMINISTRATOR_PASSWORD_ROTATED", "ADMINISTRATOR_REMOVED")
    ]


def test_administrator_somebody_else_made_stays_a_role_and_loses_the_rows(
    fleet: Database, command: Run, json_of: JsonOf, root: psycopg.Connection
) -> None:
    root.execute(f"CREATE ROLE by_hand LOGIN PASSWORD '{PASSWORD}' IN ROLE federation_admin_role")
    with psycopg.connect(fleet.server.conninfo(fleet.name, "by_hand", PASSWORD), autocommit=True) as connection:
        assert count(connection, "hr", "contacts") == 1
        assert json_of("admin", "list") == [{"login_role": "by_hand", "made_here": False}]
        assert json_of("admin", "remove", "by_hand") == {"login_role": "by_hand", "dropped": False}
        refused(connection, "SELECT * FROM hr_tenant.contacts")
    assert not can_log_in(fleet, "by_hand", PASSWORD)


def test_operator_is_no_administrator_that_could_be_removed(
    fleet: Database, command: Run, root: psycopg.Connection
) -> None:
    """A member of federation_owner can become an administrator too; saying that it no longer can would be a lie."""
    root.execute("CREATE ROLE by_hand LOGIN IN ROLE federation_owner")
    with recorded(root) as record:
        done = command("admin", "remove", "by_hand")
    assert (done.status, done.stdout) == (2, "")
    assert record.events == []
    done = command("admin", "rotate", "by_hand", "--password-stdin", stdin=PASSWORD)
    assert (done.status, done.stdout) == (2, "")
    assert value(root, "SELECT rolpassword FROM pg_authid WHERE rolname = 'by_hand'") is None


def test_gateway_somebody_else_made_stays_a_role_and_is_one_no_longer(
    fleet: Database, command: Run, root: psycopg.Connection
) -> None:
    root.execute(f"CREATE ROLE by_hand LOGIN PASSWORD '{PASSWORD}' IN ROLE cross_dept_query_role")
    assert command("gateway", "add", "by_hand", "--department", "hr").status == 0
    assert command("gateway", "remove", "by_hand").status == 0
    membership = "SELECT pg_has_role('by_hand', 'cross_dept_query_role', 'MEMBER')"
    assert value(root, membership) is False
