"""What the catalogue says of tables: as much as it takes to write rows that they accept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from fedschema import catalogue

_COLUMNS = """
    WITH RECURSIVE base AS (
        SELECT oid, oid AS base, typtypmod AS typmod FROM pg_catalog.pg_type WHERE typtype <> 'd'
        UNION ALL
        SELECT domain.oid, base.base, CASE WHEN domain.typtypmod >= 0 THEN domain.typtypmod ELSE base.typmod END
        FROM pg_catalog.pg_type AS domain JOIN base ON base.oid = domain.typbasetype WHERE domain.typtype = 'd'
    )
    SELECT class.relname::text, attribute.attnum, attribute.attname::text,
        pg_catalog.format_type(base.base, CASE WHEN attribute.atttypmod >= 0 THEN attribute.atttypmod
                                               ELSE base.typmod END),
        type.typname::text,
        attribute.attnotnull OR declared.typnotnull, pg_catalog.pg_get_expr(adbin, adrelid),
        attribute.attgenerated <> '' OR attribute.attidentity = 'a', attribute.attidentity <> '',
        coalesce((SELECT pg_catalog.array_agg(enumlabel::text ORDER BY enumsortorder)
                  FROM pg_catalog.pg_enum WHERE enumtypid IN (type.oid, type.typelem)), '{}'),
        CASE WHEN type.typelem <> 0 AND type.typcategory = 'A'
             THEN pg_catalog.format_type(type.typelem, attribute.atttypmod) END,
        (SELECT pg_catalog.array_agg(pg_catalog.format_type(part.atttypid, part.atttypmod) ORDER BY part.attnum)
         FROM pg_catalog.pg_attribute AS part
         WHERE part.attrelid = type.typrelid AND type.typtype = 'c' AND part.attnum > 0 AND NOT part.attisdropped),
        (SELECT pg_catalog.array_agg(pg_catalog.pg_get_constraintdef(bound.oid))
         FROM pg_catalog.pg_constraint AS bound WHERE bound.contypid = attribute.atttypid AND bound.contype = 'c')
    FROM pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = class.oid
    JOIN pg_catalog.pg_type AS declared ON declared.oid = attribute.atttypid
    JOIN base ON base.oid = attribute.atttypid
    JOIN pg_catalog.pg_type AS type ON type.oid = base.base
    LEFT JOIN pg_catalog.pg_attrdef ON adrelid = attribute.attrelid AND adnum = attribute.attnum
    WHERE class.relnamespace = pg_catalog.to_regnamespace(%(schema)s) AND class.relname = ANY(%(tables)s)
      AND class.relkind IN ('r', 'p') AND NOT class.relispartition
      AND attribute.attnum > 0 AND NOT attribute.attisdropped
    ORDER BY class.relname, attribute.attnum
"""
_CONSTRAINTS = """
    SELECT class.relname::text, bound.contype::text, bound.conname::text, bound.conkey,
        pg_catalog.pg_get_expr(bound.conbin, bound.conrelid), other.relname::text, namespace.nspname::text,
        (SELECT pg_catalog.array_agg(attname::text ORDER BY place)
         FROM unnest(bound.confkey) WITH ORDINALITY AS key (number, place)
         JOIN pg_catalog.pg_attribute ON attrelid = bound.confrelid AND attnum = number),
        pg_catalog.pg_get_constraintdef(bound.oid)
    FROM pg_catalog.pg_constraint AS bound
    JOIN pg_catalog.pg_class AS class ON class.oid = bound.conrelid
    LEFT JOIN pg_catalog.pg_class AS other ON other.oid = bound.confrelid
    LEFT JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = other.relnamespace
    WHERE class.relnamespace = pg_catalog.to_regnamespace(%(schema)s) AND class.relname = ANY(%(tables)s)
      AND bound.contype IN ('c', 'p', 'u', 'f', 'x')
    ORDER BY class.relname, bound.conname
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        number: its place in pg_attribute.
        name: its name.
        type: as SQL has it, of a domain the type below; with its modifier.
        kind: the type's bare name: ``int4``, ``varchar``, ``_text``.
        not_null: it has to hold a value, by itself or by its domain.
        default: the expression, or None.
        made: the server makes its values and takes no other.
        identity: a sequence is part of it.
        labels: of an enum, or of an array of them.
        element: of an array, the type of its elements.
        parts: of a composite type, the types of its columns.
        domain_checks: what its domain asks, as ``CHECK (…)``.
    """

    number: int
    name: str
    type: str
    kind: str
    not_null: bool
    default: str | None
    made: bool
    identity: bool
    labels: tuple[str, ...]
    element: str | None
    parts: tuple[str, ...]
    domain_checks: tuple[str, ...]

    @property
    def computed(self) -> bool:
        """It is made of other columns."""
        return self.made and not self.identity

    @property
    def counts_by_itself(self) -> bool:
        """Its default is another value each time, so that it is left to the server."""
        return self.identity or any(word in (self.default or "") for word in ("nextval(", "uuid", "random("))


@dataclass(frozen=True, slots=True)
class Check:
    """A CHECK: its name, the columns that it reads, and the expression."""

    name: str
    columns: tuple[str, ...]
    expression: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key: its columns, and what they refer to."""

    columns: tuple[str, ...]
    schema: str
    table: str
    referred: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        name: its name.
        columns: in order.
        checks, references: its constraints.
        key: the columns of its primary key; empty without one.
        definitions: all its constraints as SQL has them, for comparing.
    """

    name: str
    columns: tuple[Column, ...]
    checks: tuple[Check, ...]
    references: tuple[Reference, ...]
    key: tuple[str, ...]
    definitions: tuple[str, ...]

    @property
    def refers_to(self) -> set[str]:
        """The other tables that have to hold rows first."""
        return {reference.table for reference in self.references} - {self.name}


def tables(connection: psycopg.Connection, schema: str) -> dict[str, Table]:
    """Return the tables of a schema but its version table, those first that others refer to."""
    names = catalogue.tables(connection, schema)
    asked = {"schema": schema, "tables": names}
    columns: dict[str, list[Column]] = defaultdict(list)
    for table, number, name, type_, kind, *rest in connection.execute(_COLUMNS, asked):
        not_null, default, made, identity, labels, element, parts, checks = rest
        columns[table].append(
            Column(
                number, name, type_, kind, not_null, default, made, identity, tuple(labels), element,
                tuple(parts or ()), tuple(checks or ()),
            )
        )  # fmt: skip
    bound: dict[str, list[Sequence[object]]] = defaultdict(list)
    for table, *constraint in connection.execute(_CONSTRAINTS, asked):
        bound[table].append(constraint)
    return _ordered({name: _table(name, columns[name], bound[name]) for name in names if name in columns})


def _table(name: str, columns: list[Column], bound: list[Sequence[object]]) -> Table:
    names = {column.number: column.name for column in columns}
    checks, references, definitions = [], [], []
    key: tuple[str, ...] = ()
    for kind, title, numbers, expression, other, schema, referred, definition in bound:
        mine = tuple(names[number] for number in (numbers or ()) if number in names)  # type: ignore[attr-defined] # an array of the server's
        definitions.append(str(definition))
        match kind:
            case "c":
                checks.append(Check(str(title), mine, str(expression)))
            case "f":
                references.append(Reference(mine, str(schema), str(other), tuple(referred)))  # type: ignore[arg-type] # as above
            case "p":
                key = mine
    return Table(name, tuple(columns), tuple(checks), tuple(references), key, tuple(definitions))


def _ordered(found: dict[str, Table]) -> dict[str, Table]:
    """Put those first that others refer to; of a circle, whichever comes first by name."""
    ordered: dict[str, Table] = {}
    left = dict(found)
    while left:
        free = [name for name, table in left.items() if not (table.refers_to & left.keys())]
        for name in free or [next(iter(left))]:
            ordered[name] = left.pop(name)
    return ordered
