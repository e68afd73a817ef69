"""What there is to say about a whole federation at one time, in a number of questions that does not grow with it.

Nothing is changed: the transactions are read-only, so that a standby answers too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from fedschema import positions, registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import LockTimeout
from fedschema.positions import Position
from fedschema.registry import RegistryEntry

#: Whoever watches waits for nobody for longer than this.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"

#: Tables with all that belongs to them: indexes, and values that are stored apart. What was dropped meanwhile has none.
_SIZES = """
    SELECT *
    FROM (
        SELECT wanted.department_id, class.relname::text AS table_name,
               pg_catalog.pg_total_relation_size(class.oid) AS bytes
        FROM unnest(%(ids)s::text[], %(schemas)s::text[]) AS wanted (department_id, schema)
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.nspname = wanted.schema
        JOIN pg_catalog.pg_depend AS member
            ON member.refclassid = 'pg_catalog.pg_namespace'::regclass AND member.refobjid = namespace.oid
           AND member.classid = 'pg_catalog.pg_class'::regclass
        JOIN pg_catalog.pg_class AS class ON class.oid = member.objid
        WHERE class.relkind IN ('r', 'm') AND class.relname <> 'alembic_version'
    ) AS measured
    WHERE bytes IS NOT NULL
"""
#: The same by the pages that the server counted when it last vacuumed or analysed: no table is locked or looked at.
_PAGES = """
    SELECT wanted.department_id,
           (sum(class.relpages + coalesce(apart.relpages, 0) + coalesce(indexes.relpages, 0))
            * current_setting('block_size')::bigint)::bigint AS bytes
    FROM unnest(%(ids)s::text[], %(schemas)s::text[]) AS wanted (department_id, schema)
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.nspname = wanted.schema
    JOIN pg_catalog.pg_depend AS member
        ON member.refclassid = 'pg_catalog.pg_namespace'::regclass AND member.refobjid = namespace.oid
       AND member.classid = 'pg_catalog.pg_class'::regclass
    JOIN pg_catalog.pg_class AS class ON class.oid = member.objid
    LEFT JOIN pg_catalog.pg_class AS apart ON apart.oid = class.reltoastrelid
    LEFT JOIN LATERAL (
        SELECT sum(part.relpages) AS relpages
        FROM pg_catalog.pg_index AS index
        JOIN pg_catalog.pg_class AS part ON part.oid = index.indexrelid
        WHERE index.indrelid IN (class.oid, class.reltoastrelid)
    ) AS indexes ON true
    WHERE class.relkind IN ('r', 'm') AND class.relname <> 'alembic_version'
    GROUP BY wanted.department_id
"""
_DENIALS = """
    SELECT source, sum(denials)::bigint
    FROM (
        SELECT coalesce(department.department_id, '') AS source, count(*) AS denials
        FROM federation.security_audit AS refused
        LEFT JOIN federation.departments AS department ON department.department_id = refused.source_department_id
        WHERE refused.event_type = 'CROSS_DEPT_ACCESS_DENIED'
        GROUP BY coalesce(department.department_id, '')
        UNION ALL
        SELECT source_department_id, denials FROM federation.denials_forgotten
    ) AS known
    GROUP BY source
    ORDER BY source
"""


@dataclass(frozen=True, slots=True)
class TableSize:
    """How large one table of one department is.

    Attributes:
        department_id: whose it is.
        table_name: which one.
        bytes: with its indexes, and what is stored apart.
    """

    department_id: str
    table_name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """The departments.

    Attributes:
        entries: every row of the registry, those of dropped departments too.
        positions: where the live ones are.
    """

    entries: Sequence[RegistryEntry]
    positions: Sequence[Position]

    @property
    def live(self) -> list[Department]:
        """Those that have a schema."""
        return [position.entry.department for position in self.positions]


@contextmanager
def watching(conninfo: str, compiler: Compiler, what: str) -> Iterator[psycopg.Connection]:
    """Give a connection inside a read-only transaction of the owner's that waits for no lock for long.

    Args:
        conninfo: the database.
        compiler: the project.
        what: the operation, for messages.

    Raises:
        ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead
    """
    with connect(conninfo) as connection:
        connection.read_only = True
        with owner_transaction(connection, what):
            connection.execute(_LOCK_TIMEOUT)
            registry.require_control_plane(connection, compiler.blueprint.control_plane)
            yield connection


def fleet(connection: psycopg.Connection, compiler: Compiler) -> Fleet:
    """Read where all departments are."""
    entries = registry.entries(connection)
    found = positions.of(connection, compiler, registry.select(entries, []))
    return Fleet(entries, [position for position, _ in found])


def sizes(connection: psycopg.Connection, departments: Sequence[Department]) -> list[TableSize] | None:
    """Return how large each table is; None where that cannot be told, since somebody holds a table of them.

    To say how large a table is the server locks it for the moment, and waits for whoever rewrites it.
    """
    try:
        with (
            owner_transaction(connection, "reading how large tables are"),
            connection.cursor(row_factory=class_row(TableSize)) as cursor,
        ):
            return cursor.execute(_SIZES, _named(departments)).fetchall()
    except LockTimeout:
        return None


def estimated_sizes(connection: psycopg.Connection, departments: Sequence[Department]) -> dict[str, int]:
    """Return how many bytes each department takes, as of when the server last counted: at a fraction of the cost."""
    return dict(connection.execute(_PAGES, _named(departments)).fetchall())


def _named(departments: Sequence[Department]) -> dict[str, list[str]]:
    return {"ids": [each.id for each in departments], "schemas": [each.schema for each in departments]}


def denials(connection: psycopg.Connection) -> dict[str, int]:
    """Return how many attempts were ever refused, by the department in whose name they were made.

    It never falls, also when old rows of the audit are taken away. What claimed to be no department of the registry
    counts under the empty name.
    """
    return dict(connection.execute(_DENIALS).fetchall())


def now(connection: psycopg.Connection) -> datetime:
    """Return the time as the server has it, at which what is read was so."""
    row = connection.execute("SELECT pg_catalog.clock_timestamp()").fetchone()
    assert row is not None  # noqa: S101 - the query always gives one row
    moment: datetime = row[0]
    return moment
