"""Writes rows into tables: values that meet the CHECKs are chosen by the server itself, from those that could.

Columns that share a CHECK are chosen together. What a unique index, a trigger or an exclusion refuses is tried again
with other values; a table that takes none of them stays empty, and whoever asked hears why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from fedschema.samples import values
from fedschema.samples.structure import Column, Reference, Table

#: A row as it is written: the values by column, as texts; what is left out gets its default.
Row = dict[str, str | None]

#: How many rows a table is given: one that is full, another, one with as little as may be, one with long texts.
_FLAVOURS = ("full", "full", "sparse", "long")
#: How many values are combined at most for columns that share a CHECK, and how many of what comes out is looked at.
_COMBINATIONS = 8_000
_CHOICES = 40
#: How often another row is tried in place of one that is refused.
_ATTEMPTS = 12


@dataclass(frozen=True, slots=True)
class _Cluster:
    """Columns that share CHECKs, and the expressions."""

    columns: tuple[Column, ...]
    expressions: tuple[str, ...]


def fill(connection: psycopg.Connection, schema: str, tables: Iterable[Table], first: int) -> dict[str, str]:
    """Write a few rows into each of some tables, and return those that took none, each with the reason.

    Args:
        connection: as somebody whom row-level security does not stop, inside a transaction.
        schema: whose tables they are.
        tables: in the order of their references, as `fedschema.samples.tables` has them.
        first: a number from which on values are made; another one each time, so that they differ.
    """
    return {
        table.name: reason for table in tables if (reason := _Filler(connection, schema, table).fill(first)) is not None
    }


class _Filler:
    """Fills one table."""

    def __init__(self, connection: psycopg.Connection, schema: str, table: Table) -> None:
        self._connection = connection
        self._schema = schema
        self._table = table
        self._referring = {name for reference in table.references for name in reference.columns}
        self._clusters = list(_clusters(table))
        self._refused = "no values were found that it takes"

    def fill(self, first: int) -> str | None:
        """Write the rows; return why there is none, or None."""
        written = 0
        for number, flavour in enumerate(_FLAVOURS):
            written += self._one(flavour, first + number)
        return None if written else self._refused

    def _one(self, flavour: str, n: int) -> bool:
        """Write one row, in one of several ways."""
        for attempt in range(_ATTEMPTS):
            row = self._row(flavour, n + attempt * 1000, attempt)
            if row is None:
                return False
            try:
                with self._connection.transaction():
                    self._insert(row)
            except psycopg.Error as error:
                self._refused = " ".join((error.diag.message_primary or str(error)).split())
            else:
                return True
        return False

    def _insert(self, row: Row) -> None:
        target = sql.Identifier(self._schema, self._table.name)
        if not row:
            self._connection.execute(sql.SQL("INSERT INTO {} DEFAULT VALUES").format(target))
            return
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            target,
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() for _ in row),
        )
        self._connection.execute(statement, list(row.values()))
        self._connection.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def _row(self, flavour: str, n: int, attempt: int) -> Row | None:
        """Choose the values of a row; None when nothing meets a CHECK."""
        row: Row = {}
        for cluster in self._clusters:
            chosen = self._chosen(cluster, flavour, n, attempt)
            if chosen is None:
                return None
            row |= chosen
        for reference in self._table.references:
            row |= self._referred(reference, row, flavour, n)
        return row

    def _chosen(self, cluster: _Cluster, flavour: str, n: int, attempt: int) -> Row | None:
        free = [
            column for column in cluster.columns if self._is_free(column, flavour, checked=bool(cluster.expressions))
        ]
        lists = {column.name: self._candidates(column, cluster.expressions, flavour, n) for column in free}
        if not cluster.expressions:
            return {
                column.name: lists[column.name][attempt % len(lists[column.name])]
                for column in free
                if lists[column.name]
            }
        choices = list(self._meeting(cluster, lists))
        if not choices:
            names = ", ".join(column.name for column in cluster.columns)
            self._refused = f"no value was found for {names} that meets {' and '.join(cluster.expressions)}"
            return None
        by_nulls = sorted(
            choices, key=lambda row: sum(value is None for value in row.values()), reverse=flavour == "sparse"
        )
        return by_nulls[attempt % len(by_nulls)] if attempt else by_nulls[0]

    def _is_free(self, column: Column, flavour: str, *, checked: bool) -> bool:
        """Tell whether a value is to be chosen: not for what the server makes, nor for what a reference gives."""
        if column.made or column.name in self._referring or column.counts_by_itself:
            return False
        if flavour == "sparse" and column.default is not None and not checked:
            return False
        return column.default is None or values.is_known(column)

    def _candidates(self, column: Column, expressions: Sequence[str], flavour: str, n: int) -> list[str | None]:
        """Return what a column may take, the first first."""
        asked = [*expressions, *column.domain_checks]
        texts = values.of(column, n, asked)
        known: list[str | None] = [*(texts if values.are_sure(column, asked) else self._readable(column, texts))]
        if flavour == "long" and values.is_textual(column):
            known.insert(0, values.longest(column, n))
        if not column.not_null:
            known.insert(0 if flavour == "sparse" or not known else len(known), None)
        return known

    def _readable(self, column: Column, texts: list[str]) -> list[str]:
        """Leave out what the server cannot read as a value of the column's type."""
        try:
            with self._connection.transaction():
                self._connection.execute(
                    sql.SQL("SELECT {}").format(sql.SQL(", ").join(_cast(column, text) for text in texts))
                )
        except psycopg.Error:
            if len(texts) == 1:
                return []
            half = len(texts) // 2
            return [*self._readable(column, texts[:half]), *self._readable(column, texts[half:])]
        return texts

    def _meeting(self, cluster: _Cluster, lists: Mapping[str, Sequence[str | None]]) -> Iterator[Row]:
        """Ask the server which combinations meet the CHECKs; of a column that has no list, NULL or its default."""
        each = max(2, int(_COMBINATIONS ** (1 / max(1, len(cluster.columns)))))
        parts, tried = [], {}
        for column in cluster.columns:
            candidates = list(lists.get(column.name) or [None])
            if None in candidates[each:]:
                candidates = [*candidates[: each - 1], None]
            tried[column.name] = candidates[:each]
            rows = sql.SQL(", ").join(
                sql.SQL("({}, {})").format(sql.Literal(place), _cast(column, text))
                for place, text in enumerate(tried[column.name])
            )
            place = sql.Identifier(f"place of {column.name}")
            parts.append(
                sql.SQL("(VALUES {}) AS {}({}, {})").format(
                    rows, sql.Identifier(f"values of {column.name}"), place, sql.Identifier(column.name)
                )
            )
        places = [sql.Identifier(f"place of {column.name}") for column in cluster.columns]
        question = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT {}").format(
            sql.SQL(", ").join(places),
            sql.SQL(" CROSS JOIN ").join(parts),
            sql.SQL(" AND ").join(
                sql.SQL("(") + sql.SQL(text) + sql.SQL(") IS NOT FALSE") for text in cluster.expressions
            ),
            sql.SQL(" + ").join(places),
            sql.Literal(_CHOICES),
        )
        try:
            with self._connection.transaction():
                found = self._connection.execute(question).fetchall()
        except psycopg.Error as error:
            self._refused = " ".join((error.diag.message_primary or str(error)).split())
            found = [(0,) * len(places)]  # the server could not be asked this way: the row itself is tried
        for row in found:
            numbered = zip(cluster.columns, row, strict=True)
            yield {column.name: tried[column.name][place] for column, place in numbered if column.name in lists}

    def _referred(self, reference: Reference, row: Row, flavour: str, n: int) -> Row:
        """Take the values of a row that is there; a table that refers to itself begins with NULL, or with itself."""
        optional = all(not self._column(name).not_null for name in reference.columns)
        if optional and flavour == "sparse":
            return dict.fromkeys(reference.columns)
        columns = sql.SQL(", ").join(sql.Identifier(name) + sql.SQL("::text") for name in reference.referred)
        there = self._connection.execute(
            sql.SQL("SELECT {} FROM {} ORDER BY 1 LIMIT 50").format(
                columns, sql.Identifier(reference.schema, reference.table)
            )
        ).fetchall()
        if there:
            return dict(zip(reference.columns, there[n % len(there)], strict=True))
        if optional:
            return dict.fromkeys(reference.columns)
        itself = reference.table == self._table.name
        own = {mine: row.get(theirs) for mine, theirs in zip(reference.columns, reference.referred, strict=True)}
        return own if itself else {}

    def _column(self, name: str) -> Column:
        return next(column for column in self._table.columns if column.name == name)


def _cast(column: Column, text: str | None) -> sql.Composable:
    return sql.SQL("{}::{}").format(sql.Literal(text), sql.SQL(column.type))


def _clusters(table: Table) -> Iterator[_Cluster]:
    """Put columns together that share a CHECK."""
    groups: list[set[str]] = []
    for check in table.checks:
        group = set(check.columns)
        apart = [other for other in groups if not (other & group)]
        groups = [*apart, group.union(*(other for other in groups if other & group))]
    checked = set().union(*groups) if groups else set()
    for group in [*groups, *({column.name} for column in table.columns if column.name not in checked)]:
        columns = tuple(column for column in table.columns if column.name in group)
        expressions = tuple(check.expression for check in table.checks if group & set(check.columns))
        if columns:
            yield _Cluster(columns, expressions)
