"""Walls 2 to 4 as the catalogue has them: on every table exactly its walls, and owned by nobody who can log in."""

import psycopg
import pytest

from tests.security.conftest import DEPARTMENTS, SHARED, TABLES, value

#: The functions that belong to the reader and to the retention role: see test_functions.DEFINERS.
LENT = [
    *[f"{department_id}_tenant.search_documents(text,integer)" for department_id in DEPARTMENTS],
    "federation.search(text,text,text,integer)",
    "federation.aggregate(text,text,text,text)",
    "federation.cleanup_old_audit_logs()",
    "federation.cleanup_old_security_audit()",
]

EVERY_TABLE = [(department_id, table) for department_id in DEPARTMENTS for table in TABLES]


@pytest.mark.parametrize(("department_id", "table"), EVERY_TABLE)
def test_table_has_exactly_its_policies(root: psycopg.Connection, department_id: str, table: str) -> None:
    own = f"((department)::text = '{department_id}'::text)"
    expected: set[tuple[object, ...]] = {
        ("isolation", True, "*", (f"{department_id}_role",), own, own),
        ("admin_bypass", True, "*", ("federation_admin_role",), "true", own),
    }
    if table in SHARED:
        gate = f"federation.cross_dept_gate('{department_id}'::text, '{SHARED[table]}'::text)"
        asked_once = f"( SELECT {gate} AS cross_dept_gate)"
        expected |= {
            ("cross_dept_read", True, "r", ("cross_dept_query_role",), asked_once, None),
            ("reader", True, "r", ("federation_reader_role",), "true", None),
        }
    found = root.execute(
        """
        SELECT polname::text, polpermissive, polcmd::text,
               ARRAY(SELECT coalesce(rolname::text, 'public') FROM unnest(polroles) AS role
                     LEFT JOIN pg_roles ON pg_roles.oid = role),
               pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)
        FROM pg_policy WHERE polrelid = %s::regclass
        """,
        (f"{department_id}_tenant.{table}",),
    ).fetchall()
    assert {(name, permissive, command, tuple(roles), *rest) for name, permissive, command, roles, *rest in found} == (
        expected
    )


@pytest.mark.parametrize(("department_id", "table"), EVERY_TABLE)
def test_table_has_row_security_enabled_and_forced(root: psycopg.Connection, department_id: str, table: str) -> None:
    found = root.execute(
        """
        SELECT relrowsecurity, relforcerowsecurity, relkind::text, relpersistence::text
        FROM pg_class WHERE oid = %s::regclass
        """,
        (f"{department_id}_tenant.{table}",),
    ).fetchone()
    assert found == (True, True, "r", "p")


@pytest.mark.parametrize(("department_id", "table"), EVERY_TABLE)
def test_table_has_a_check_of_its_department(root: psycopg.Connection, department_id: str, table: str) -> None:
    found = root.execute(
        """
        SELECT convalidated, connoinherit, pg_get_expr(conbin, conrelid) FROM pg_constraint
        WHERE conrelid = %s::regclass AND conname = %s
        """,
        (f"{department_id}_tenant.{table}", f"{table}_department_check"),
    ).fetchall()
    assert found == [(True, False, f"((department)::text = '{department_id}'::text)")]


@pytest.mark.parametrize(("department_id", "table"), EVERY_TABLE)
def test_column_of_the_department_is_filled_and_required(
    root: psycopg.Connection, department_id: str, table: str
) -> None:
    found = root.execute(
        """
        SELECT attnotnull, format_type(atttypid, atttypmod), pg_get_expr(adbin, adrelid)
        FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = %s::regclass AND attname = 'department'
        """,
        (f"{department_id}_tenant.{table}",),
    ).fetchone()
    assert found == (True, "character varying(100)", f"'{department_id}'::character varying")


def test_no_other_table_of_the_database_has_policies(root: psycopg.Connection) -> None:
    assert value(root, "SELECT count(DISTINCT polrelid) FROM pg_policy") == len(EVERY_TABLE)


def test_everything_of_ours_belongs_to_the_owner(root: psycopg.Connection) -> None:
    """Tables, sequences, indexes, types and the schemas themselves; and functions, but for those in LENT."""
    found = root.execute(
        """
        WITH ours AS (
            SELECT oid FROM pg_namespace WHERE nspname IN ('hr_tenant', 'sales_tenant', 'federation')
        ), owned (owner) AS (
            SELECT nspowner FROM pg_namespace WHERE oid IN (SELECT oid FROM ours)
            UNION ALL SELECT relowner FROM pg_class WHERE relnamespace IN (SELECT oid FROM ours)
            UNION ALL SELECT proowner FROM pg_proc
            WHERE pronamespace IN (SELECT oid FROM ours) AND oid <> ALL (%s::regprocedure[])
            UNION ALL SELECT typowner FROM pg_type WHERE typnamespace IN (SELECT oid FROM ours)
        )
        SELECT owner::regrole::text, count(*) > 100 FROM owned GROUP BY owner
        """,
        (LENT,),
    ).fetchall()
    assert found == [("federation_owner", True)]


def test_no_foreign_key_leads_out_of_a_department(root: psycopg.Connection) -> None:
    """Checks of foreign keys pass by row-level security, so one between departments would tell what is there."""
    found = root.execute(
        """
        SELECT conname FROM pg_constraint
        JOIN pg_class AS one ON one.oid = conrelid
        JOIN pg_class AS other ON other.oid = confrelid
        WHERE contype = 'f' AND one.relnamespace <> other.relnamespace
        """
    ).fetchall()
    assert found == []


def test_no_table_is_in_schema_public(root: psycopg.Connection) -> None:
    assert value(root, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == 0
