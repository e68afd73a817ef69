"""A department's migration, statement by statement, in a transaction that is rolled back: what would happen if it ran.

The statements are those of the batch that a release sends whole (`fedschema.batches.migration`). After each one is
looked at what it did (`fedschema.fleet.measures`); at the first that fails it ends, with the rows that are to blame.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace

import psycopg

from fedschema import batches, catalogue, losses
from fedschema.connections import owner_transaction, translate
from fedschema.department import Department
from fedschema.errors import Cancelled, ConnectionLost, FedschemaError, NeedsConfirmation, ReferencesUnmet
from fedschema.fleet.measures import Effects, Lock, look
from fedschema.fleet.offenders import Offenders, Reference, against, offenders, references
from fedschema.fleet.pace import Pace
from fedschema.fleet.transaction import Confirmation, refuse_collateral
from fedschema.plans import Plan
from fedschema.statements import headline

_BOOKKEEPING = re.compile(r"CALL federation\.|(?:UPDATE|INSERT INTO|DELETE FROM) \S+\.alembic_version\b")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a migration.

    Attributes:
        sql: the whole of it.
        revision: whose it is; None for what surrounds the revisions.
        effects: what it did; None where it failed or was not tried.
        duration_seconds: how long it took, also to fail; None where it was not tried.
    """

    sql: str
    revision: str | None
    effects: Effects | None = None
    duration_seconds: float | None = None

    @property
    def failed(self) -> bool:
        """It was tried, and did nothing."""
        return self.effects is None and self.duration_seconds is not None

    @property
    def headline(self) -> str:
        """The beginning of it, as people may see it."""
        return batches.shown(self.sql)

    @property
    def is_bookkeeping(self) -> bool:
        """It moves the version table and the history along, checks the walls, or holds the department."""
        return _BOOKKEEPING.match(headline(self.sql)) is not None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a migration would do.

    Attributes:
        department: whose tables it was tried on.
        statements: in order; those after one that failed were not tried.
        drops: the tables and columns that would be gone, whether they hold something or not.
        duration_seconds: of the whole, the looking left out.
        error: why it would fail, or None.
        offenders: the rows because of which it would, where they could be counted.
    """

    department: Department
    statements: tuple[Statement, ...]
    drops: tuple[str, ...] = ()
    duration_seconds: float | None = None
    error: FedschemaError | None = None
    offenders: Offenders | None = None

    @property
    def held(self) -> tuple[Lock, ...]:
        """The strongest lock on each relation that the transaction would hold at its end, the strongest first."""
        taken = [lock for one in self.statements if one.effects for lock in one.effects.locks or ()]
        by_relation = {lock.relation: lock for lock in sorted(taken, key=lambda lock: lock.strength)}
        return tuple(sorted(by_relation.values(), key=lambda lock: (-lock.strength, lock.relation)))

    @property
    def tried(self) -> bool:
        """At least one statement was."""
        return any(statement.effects is not None for statement in self.statements)


def untried(department: Department, plan: Plan) -> tuple[Statement, ...]:
    """Return the statements of a department's migration."""
    batch = batches.migration(department, plan)
    return tuple(Statement(text, revision) for text, revision in batches.statements_of(batch, plan))


def rehearse(connection: psycopg.Connection, department: Department, plan: Plan, what: str) -> Rehearsal:
    """Try a migration, whose transaction the caller rolls back.

    Args:
        connection: inside `owner_transaction`; what is tried stays there until it is rolled back.
        department: it has to be where the plan starts.
        plan: what to try.
        what: the operation, for messages.

    Raises:
        ConnectionLost, Cancelled
    """
    planned = untried(department, plan)
    before = catalogue.columns(connection, department.schema)
    known = references(connection, department)
    sight = look(connection, department)
    there = frozenset(sight.relations)
    tried: list[Statement] = []
    error, to_blame = None, None
    for statement in planned:
        began = time.monotonic()
        try:
            with connection.transaction():
                connection.execute(statement.sql.encode())
        except psycopg.Error as failure:
            error = translate(failure, what, statement.revision, statement.headline)
            if isinstance(error, (ConnectionLost, Cancelled)):
                raise error from failure
            tried.append(replace(statement, duration_seconds=time.monotonic() - began))
            to_blame = offenders(connection, department, statement.sql, failure)
            break
        took = time.monotonic() - began
        later = look(connection, department, sight)
        effects, sight = sight.until(later, there), later
        tried.append(replace(statement, effects=effects, duration_seconds=took))
    if error is None:
        error, to_blame = _at_commit(connection, department, known, what)
    took = sum(statement.duration_seconds or 0 for statement in tried)
    drops = _drops(before, catalogue.columns(connection, department.schema))
    return Rehearsal(department, (*tried, *planned[len(tried) :]), drops, took, error, to_blame)


def _at_commit(
    connection: psycopg.Connection, department: Department, known: frozenset[Reference], what: str
) -> tuple[FedschemaError | None, Offenders | None]:
    """Look what COMMIT would say, which never comes, and whether the rows meet the foreign keys that are new.

    Constraints that wait for COMMIT are asked now. The rows themselves PostgreSQL has not seen: `offenders.against`.
    """
    try:
        with connection.transaction():
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.Error as failure:
        error = translate(failure, what)
        if isinstance(error, (ConnectionLost, Cancelled)):
            raise error from failure
        return error, None
    for reference in sorted(references(connection, department) - known, key=lambda one: one.name):
        if found := against(connection, department, reference):
            return ReferencesUnmet(what, f"{reference.name} of {reference.table}", str(found)), found
    return None, None


def _drops(before: list[catalogue.Column], after: list[catalogue.Column]) -> tuple[str, ...]:
    remaining = {column.key for column in after}
    tables = {column.table_oid for column in after}
    gone = [column for column in before if column.key not in remaining]
    return tuple(
        sorted(
            {
                f"column {column.table_name}.{column.column_name}"
                if column.table_oid in tables
                else f"table {column.table_name}"
                for column in gone
            }
        )
    )


def rehearse_live(
    connection: psycopg.Connection, department: Department, plan: Plan, confirmation: Confirmation, pace: Pace
) -> Rehearsal:
    """Try a migration on the department itself, which is held meanwhile, and roll it back.

    Args:
        connection: an autocommit connection, used by nobody else meanwhile.
        department: which one.
        plan: what to try; a department that is elsewhere has failed.
        confirmation: whether rows may be lost.
        pace: how long it waits for locks and holds them. It is not tried again.

    Raises:
        ConnectionLost
    """
    planned = untried(department, plan)
    tried: list[Rehearsal] = []
    what = f"rehearsal of department {department}"
    began = time.monotonic()
    try:
        with pace.held_briefly(connection, department), owner_transaction(connection, what, rollback=True):
            pace.apply(connection)
            refuse_collateral(department, plan, confirmation)
            _try(connection, department, plan, confirmation, tried)
    except ConnectionLost:
        raise
    except FedschemaError as error:
        known = tried[0] if tried else Rehearsal(department, planned, duration_seconds=time.monotonic() - began)
        return replace(known, error=known.error or error)
    return tried[0]


def _try(
    connection: psycopg.Connection,
    department: Department,
    plan: Plan,
    confirmation: Confirmation,
    tried: list[Rehearsal],
) -> None:
    """Try it, and look what of value would go if nobody said that it may."""

    def once() -> None:
        what = f"rehearsal of the {batches.migration(department, plan).what}"
        tried.append(rehearse(connection, department, plan, what))

    if confirmation.given or not losses.may_lose_rows(plan.script(department)):
        once()
        return
    try:
        losses.refuse_losses(connection, department, once, confirmation.hint)
    except NeedsConfirmation as refused:
        tried[0] = replace(tried[0], error=tried[0].error or refused)
