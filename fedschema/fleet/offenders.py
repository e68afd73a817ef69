"""The rows because of which a statement fails: how many there are, and the keys of a few. Never what they hold.

A constraint that does not validate is made again without looking at the rows (NOT VALID, or an index that is not
unique), so that the server itself says what it asks of a row. All of it happens in savepoints that are rolled back.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg import sql

from fedschema.department import Department

#: So many keys are named.
_EXAMPLES = 5

_UNIQUE_INDEX = re.compile(r"\bCREATE\s+UNIQUE\s+INDEX\b", re.IGNORECASE)
_UNIQUE_CONSTRAINT = re.compile(
    r"\b(?:UNIQUE|PRIMARY\s+KEY)\s*(?P<nulls>NULLS\s+NOT\s+DISTINCT\s*)?\((?P<columns>[^()]+)\)", re.IGNORECASE
)
_PROVISIONAL = "fedschema_rehearsal_idx"

_KEY_OF = """
    SELECT field.attname::text
    FROM pg_catalog.pg_index AS key
    CROSS JOIN LATERAL pg_catalog.unnest(key.indkey) WITH ORDINALITY AS part (number, position)
    JOIN pg_catalog.pg_attribute AS field ON field.attrelid = key.indrelid AND field.attnum = part.number
    WHERE key.indrelid = %s::pg_catalog.regclass AND key.indisprimary
    ORDER BY part.position
"""
_CONSTRAINT = """
    SELECT contype::text, pg_catalog.pg_get_expr(conbin, conrelid),
           confrelid::pg_catalog.regclass::text, confmatchtype::text,
           ARRAY(SELECT field.attname::text FROM pg_catalog.unnest(conkey) WITH ORDINALITY AS part (number, position)
                 JOIN pg_catalog.pg_attribute AS field ON field.attrelid = conrelid AND field.attnum = part.number
                 ORDER BY part.position),
           ARRAY(SELECT field.attname::text FROM pg_catalog.unnest(confkey) WITH ORDINALITY AS part (number, position)
                 JOIN pg_catalog.pg_attribute AS field ON field.attrelid = confrelid AND field.attnum = part.number
                 ORDER BY part.position)
    FROM pg_catalog.pg_constraint
    WHERE conrelid = %s::pg_catalog.regclass AND conname = %s
"""
_REFERENCES = """
    SELECT reference.oid::bigint, class.relname::text, reference.conname::text
    FROM pg_catalog.pg_constraint AS reference
    JOIN pg_catalog.pg_class AS class ON class.oid = reference.conrelid
    WHERE reference.connamespace = pg_catalog.to_regnamespace(%(schema)s)
      AND reference.contype = 'f' AND reference.convalidated
"""
_INDEX = """
    SELECT ARRAY(SELECT pg_catalog.pg_get_indexdef(indexrelid, number, false)
                 FROM pg_catalog.generate_series(1, indnkeyatts) AS number),
           pg_catalog.pg_get_expr(indpred, indrelid)
    FROM pg_catalog.pg_index
    WHERE indexrelid = pg_catalog.to_regclass(%s)
"""


@dataclass(frozen=True, slots=True)
class Offenders:
    """Rows that do not meet what is asked of them.

    Attributes:
        table: where they are.
        count: how many.
        key: the columns of the table's primary key; none when it has none.
        keys: the values of the key, of a few of them.
    """

    table: str
    count: int
    key: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        named = ", ".join("/".join(values) for values in self.keys)
        more = ", …" if self.count > len(self.keys) else ""
        which = f": {'/'.join(self.key)} {named}{more}" if self.keys else ""
        return f"{self.count} row{'' if self.count == 1 else 's'} of {self.table}{which}"


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key."""

    oid: int
    table: str
    name: str


@dataclass(frozen=True, slots=True)
class _Failure:
    """A statement that failed, and where."""

    connection: psycopg.Connection
    statement: str
    table: sql.Identifier
    name: str
    schema: str
    constraint: str
    column: str

    @property
    def place(self) -> str:
        return self.table.as_string(self.connection)


def offenders(
    connection: psycopg.Connection, department: Department, statement: str, error: psycopg.Error
) -> Offenders | None:
    """Count the rows because of which a statement failed; None where that cannot be told.

    Args:
        connection: inside the transaction, as federation_owner, back at the moment before the statement.
        department: whose tables these are.
        statement: what failed.
        error: how.
    """
    diag = error.diag
    condition_of = _CONDITIONS.get(error.sqlstate or "")
    if condition_of is None or diag.schema_name != department.schema or not diag.table_name:
        return None
    table = sql.Identifier(department.schema, diag.table_name)
    failure = _Failure(
        connection,
        statement,
        table,
        diag.table_name,
        department.schema,
        diag.constraint_name or "",
        diag.column_name or "",
    )
    try:
        with connection.transaction(force_rollback=True):
            source = condition_of(failure)
            return _counted(failure, source) if source is not None else None
    except psycopg.OperationalError:
        raise  # a lock, a cancellation, a lost connection
    except psycopg.Error:
        return None  # what was tried instead of the statement does not work: then nobody knows


def references(connection: psycopg.Connection, department: Department) -> frozenset[Reference]:
    """Return the foreign keys of a department that count as met."""
    rows = connection.execute(_REFERENCES, {"schema": department.schema}).fetchall()
    return frozenset(Reference(*row) for row in rows)


def against(connection: psycopg.Connection, department: Department, reference: Reference) -> Offenders | None:
    """Count the rows that do not meet a foreign key, though PostgreSQL says that all do.

    It looks for such rows as the table's owner, and FORCE keeps that one from seeing any (manual section "Row Security
    Policies"; RI_Initial_Check in ri_triggers.c asks a query, unlike what checks the other constraints).
    """
    table = sql.Identifier(department.schema, reference.table)
    asked = _Failure(connection, "", table, reference.table, department.schema, reference.name, "")
    with connection.transaction(force_rollback=True):
        source = _against_constraint(asked)
        return _counted(asked, source) if source is not None else None


def _counted(failure: _Failure, source: sql.Composable) -> Offenders | None:
    """Count rows, as a role that sees them: FORCE hides them from the owner."""
    connection = failure.connection
    key = [name for (name,) in connection.execute(_KEY_OF, (failure.place,))]
    connection.execute("SET LOCAL ROLE federation_admin_role")
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(source)).fetchone()
    count = int(row[0]) if row else 0
    columns = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier("offender", name)) for name in key)
    query = sql.SQL("SELECT {} FROM {} ORDER BY {} LIMIT {}").format(
        columns,
        source,
        sql.SQL(", ").join(sql.Identifier("offender", name) for name in key),
        sql.Literal(_EXAMPLES),
    )
    keys = connection.execute(query).fetchall() if key else []
    return Offenders(failure.name, count, tuple(key), tuple(keys)) if count else None


def _rows_where(failure: _Failure, condition: sql.Composable) -> sql.Composable:
    return sql.SQL("{} AS offender WHERE {}").format(failure.table, condition)


def _without_value(failure: _Failure) -> sql.Composable | None:
    """NOT NULL: the rows without a value; all of them, when the column is new."""
    there = failure.connection.execute(
        "SELECT FROM pg_catalog.pg_attribute WHERE attrelid = %s::pg_catalog.regclass AND attname = %s",
        (failure.place, failure.column),
    ).rowcount
    is_null = sql.SQL("{} IS NULL").format(sql.Identifier("offender", failure.column))
    return _rows_where(failure, is_null if there else sql.SQL("true"))


def _against_constraint(failure: _Failure) -> sql.Composable | None:
    """CHECK and FOREIGN KEY: the rows that do not meet the constraint, which is made without looking at them."""
    found = _constraint(failure)
    if found is None:
        failure.connection.execute(f"{failure.statement}\n NOT VALID".encode())
        found = _constraint(failure)
    if found is None:
        return None
    kind, expression, other, matching, columns, referenced = found
    if kind == "c":
        return _rows_where(failure, sql.SQL("NOT ({})").format(_from_server(expression)))
    if kind != "f":
        return None
    set_ = [sql.SQL("{} IS NOT NULL").format(sql.Identifier("offender", name)) for name in columns]
    pairs = zip(columns, referenced, strict=True)
    same = [
        sql.SQL("{} = {}").format(sql.Identifier("other", theirs), sql.Identifier("offender", ours))
        for ours, theirs in pairs
    ]
    refers = sql.SQL(" OR " if matching == "f" else " AND ").join(set_)
    return _rows_where(
        failure,
        sql.SQL("({}) AND NOT EXISTS (SELECT FROM {} AS other WHERE {})").format(
            refers, _from_server(other), sql.SQL(" AND ").join(same)
        ),
    )


def _constraint(failure: _Failure) -> tuple[str, str, str, str, list[str], list[str]] | None:
    return failure.connection.execute(_CONSTRAINT, (failure.place, failure.constraint)).fetchone()


def _repeated(failure: _Failure) -> sql.Composable | None:
    """UNIQUE: the rows whose key another row has too, by an index that is made without being unique."""
    if _UNIQUE_INDEX.search(failure.statement):
        name = failure.constraint
        provisional = _UNIQUE_INDEX.sub("CREATE INDEX", failure.statement, count=1)
        nulls_too = re.search(r"\bNULLS\s+NOT\s+DISTINCT\b", provisional, re.IGNORECASE) is not None
        provisional = re.sub(r"\bNULLS\s+(?:NOT\s+)?DISTINCT\b", "", provisional, flags=re.IGNORECASE)
    elif found := _UNIQUE_CONSTRAINT.search(failure.statement):
        name, nulls_too = _PROVISIONAL, bool(found["nulls"])
        provisional = f"CREATE INDEX {name} ON {failure.place} ({found['columns']})"
    else:
        return None
    failure.connection.execute(provisional.encode())
    place = sql.Identifier(failure.schema, name).as_string(failure.connection)
    row = failure.connection.execute(_INDEX, (place,)).fetchone()
    if row is None:
        return None
    parts, predicate = [_from_server(part) for part in row[0]], row[1]
    conditions = [sql.SQL("({})").format(_from_server(predicate))] if predicate else []
    conditions += [] if nulls_too else [sql.SQL("({}) IS NOT NULL").format(part) for part in parts]
    where = sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")
    return sql.SQL(
        "(SELECT *, count(*) OVER (PARTITION BY {}) AS fedschema_same FROM {} WHERE {}) AS offender"
        " WHERE fedschema_same > 1"
    ).format(sql.SQL(", ").join(parts), failure.table, where)


def _from_server(text: str) -> sql.Composable:
    """Take SQL that the server itself wrote out of its catalogue."""
    return sql.SQL(text)


_CONDITIONS: dict[str, Callable[[_Failure], sql.Composable | None]] = {
    "23502": _without_value,
    "23503": _against_constraint,
    "23505": _repeated,
    "23514": _against_constraint,
}
