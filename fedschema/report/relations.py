"""The tables of one department with their columns, and what leads from one to another."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from fedschema.department import Department
from fedschema.observation import Fleet

_COLUMNS = """
    SELECT class.relname::text AS table_name, attribute.attname::text AS name,
           pg_catalog.format_type(attribute.atttypid, attribute.atttypmod) AS type, attribute.attnotnull AS required,
           EXISTS (
               SELECT FROM pg_catalog.pg_constraint AS key
               WHERE key.conrelid = class.oid AND key.contype = 'p' AND attribute.attnum = ANY (key.conkey)
           ) AS in_key,
           EXISTS (
               SELECT FROM pg_catalog.pg_index AS sole
               WHERE sole.indrelid = class.oid AND sole.indisunique AND sole.indnkeyatts = 1
                 AND sole.indkey[0] = attribute.attnum AND sole.indpred IS NULL
           ) AS unique_alone
    FROM pg_catalog.pg_depend AS member
    JOIN pg_catalog.pg_class AS class ON class.oid = member.objid
    JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = class.oid
    WHERE member.refclassid = 'pg_catalog.pg_namespace'::regclass
      AND member.refobjid = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %s)
      AND member.classid = 'pg_catalog.pg_class'::regclass
      AND class.relkind IN ('r', 'p')
      AND class.relname <> 'alembic_version'
      AND attribute.attnum > 0
      AND NOT attribute.attisdropped
    ORDER BY class.relname, attribute.attnum
"""
_FOREIGN_KEYS = """
    SELECT bound.conname::text AS name, source.relname::text AS source_table, target.relname::text AS target_table,
           target_space.nspname::text AS target_schema,
           (SELECT attname::text FROM pg_catalog.pg_attribute
            WHERE attrelid = bound.conrelid AND attnum = bound.conkey[1]) AS source_column,
           (SELECT attname::text FROM pg_catalog.pg_attribute
            WHERE attrelid = bound.confrelid AND attnum = bound.confkey[1]) AS target_column
    FROM pg_catalog.pg_constraint AS bound
    JOIN pg_catalog.pg_class AS source ON source.oid = bound.conrelid
    JOIN pg_catalog.pg_class AS target ON target.oid = bound.confrelid
    JOIN pg_catalog.pg_namespace AS target_space ON target_space.oid = target.relnamespace
    WHERE bound.contype = 'f' AND bound.conparentid = 0
      AND bound.connamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %s)
    ORDER BY bound.conname, source.relname
"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        table_name: of which table.
        name: its name.
        type: as the server prints it.
        required: it is NOT NULL.
        in_key: it is part of the primary key.
        unique_alone: no two rows have the same in it.
    """

    table_name: str
    name: str
    type: str
    required: bool
    in_key: bool
    unique_alone: bool


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference that the database holds; of several columns the first are named."""

    name: str
    source_table: str
    target_table: str
    target_schema: str
    source_column: str
    target_column: str


@dataclass(frozen=True, slots=True)
class Link:
    """What leads from a column of one table to one of another.

    Attributes:
        source: the table and column that refer.
        target: the table and column that are referred to.
        held: the database holds it, rather than a name that both have.
    """

    source: tuple[str, str]
    target: tuple[str, str]
    held: bool


@dataclass(frozen=True, slots=True)
class Relations:
    """The tables of one department.

    Attributes:
        department: whose they are.
        tables: each with its columns, in their order.
        links: what leads from one to another.
        outside: foreign keys to tables of other schemas.
    """

    department: Department
    tables: dict[str, tuple[Column, ...]]
    links: tuple[Link, ...]
    outside: tuple[ForeignKey, ...]


def typical(fleet: Fleet) -> Department | None:
    """Return the first department of those at the place where most are; None when there is none."""
    places = Counter(p.revision for p in fleet.positions if not p.problem)
    most = next(iter(places.most_common(1)), (None, 0))[0]
    return next((p.entry.department for p in fleet.positions if p.revision == most and not p.problem), None)


def read(connection: psycopg.Connection, department: Department) -> Relations:
    """Read what tables a department has."""
    with connection.cursor(row_factory=class_row(Column)) as cursor:
        columns = cursor.execute(_COLUMNS, (department.schema,)).fetchall()
    with connection.cursor(row_factory=class_row(ForeignKey)) as cursor:
        keys = cursor.execute(_FOREIGN_KEYS, (department.schema,)).fetchall()
    tables: dict[str, list[Column]] = defaultdict(list)
    for column in columns:
        tables[column.table_name].append(column)
    held = [
        Link((key.source_table, key.source_column), (key.target_table, key.target_column), held=True)
        for key in keys
        if key.target_schema == department.schema
    ]
    outside = tuple(key for key in keys if key.target_schema != department.schema)
    shown = {name: tuple(own) for name, own in tables.items()}
    return Relations(department, shown, (*held, *_by_name(columns, held)), outside)


def _by_name(columns: Sequence[Column], held: Sequence[Link]) -> list[Link]:
    """Return what refers by its name alone: a column called as the unique one of exactly one other table.

    ``id`` means each table's own, and nothing elsewhere.
    """
    owners: dict[str, list[str]] = defaultdict(list)
    for column in columns:
        if column.unique_alone and column.name != "id":
            owners[column.name].append(column.table_name)
    bound = {link.source for link in held}
    return [
        Link((column.table_name, column.name), (owners[column.name][0], column.name), held=False)
        for column in columns
        if len(owners[column.name]) == 1
        and owners[column.name][0] != column.table_name
        and (column.table_name, column.name) not in bound
    ]
