"""`fedschema tenant …`: what is printed for people, and the documents for machines."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Inventory, JsonOf
from tests.conftest import Database, Run
from tests.tenancy.inventory import WHOLE, traces

HEAD = "tenant_0007_retention"
LEGAL = {
    "department_id": "legal",
    "department_name": "Legal Department",
    "tenant_schema": "legal_tenant",
    "status": "ACTIVE",
    "revision": HEAD,
    "branch_revision": None,
}
MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"


@pytest.fixture
def legal(database: Database) -> Database:
    """A database with one department."""
    database.add("legal", "Legal Department")
    return database


# ------------------------------------------------------------------------------------------------------------- add


def test_add_tells_what_was_made_and_the_password_once(database: Database, command: Run) -> None:
    done = command("tenant", "add", "legal", "--name", "Legal Department", "--admin-email", "legal@example.com")

    made, told = done.stdout.splitlines()
    assert (done.status, done.stderr) == (0, "")
    assert made == "department legal (Legal Department): schema legal_tenant, role legal_role"
    assert re.fullmatch(r"password of legal_role, shown only now: [\w-]{32}", told)
    assert traces(database, "legal") == WHOLE


def test_add_gives_the_department_as_a_document(json_of: JsonOf) -> None:
    added = json_of("tenant", "add", "legal", "--name", "Legal Department")

    assert added.items() >= LEGAL.items()


def test_dry_run_with_json_is_a_document_too(json_of: JsonOf, everything: Inventory) -> None:
    before = everything()

    shown = json_of("tenant", "add", "legal", "--dry-run")

    assert "CREATE SCHEMA legal_tenant" in json.dumps(shown)
    assert everything() == before


def test_add_after_a_downgrade_of_others_comes_at_head(legal: Database, command: Run, json_of: JsonOf) -> None:
    command("downgrade", "legal", "--to", "-2")

    assert json_of("tenant", "add", "hr")["revision"] == HEAD


# ------------------------------------------------------------------------------------------------------ list and show


def test_list_is_a_table_in_the_order_of_ids(legal: Database, command: Run) -> None:
    legal.add("hr", "Human Resources")

    done = command("tenant", "list")

    assert (done.status, done.stderr) == (0, "")
    assert [re.split(r" {2,}", line) for line in done.stdout.splitlines()] == [
        ["DEPARTMENT", "NAME", "SCHEMA", "STATUS", "REVISION"],
        ["hr", "Human Resources", "hr_tenant", "ACTIVE", HEAD],
        ["legal", "Legal Department", "legal_tenant", "ACTIVE", HEAD],
    ]


def test_list_gives_departments_as_a_document(legal: Database, json_of: JsonOf) -> None:
    legal.add("hr")

    listed = json_of("tenant", "list")

    assert [department["department_id"] for department in listed] == ["hr", "legal"]
    assert listed[1].items() >= LEGAL.items()


def test_list_of_none_says_how_to_begin(command: Run, json_of: JsonOf) -> None:
    done = command("tenant", "list")

    assert (done.status, done.stdout) == (0, "")
    assert done.stderr == "there are no departments yet; add one with: fedschema tenant add legal\n"
    assert json_of("tenant", "list") == []


def test_list_leaves_out_what_was_dropped(legal: Database, command: Run, json_of: JsonOf) -> None:
    legal.add("hr")
    command("tenant", "drop", "legal", "--yes")

    assert [department["department_id"] for department in json_of("tenant", "list")] == ["hr"]


def test_show_tells_all_that_is_known(legal: Database, command: Run) -> None:
    done = command("tenant", "show", "legal")

    facts = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if "e-mail" not in line)
    assert (done.status, done.stderr) == (0, "")
    assert {name: facts[name] for name in ("department", "name", "status", "schema", "role", "revision")} == {
        "department": "legal",
        "name": "Legal Department",
        "status": "ACTIVE",
        "schema": "legal_tenant",
        "role": "legal_role",
        "revision": f"{HEAD} (at head)",
    }
    assert re.fullmatch(MOMENT, facts["created"])
    assert done.stdout.splitlines()[-1] == "25 tables, all empty"


def test_show_counts_rows_by_table(legal: Database, command: Run, json_of: JsonOf) -> None:
    with legal.connect() as connection:
        connection.execute("INSERT INTO legal_tenant.feature_flags (feature_name) VALUES ('x'), ('y')")

    shown, document = command("tenant", "show", "legal").stdout, json_of("tenant", "show", "legal")

    assert [line.split() for line in shown.splitlines()[-2:]] == [["TABLE", "ROWS"], ["feature_flags", "2"]]
    assert len(document["rows"]) == 25
    assert {table: rows for table, rows in document["rows"].items() if rows} == {"feature_flags": 2}


def test_show_gives_the_department_as_a_document(legal: Database, json_of: JsonOf) -> None:
    shown = json_of("tenant", "show", "legal")

    assert shown.items() >= (LEGAL | {"role": "legal_role", "admin_email": None, "deprovisioned_at": None}).items()
    assert {"created_at", "updated_at", "rows"} <= shown.keys()


def test_show_says_when_a_department_was_dropped(legal: Database, command: Run, json_of: JsonOf) -> None:
    command("tenant", "drop", "legal", "--yes")

    shown, document = command("tenant", "show", "legal"), json_of("tenant", "show", "legal")

    assert shown.status == 0
    assert re.search(rf"^dropped +{MOMENT}$", shown.stdout, re.MULTILINE)
    assert document["status"] == "DEPROVISIONED"
    assert document["deprovisioned_at"] is not None
    assert document["revision"] is None


def test_show_says_that_a_department_is_behind(legal: Database, command: Run) -> None:
    command("downgrade", "legal", "--to", "-1")

    assert re.search(
        r"^revision +tenant_0006_configuration \(behind\)$", command("tenant", "show", "legal").stdout, re.MULTILINE
    )


def test_show_of_an_unknown_department_lists_the_known_ones(legal: Database, command: Run, json_of: JsonOf) -> None:
    done = command("tenant", "show", "hr")

    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown department hr; the known ones are: legal\nhint: fedschema ")
    assert json_of("tenant", "show", "hr", status=2)["error"]["code"] == "unknown_department"


# ------------------------------------------------------------------------------------------------------------- sql


def test_sql_needs_no_database(nowhere: Run) -> None:
    done = nowhere("tenant", "sql", "legal", "--name", "Legal Department")

    assert (done.status, done.stderr) == (0, "")
    assert "CREATE SCHEMA legal_tenant" in done.stdout
    assert "'Legal Department'" in done.stdout
    assert "CREATE POLICY isolation" in done.stdout


def test_sql_writes_the_two_files_of_the_old_generator(nowhere: Run, tmp_path: Path) -> None:
    directory = tmp_path / "new" / "generated"

    done = nowhere("tenant", "sql", "legal", "--output-dir", str(directory))

    names = ["rls_policies_legal.sql", "schema_legal_tenant.sql"]
    assert done.status == 0, done.stderr
    assert sorted(path.name for path in directory.iterdir()) == names
    assert sorted(done.stdout.splitlines()) == [str(directory / name) for name in names]
    assert (directory / "schema_legal_tenant.sql").read_text() == nowhere("tenant", "sql", "legal").stdout
    policies = nowhere("tenant", "sql", "legal", "--rls-only").stdout
    assert (directory / "rls_policies_legal.sql").read_text() == policies


def test_sql_of_policies_alone_makes_nothing_else(nowhere: Run, tmp_path: Path) -> None:
    done = nowhere("tenant", "sql", "legal", "--rls-only")
    written = nowhere("tenant", "sql", "legal", "--rls-only", "--output-dir", str(tmp_path))

    assert done.status == written.status == 0
    assert "CREATE POLICY" in done.stdout
    assert not re.search(r"CREATE (TABLE|SCHEMA|ROLE|INDEX|FUNCTION)|GRANT|INSERT", done.stdout)
    assert [path.name for path in tmp_path.iterdir()] == ["rls_policies_legal.sql"]


POLICIES = {
    "all": {"isolation", "admin_bypass", "cross_dept_read", "reader"},
    "isolation": {"isolation"},
    "admin": {"admin_bypass"},
    "cross_dept": {"cross_dept_read", "reader"},
}


@pytest.mark.parametrize("kind", POLICIES)
def test_sql_of_one_kind_of_policy_holds_no_other(nowhere: Run, kind: str) -> None:
    done = nowhere("tenant", "sql", "legal", "--rls-only", "--policy-type", kind)

    assert set(re.findall(r"CREATE POLICY (\w+)", done.stdout)) == POLICIES[kind]


def test_sql_of_one_kind_of_policy_is_never_the_whole_schema(nowhere: Run) -> None:
    done = nowhere("tenant", "sql", "legal", "--policy-type", "isolation")

    assert done.status == 2 or set(re.findall(r"CREATE POLICY (\w+)", done.stdout)) == {"isolation"}


def test_sql_applied_again_changes_no_policy(legal: Database, nowhere: Run) -> None:
    question = """
        SELECT polrelid::regclass::text, polname, polcmd, polpermissive, polroles::regrole[]::text,
               pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)
        FROM pg_policy ORDER BY 1, 2
    """
    with legal.connect() as connection:
        before = connection.execute(question).fetchall()

        connection.pgconn.exec_(nowhere("tenant", "sql", "legal", "--rls-only").stdout.encode())

        assert connection.execute(question).fetchall() == before
    assert before


# ------------------------------------------------------------------------------------------------------------- env


def test_env_prints_lines_of_an_env_file_with_a_placeholder(legal: Database, command: Run) -> None:
    done = command("tenant", "env", "legal")

    server = legal.server
    lines = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert done.status == 0
    assert lines == {
        "DB_HOST": server.host,
        "DB_PORT": str(server.port),
        "DB_NAME": legal.name,
        "DB_SCHEMA": "legal_tenant",
        "DB_USER": "legal_role",
        "DB_PASSWORD": "<password>",
        "DEPARTMENT_ID": "legal",
        "DATABASE_URL": f"'postgresql://legal_role:<password>@{server.host}:{server.port}/{legal.name}'",
    }
    assert "<password>" in done.stderr


def test_env_as_a_document_has_no_password(legal: Database, json_of: JsonOf) -> None:
    server = legal.server

    assert json_of("tenant", "env", "legal") == {
        "DB_HOST": server.host,
        "DB_PORT": str(server.port),
        "DB_NAME": legal.name,
        "DB_SCHEMA": "legal_tenant",
        "DB_USER": "legal_role",
        "DEPARTMENT_ID": "legal",
        "DATABASE_URL": f"postgresql://legal_role@{server.host}:{server.port}/{legal.name}",
    }


def test_env_never_shows_the_operators_password(legal: Database, command: Run) -> None:
    done = command("tenant", "env", "legal")

    assert legal.server.password not in done.stdout + done.stderr


def test_env_makes_no_password_file(legal: Database, command: Run, tmp_path: Path) -> None:
    done = command("tenant", "env", "legal", "--password-file", str(tmp_path / "none"))

    assert done.status == 2
    assert list(tmp_path.iterdir()) == []


def test_env_of_a_dropped_department_is_refused(legal: Database, command: Run, json_of: JsonOf) -> None:
    command("tenant", "drop", "legal", "--yes")

    assert json_of("tenant", "env", "legal", status=2)["error"]["code"] == "unknown_department"


# ------------------------------------------------------------------------------------------------------------- drop


def test_drop_with_yes_says_what_went(legal: Database, command: Run) -> None:
    done = command("tenant", "drop", "legal", "--yes")

    assert (done.status, done.stderr) == (0, "")
    assert done.stdout == "department legal dropped: schema legal_tenant and role legal_role are gone\n"


def test_drop_as_a_document_says_what_was_lost(legal: Database, json_of: JsonOf) -> None:
    dropped = json_of("tenant", "drop", "legal", "--yes")

    assert (dropped["department_id"], dropped["status"]) == ("legal", "DEPROVISIONED")
    assert len(dropped["rows_lost"]) == 25


def test_drop_refused_is_an_error_document(legal: Database, json_of: JsonOf) -> None:
    refused = json_of("tenant", "drop", "legal", status=2, stdin="")

    assert set(refused["error"]) == {"code", "message", "hint"}
    assert traces(legal, "legal") == WHOLE
