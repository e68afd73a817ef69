"""`fedschema validate` as it is typed: exit status, words, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.cli.typing_in import type_in
from tests.conftest import ROOT, Database, Finished, _run


def _types(database: Database, *arguments: str) -> Finished:
    return type_in("validate", *arguments, url=database.url, cwd=ROOT)


@contextmanager
def _hole(root: psycopg.Connection) -> Iterator[None]:
    root.execute("GRANT sales_role TO hr_role")
    try:
        yield
    finally:
        root.execute("REVOKE sales_role FROM hr_role")


def _process(database: Database, *arguments: str) -> Finished:
    return _run([sys.executable, "-m", "fedschema", "validate", *arguments], database.url, ROOT)


def test_process_exits_with_0_then_1_then_0(walled: Database, root: psycopg.Connection) -> None:
    healthy = _process(walled, "--probe")
    with _hole(root):
        broken = _process(walled, "--probe")
    mended = _process(walled, "--probe")

    assert (healthy.status, broken.status, mended.status) == (0, 1, 0)
    assert healthy.stdout.splitlines()[-1] == (
        "3 departments, 22 checks, 6 pairs tried, nothing left behind: all walls stand"
    )
    assert "FAILED memberships" in broken.stdout
    assert "  hr -> sales: role hr_role: it is a member of sales_role" in broken.stdout
    assert "  to mend it: REVOKE sales_role FROM hr_role" in broken.stdout
    assert "  hr -> sales: table agent_context, table api_keys, table audit_trail and 22 more: it could read a row" in (
        broken.stdout
    )
    assert healthy.stderr == broken.stderr == ""


def test_matrix_marks_the_pair(walled: Database, root: psycopg.Connection) -> None:
    with _hole(root):
        shown = _types(walled, "--probe").stdout.splitlines()

    assert [line.split() for line in shown[:4]] == [
        ["may", "see", "of", "hr", "legal", "sales"],
        ["hr", "own", "-", "-!"],
        ["legal", "-", "own", "-"],
        ["sales", "-", "-", "own"],
    ]


def test_verbose_names_each_object(walled: Database, root: psycopg.Connection) -> None:
    with _hole(root):
        shown = _types(walled, "--probe", "--verbose").stdout

    assert "hr -> sales: table contacts: it could read a row" in shown
    assert "hr -> sales: table llm_usage_logs: it could read a row" in shown


def test_json_has_the_shape_that_is_promised(walled: Database, root: psycopg.Connection) -> None:
    with _hole(root):
        done = _types(walled, "--probe", "--json")
    document: dict[str, Any] = json.loads(done.stdout)

    assert done.status == 1
    assert set(document) == {"ok", "departments", "platform", "matrix", "pairs_tried", "remarks"}
    assert document["ok"] is False
    assert document["pairs_tried"] == 6
    assert document["matrix"] == []
    of = {one["department_id"]: one for one in document["departments"]}
    assert {name: one["ok"] for name, one in of.items()} == {"hr": False, "legal": True, "sales": False}
    assert all(set(one) == {"department_id", "ok", "checks"} for one in of.values())
    checks = {one["name"]: one for one in of["hr"]["checks"]}
    assert all(set(one) == {"name", "ok", "message", "details"} for one in checks.values())
    assert {name for name, one in checks.items() if not one["ok"]} == {"memberships", "probe_across"}
    assert checks["memberships"]["details"] == [
        {
            "check": "memberships",
            "source": "hr",
            "target": "sales",
            "object": "role hr_role",
            "message": "it is a member of sales_role",
            "mend": "REVOKE sales_role FROM hr_role",
        }
    ]
    assert checks["walls"]["details"] == []
    assert document["platform"]["ok"] is True


def test_json_has_the_platforms_holes_with_the_platform_and_with_each_department(
    walled: Database, root: psycopg.Connection
) -> None:
    root.execute("DROP TRIGGER keep_audit ON federation.security_audit")
    try:
        document = json.loads(_types(walled, "--json").stdout)
    finally:
        root.execute("""
            CREATE TRIGGER keep_audit BEFORE UPDATE OR DELETE OR TRUNCATE ON federation.security_audit
                FOR EACH STATEMENT EXECUTE FUNCTION federation.keep_audit()
        """)

    assert document["ok"] is False
    assert document["pairs_tried"] == 0
    failed = {one["department_id"] for one in document["departments"] if not one["ok"]}
    assert failed == {"hr", "legal", "sales"}
    assert document["platform"]["ok"] is False
    (broken,) = [check for check in document["platform"]["checks"] if not check["ok"]]
    assert broken["name"] == "decisions"
    assert broken["message"] == "every department: trigger keep_audit of table security_audit: it is missing"


def test_json_of_a_healthy_fleet(walled: Database) -> None:
    done = _types(walled, "--json")
    document = json.loads(done.stdout)

    assert done.status == 0
    assert document["ok"] is True
    assert document["platform"]["ok"] is True
    assert all(check["ok"] for one in document["departments"] for check in one["checks"])
    assert document["remarks"] == []


def test_remark_is_shown_and_is_no_failure(walled: Database, root: psycopg.Connection) -> None:
    root.execute("GRANT EXECUTE ON FUNCTION pg_catalog.lo_create(oid) TO PUBLIC")
    try:
        done = _types(walled)
    finally:
        root.execute("REVOKE EXECUTE ON FUNCTION pg_catalog.lo_create(oid) FROM PUBLIC")

    assert done.status == 0
    assert "remark: database fedschema_walls: every role may make large objects" in done.stdout
    assert "  to change it: as a superuser: REVOKE EXECUTE ON FUNCTION pg_catalog.lo_creat(integer)" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--sample", "5"), "--sample is for --probe"),
        (("--probe", "--sample", "1"), "'--sample': Input should be greater than or equal to 2"),
        (("ghost",), "unknown department ghost"),
        (("--probe", "ghost"), "unknown department ghost"),
        (("No Id",), "cannot be a department id"),
    ],
)
def test_what_cannot_be_meant_exits_with_2(walled: Database, arguments: tuple[str, ...], words: str) -> None:
    done = _types(walled, *arguments)

    assert done.status == 2
    assert words in done.stderr.replace("\n", " ")
    assert done.stdout == ""


def test_sample_is_drawn_and_tried(walled: Database) -> None:
    done = _types(walled, "--probe", "--sample", "2")

    assert done.status == 0
    assert done.stdout.splitlines()[-1].startswith("2 departments, 22 checks, 2 pairs tried")
