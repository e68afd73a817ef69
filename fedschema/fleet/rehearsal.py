"""A department's migration, statement by statement, in transactions that are rolled back: what would happen if it ran.

The statements are those of the batches that a release sends whole (`fedschema.batches.migration`), one for each leg of
its plan. After each one is looked at what it did (`fedschema.fleet.measures`); at the first that fails it ends, with
the rows that are to blame.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg

from fedschema import batches, catalogue, losses
from fedschema.connections import owner_transaction, translate
from fedschema.department import Department
from fedschema.errors import (
    Cancelled,
    ConnectionLost,
    FedschemaError,
    LockHeldTooLong,
    NeedsConfirmation,
    StatementFailed,
)
from fedschema.fleet.findings import Rehearsal, Statement, untried
from fedschema.fleet.measures import look
from fedschema.fleet.offenders import duplicates, offenders
from fedschema.fleet.pace import Pace
from fedschema.fleet.references import Reference, references, unmet
from fedschema.fleet.rows import Offenders
from fedschema.fleet.transaction import Confirmation, refuse_collateral
from fedschema.nontransactional import Backfill, IndexChange
from fedschema.plans import Plan
from fedschema.statements import moves_savepoints


class Trial:
    """A migration that is being tried, leg by leg: what is known of it by now, however it ends.

    Args:
        connection: whose transactions are the caller's to roll back.
        department: it has to be where the plan starts.
        plan: what to try.
        what: the operation, for messages.
    """

    def __init__(self, connection: psycopg.Connection, department: Department, plan: Plan, what: str) -> None:
        self.error: FedschemaError | None = None
        self.notes: list[str] = []
        self.untried_from: str | None = None
        self._connection = connection
        self._department = department
        self._plan = plan
        self._what = what
        self._planned = untried(department, plan)
        self._tried: list[Statement] = []
        self._before: list[catalogue.Column] | None = None
        self._drops: tuple[str, ...] = ()
        self._offenders: Offenders | None = None

    @property
    def rehearsal(self) -> Rehearsal:
        """What is known by now."""
        took = sum(statement.duration_seconds or 0 for statement in self._tried)
        statements = (*self._tried, *self._planned[len(self._tried) :])
        found = (self._drops, took, self.error, self._offenders, tuple(self.notes), self.untried_from)
        return Rehearsal(self._department, statements, *found)

    def go(self, number: int, not_built: IndexChange | None = None) -> bool:
        """Try a leg inside `owner_transaction`, as if its COMMIT came next, and tell whether it would be done.

        Args:
            number: which one, from 1, after those before.
            not_built: what the leg would do outside the transaction, and what is not done here.

        Raises:
            ConnectionLost, Cancelled
        """
        connection, department = self._connection, self._department
        if self._before is None:
            self._before = catalogue.columns(connection, department.schema)
        known = references(connection, department)
        sight = look(connection, department)
        there = frozenset(sight.relations)
        for statement in [one for one in self._planned if one.leg == number]:
            if not_built and not statement.is_bookkeeping:
                self._leave_out(statement, not_built)
            elif self._try(statement):
                later = look(connection, department, sight)
                self._tried[-1] = replace(self._tried[-1], effects=sight.until(later, there))
                sight = later
            if self.error:
                break
        else:
            self.error, self._offenders = _at_commit(connection, department, known, self._what)
        tables, columns = losses.gone(self._plan, self._before, catalogue.columns(connection, department.schema))
        self._drops = (*(f"column {table}.{column}" for table, column in columns), *(f"table {one}" for one in tables))
        return self.error is None

    def _try(self, statement: Statement) -> bool:
        connection, began = self._connection, time.monotonic()
        failure: psycopg.Error | None = None
        try:
            with _set_back(connection) if moves_savepoints(statement.sql) else connection.transaction():
                connection.execute(statement.sql.encode())
        except psycopg.Error as error:
            failure = error
        self._tried.append(replace(statement, duration_seconds=time.monotonic() - began))
        if failure is None:
            return True
        self.error = translate(failure, self._what, statement.revision, statement.headline)
        if isinstance(self.error, (ConnectionLost, Cancelled)):
            raise self.error from failure
        self._offenders = offenders(connection, self._department, statement.sql, failure)
        return False

    def _leave_out(self, statement: Statement, index: IndexChange) -> None:
        """Look, instead of making an index, whether rows are in the way of one that is unique."""
        began = time.monotonic()
        known, found = duplicates(self._connection, self._department, index)
        shown = replace(statement, sql=index.sql, apart=True)
        verb = "made" if index.builds else "dropped"
        looked = ", but no rows are in its way" if known else ""
        note = f"revision {statement.revision}: index {index.index} is {verb} concurrently, which is not tried{looked}"
        if found is None:
            self.notes.append(note)
        else:
            shown = replace(shown, duration_seconds=time.monotonic() - began)
            reason = f"index {index.index} would be unique, and keys are there twice"
            self.error, self._offenders = StatementFailed(self._what, reason, statement.revision, shown.headline), found
        self._tried.append(shown)


@contextmanager
def _set_back(connection: psycopg.Connection) -> Iterator[None]:
    """Go back to here if it fails; otherwise leave the savepoints as they are, which releasing one would take along."""
    connection.execute("SAVEPOINT fedschema_tried")
    try:
        yield
    except psycopg.Error:
        connection.execute("ROLLBACK TO SAVEPOINT fedschema_tried")
        raise


def rehearse(connection: psycopg.Connection, department: Department, plan: Plan, what: str) -> Rehearsal:
    """Try a migration in one transaction, which the caller rolls back.

    Args:
        connection: inside `owner_transaction`; what is tried stays there until it is rolled back.
        department: it has to be where the plan starts.
        plan: what to try.
        what: the operation, for messages.

    Raises:
        ConnectionLost, Cancelled
    """
    trial = Trial(connection, department, plan, what)
    for number, _ in enumerate(plan.legs, 1):
        if not trial.go(number):
            break
    return trial.rehearsal


def _at_commit(
    connection: psycopg.Connection, department: Department, known: frozenset[Reference], what: str
) -> tuple[FedschemaError | None, Offenders | None]:
    """Look what COMMIT would say, which never comes, and whether the rows meet the foreign keys that are new.

    Constraints that wait for COMMIT are asked now. The rows themselves PostgreSQL has not seen.
    """
    try:
        with connection.transaction():
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.Error as failure:
        error = translate(failure, what)
        if isinstance(error, (ConnectionLost, Cancelled)):
            raise error from failure
        return error, None
    return unmet(connection, department, known, what) or (None, None)


def rehearse_live(
    connection: psycopg.Connection, department: Department, plan: Plan, confirmation: Confirmation, pace: Pace
) -> Rehearsal:
    """Try a migration on the department itself, which is held meanwhile, and roll it back.

    Args:
        connection: an autocommit connection, used by nobody else meanwhile.
        department: which one.
        plan: what to try, all legs in one transaction; a department that is elsewhere has failed.
        confirmation: whether rows may be lost.
        pace: how long it waits for locks and holds them. It is not tried again.

    Raises:
        ConnectionLost
    """
    what = f"rehearsal of department {department}"
    trial = Trial(connection, department, plan, f"rehearsal of the {batches.migration(department, plan).what}")
    try:
        with pace.held_briefly(connection, department), owner_transaction(connection, what, rollback=True):
            pace.apply(connection)
            refuse_collateral(department, plan, confirmation)
            _try(connection, department, plan, confirmation, trial)
    except ConnectionLost:
        raise
    except LockHeldTooLong as error:  # who was cancelled for that is no reason of its own
        return replace(trial.rehearsal, error=error)
    except FedschemaError as error:
        trial.error = trial.error or error
    return trial.rehearsal


def _try(
    connection: psycopg.Connection,
    department: Department,
    plan: Plan,
    confirmation: Confirmation,
    trial: Trial,
) -> None:
    """Try it, and look what of value would go if nobody said that it may."""

    def once() -> None:
        _go_in_one(connection, department, plan, trial)

    if confirmation.given or not losses.may_lose_rows(plan.script(department)):
        once()
        return
    try:
        losses.refuse_losses(connection, department, plan, once, confirmation.hint, confirmation.accepted)
    except NeedsConfirmation as refused:
        trial.error = trial.error or refused


def _go_in_one(connection: psycopg.Connection, department: Department, plan: Plan, trial: Trial) -> None:
    """Try all legs in one transaction, but for what a release does outside, where that would take long."""
    for number, leg in enumerate(plan.legs, 1):
        revision = leg.steps[0].revision
        apart = leg.nontransactional(department)
        if apart is not None and catalogue.holds_nothing(connection, department.schema, apart.table):
            apart = None
        if isinstance(apart, Backfill):
            trial.untried_from = revision
            trial.notes.append(
                f"from revision {revision} on nothing was tried: it changes the rows of {apart.table} outside the "
                "transaction, a few at a time"
            )
            return
        if number > 1:
            trial.notes.append(
                f"revision {revision} was tried in the transaction of those before it: of the locks that this holds "
                "already none is seen a second time, as it is by: fedschema upgrade --plan"
            )
        if not trial.go(number, apart):
            return
