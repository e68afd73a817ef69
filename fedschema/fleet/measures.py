"""What a statement did to a department's tables, as the server has it: locks taken, tables written anew or read whole.

Looked at from inside the transaction, before and after each statement: `pg_locks` for this very backend, the file that
each table is in, and the whole readings that the transaction has counted. Nothing is concluded from the text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import psycopg

from fedschema.department import Department
from fedschema.versions import VERSION_TABLE

#: From the weakest to the strongest (manual section "Explicit Locking").
_MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
_BY_SERVER = {f"{mode.title().replace(' ', '')}Lock": mode for mode in _MODES}

_RELATIONS = """
    SELECT class.oid::bigint, class.relname::text, class.relkind IN ('r', 'p', 'm'), class.relfilenode::bigint,
           CASE WHEN pg_catalog.current_setting('track_counts')::boolean
                THEN pg_catalog.pg_stat_get_xact_numscans(class.oid) END
    FROM pg_catalog.pg_depend AS member
    JOIN pg_catalog.pg_class AS class ON class.oid = member.objid
    WHERE member.refclassid = 'pg_catalog.pg_namespace'::regclass
      AND member.refobjid = pg_catalog.to_regnamespace(%(schema)s)
      AND member.classid = 'pg_catalog.pg_class'::regclass
      AND class.relname <> %(version_table)s
"""
_LOCKS = """
    SELECT relation::bigint, pg_catalog.array_agg(mode)
    FROM pg_catalog.pg_locks
    WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation' AND granted
      AND relation = ANY(%(relations)s::oid[])
      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
    GROUP BY relation
"""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock on a table, or on a view or a sequence.

    Attributes:
        mode: such as ``ACCESS EXCLUSIVE``.
        relation: its name.
    """

    mode: str
    relation: str

    @property
    def strength(self) -> int:
        """The larger, the more it keeps others from."""
        return _MODES.index(self.mode)

    @property
    def disturbs(self) -> bool:
        """Somebody who reads or writes rows waits for it (manual section "Table-Level Locks")."""
        return self.strength > _MODES.index("SHARE UPDATE EXCLUSIVE")

    def __str__(self) -> str:
        return f"{self.mode} {self.relation}"


@dataclass(frozen=True, slots=True)
class Effects:
    """What one statement did.

    Attributes:
        locks: those that it took on what was there before the transaction, and that this did not hold already, the
            strongest first; None where they could not be seen.
        rewrites: the tables of before that it wrote anew.
        reads: the tables of before that it read whole; None where the server does not count.
    """

    locks: tuple[Lock, ...] | None
    rewrites: tuple[str, ...]
    reads: tuple[str, ...] | None

    @property
    def strongest(self) -> Lock | None:
        """The lock that keeps others from most."""
        return self.locks[0] if self.locks else None


@dataclass(frozen=True, slots=True)
class _Relation:
    name: str
    holds_rows: bool
    file: int
    scans: int | None


@dataclass(frozen=True, slots=True)
class Sight:
    """A department's relations at one moment of a transaction."""

    relations: Mapping[int, _Relation]
    locks: Mapping[int, frozenset[str]]

    def until(self, after: Sight, among: Collection[int]) -> Effects:
        """Return what happened between this moment and a later one.

        Args:
            after: the later one.
            among: the relations that matter. Those that the transaction made itself nobody else can see.
        """
        relations = {oid: known for oid, known in self.relations.items() if oid in among}
        locks = [
            Lock(_BY_SERVER[mode], known.name)
            for oid, known in relations.items()
            for mode in after.locks.get(oid, frozenset()) - self.locks.get(oid, frozenset())
        ]
        both = [(known, after.relations[oid]) for oid, known in relations.items() if oid in after.relations]
        tables = [(known, later) for known, later in both if known.holds_rows]
        counted = all(later.scans is not None for _, later in tables)
        reads = tuple(sorted(later.name for known, later in tables if (later.scans or 0) > (known.scans or 0)))
        return Effects(
            tuple(sorted(locks, key=lambda lock: (-lock.strength, lock.relation))),
            tuple(sorted(later.name for known, later in tables if known.file != later.file)),
            reads if counted else None,
        )


def look(connection: psycopg.Connection, department: Department, known: Sight | None = None) -> Sight:
    """Look at a department's relations, and at what this transaction holds on them.

    Args:
        connection: inside a transaction.
        department: whose schema it is.
        known: what was there before; locks on what is gone since are looked at too.
    """
    values = {"schema": department.schema, "version_table": VERSION_TABLE}
    rows = connection.execute(_RELATIONS, values).fetchall()
    relations = {oid: _Relation(name, holds_rows, file, scans) for oid, name, holds_rows, file, scans in rows}
    of_interest = {*relations, *(known.relations if known else ())}
    held = connection.execute(_LOCKS, {"relations": sorted(of_interest)}).fetchall()
    return Sight(relations, {oid: frozenset(modes) for oid, modes in held})
