"""Does what is to be done outside a department's transaction, on connections that are right for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from fedschema import catalogue
from fedschema.connections import connect, owner_session, require_same_server
from fedschema.department import Department
from fedschema.fleet.backfilling import BackfillStep, fill
from fedschema.fleet.concurrently import IndexStep, change_index
from fedschema.fleet.pace import Pace
from fedschema.fleet.transaction import Confirmation, recorded_failures, run_plan
from fedschema.nontransactional import Backfill
from fedschema.plans import Plan
from fedschema.workers import Halt


@dataclass(frozen=True, slots=True)
class Reach:
    """How the database is reached.

    Attributes:
        conninfo: the database.
        direct: the same past a pooler, for what needs a session of its own; None where there is no pooler.
    """

    conninfo: str
    direct: str | None = None

    @contextmanager
    def session(self, connection: psycopg.Connection, what: str) -> Iterator[psycopg.Connection]:
        """Open a session of one's own, to where `connection` leads; raises as `owner_session` does."""
        with owner_session(self.direct or self.conninfo, what) as session:
            if self.direct:
                require_same_server(connection, session)
            yield session


@dataclass(frozen=True, slots=True)
class Manner:
    """How a leg is to be done.

    Attributes:
        confirmation: whether rows may be lost.
        pace: how hard it may press.
        halt: ends it early.
    """

    confirmation: Confirmation
    pace: Pace
    halt: Halt


def run_leg(reach: Reach, connection: psycopg.Connection, department: Department, leg: Plan, manner: Manner) -> None:
    """Do one leg of a department's plan: in a transaction, or apart from any if it has to be and the table holds rows.

    Args:
        reach: for a session of its own.
        connection: an autocommit connection, used by nobody else meanwhile.
        department: which one.
        leg: see `fedschema.plans.Plan.legs`.
        manner: how hard it may press, and what may be lost.

    Raises:
        DepartmentMoved: another command was there first.
        FedschemaError: the department is where the leg starts.
    """
    pace, wait = manner.pace, manner.halt.wait
    apart = leg.nontransactional(department)
    if apart is None or catalogue.holds_nothing(connection, department.schema, apart.table):
        run_plan(connection, department, leg, manner.confirmation, pace=pace, wait=wait)
        return
    step = leg.steps[0]
    with recorded_failures(connection, department, step.direction, lambda: step.revision):
        if isinstance(apart, Backfill):
            fill(connection, BackfillStep(department, leg, apart, pace, wait))
            return
        index = IndexStep(department, leg, apart, pace, wait)
        with reach.session(connection, index.what) as session, manner.halt.covering(session):
            change_index(session, index)


def run_apart(reach: Reach, department: Department, leg: Plan) -> None:
    """Do a leg as `run_leg` does, at the default pace, on a connection that is opened for it."""
    with connect(reach.conninfo) as connection:
        run_leg(reach, connection, department, leg, Manner(Confirmation(given=False, hint=""), Pace(), Halt()))
