"""Writes the rows of a department's table to a file, as JSON Lines or CSV: what is in an archive, as a rule.

The server writes the lines (COPY TO), as federation_admin_role, whom the policies let read; this process only moves
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql

from fedschema import events, private_files, registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import ExportFailed, FileInTheWay, NotExpirable, TableMissing

#: JSON has no control characters, so that CSV with these two never quotes: a line is the document as it is.
_AS_LINES = sql.SQL(
    r"COPY (SELECT pg_catalog.row_to_json(line) FROM ({rows}) AS line) TO STDOUT"
    r" WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')"
)
_AS_CSV = sql.SQL("COPY ({rows}) TO STDOUT WITH (FORMAT csv, HEADER)")
_ROWS = sql.SQL("SELECT {columns} FROM {table} ORDER BY {time}")
#: Moments are in UTC, to the microsecond; a row of type json may have line breaks in it, one of jsonb has none.
_MOMENT = sql.SQL(
    "CASE WHEN pg_catalog.isfinite({column})"
    " THEN pg_catalog.to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    " ELSE {column}::text END AS {column}"
)
_JSON = sql.SQL("{column}::jsonb AS {column}")
_COLUMNS = """
    SELECT field.attname, field.atttypid::regtype::text
    FROM pg_catalog.pg_attribute AS field
    WHERE field.attrelid = pg_catalog.to_regclass(%s) AND field.attnum > 0 AND NOT field.attisdropped
      AND field.attgenerated = ''
    ORDER BY field.attnum
"""


class Format(StrEnum):
    """How rows are written."""

    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Export:
    """What is written where.

    Attributes:
        department: whose rows.
        table: which ones: a table of federation.retention_rules.
        path: a new file; only its owner may read it.
        format: how.
    """

    department: Department
    table: str
    path: Path
    format: Format

    @property
    def what(self) -> str:
        """The operation, for messages."""
        return f"exporting {self.table} of department {self.department}"


def export(conninfo: str, compiler: Compiler, wanted: Export) -> int:
    """Write all rows of a table to a new file, oldest first, and return how many; it is whole, or not there.

    That it was done is on record before the file has its name.

    Args:
        conninfo: the database.
        compiler: the project.
        wanted: what, and where.

    Raises:
        UnknownDepartment, NotExpirable, TableMissing
        FileInTheWay: there is a file of that name.
        ExportFailed: the file could not be written.
    """
    if wanted.path.exists() or wanted.path.is_symlink():
        raise FileInTheWay(str(wanted.path), "--to another file")
    try:
        with private_files.making(wanted.path) as file:
            return _write(conninfo, compiler, wanted, file)
    except FileExistsError as error:
        raise FileInTheWay(str(wanted.path), "--to another file") from error
    except OSError as error:
        raise ExportFailed(str(wanted.path), error.strerror or str(error)) from error


def _write(conninfo: str, compiler: Compiler, wanted: Export, file: IO[bytes]) -> int:
    with connect(conninfo) as connection, owner_transaction(connection, wanted.what):
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        registry.select(registry.entries(connection), [wanted.department])
        statement = _statement(connection, wanted)
        connection.execute("SET LOCAL ROLE federation_admin_role")  # FORCE hides the rows from the owner
        with connection.cursor() as cursor:
            with cursor.copy(statement) as lines:
                for block in lines:
                    file.write(block)
            rows = cursor.rowcount
        connection.execute("SET LOCAL ROLE federation_owner")
        events.record(connection, "ROWS_EXPORTED", wanted.department, table=wanted.table, rows=rows)
    return rows


def _statement(connection: psycopg.Connection, wanted: Export) -> sql.Composed:
    known: dict[str, str] = dict(
        connection.execute("SELECT table_name, time_column FROM federation.retention_rules ORDER BY 1").fetchall()
    )
    if wanted.table not in known:
        raise NotExpirable(wanted.table, list(known))
    table = sql.Identifier(wanted.department.schema, wanted.table)
    columns = connection.execute(_COLUMNS, (table.as_string(connection),)).fetchall()
    if not columns:
        raise TableMissing(wanted.department.id, wanted.table)
    shown = sql.SQL(", ").join(_column(sql.Identifier(name), type_) for name, type_ in columns)
    time = sql.Identifier(wanted.table, known[wanted.table])
    rows = _ROWS.format(columns=shown, table=table, time=time)
    return (_AS_CSV if wanted.format is Format.CSV else _AS_LINES).format(rows=rows)


def _column(column: sql.Identifier, type_: str) -> sql.Composable:
    if type_ == "timestamp with time zone":
        return _MOMENT.format(column=column)
    return _JSON.format(column=column) if type_ == "json" else column
