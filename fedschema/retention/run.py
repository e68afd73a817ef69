"""Takes away the rows whose time is over: department by department, table by table, batch by batch.

Each batch is a transaction of its own, so a run can be ended anywhere, and the next goes on: what is left to do, the
rows themselves say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

import psycopg

from fedschema import registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import Cancelled, FedschemaError
from fedschema.fleet.pace import Pace
from fedschema.registry import ACTIVE
from fedschema.workers import Halt, Workers, jobs_for

Done = TypeVar("Done")

#: The tables of the control plane whose old rows go: what their own functions take, in batches.
_AUDIT = ("cross_dept_audit", "security_audit")
_AUDIT_PERIOD = "2 years"

_TABLES = """
    SELECT table_name, kept_for::text, archive_table FROM federation.retention_of(%s) WHERE kept_for IS NOT NULL
"""
_EXPIRE = "SELECT place, taken, done, remaining FROM federation.expire_rows(%s, %s, %s, %s)"
_COUNT = "SELECT federation.count_expired(%s, %s)"
_EXPIRE_AUDIT = "SELECT place, taken, done, remaining FROM federation.expire_audit(%s, %s, %s)"
_COUNT_AUDIT = "SELECT federation.count_expired_audit(%s)"


class Outcome(StrEnum):
    """How it ended for a department."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Expiry:
    """How a run works.

    Attributes:
        dry_run: only count what would go.
        batch_rows: how many rows go in one transaction at most.
        jobs: how many departments at a time; None for what the server has room for.
        pace: how long locks are waited for, and how often it is tried again.
    """

    dry_run: bool = False
    batch_rows: int = 10_000
    jobs: int | None = None
    pace: Pace = Pace()  # noqa: RUF009 - it is frozen


@dataclass(frozen=True, slots=True)
class Expired:
    """What became of one table.

    Attributes:
        table_name: the table.
        kept_for: how long its rows are kept.
        archive_table: where they went; None when they were deleted.
        rows: how many went; in a dry run, how many would.
        remaining: how many have to wait, since somebody holds them or refers to them; None where that is not known.
    """

    table_name: str
    kept_for: str
    archive_table: str | None
    rows: int = 0
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a department; of the control plane's audit where that is None.

    Attributes:
        department: which one.
        outcome: how it ended.
        tables: what became of each table that was begun; what is counted there is committed.
        duration_seconds: how long it took.
        error: why it failed.
        reason: why it was skipped or stopped.
    """

    department: Department | None
    outcome: Outcome
    tables: tuple[Expired, ...] = ()
    duration_seconds: float = 0.0
    error: FedschemaError | None = None
    reason: str | None = None

    @property
    def rows(self) -> int:
        """How many rows went, over all tables."""
        return sum(table.rows for table in self.tables)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whose rows are looked at: the departments that are in service, and those that are not."""

    departments: tuple[Department, ...]
    resting: tuple[Result, ...]
    with_audit: bool
    jobs: int


def chosen(conninfo: str, compiler: Compiler, wanted: Sequence[Department], expiry: Expiry) -> Chosen:
    """Say whose rows a run would look at; nothing is changed.

    Args:
        conninfo: the database.
        compiler: the project.
        wanted: the departments; empty means all, and the control plane's audit.
        expiry: how the run works.

    Raises:
        UnknownDepartment, ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead, NoRoom
    """
    with connect(conninfo) as connection:
        with owner_transaction(connection, "reading whose rows there are"):
            registry.require_control_plane(connection, compiler.blueprint.control_plane)
            entries = registry.select(registry.entries(connection), wanted)
        active = tuple(entry.department for entry in entries if entry.status == ACTIVE)
        resting = tuple(
            Result(entry.department, Outcome.SKIPPED, reason=f"it is {entry.status}")
            for entry in entries
            if entry.status != ACTIVE
        )
        return Chosen(active, resting, not wanted, jobs_for(connection, expiry.jobs, len(active)))


def run(conninfo: str, whose: Chosen, expiry: Expiry, halt: Halt | None = None) -> Iterator[Result]:
    """Take away what is over and yield what became of each department, the audit last.

    One that fails keeps no other from it. What was not begun when the run was halted is stopped.

    Args:
        conninfo: the database.
        whose: from `chosen`.
        expiry: how the run works.
        halt: ends it early, after the batch that runs.

    Raises:
        FedschemaError: no connection could be opened, so that nothing was begun.
    """
    halt = halt or Halt()
    yield from whose.resting
    left: dict[Department | None, None] = dict.fromkeys(whose.departments)
    if whose.with_audit:
        left[None] = None

    def work(connection: psycopg.Connection, department: Department | None) -> Result:
        return _Pass(connection, department, expiry, halt).result()

    begun, lost = False, None
    try:
        for some, jobs in ((whose.departments, whose.jobs), ([None] if whose.with_audit else [], 1)):
            for department, result in Workers[Department | None, Result](conninfo, jobs, work, halt).run(some):
                begun = True
                left.pop(department)
                yield result
    except FedschemaError as error:
        if not begun:
            raise
        lost = error
    for department in left:
        yield Result(department, Outcome.STOPPED, error=lost, reason="not begun")


@dataclass(slots=True)
class _Pass:
    """One department's turn, over one connection."""

    connection: psycopg.Connection
    department: Department | None
    expiry: Expiry
    halt: Halt
    tables: list[Expired] = field(default_factory=list)

    @property
    def what(self) -> str:
        return f"retention of department {self.department}" if self.department else "retention of the audit"

    def result(self) -> Result:
        """Go through the tables and say how it ended; what is counted is committed, however that was."""
        began = time.monotonic()
        outcome, failure = Outcome.DONE, None
        try:
            for table in self._patiently(self._tables):
                self.tables.append(table)
                if not self._table():
                    outcome = Outcome.STOPPED
                    break
        except FedschemaError as error:
            stopped = isinstance(error, Cancelled) and self.halt.stopping
            outcome, failure = (Outcome.STOPPED, None) if stopped else (Outcome.FAILED, error)
        reason = "interrupted" if outcome is Outcome.STOPPED else None
        return Result(self.department, outcome, tuple(self.tables), time.monotonic() - began, failure, reason)

    def _table(self) -> bool:
        """Work on the table that was begun last; false when the run is halted before it is through."""
        if self.expiry.dry_run:
            expected = self._patiently(self._count)
            self.tables[-1] = replace(self.tables[-1], rows=expected)
            return True
        place: str | None = None
        done = False
        while not done:
            if self.halt.stopping:
                return False
            place, taken, done, remaining = self._patiently(partial(self._batch, place))
            before = self.tables[-1]
            self.tables[-1] = replace(before, rows=before.rows + taken, remaining=remaining)
        return True

    def _patiently(self, attempt: Callable[[], Done]) -> Done:
        return self.expiry.pace.patiently(attempt, self.halt.wait)

    def _tables(self) -> list[Expired]:
        if self.department is None:
            return [Expired(table, _AUDIT_PERIOD, None) for table in _AUDIT]
        with owner_transaction(self.connection, self.what):
            self.connection.execute("SET LOCAL intervalstyle = 'postgres'")
            rows = self.connection.execute(_TABLES, (self.department.id,)).fetchall()
        return [Expired(*row) for row in rows]

    def _count(self) -> int:
        return int(self._asked(_COUNT, _COUNT_AUDIT)[0])

    def _batch(self, place: str | None) -> tuple[str | None, int, bool, int | None]:
        place, taken, done, remaining = self._asked(_EXPIRE, _EXPIRE_AUDIT, self.expiry.batch_rows, place)
        return place, int(taken), bool(done), remaining

    def _asked(self, of_department: str, of_audit: str, *more: object) -> tuple[Any, ...]:
        """Call one of the two functions about the table that was begun last, in a transaction of its own."""
        whose = (self.department.id,) if self.department else ()
        query = of_department if self.department else of_audit
        with owner_transaction(self.connection, self.what):
            self.expiry.pace.apply(self.connection)
            row = self.connection.execute(query, (*whose, self.tables[-1].table_name, *more)).fetchone()
        assert row is not None  # noqa: S101 - a function that returns one row
        return row
