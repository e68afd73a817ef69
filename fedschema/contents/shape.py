"""What of a schema holds rows: tables with the columns that are written, and sequences.

Left out are the version table, which the revisions write, and what comes by itself: generated columns, and a
department's column `department`, whose default is the id, which a CHECK allows no other than. So rows carry no id, and
can be loaded under another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from fedschema.bundles import Sequence as Standing
from fedschema.department import Department

_MEMBERS = """
    FROM pg_catalog.pg_depend AS member
    JOIN pg_catalog.pg_class AS class ON class.oid = member.objid
    WHERE member.refclassid = 'pg_catalog.pg_namespace'::regclass
      AND member.refobjid = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(schema)s))
      AND member.classid = 'pg_catalog.pg_class'::regclass
"""
_TABLES = f"""
    SELECT class.relname::text AS name, class.relkind = 'p' AS partitioned,
           class.relowner = 'federation_owner'::regrole AS ours,
           ARRAY(
               SELECT attribute.attname::text FROM pg_catalog.pg_attribute AS attribute
               WHERE attribute.attrelid = class.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
                 AND attribute.attgenerated = ''
               ORDER BY attribute.attnum
           ) AS columns
    {_MEMBERS}
      AND class.relkind IN ('r', 'p') AND NOT class.relispartition AND class.relname <> 'alembic_version'
    ORDER BY class.relname
"""  # noqa: S608 - of our own parts
_SEQUENCES = f"""
    SELECT class.relname::text {_MEMBERS} AND class.relkind = 'S' ORDER BY class.relname
"""
_HOLES = """
    SELECT object, reason FROM federation.missing_walls(%s) WHERE reason IS NOT NULL AND object LIKE 'table %%'
"""

#: The column that says whose a row is.
OWN = "department"


@dataclass(frozen=True, slots=True)
class Shape:
    """A table that holds rows.

    Attributes:
        name: its name.
        partitioned: its rows are in partitions.
        ours: it is federation_owner's.
        columns: those that can be written, in order.
        hole: what is wrong with its walls, so that not everybody who should see its rows does; None when nothing is.
    """

    name: str
    partitioned: bool
    ours: bool
    columns: tuple[str, ...]
    hole: str | None = None

    def within(self, schema: str) -> sql.Composed:
        """Return it as something to read from: its own rows, not those of tables that inherit from it."""
        only = sql.SQL("" if self.partitioned else "ONLY ")
        return sql.SQL("{}{}").format(only, sql.Identifier(schema, self.name))


def tables(connection: psycopg.Connection, schema: str) -> list[Shape]:
    """Return the tables of a schema that hold rows, with all their columns, as federation_owner."""
    with connection.cursor(row_factory=class_row(_Found)) as cursor:
        found = cursor.execute(_TABLES.encode(), {"schema": schema}).fetchall()
    return [Shape(table.name, table.partitioned, table.ours, tuple(table.columns)) for table in found]


def department_tables(connection: psycopg.Connection, department: Department) -> list[Shape]:
    """Return a department's tables that hold rows, with what is wrong with the walls of each.

    Where nothing is, the column `department` is left out: it is the id in every row.
    """
    holes = {name.removeprefix("table "): reason for name, reason in connection.execute(_HOLES, (department.id,))}
    found: list[Shape] = []
    for table in tables(connection, department.schema):
        hole = holes.get(table.name)
        columns = table.columns if hole else tuple(column for column in table.columns if column != OWN)
        found.append(Shape(table.name, table.partitioned, table.ours, columns, hole))
    return found


def sequences(connection: psycopg.Connection, schema: str) -> list[Standing]:
    """Return where the sequences of a schema stand."""
    names = [name for (name,) in connection.execute(_SEQUENCES.encode(), {"schema": schema})]
    found: list[Standing] = []
    for name in names:
        question = sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema, name))
        row = connection.execute(question).fetchone()
        assert row is not None  # noqa: S101 - a sequence is one row
        found.append(Standing(name, *row))
    return found


def set_sequences(connection: psycopg.Connection, schema: str, standing: Sequence[Standing]) -> list[str]:
    """Put sequences where they stood and return the names of those that are not there."""
    there = {name for (name,) in connection.execute(_SEQUENCES.encode(), {"schema": schema})}
    for sequence in standing:
        if sequence.name in there:
            qualified = sql.Identifier(schema, sequence.name).as_string(connection)
            connection.execute(
                "SELECT pg_catalog.setval(%s::regclass, %s, %s)", (qualified, sequence.last_value, sequence.is_called)
            )
    return [sequence.name for sequence in standing if sequence.name not in there]


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    partitioned: bool
    ours: bool
    columns: list[str]
