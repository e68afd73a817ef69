"""No false alarm: a healthy database, however it is used, has no hole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from fedschema import administrators, audit_channel, gateways, passwords, validation
from fedschema.department import Department
from tests.cli.typing_in import type_in
from tests.conftest import ROOT, Database
from tests.validation.conftest import probed, told

HR, LEGAL, SALES = (Department(one) for one in ("hr", "legal", "sales"))


@pytest.fixture(scope="module", autouse=True)
def _in_use(walled: Database, root: psycopg.Connection) -> None:
    """Gateways, an administrator, grants of all kinds, and rows."""
    gateways.add(walled.conninfo, walled.compiler, "portal", [HR], passwords.generate())
    gateways.add(walled.conninfo, walled.compiler, "agents", [], passwords.generate())
    administrators.create(walled.conninfo, walled.compiler, "boss", passwords.generate())
    root.execute("""
        INSERT INTO federation.cross_dept_permissions
            (source_department_id, target_department_id, permission_type, resource_type, granted_by, expires_at)
        VALUES ('hr', 'sales', 'read', 'contacts', 'ann', NULL), ('hr', 'legal', 'read', '*', 'ann', 'infinity'),
               ('sales', 'hr', 'search', 'drive_documents', 'bob', now() + interval '1 day'),
               ('legal', 'hr', 'aggregate', 'emails', 'bob', NULL), ('sales', 'legal', 'read', 'emails', 'bob', now())
    """)
    with walled.login("sales_role") as sales:
        sales.execute("INSERT INTO contacts (department, contact_id, full_name) VALUES ('sales', 'c1', 'Ada')")
        sales.execute("INSERT INTO feature_flags (department, feature_name) VALUES ('sales', 'f1')")


@pytest.fixture
def changed(root: psycopg.Connection) -> Iterator[Callable[[str, str], None]]:
    """Do something for one test, and undo it."""
    undoing: list[str] = []

    def change(do: str, undo: str) -> None:
        root.execute(do)
        undoing.append(undo)

    yield change
    for undo in undoing:
        root.execute(undo)


def test_fleet_in_use_has_no_hole(walled: Database) -> None:
    found = probed(walled)

    assert told(found) == []
    assert found.remarks == ()
    assert found.pairs == 6


def test_suspended_department_has_no_hole(walled: Database, changed: Callable[[str, str], None]) -> None:
    changed(
        """UPDATE federation.departments SET status = 'SUSPENDED' WHERE department_id = 'sales';
           ALTER ROLE sales_role NOLOGIN; REVOKE USAGE ON SCHEMA sales_tenant FROM sales_role""",
        """UPDATE federation.departments SET status = 'ACTIVE' WHERE department_id = 'sales';
           ALTER ROLE sales_role LOGIN; GRANT USAGE ON SCHEMA sales_tenant TO sales_role""",
    )

    found = probed(walled)

    assert told(found) == []
    assert {(sight.source, sight.target) for sight in found.sights} == {("hr", "legal"), ("legal", "hr")}


def test_durable_audit_channel_is_no_hole(walled: Database) -> None:
    audit_channel.install(walled.conninfo, walled.compiler)
    try:
        assert told(probed(walled)) == []
    finally:
        audit_channel.remove(walled.conninfo, walled.compiler)


def test_audit_login_that_reads_secrets_is_a_hole(walled: Database, root: psycopg.Connection) -> None:
    audit_channel.install(walled.conninfo, walled.compiler)
    try:
        (login,) = root.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'federation_audit_%'").fetchone() or (
            "",
        )
        root.execute(f"GRANT SELECT ON federation.oauth_credentials TO {login}")
        (hole,) = probed(walled).holes
        assert (hole.check, hole.source, hole.object) == ("control_plane", login, "table oauth_credentials")
    finally:
        audit_channel.remove(walled.conninfo, walled.compiler)


def test_large_objects_for_everybody_are_a_remark_and_no_failure(
    walled: Database, changed: Callable[[str, str], None]
) -> None:
    changed(
        "GRANT EXECUTE ON FUNCTION pg_catalog.lo_create(oid) TO PUBLIC",
        "REVOKE EXECUTE ON FUNCTION pg_catalog.lo_create(oid) FROM PUBLIC",
    )

    found = probed(walled)

    assert found.ok
    (remark,) = found.remarks
    assert (remark.check, remark.object) == ("large_objects", "database fedschema_walls")
    assert "pg_catalog.lo_create(oid)" in (remark.mend or "")


def test_table_that_takes_no_row_is_a_remark_of_the_probe(
    walled: Database, changed: Callable[[str, str], None]
) -> None:
    changed(
        "ALTER TABLE hr_tenant.contacts ADD CONSTRAINT picky CHECK (length(contact_id) > 100)",
        "ALTER TABLE hr_tenant.contacts DROP CONSTRAINT picky",
    )

    found = probed(walled)

    assert [hole.check for hole in found.holes] == ["schema"]  # the CHECK is none of ours
    (remark,) = found.remarks
    assert (remark.target, remark.object) == ("hr", "table contacts")
    assert "it is empty, and no row could be put into it" in remark.message


def test_table_that_takes_no_row_is_tried_by_the_rows_it_has(
    walled: Database, root: psycopg.Connection, changed: Callable[[str, str], None]
) -> None:
    changed(
        "ALTER TABLE sales_tenant.contacts ADD CONSTRAINT picky CHECK (length(contact_id) > 100) NOT VALID",
        "ALTER TABLE sales_tenant.contacts DROP CONSTRAINT picky",
    )
    changed(
        "ALTER POLICY cross_dept_read ON sales_tenant.contacts USING (true)",
        "ALTER POLICY cross_dept_read ON sales_tenant.contacts "
        "USING ((SELECT federation.cross_dept_gate('sales', 'contacts')))",
    )

    tried = {(hole.source, hole.target, hole.object) for hole in probed(walled).holes if hole.check == "probe_gate"}

    assert tried == {("legal", "sales", "table contacts")}  # hr has a grant


def test_department_that_was_named_is_tried_against_everybody(walled: Database) -> None:
    found = validation.validate(walled.conninfo, walled.compiler, [HR], by_trying=True)

    assert found.departments == (HR,)
    assert found.pairs == 4
    assert found.ok


def test_sample_is_tried_among_itself(walled: Database) -> None:
    found = validation.validate(walled.conninfo, walled.compiler, [], by_trying=True, sample=2)

    assert len(found.departments) == found.pairs == 2
    assert found.ok


def test_hole_of_others_is_left_out_when_departments_are_named(
    walled: Database, changed: Callable[[str, str], None]
) -> None:
    changed("GRANT USAGE ON SCHEMA legal_tenant TO sales_role", "REVOKE USAGE ON SCHEMA legal_tenant FROM sales_role")

    assert validation.validate(walled.conninfo, walled.compiler, [HR], by_trying=True).ok
    assert not validation.validate(walled.conninfo, walled.compiler, [LEGAL]).ok
    assert not validation.validate(walled.conninfo, walled.compiler, [SALES]).ok


def test_matrix_has_what_is_in_force_and_through_whom(walled: Database) -> None:
    seen = {(one.source, one.target, one.permission, one.resource): one.why for one in probed(walled).sights}

    assert set(seen) == {
        ("hr", "legal", "read", "*"),
        ("hr", "sales", "read", "contacts"),
        ("legal", "hr", "aggregate", "emails"),
        ("sales", "hr", "search", "drive_documents"),
    }
    assert seen["hr", "sales", "read", "contacts"] == "granted by ann, through agents, portal"
    assert seen["legal", "hr", "aggregate", "emails"] == "granted by bob, through agents"
    assert seen["hr", "legal", "read", "*"] == "granted by ann, through agents, portal"
    assert seen["sales", "hr", "search", "drive_documents"].startswith("granted by bob until 2")
    assert "Z, through agents" in seen["sales", "hr", "search", "drive_documents"]


def test_matrix_says_so_when_no_gateway_speaks_for_a_department(
    walled: Database, changed: Callable[[str, str], None]
) -> None:
    changed(
        "CREATE TABLE public.kept AS SELECT * FROM federation.gateway_entitlements;"
        "DELETE FROM federation.gateway_entitlements",
        "INSERT INTO federation.gateway_entitlements SELECT * FROM public.kept; DROP TABLE public.kept",
    )

    whys = {sight.why for sight in probed(walled).sights if sight.target == "sales"}

    assert whys == {"granted by ann, but no gateway speaks for it yet"}


def test_disabled_grant_is_not_in_the_matrix(walled: Database, changed: Callable[[str, str], None]) -> None:
    changed(
        "UPDATE federation.cross_dept_permissions SET enabled = false WHERE resource_type = 'contacts'",
        "UPDATE federation.cross_dept_permissions SET enabled = true WHERE resource_type = 'contacts'",
    )

    found = probed(walled)

    assert found.ok
    assert not [sight for sight in found.sights if sight.resource == "contacts"]


def test_grant_that_a_gateway_cannot_use_is_named(walled: Database, changed: Callable[[str, str], None]) -> None:
    changed(
        "ALTER POLICY cross_dept_read ON sales_tenant.contacts USING (false)",
        "ALTER POLICY cross_dept_read ON sales_tenant.contacts "
        "USING ((SELECT federation.cross_dept_gate('sales', 'contacts')))",
    )

    named = [hole for hole in probed(walled).holes if hole.check == "probe_gate"]

    assert [(hole.source, hole.target, hole.object) for hole in named] == [("hr", "sales", "table contacts")]
    assert named[0].message == "it is granted, and a gateway cannot reach it"


@pytest.mark.parametrize("destination", ["-1", "base"])
def test_department_that_is_behind_has_no_hole(walled: Database, destination: str) -> None:
    down = type_in("downgrade", "legal", "--to", destination, "--yes", url=walled.url, cwd=ROOT)
    assert down.status == 0, down.stderr
    try:
        assert told(probed(walled)) == []
    finally:
        up = type_in("upgrade", "legal", url=walled.url, cwd=ROOT)
    assert up.status == 0, up.stderr
    assert told(probed(walled)) == []
