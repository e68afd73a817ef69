"""Does what is to be done outside a department's transaction, on connections that are right for it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import psycopg

from fedschema import catalogue
from fedschema.connections import connect
from fedschema.department import Department
from fedschema.fleet.apart_step import ApartStep
from fedschema.fleet.backfilling import fill
from fedschema.fleet.concurrently import change_index
from fedschema.fleet.pace import Pace
from fedschema.fleet.transaction import Confirmation, recorded_failures, run_plan
from fedschema.nontransactional import Backfill
from fedschema.plans import Plan
from fedschema.reach import Reach
from fedschema.workers import Halt


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
    if isinstance(apart, Backfill):
        rows = ApartStep(department, leg, apart, pace, wait)
        with _recorded(connection, rows):
            fill(connection, rows)
        return
    index = ApartStep(department, leg, apart, pace, wait)
    with reach.session(connection, index.what) as session, manner.halt.covering(session), _recorded(connection, index):
        change_index(session, index)


def _recorded(connection: psycopg.Connection, step: ApartStep[Any]) -> AbstractContextManager[None]:
    """Write a failure of a step into the history; that no session can be had for it is none."""
    return recorded_failures(connection, step.department, step.leg.steps[0].direction, lambda: step.revision)


def run_apart(reach: Reach, department: Department, leg: Plan) -> None:
    """Do a leg as `run_leg` does, at the default pace, on a connection that is opened for it."""
    with connect(reach.conninfo) as connection:
        run_leg(reach, connection, department, leg, Manner(Confirmation(given=False, hint=""), Pace(), Halt()))
