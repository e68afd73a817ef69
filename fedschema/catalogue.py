"""Looks at what is really there: schemas, tables, columns, rows, roles. Reads only.

Questions about one schema go through pg_depend, which is indexed by schema; pg_class is not, and holds 186 rows for
each department of the fleet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from fedschema.department import Department

_TABLES = """
    SELECT class.relname AS name
    FROM pg_catalog.pg_depend AS member
    JOIN pg_catalog.pg_class AS class ON class.oid = member.objid
    WHERE member.refclassid = 'pg_catalog.pg_namespace'::regclass
      AND member.refobjid = pg_catalog.to_regnamespace(%(schema)s)
      AND member.classid = 'pg_catalog.pg_class'::regclass
      AND class.relkind IN ('r', 'p')
      AND class.relname <> 'alembic_version'
    ORDER BY class.relname
"""
_COLUMNS = """
    SELECT class.oid::bigint AS table_oid, class.relname AS table_name, attribute.attnum AS number,
           attribute.attname AS column_name
    FROM pg_catalog.pg_depend AS member
    JOIN pg_catalog.pg_class AS class ON class.oid = member.objid
    JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = class.oid
    WHERE member.refclassid = 'pg_catalog.pg_namespace'::regclass
      AND member.refobjid = pg_catalog.to_regnamespace(%(schema)s)
      AND member.classid = 'pg_catalog.pg_class'::regclass
      AND class.relkind IN ('r', 'p')
      AND class.relname <> 'alembic_version'
      AND attribute.attnum > 0
      AND NOT attribute.attisdropped
"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of one table; the numbers stay the same when something is renamed."""

    table_oid: int
    table_name: str
    number: int
    column_name: str

    @property
    def key(self) -> tuple[int, int]:
        """What identifies the column."""
        return self.table_oid, self.number


def tables(connection: psycopg.Connection, schema: str) -> list[str]:
    """Return the tables of a schema but its version table, by name; empty when there is no such schema."""
    return [row[0] for row in connection.execute(_TABLES, {"schema": schema})]


def columns(connection: psycopg.Connection, schema: str) -> list[Column]:
    """Return the columns of all tables of a schema but its version table."""
    with connection.cursor(row_factory=class_row(Column)) as cursor:
        return cursor.execute(_COLUMNS, {"schema": schema}).fetchall()


def count_rows(connection: psycopg.Connection, schema: str, names: Iterable[str]) -> dict[str, int]:
    """Count the rows of tables, all of them, in one query.

    FORCE hides rows from the owner too, so the transaction steps into federation_admin_role for the question.
    """
    return _ask_each(connection, schema, {name: sql.SQL("count(*)") for name in names})


def count_values(connection: psycopg.Connection, schema: str, table: str, column: str) -> int:
    """Count the rows of a table whose column holds a value."""
    return _ask_each(connection, schema, {table: sql.SQL("count({})").format(sql.Identifier(column))})[table]


def _ask_each(connection: psycopg.Connection, schema: str, questions: Mapping[str, sql.Composable]) -> dict[str, int]:
    """Ask one aggregate of each table, as the role that sees all rows."""
    if not questions:
        return {}
    parts = [
        sql.SQL("SELECT {}, {} FROM {}").format(sql.Literal(table), aggregate, sql.Identifier(schema, table))
        for table, aggregate in questions.items()
    ]
    with connection.transaction():
        connection.execute("SET LOCAL ROLE federation_admin_role")
        found: dict[str, int] = dict(connection.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall())
        connection.execute("SET LOCAL ROLE federation_owner")
    return found


@dataclass(frozen=True, slots=True)
class Shell:
    """What is there of a department outside its tables.

    Attributes:
        role_comment: the comment on its role; None when there is no such role.
        has_schema: its schema exists.
        has_version_table: its version table exists.
    """

    role_comment: str | None
    has_schema: bool
    has_version_table: bool


def shell(connection: psycopg.Connection, department: Department) -> Shell:
    """Look whether a department's role, schema and version table are there."""
    with connection.cursor(row_factory=class_row(Shell)) as cursor:
        cursor.execute(
            """
            SELECT
                (SELECT coalesce(pg_catalog.shobj_description(oid, 'pg_authid'), '')
                 FROM pg_catalog.pg_roles WHERE rolname = %(role)s) AS role_comment,
                pg_catalog.to_regnamespace(%(schema)s) IS NOT NULL AS has_schema,
                pg_catalog.to_regclass(%(schema)s || '.alembic_version') IS NOT NULL AS has_version_table
            """,
            {"role": department.role, "schema": department.schema},
        )
        found = cursor.fetchone()
    assert found is not None  # noqa: S101 - the query always gives one row
    return found
