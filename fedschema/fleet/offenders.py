"""The rows because of which a statement fails: how many there are, and the keys of a few. Never what they hold.

A constraint that does not validate is made again without looking at the rows (NOT VALID, or an index that is not
unique), so that the server itself says what it asks of a row. All of it happens in savepoints that are rolled back.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
from psycopg import sql

from fedschema.connections import translate
from fedschema.department import Department
from fedschema.errors import LockTimeout, StatementTimeout
from fedschema.fleet.rows import Failure, Offenders, counted
from fedschema.nontransactional import IndexChange
from fedschema.rendering import quote_identifier

_UNIQUE_INDEX = re.compile(r"\bCREATE\s+UNIQUE\s+INDEX\b", re.IGNORECASE)
_UNIQUE_CONSTRAINT = re.compile(
    r"\b(?:UNIQUE|PRIMARY\s+KEY)\s*(?P<nulls>NULLS\s+NOT\s+DISTINCT\s*)?\((?P<columns>[^()]+)\)", re.IGNORECASE
)
_CONCURRENTLY = r"\A(?:\s+|--[^\n]*\n)*CREATE\s+UNIQUE\s+INDEX\s+CONCURRENTLY\s+{index}\s+ON\s+{table}"
_NULLS = re.compile(r"\bNULLS\s+(?P<not>NOT\s+)?DISTINCT\b", re.IGNORECASE)
_PROVISIONAL = "fedschema_rehearsal_idx"
_EMPTY = "fedschema_rehearsal"

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
_INDEX = """
    SELECT ARRAY(SELECT pg_catalog.pg_get_indexdef(indexrelid, number, false)
                 FROM pg_catalog.generate_series(1, indnkeyatts) AS number),
           pg_catalog.pg_get_expr(indpred, indrelid)
    FROM pg_catalog.pg_index
    WHERE indexrelid = pg_catalog.to_regclass(%s)
"""


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
    failure = Failure(
        connection,
        statement,
        table,
        diag.table_name,
        department.schema,
        diag.constraint_name or "",
        diag.column_name or "",
    )
    return _looked(connection, lambda: _counted_by(failure, condition_of))


def duplicates(
    connection: psycopg.Connection, department: Department, index: IndexChange
) -> tuple[bool, Offenders | None]:
    """Look which rows keep an index from being unique, and lock nobody out meanwhile.

    Args:
        connection: inside the transaction, as federation_owner.
        department: whose index it is.
        index: what a release would make concurrently.

    Returns:
        Whether that was looked at, and the rows.
    """
    table = sql.Identifier(department.schema, index.table)
    failure = Failure(connection, index.sql, table, index.table, department.schema, index.index, "")
    was_looked_at = False

    def count() -> Offenders | None:
        nonlocal was_looked_at
        source = _repeated_apart(failure)
        found = counted(failure, source) if source is not None else None
        was_looked_at = source is not None
        return found

    found = _looked(connection, count)
    return was_looked_at, found


def _looked(connection: psycopg.Connection, look: Callable[[], Offenders | None]) -> Offenders | None:
    """Count in a savepoint. That somebody else is in the way, or that it takes too long, is no reason to fail."""
    try:
        with connection.transaction(force_rollback=True):
            return look()
    except psycopg.OperationalError as error:
        if isinstance(translate(error, "counting rows"), (LockTimeout, StatementTimeout)):
            return None
        raise  # a cancellation, a lost connection
    except psycopg.Error:
        return None  # what was tried instead of the statement does not work: then nobody knows


def _counted_by(failure: Failure, condition_of: Callable[[Failure], sql.Composable | None]) -> Offenders | None:
    source = condition_of(failure)
    return counted(failure, source) if source is not None else None


def against(connection: psycopg.Connection, department: Department, table: str, constraint: str) -> Offenders | None:
    """Count the rows that do not meet a CHECK or a foreign key that is there, whatever the server takes it for.

    Args:
        connection: inside a transaction, as federation_owner.
        department: whose it is.
        table: the constraint's table.
        constraint: its name.
    """
    place = sql.Identifier(department.schema, table)
    asked = Failure(connection, "", place, table, department.schema, constraint, "")
    with connection.transaction(force_rollback=True):
        source = _against_constraint(asked)
        return counted(asked, source) if source is not None else None


def _rows_where(failure: Failure, condition: sql.Composable) -> sql.Composable:
    return sql.SQL("{} AS offender WHERE {}").format(failure.table, condition)


def _without_value(failure: Failure) -> sql.Composable | None:
    """NOT NULL: the rows without a value; all of them, when the column is new."""
    there = failure.connection.execute(
        "SELECT FROM pg_catalog.pg_attribute WHERE attrelid = %s::pg_catalog.regclass AND attname = %s",
        (failure.place, failure.column),
    ).rowcount
    is_null = sql.SQL("{} IS NULL").format(sql.Identifier("offender", failure.column))
    return _rows_where(failure, is_null if there else sql.SQL("true"))


def _against_constraint(failure: Failure) -> sql.Composable | None:
    """CHECK and FOREIGN KEY: the rows that do not meet the constraint, which is made without looking at them."""
    found = _constraint(failure)
    if found is None:
        failure.connection.execute(sql.SQL("{}\n NOT VALID").format(sql.SQL(failure.statement)))
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


def _constraint(failure: Failure) -> tuple[str, str, str, str, list[str], list[str]] | None:
    return failure.connection.execute(_CONSTRAINT, (failure.place, failure.constraint)).fetchone()


def _repeated(failure: Failure) -> sql.Composable | None:
    """UNIQUE: the rows whose key another row has too, by an index that is made without being unique."""
    if _UNIQUE_INDEX.search(failure.statement):
        return _alike(failure, failure.constraint, _UNIQUE_INDEX.sub("CREATE INDEX", failure.statement, count=1))
    if found := _UNIQUE_CONSTRAINT.search(failure.statement):
        nulls = " NULLS NOT DISTINCT" if found["nulls"] else ""
        return _alike(failure, _PROVISIONAL, _index_on(failure, failure.table, f"({found['columns']}){nulls}"))
    return None


def _repeated_apart(failure: Failure) -> sql.Composable | None:
    """UNIQUE, made concurrently: an index on an empty table like the one that is meant keeps nobody out."""
    names = (quote_identifier(name) for name in (failure.schema, failure.name))
    expected = _CONCURRENTLY.format(
        index=re.escape(quote_identifier(failure.constraint)), table=re.escape(".".join(names))
    )
    found = re.match(expected, failure.statement, re.IGNORECASE)
    if found is None:
        return None
    empty = sql.Identifier(failure.schema, _EMPTY)
    failure.connection.execute(sql.SQL("CREATE TABLE {} (LIKE {})").format(empty, failure.table))
    return _alike(failure, _PROVISIONAL, _index_on(failure, empty, failure.statement[found.end() :]))


def _index_on(failure: Failure, table: sql.Identifier, rest: str) -> str:
    made = sql.SQL("CREATE INDEX {} ON {} {}").format(sql.Identifier(_PROVISIONAL), table, sql.SQL(rest))
    return made.as_string(failure.connection)


def _alike(failure: Failure, name: str, provisional: str) -> sql.Composable | None:
    """Make an index that is not unique, and return the rows that are alike in what it is made of."""
    nulls = _NULLS.search(provisional)
    failure.connection.execute(sql.SQL(_NULLS.sub("", provisional)))
    place = sql.Identifier(failure.schema, name).as_string(failure.connection)
    row = failure.connection.execute(_INDEX, (place,)).fetchone()
    if row is None:
        return None
    parts, predicate = [_from_server(part) for part in row[0]], row[1]
    conditions = [sql.SQL("({})").format(_from_server(predicate))] if predicate else []
    conditions += [] if nulls and nulls["not"] else [sql.SQL("({}) IS NOT NULL").format(part) for part in parts]
    where = sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")
    return sql.SQL(
        "(SELECT *, count(*) OVER (PARTITION BY {}) AS fedschema_same FROM {} WHERE {}) AS offender"
        " WHERE fedschema_same > 1"
    ).format(sql.SQL(", ").join(parts), failure.table, where)


def _from_server(text: str) -> sql.Composable:
    """Take SQL that the server itself wrote out of its catalogue."""
    return sql.SQL(text)


_CONDITIONS: dict[str, Callable[[Failure], sql.Composable | None]] = {
    "23502": _without_value,
    "23503": _against_constraint,
    "23505": _repeated,
    "23514": _against_constraint,
}
