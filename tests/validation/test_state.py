"""What the platform believes of its departments is compared with what is there."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from fedschema import inspection
from fedschema.compiler import Compiler
from fedschema.errors import LockTimeout
from fedschema.validation import validate
from tests.cli.typing_in import type_in
from tests.conftest import PROJECT, Database
from tests.validation.conftest import told

CASES = {
    "schema of nobody": (
        "CREATE SCHEMA ghost_tenant AUTHORIZATION federation_owner",
        "DROP SCHEMA ghost_tenant",
        [("registry: every department: schema ghost_tenant: it has the name of a department's, and our owner, "
         "and is nobody's")],
    ),
    "role of nobody": (
        ("CREATE ROLE ghost_role; "
        "COMMENT ON ROLE ghost_role IS 'fedschema: department ghost of database fedschema_walls'"),
        "DROP ROLE ghost_role",
        [("registry: every department: role ghost_role: it was made for a department of this database "
         "that is not there")],
    ),
    "no version table": (
        "ALTER TABLE hr_tenant.alembic_version RENAME TO version; DROP TABLE hr_tenant.version",
        ("SET ROLE federation_owner; "
        "CREATE TABLE hr_tenant.alembic_version (version_num varchar(128) CONSTRAINT alembic_version_pkc PRIMARY KEY); "
        "INSERT INTO hr_tenant.alembic_version VALUES ('tenant_0007_retention'); RESET ROLE"),
        ["registry: hr: table alembic_version: it is not there: nobody knows at which revision the department is"],
    ),
    "revision that nobody applied": (
        ("UPDATE federation.schema_migrations SET success = false, error_message = 'x' "
        "WHERE department_id = 'hr' AND migration_name = 'tenant_0007_retention'"),
        ("UPDATE federation.schema_migrations SET success = true, error_message = NULL "
        "WHERE department_id = 'hr' AND migration_name = 'tenant_0007_retention'"),
        ["history: hr: revision tenant_0007_retention: the version table has it, and the history never applied it"],
    ),
    "index that is gone": (
        "DROP INDEX hr_tenant.idx_tool_calls_status",
        ("SET ROLE federation_owner; "
        "CREATE INDEX idx_tool_calls_status ON hr_tenant.tool_calls (status, created_at DESC); RESET ROLE"),
        ["schema: hr: index idx_tool_calls_status on tool_calls: is missing"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("done", "undone", "named"), CASES.values(), ids=CASES)
def test_state_that_is_not_so_is_named_and_nothing_else(
    walled: Database, root: psycopg.Connection, done: str, undone: str, named: list[str]
) -> None:
    root.execute(done)
    try:
        found = validate(walled.conninfo, walled.compiler, [])
    finally:
        root.execute(undone)

    assert [line for line in told(found) if "alembic_version_pkc" not in line] == named
    assert validate(walled.conninfo, walled.compiler, []).ok


def test_checks_are_written_as_junit(walled: Database, root: psycopg.Connection, tmp_path: Path) -> None:
    root.execute("DROP INDEX hr_tenant.idx_tool_calls_status")
    try:
        done = type_in("validate", "--junit", str(tmp_path / "checks.xml"), url=walled.url)
    finally:
        root.execute(CASES["index that is gone"][1])

    assert done.status == 1
    suites = {suite.get("name"): suite for suite in ET.parse(tmp_path / "checks.xml").getroot()}  # noqa: S314 - ours
    assert {name: suite.get("failures") for name, suite in suites.items()} == {
        "hr": "1", "legal": "0", "sales": "0", "platform": "0",
    }  # fmt: skip
    (failed,) = [case for case in suites["hr"] if len(case)]
    assert (failed.get("classname"), failed.get("name")) == ("hr", "schema")
    assert "index idx_tool_calls_status on tool_calls: is missing" in str(failed[0].text)
    assert all(len(suite) == 17 == int(str(suite.get("tests"))) for suite in suites.values())


def test_junit_that_cannot_be_written_hides_no_finding(walled: Database, tmp_path: Path) -> None:
    done = type_in("validate", "--junit", str(tmp_path / "nowhere" / "checks.xml"), url=walled.url)

    assert done.status == 2
    assert "cannot be written" in done.stderr
    assert "all walls stand" in done.stdout


def test_read_only_server_is_validated_but_for_what_has_to_be_made(
    walled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conninfo = make_conninfo(walled.conninfo, options="-c default_transaction_read_only=on")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    found = validate(conninfo, Compiler(PROJECT), [])  # one that knows nothing yet

    assert found.ok
    assert [(remark.check, remark.target) for remark in found.remarks] == [
        ("schema", department) for department in ("hr", "legal", "sales")
    ]
    assert all("not compared" in remark.message and "read-only" in remark.message for remark in found.remarks)
    assert validate(walled.conninfo, Compiler(PROJECT), []).remarks == ()
    assert validate(conninfo, Compiler(PROJECT), []).remarks == ()  # what was kept then will do


def test_department_that_could_not_be_compared_is_not_sound(walled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(*_: object) -> None:
        raise LockTimeout("reading what departments look like", "somebody holds it")

    monkeypatch.setattr(inspection, "fingerprints", too_late)

    found = validate(walled.conninfo, walled.compiler, [])

    assert not found.ok
    assert {(hole.check, hole.target) for hole in found.holes} == {
        ("schema", department) for department in ("hr", "legal", "sales")
    }


def test_hole_in_a_wall_hides_no_other_drift_of_the_table(walled: Database, root: psycopg.Connection) -> None:
    root.execute("ALTER TABLE hr_tenant.tool_calls NO FORCE ROW LEVEL SECURITY")
    root.execute("DROP INDEX hr_tenant.idx_tool_calls_status")
    try:
        named = told(validate(walled.conninfo, walled.compiler, []))
    finally:
        root.execute("ALTER TABLE hr_tenant.tool_calls FORCE ROW LEVEL SECURITY")
        root.execute(CASES["index that is gone"][1])

    assert [line.partition(":")[0] for line in named] == ["walls", "schema"]
