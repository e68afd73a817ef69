"""Takes departments along a plan, each in a transaction of its own: whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg

from fedschema import batches, losses, registry
from fedschema.connections import owner_transaction
from fedschema.department import Department
from fedschema.errors import (
    BranchWouldGo,
    Cancelled,
    ConnectionLost,
    DepartmentMoved,
    FedschemaError,
    NeedsConfirmation,
    StatementFailed,
)
from fedschema.fleet.pace import Pace
from fedschema.fleet.references import references_met
from fedschema.plans import Plan


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Whether rows may be lost.

    Attributes:
        given: somebody said so for this department.
        hint: how to say so, shown when a step is refused.
        accepted: the tables and columns that may be lost anyway, since the step was named that loses them.
    """

    given: bool
    hint: str
    accepted: frozenset[tuple[str, str | None]] = frozenset()


def run_plan(  # noqa: PLR0913 - what a department's migration is made of
    connection: psycopg.Connection,
    department: Department,
    plan: Plan,
    confirmation: Confirmation,
    *,
    pace: Pace,
    wait: Callable[[float], bool],
) -> None:
    """Take one department along a plan; one that cannot have its locks is tried again.

    Args:
        connection: an autocommit connection, used by nobody else meanwhile.
        department: it has to be where the plan starts.
        plan: see `fedschema.plans`.
        confirmation: whether a step may drop what holds rows.
        pace: how long it waits for locks and holds them, how often it tries.
        wait: waits between two attempts, seconds; true when that is cut short and the attempts end.

    Raises:
        DepartmentMoved: another command was there first.
        WouldLoseRows: the plan drops what holds rows and nobody confirmed it.
        ReferencesUnmet: rows do not meet a foreign key that it adds.
        StatementFailed, WallsMissing, LockTimeout, …: nothing was changed; the failure is in the history.
    """
    first = plan.steps[0]
    with recorded_failures(connection, department, first.direction, lambda: first.revision):
        pace.patiently(lambda: _attempt(connection, department, plan, confirmation, pace), wait)


def _attempt(
    connection: psycopg.Connection, department: Department, plan: Plan, confirmation: Confirmation, pace: Pace
) -> None:
    batch = batches.migration(department, plan)
    with pace.held_briefly(connection, department), owner_transaction(connection, batch.what):
        pace.apply(connection)
        refuse_collateral(department, plan, confirmation)
        if not confirmation.given and losses.may_lose_rows(plan.script(department)):
            rehearsal = _rehearsal(connection, batch, plan)
            losses.refuse_losses(connection, department, plan, rehearsal, confirmation.hint, confirmation.accepted)
        with references_met(connection, department, plan, batch.what):
            batches.execute(connection, batch, plan)


def refuse_collateral(department: Department, plan: Plan, confirmation: Confirmation) -> None:
    """Refuse a step down the trunk that takes the department's own branch along, unless that was confirmed.

    Raises:
        BranchWouldGo
    """
    if plan.collateral and not confirmation.given:
        losses_of_branch = [f"its own revision {revision}, which builds on what goes" for revision in plan.collateral]
        raise BranchWouldGo(department.id, losses_of_branch, confirmation.hint)


def _rehearsal(connection: psycopg.Connection, batch: batches.Batch, plan: Plan) -> Callable[[], None]:
    return lambda: batches.execute(connection, batch, plan)


@contextmanager
def recorded_failures(
    connection: psycopg.Connection, department: Department, direction: str, running: Callable[[], str | None]
) -> Iterator[None]:
    """Write a failure of what runs inside into the history, in a transaction of its own, since the failed one is gone.

    Args:
        connection: the connection that the failed transaction was on.
        department: whose history it is.
        direction: ``upgrade``, ``downgrade`` or ``stamp``.
        running: says which revision was running, where the error does not; None when none was, so that none failed.

    A refusal (rows would be lost, another command was first, somebody cancelled it) is no failure and leaves no row.
    """
    try:
        yield
    except (NeedsConfirmation, DepartmentMoved, ConnectionLost, Cancelled):
        raise
    except FedschemaError as error:
        revision = (error.revision if isinstance(error, StatementFailed) else None) or running()
        # What the caller has to hear about is the failure itself, also when it cannot be written down.
        if revision:
            with suppress(FedschemaError), owner_transaction(connection, "recording the failure"):
                registry.record_failure(connection, department.id, revision, direction, error.message)
        raise
