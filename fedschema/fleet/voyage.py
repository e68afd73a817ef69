"""One department's way from where it is to where it has to be, whatever happens on it.

Another command may have been there first, and the connection may be lost without anybody knowing whether COMMIT was
heard: both are settled by looking into the version table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from fedschema import registry
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import ConnectionLost, DepartmentMoved, FedschemaError, NeedsConfirmation, StatementFailed
from fedschema.fleet.pace import Pace
from fedschema.fleet.transaction import Confirmation, run_plan
from fedschema.plans import Plan
from fedschema.versions import Heads
from fedschema.workers import Halt

#: How often another command may be first, or a connection be lost, before it is given up.
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Voyage:
    """What is to be done with one department.

    Attributes:
        conninfo: the database, for another connection when one is lost.
        department: which one.
        plan: from where it was when it was last looked at.
        confirmation: whether rows may be lost.
        pace: how hard it may press.
        halt: ends the waiting between attempts.
        compile_from: makes the plan from somewhere else, when it was moved meanwhile.
    """

    conninfo: str
    department: Department
    plan: Plan
    confirmation: Confirmation
    pace: Pace
    halt: Halt
    compile_from: Callable[[Heads], Plan]


def go(voyage: Voyage, connection: psycopg.Connection, attempts: int = _ATTEMPTS) -> Heads:
    """Go all the way, and return the rows of the version table at the end.

    Raises:
        FedschemaError: the department is where it was; or, for ConnectionLost, where nobody can look.
    """
    if not voyage.plan.steps:
        return voyage.plan.end
    try:
        run_plan(
            connection, voyage.department, voyage.plan, voyage.confirmation, pace=voyage.pace, wait=voyage.halt.wait
        )
    except DepartmentMoved:
        if attempts <= 1:
            raise
        return go(_from_where_it_is(voyage, connection), connection, attempts - 1)
    except ConnectionLost:
        if attempts <= 1 or voyage.halt.wait(voyage.pace.pause_before(_ATTEMPTS - attempts)):
            raise
        with connect(voyage.conninfo) as another, voyage.halt.covering(another):
            return go(_from_where_it_is(voyage, another), another, attempts - 1)
    return voyage.plan.end


def _from_where_it_is(voyage: Voyage, connection: psycopg.Connection) -> Voyage:
    """Look where a department is, and plan from there."""
    with owner_transaction(connection, f"looking where department {voyage.department} is"):
        heads = registry.revisions(connection, [voyage.department])[voyage.department] or ()
    return replace(voyage, plan=voyage.compile_from(heads))


def run_with_alembic(conninfo: str, ini: Path, department: Department, way: tuple[str, str], hint: str | None) -> None:
    """Run revisions that need a connection the ordinary way, through env.py.

    Args:
        conninfo: the database.
        ini: the project's alembic.ini.
        department: which one.
        way: ``upgrade`` or ``downgrade``, and where to.
        hint: how to confirm that rows may be lost; None when somebody did.
    """
    import alembic.command  # noqa: PLC0415 - see `fedschema.compiler`
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    direction, destination = way
    confirm = [f"confirm={department}"] if hint is None else []
    config = Config(str(ini), cmd_opts=argparse.Namespace(x=[f"tenant={department}", *confirm]))
    config.attributes["conninfo"] = conninfo
    try:
        getattr(alembic.command, direction)(config, destination)
    except CommandError as error:
        cause = error.__cause__
        if isinstance(cause, NeedsConfirmation):
            raise type(cause)(cause.owner, cause.losses, hint or "") from error
        if isinstance(cause, FedschemaError):
            raise cause from error
        raise StatementFailed(f"{direction} of department {department}", str(error)) from error
