"""Looks at what is really there: schemas, tables, columns, rows, roles. Reads only.

Questions about one schema go through pg_depend, which is indexed by schema; pg_class is not, and holds 186 rows for
each department of the fleet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import class_row

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
_VISIBLE_TO_ADMIN = """
    SELECT name
    FROM unnest(%(names)s::text[]) AS name
    WHERE pg_catalog.has_schema_privilege('federation_admin_role', %(schema)s, 'USAGE')
      AND pg_catalog.has_table_privilege('federation_admin_role', format('%%I.%%I', %(schema)s::text, name), 'SELECT')
"""


#: By name rather than by to_regclass, which fails on a schema that is somebody else's.
_HAVING = """
    SELECT namespace.nspname::text
    FROM pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE class.relname = %(table)s AND class.relkind IN ('r', 'p') AND namespace.nspname = ANY(%(schemas)s)
      AND pg_catalog.has_schema_privilege(namespace.oid, 'USAGE')
      AND pg_catalog.has_table_privilege(class.oid, 'SELECT')
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


def schemas_with(connection: psycopg.Connection, table: str, schemas: Sequence[str]) -> set[str]:
    """Return those of the schemas that have a table of that name, which may be read."""
    return {row[0] for row in connection.execute(_HAVING, {"table": table, "schemas": list(schemas)})}


def holds_nothing(connection: psycopg.Connection, schema: str, table: str) -> bool:
    """Tell whether a table has no page, so that nothing done to it takes time."""
    row = connection.execute(
        "SELECT pg_catalog.pg_relation_size(pg_catalog.to_regclass(pg_catalog.format('%%I.%%I', %s::text, %s::text)))",
        (schema, table),
    ).fetchone()
    return row is not None and row[0] == 0


def tables(connection: psycopg.Connection, schema: str) -> list[str]:
    """Return the tables of a schema but its version table, by name; empty when there is no such schema."""
    return [row[0] for row in connection.execute(_TABLES, {"schema": schema})]


def columns(connection: psycopg.Connection, schema: str) -> list[Column]:
    """Return the columns of all tables of a schema but its version table."""
    with connection.cursor(row_factory=class_row(Column)) as cursor:
        return cursor.execute(_COLUMNS, {"schema": schema}).fetchall()


def count_rows(connection: psycopg.Connection, schema: str, names: Iterable[str]) -> dict[str, int]:
    """Count the rows of tables, all of them.

    FORCE hides rows from the owner too, so the transaction steps into federation_admin_role for the question, where
    that role may ask it: not for the control plane, nor for a table that somebody made by hand.
    """
    wanted = list(names)
    if not wanted:
        return {}
    visible = {row[0] for row in connection.execute(_VISIBLE_TO_ADMIN, {"schema": schema, "names": wanted})}
    as_owner = {name: sql.SQL("count(*)") for name in wanted if name not in visible}
    as_admin = {name: sql.SQL("count(*)") for name in wanted if name in visible}
    counted = _ask_each(connection, schema, as_owner, "federation_owner")
    counted |= _ask_each(connection, schema, as_admin, "federation_admin_role")
    return {name: counted[name] for name in wanted}


def count_values(connection: psycopg.Connection, schema: str, table: str, column: str) -> int:
    """Count the rows of a department's table whose column holds a value."""
    question = {table: sql.SQL("count({})").format(sql.Identifier(column))}
    return _ask_each(connection, schema, question, "federation_admin_role")[table]


def _ask_each(
    connection: psycopg.Connection, schema: str, questions: Mapping[str, sql.Composable], role: str
) -> dict[str, int]:
    """Ask one aggregate of each table, as a role, in one query."""
    if not questions:
        return {}
    parts = [
        sql.SQL("SELECT {}, {} FROM {}").format(sql.Literal(table), aggregate, sql.Identifier(schema, table))
        for table, aggregate in questions.items()
    ]
    with connection.transaction():
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        found: dict[str, int] = dict(connection.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall())
        connection.execute("SET LOCAL ROLE federation_owner")
    return found
