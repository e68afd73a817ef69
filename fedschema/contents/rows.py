"""Rows out of a table and into one, as COPY writes text: every value letter for letter, on any version of PostgreSQL.

A table's digest is the sum, modulo 2^256, of the SHA-256 of each row's line: it does not depend on the order of the
rows, and is not the same when one is missing, doubled or changed. It guards against accidents; against those who would
make rows to a given sum, a bundle is encrypted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import psycopg
from psycopg import sql

from fedschema.connections import owner_transaction
from fedschema.contents.shape import Shape, tables
from fedschema.department import Department
from fedschema.errors import LockTimeout, RowsOutOfSight

#: How values are written and read, whatever the server's or the login's own settings say.
PORTABLE = (
    "SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL timezone = 'UTC'; "
    "SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1; SET LOCAL lc_monetary = 'C'; "
    "SET LOCAL xmloption = 'content'"
)
_UNTIMED = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
#: From which version on a whole transaction has a timeout.
_TRANSACTION_TIMEOUT = 170000
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '10s'"
#: A row, as the driver hands it over: it may be megabytes, and is not copied.
Line: TypeAlias = "bytes | bytearray | memoryview"

_MODULUS = 1 << 256
#: How often a schema is looked at anew because a table came or went meanwhile.
_ATTEMPTS = 3


@dataclass
class Digest:
    """Counts rows and adds them up."""

    rows: int = 0
    _sum: int = 0

    def add(self, line: Line) -> None:
        """Take a row, as COPY writes it."""
        self.rows += 1
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(line).digest(), "big")) % _MODULUS

    @property
    def hex(self) -> str:
        """What they add up to."""
        return f"{self._sum:064x}"


def untimed(connection: psycopg.Connection) -> None:
    """Let the transaction take as long as it takes, whatever the login's own settings say."""
    connection.execute(_UNTIMED)
    if connection.info.server_version >= _TRANSACTION_TIMEOUT:
        connection.execute("SET LOCAL transaction_timeout = 0")


@contextmanager
def snapshot(connection: psycopg.Connection, schema: str, what: str) -> Iterator[None]:
    """Show all tables of a schema as they were at one moment, as long as the block lasts; others may write meanwhile.

    A table that is rewritten after the moment would look empty (PostgreSQL's manual, section "Caveats" of chapter
    "Concurrency Control"), so the tables are locked against that before the moment, as pg_dump does.

    Args:
        connection: an autocommit connection.
        schema: whose tables.
        what: the operation, for messages.

    Raises:
        LockTimeout: a table is being rewritten, or comes and goes.
    """
    for _ in range(_ATTEMPTS):
        with owner_transaction(connection, what):
            known = [table for table in tables(connection, schema) if table.ours]
        with _repeatable(connection), owner_transaction(connection, what):
            untimed(connection)
            connection.execute(_LOCK_TIMEOUT)
            connection.execute(PORTABLE)
            hold(connection, schema, known)
            if [table for table in tables(connection, schema) if table.ours] == known:
                yield
                return
    raise LockTimeout(what, "its tables are being changed")


def hold(connection: psycopg.Connection, schema: str, known: Sequence[Shape], *, against_writing: bool = False) -> None:
    """Lock tables until the transaction ends: against being rewritten, or also against being written."""
    if known:
        names = sql.SQL(", ").join(table.within(schema) for table in known)
        mode = sql.SQL("SHARE ROW EXCLUSIVE" if against_writing else "ACCESS SHARE")
        connection.execute(sql.SQL("LOCK TABLE {} IN {} MODE").format(names, mode))


@contextmanager
def _repeatable(connection: psycopg.Connection) -> Iterator[None]:
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    try:
        yield
    finally:
        if not connection.closed:
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            connection.read_only = None


def read_department(
    connection: psycopg.Connection, department: Department, table: Shape, put: Callable[[Line], object]
) -> Digest:
    """Read all rows of a department's table.

    FORCE hides rows from the owner without a word. federation_admin_role sees them all where the walls are as they
    should be; where they are not, they are read as the login, with an error in the place of rows that it would not see.

    Args:
        connection: inside an owner's transaction, after `PORTABLE`.
        department: whose.
        table: which one.
        put: takes each row's line.

    Raises:
        RowsOutOfSight
    """
    role = sql.SQL("SET LOCAL ROLE federation_admin_role")
    if table.hole:
        role = sql.SQL("SET LOCAL ROLE NONE; SET LOCAL row_security = off")
    try:
        connection.execute(role)
        found = read(connection, department.schema, table, put)
        connection.execute("SET LOCAL ROLE federation_owner; SET LOCAL row_security = on")
    except psycopg.errors.InsufficientPrivilege as error:
        raise RowsOutOfSight(department.id, table.name, table.hole or str(error.diag.message_primary)) from error
    return found


def read(connection: psycopg.Connection, schema: str, table: Shape, put: Callable[[Line], object]) -> Digest:
    """Read the rows of a table that the current role sees; libpq gives them one by one."""
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    statement = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(columns, table.within(schema))
    digest = Digest()
    with connection.cursor() as cursor, cursor.copy(statement) as rows:
        for line in rows:
            digest.add(line)
            put(line)
    return digest


def write(
    connection: psycopg.Connection, schema: str, table: str, columns: Sequence[str], blocks: Iterable[bytes]
) -> None:
    """Load rows into a table, as they were read."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(schema, table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as rows:
        for block in blocks:
            rows.write(block)


def forget(_: Line) -> None:
    """Take a row and keep nothing: for its digest alone."""
