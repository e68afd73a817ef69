"""Rows that do not meet what is asked of them: how many there are, and the keys of a few. Never what they hold."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

#: So many keys are named.
_EXAMPLES = 5

_KEY_OF = """
    SELECT field.attname::text
    FROM pg_catalog.pg_index AS key
    CROSS JOIN LATERAL pg_catalog.unnest(key.indkey) WITH ORDINALITY AS part (number, position)
    JOIN pg_catalog.pg_attribute AS field ON field.attrelid = key.indrelid AND field.attnum = part.number
    WHERE key.indrelid = %s::pg_catalog.regclass AND key.indisprimary
    ORDER BY part.position
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
class Failure:
    """A statement that failed, or would, and where."""

    connection: psycopg.Connection
    statement: str
    table: sql.Identifier
    name: str
    schema: str
    constraint: str
    column: str

    @property
    def place(self) -> str:
        """The table's name, as a text."""
        return self.table.as_string(self.connection)


def counted(failure: Failure, source: sql.Composable) -> Offenders | None:
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
