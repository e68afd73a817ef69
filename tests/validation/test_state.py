"""What the platform believes of its departments is compared with what is there."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import psycopg
import pytest

from fedschema.validation import validate
from tests.cli.typing_in import type_in
from tests.conftest import Database
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


def test_junit_that_cannot_be_written_is_wrong_usage(walled: Database, tmp_path: Path) -> None:
    done = type_in("validate", "--junit", str(tmp_path / "nowhere" / "checks.xml"), url=walled.url)

    assert done.status == 2
    assert "cannot be written" in done.stderr
