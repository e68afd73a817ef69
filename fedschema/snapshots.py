"""All that there is of one department at one moment, its schema and every row; and what of it differs later."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from fedschema import catalogue, inspection, samples
from fedschema.connections import owner_transaction
from fedschema.department import Department
from fedschema.downgrades import Loss, Lost
from fedschema.inspection import Description
from fedschema.rendering import Templates
from fedschema.samples import Table

#: A row by its columns, the numbers in it as they were written.
Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A department at one moment.

    Attributes:
        schema: what it looks like, as `fedschema drift` compares it.
        columns: the columns, by which something that is gone can be told from something that is called the same.
        tables: what can be written into.
        rows: of each of them, without what is computed from the rest.
    """

    schema: Description
    columns: tuple[catalogue.Column, ...]
    tables: Mapping[str, Table]
    rows: Mapping[str, Sequence[Row]]


def take(connection: psycopg.Connection, templates: Templates, department: Department) -> Snapshot:
    """Look at a department.

    Args:
        connection: a superuser's, from whom row-level security hides nothing; outside a transaction.
        templates: the project's.
        department: which one.
    """
    with owner_transaction(connection, "looking at a scratch department"):
        schema = inspection.descriptions(connection, templates, [department])[department]
        columns = tuple(catalogue.columns(connection, department.schema))
        tables = samples.tables(connection, department.schema)
        connection.execute("RESET ROLE")
        return Snapshot(schema, columns, tables, _rows(connection, department, tables))


def _rows(connection: psycopg.Connection, department: Department, tables: Mapping[str, Table]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {name: [] for name in tables}
    if tables:
        parts = [
            sql.SQL("SELECT {}, pg_catalog.row_to_json(one)::text FROM {} AS one").format(
                sql.Literal(name), sql.Identifier(department.schema, name)
            )
            for name in tables
        ]
        computed = {name: {one.name for one in table.columns if one.computed} for name, table in tables.items()}
        for name, text in connection.execute(sql.SQL(" UNION ALL ").join(parts)):
            row = json.loads(text, parse_int=str, parse_float=str)
            found[name].append({column: value for column, value in row.items() if column not in computed[name]})
    return found


def changes(before: Snapshot, after: Snapshot) -> dict[Loss, int]:
    """Return what of the rows is not as it was, and how many rows that concerns; both have the same tables."""
    found: dict[Loss, int] = {}
    for name, table in before.tables.items():
        for loss, rows in _changed(table, before.rows[name], after.rows.get(name, ())):
            found[loss] = found.get(loss, 0) + rows
    return found


def _changed(table: Table, before: Sequence[Row], after: Sequence[Row]) -> Iterator[tuple[Loss, int]]:
    """Compare rows with those that have the same key; without one, those that are nowhere as they were."""
    if not table.key:
        yield from _unkeyed(table, before, after)
        return
    theirs = {_key(table, row): row for row in after}
    mine = {_key(table, row): row for row in before}
    if gone := len(mine.keys() - theirs.keys()):
        yield Loss(Lost.ROWS, table.name), gone
    if new := len(theirs.keys() - mine.keys()):
        yield Loss(Lost.LEFT, table.name), new
    for key, row in mine.items():
        if key in theirs:
            for column in row:
                if row[column] != theirs[key].get(column):
                    yield Loss(_kind(row[column]), table.name, column), 1


def _unkeyed(table: Table, before: Sequence[Row], after: Sequence[Row]) -> Iterator[tuple[Loss, int]]:
    mine, theirs = Counter(map(_whole, before)), Counter(map(_whole, after))
    gone, new = (mine - theirs).total(), (theirs - mine).total()
    if gone > new:
        yield Loss(Lost.ROWS, table.name), gone - new
    elif new > gone:
        yield Loss(Lost.LEFT, table.name), new - gone
    elif gone:
        for column in table.columns:
            was = Counter(json.dumps(row.get(column.name)) for row in before)
            now = Counter(json.dumps(row.get(column.name)) for row in after)
            if was != now:
                nulls_only = set(was - now) == {"null"}
                yield Loss(Lost.FILLED if nulls_only else Lost.VALUES, table.name, column.name), (was - now).total()


def _key(table: Table, row: Row) -> str:
    return json.dumps([row[column] for column in table.key])


def _whole(row: Row) -> str:
    return json.dumps(row, sort_keys=True)


def _kind(value: object) -> Lost:
    return Lost.FILLED if value is None else Lost.VALUES
