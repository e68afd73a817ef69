"""Proves what each revision's downgrade gives back: up, down and up again, on a department with rows in it.

It is done as a release does it, on a throwaway PostgreSQL, so that no department of anybody's is touched. What is there
before is compared with what is there afterwards, twice:

- with the rows of the revision below: up and down has to give the same schema, and the same rows;
- with rows of the revision itself: down and up again has to give the same schema; what of the rows is gone is lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import psycopg
from alembic.script import Script
from psycopg import sql

from fedschema import batches, federation, samples, snapshots, tenancy
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.differences import Difference, Fault, compare
from fedschema.downgrades import Loss, Lost, Verdict, WayBack, checksum
from fedschema.embedded import throwaway_server
from fedschema.errors import (
    BackfillStuck,
    FedschemaError,
    NoWayBack,
    PostgresNotFound,
    ReferencesUnmet,
    StatementFailed,
    UnknownRevision,
)
from fedschema.fleet import scratch
from fedschema.fleet.alembic_road import OrdinaryRoad, run_with_alembic
from fedschema.fleet.apart import Manner
from fedschema.fleet.pace import Pace
from fedschema.fleet.transaction import Confirmation
from fedschema.fleet.voyage import Voyage, go
from fedschema.lender import programs
from fedschema.lineages import Lineage
from fedschema.losses import gone
from fedschema.plans import SLOT, Plan
from fedschema.reach import Reach
from fedschema.snapshots import Snapshot
from fedschema.tenancy import NewDepartment
from fedschema.versions import TENANT, Heads
from fedschema.workers import Halt

#: PostgreSQL's classes of what rows may be the reason for (manual, appendix "PostgreSQL Error Codes"): data exceptions,
#: constraints; and what a revision's own SQL raises.
_OF_ROWS = ("22", "23", "P0001")
#: How far apart the numbers are that rows are made from.
_STRIDE = 10


@dataclass(frozen=True, slots=True)
class Proof:
    """What the downgrade of one revision turned out to be.

    Attributes:
        revision: which one.
        lineage: whose it is: ``tenant``, or a department's id.
        way: the verdict, with what is lost or why it cannot be.
        rows: how many rows each loss concerned here.
        differences: how the schema comes back different.
        said: where it is impossible, the revision says so, or the rows are the reason.
        notes: what could not be tried, and why.
        duration_seconds: how long it took.
    """

    revision: str
    lineage: str
    way: WayBack
    rows: Mapping[Loss, int] = field(default_factory=dict)
    differences: tuple[str, ...] = ()
    said: bool = True
    notes: tuple[str, ...] = ()
    duration_seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """It is what a downgrade may be."""
        return self.way.verdict is not Verdict.BROKEN and self.said


@dataclass(frozen=True, slots=True)
class Subject:
    """A revision that is to be proven, and whose it is."""

    script: Script
    lineage: str

    @property
    def revision(self) -> str:
        """Its id."""
        return str(self.script.revision)

    @property
    def below(self) -> str:
        """Where its downgrade goes to."""
        return str(self.script.down_revision or f"{self.lineage}@base")


def subjects(compiler: Compiler, named: Sequence[str] = (), since: str | None = None) -> list[Subject]:
    """Return the revisions that are meant, each lineage from its first to its last.

    Args:
        compiler: the project.
        named: those alone; empty for all.
        since: those that come after it alone, in its own lineage; other lineages are left out.

    Raises:
        UnknownRevision
    """
    lineage = compiler.lineage(SLOT)
    everything = [one for label in (TENANT, *sorted(lineage.branches - {TENANT})) for one in _of_label(lineage, label)]
    found = everything
    if named:
        wanted = {_revision(lineage, name, everything) for name in named}
        found = [one for one in found if one.revision in wanted]
    if since is not None:
        first = _revision(lineage, since, everything)
        label = next(one.lineage for one in everything if one.revision == first)
        below = lineage.ancestors((first,))
        found = [one for one in found if one.lineage == label and one.revision not in below]
    return found


def _of_label(lineage: Lineage, label: str) -> list[Subject]:
    walked = lineage.script.iterate_revisions(f"{label}@head", f"{label}@base")
    return [Subject(script, label) for script in reversed(list(walked)) if label in script.branch_labels]


def _revision(lineage: Lineage, name: str, known: Sequence[Subject]) -> str:
    revision = str(lineage.script_of(name).revision)
    if revision not in {one.revision for one in known}:
        raise UnknownRevision(name, "it is none of the departments' revisions")
    return revision


def prove(compiler: Compiler, chosen: Sequence[Subject], postgres: int | None = None) -> Iterator[Proof]:
    """Try revisions, up, down and up again, and yield what each turned out to be, in order.

    Args:
        compiler: the project.
        chosen: from `subjects`.
        postgres: the version to try it on, such as 15; None for the one that fedschema brings.

    Raises:
        PostgresNotFound, EmbeddedServerError: there is no server to try it on.
        CompilationFailed: a revision's upgrade cannot be compiled.
    """
    if not chosen:
        return
    with ExitStack() as stack:
        url = stack.enter_context(_server(postgres))
        federation.initialise(url, compiler)
        connection = stack.enter_context(connect(url))
        for label in dict.fromkeys(one.lineage for one in chosen):
            ground = _Ground(compiler, Reach(url), connection, label)
            stopped: str | None = None
            for subject in (one for one in chosen if one.lineage == label):
                began = time.monotonic()
                proof = _not_reached(subject, stopped) if stopped else _Trial(ground, subject).proof()
                if proof.way.verdict is Verdict.BROKEN and not ground.stands:
                    stopped = stopped or subject.revision
                way = replace(proof.way, checksum=checksum(compiler, subject.revision, subject.lineage))
                yield replace(proof, way=way, duration_seconds=time.monotonic() - began)
            ground.clear()


@contextmanager
def _server(postgres: int | None) -> Iterator[str]:
    with throwaway_server(programs(postgres) if postgres else None) as server:
        if postgres and server.version.partition(".")[0] != str(postgres):
            raise PostgresNotFound(postgres)
        yield server.url()


def _not_reached(subject: Subject, stopped: str) -> Proof:
    reason = f"not tried, for {stopped} before it cannot be applied"
    return Proof(subject.revision, subject.lineage, WayBack(Verdict.BROKEN, reason=reason), said=False)


class _Ground:
    """A scratch department on the throwaway server, which is taken up and down.

    Args:
        compiler: the project.
        reach: the server.
        connection: a superuser's.
        label: whose lineage it has: ``tenant``, or the id of the department whose branch it is.
    """

    def __init__(self, compiler: Compiler, reach: Reach, connection: psycopg.Connection, label: str) -> None:
        self.compiler = compiler
        self.connection = connection
        self.stands = False
        self._reach = reach
        self._label = label
        self._number = 1
        self.department = Department("unmade")
        self.heads: Heads = ()

    def begin(self) -> None:
        """Make a new department, in place of the one that there may be."""
        self.clear()
        own = self._label != TENANT
        self.department = Department(self._label) if own else scratch.scratch_department()
        self.heads = ()
        new = NewDepartment(self.department, "Scratch")
        tenancy.create(self.connection, self.compiler, new, Plan((), (), ()), None)
        self.stands = True

    def clear(self) -> None:
        """Take the department away."""
        if self.stands:
            batch = batches.removal(self.compiler.templates, self.department)
            with owner_transaction(self.connection, batch.what):
                batches.execute(self.connection, batch)
        self.stands = False

    def way_up(self, revision: str) -> Plan:
        """Return the way to a revision."""
        return self.compiler.upgrade(self.department, self.heads, revision)

    def go(self, plan: Plan, destination: str) -> None:
        """Go along a plan as a release does.

        Raises:
            FedschemaError: the department is where it was.
        """
        if not plan.steps:
            return
        if plan.needs_connection:
            direction = plan.steps[0].direction
            ini = self.compiler.project.ini
            run_with_alembic(OrdinaryRoad(self._reach, ini, direction, destination, None), self.department)
        else:
            manner = Manner(Confirmation(given=True, hint=""), Pace(), Halt())
            go(Voyage(self._reach, self.department, plan, manner, _nowhere_else, _unheard), self.connection)
        self.heads = plan.end

    def look(self) -> Snapshot:
        """Look at the department."""
        return snapshots.take(self.connection, self.compiler.templates, self.department)

    def fill(self, wanted: Sequence[str]) -> dict[str, str]:
        """Write rows into some tables, and return those that took none, and why."""
        self._number += _STRIDE
        with self.connection.transaction():
            self.connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
            found = samples.tables(self.connection, self.department.schema)
            chosen = [table for name, table in found.items() if name in wanted]
            return samples.fill(self.connection, self.department.schema, chosen, self._number)

    def empty(self, tables: Sequence[str]) -> None:
        """Take all rows out of some tables, and of those that refer to them, past every trigger."""
        names = sql.SQL(", ").join(sql.Identifier(self.department.schema, name) for name in tables)
        with self.connection.transaction():
            self.connection.execute("SET LOCAL session_replication_role = replica")
            self.connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(names))


def _nowhere_else(heads: Heads) -> Plan:
    raise StatementFailed("a scratch department", f"somebody took it to {', '.join(heads)}")


def _unheard(heads: Heads) -> None:
    del heads


class _Broken(Exception):
    """A revision does not come back as it was.

    Attributes:
        reason: what went wrong.
        differences: how the schema differs.
    """

    def __init__(self, reason: str, differences: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.differences = differences


class _Trial:
    """One revision, tried on a ground."""

    def __init__(self, ground: _Ground, subject: Subject) -> None:
        self._ground = ground
        self._subject = subject
        self._notes: dict[str, None] = {}

    def proof(self) -> Proof:
        """Try it, and leave the ground where the revision is applied; where it cannot be, no ground is left."""
        try:
            if not self._ground.stands:
                self._ground.begin()
            self._arrive_below()
            below = self._up_first(self._filled(self._ground.look()))
        except FedschemaError as error:
            self._ground.clear()
            return self._proof(Verdict.BROKEN, f"it cannot be applied: {error.message}", said=False)
        try:
            return self._tried(below)
        except _Broken as broken:
            self._renew()
            return self._proof(Verdict.BROKEN, broken.reason, differences=broken.differences, said=False)

    def _tried(self, below: Snapshot) -> Proof:
        """Take it back and apply it again, first with rows of before, then with its own."""
        ground = self._ground
        above = ground.look()
        try:
            self._down()
        except FedschemaError as error:
            return self._impossible(error)
        back = ground.look()
        _require_same(below, back, "it does not come back as it was before")
        lost = snapshots.changes(below, back)
        changed = [name for name, table in above.tables.items() if below.tables.get(name) != table]
        own = self._filled(self._up_again(above), changed)
        try:
            plan = self._down()
        except FedschemaError as error:
            return self._impossible(error, rows=True)
        lower = ground.look()
        _require_same(below, lower, "it does not come back as it was before, with rows of its own")
        lost |= _lost(plan, own, lower, self._up_again(above))
        verdict = Verdict.LOSSY if lost else Verdict.EXACT
        return self._proof(verdict, rows=dict(sorted(lost.items(), key=lambda one: str(one[0]))))

    def _proof(
        self,
        verdict: Verdict,
        reason: str | None = None,
        *,
        rows: Mapping[Loss, int] | None = None,
        differences: tuple[str, ...] = (),
        said: bool = True,
    ) -> Proof:
        way = WayBack(verdict, tuple(rows or ()), reason)
        return Proof(
            self._subject.revision, self._subject.lineage, way, rows or {}, differences, said, tuple(self._notes)
        )

    def _impossible(self, error: FedschemaError, *, rows: bool = False) -> Proof:
        """Say why it cannot be taken back; the department is where it was."""
        if isinstance(error, NoWayBack):
            said = bool(error.reason)
            return self._proof(
                Verdict.IMPOSSIBLE, error.reason or "its downgrade raises, and does not say why", said=said
            )
        state = _state(error)
        reason = f"with rows of its own: {_told(error)}" if rows else _told(error)
        by_rows = (rows and state.startswith(_OF_ROWS)) or state == "P0001"
        return self._proof(Verdict.IMPOSSIBLE, reason, said=by_rows)

    def _renew(self) -> None:
        """Stand on new ground where the revision is applied, so that those after it can be tried."""
        try:
            self._ground.begin()
            self._along(self._ground.way_up(self._subject.revision))
        except FedschemaError:
            self._ground.clear()

    def _arrive_below(self) -> None:
        way = self._ground.way_up(self._subject.revision)
        if before := way.steps[:-1]:
            self._along(Plan(way.start, before[-1].end, before))

    def _along(self, way: Plan) -> None:
        """Go a way at once, or step by step where one of them needs a connection."""
        if not way.needs_connection:
            self._ground.go(way, way.steps[-1].revision)
            return
        start = way.start
        for step in way.steps:
            self._ground.go(Plan(start, step.end, (step,)), step.revision)
            start = step.end

    def _filled(self, seen: Snapshot, also: Sequence[str] = ()) -> Snapshot:
        """Write rows into tables that have none, and into some others, and look."""
        wanted = [name for name in seen.tables if name in also or not seen.rows[name]]
        if not wanted:
            return seen
        refused = self._ground.fill(wanted)
        seen = self._ground.look()
        for table, reason in refused.items():
            if not seen.rows[table]:
                self._notes[f"not tried with rows in {table}, which took none that was made: {reason}"] = None
        return seen

    def _up_first(self, below: Snapshot) -> Snapshot:
        """Apply it, and return what was there before; rows that keep it from being applied are taken out."""
        for _ in below.tables:
            try:
                self._up()
            except FedschemaError as error:
                tables = _to_blame(error, below)
                if not tables:
                    raise
                self._ground.empty(tables)
                below = self._ground.look()
                named = tables[0] if len(tables) == 1 else "any table"
                self._notes[f"not tried with rows of before in {named}: {_told(error)}"] = None
            else:
                return below
        self._up()
        return below

    def _up(self) -> None:
        revision = self._subject.revision
        self._ground.go(self._ground.way_up(revision), revision)

    def _up_again(self, above: Snapshot) -> Snapshot:
        """Apply it again, look, and find it as it was the first time."""
        try:
            self._up()
        except FedschemaError as error:
            raise _Broken(f"after its downgrade it cannot be applied again: {_told(error)}") from error
        found = self._ground.look()
        _require_same(above, found, "applied again it gives something else")
        return found

    def _down(self) -> Plan:
        """Take it back, and return how.

        Raises:
            FedschemaError: the department is where it was.
        """
        ground, destination = self._ground, self._subject.below
        plan = ground.compiler.downgrade(ground.department, ground.heads, destination)
        ground.go(plan, destination)
        return plan


def _require_same(wanted: Snapshot, found: Snapshot, reason: str) -> None:
    if differences := compare(wanted.schema, found.schema):
        raise _Broken(reason, tuple(_said(one) for one in differences if not one.part_of_missing))


def _said(difference: Difference) -> str:
    """Say how something differs; what `fedschema drift` calls not ours was left behind here."""
    if difference.fault is Fault.FOREIGN:
        return f"{difference.thing} is left over"
    return str(difference)


def _lost(down: Plan, own: Snapshot, lower: Snapshot, again: Snapshot) -> dict[Loss, int]:
    """Return what of a revision's own rows is gone after down and up: with its table, its column, or by itself.

    What goes with a table or a column is lost also where no row could be made. No column is lost whose values another
    has, nor one that is computed.
    """
    changes = snapshots.changes(own, again)
    tables, columns = gone(down, own.columns, lower.columns)
    computed = {(name, one.name) for name, table in own.tables.items() for one in table.columns if one.computed}
    found: dict[Loss, int] = {}
    for name in tables:
        rows = sum(count for loss, count in changes.items() if loss.table == name)
        if rows or not own.rows.get(name):
            found[Loss(Lost.TABLE, name)] = len(own.rows.get(name, ()))
    for name, column in columns:
        values = sum(row.get(column) is not None for row in own.rows.get(name, ()))
        changed = any(loss.table == name and loss.column in {column, None} for loss in changes)
        if (name, column) not in computed and (changed or not values):
            found[Loss(Lost.COLUMN, name, column)] = values
    gone_columns = {(table, column) for table, column in columns}
    for loss, count in changes.items():
        carried = loss.column is not None and down.heir(loss.table, loss.column) is not None
        if loss.table not in tables and (loss.table, loss.column) not in gone_columns and not carried:
            found[loss] = count
    return found


def _to_blame(error: FedschemaError, seen: Snapshot) -> list[str]:
    """Return the tables whose rows keep a revision from being applied: the one that the server names, or all."""
    filled = [name for name, rows in seen.rows.items() if rows]
    if not (_state(error).startswith(_OF_ROWS) or isinstance(error, (ReferencesUnmet, BackfillStuck))):
        return []
    driver = _driver(error)
    named = driver.diag.table_name if driver else None
    return [named] if named in filled else filled


def _driver(error: FedschemaError) -> psycopg.Error | None:
    """Return the driver's error that one of ours was made of, also past SQLAlchemy's."""
    cause = error.__cause__
    cause = getattr(cause, "orig", cause)
    return cause if isinstance(cause, psycopg.Error) else None


def _state(error: FedschemaError) -> str:
    driver = _driver(error)
    return (driver.sqlstate if driver else None) or ""


def _told(error: FedschemaError) -> str:
    """Say what the server said, which does not name the scratch department."""
    driver = _driver(error)
    said = driver.diag.message_primary if driver else None
    return " ".join((said or error.message).split())
