"""One department's way from where it is to where it has to be, whatever happens on it.

It goes leg by leg: what is transactional is done at once, what is not goes by itself. Another command may have been
there first, and the connection may be lost without anybody knowing whether COMMIT was heard: both are settled by
looking into the version table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import psycopg

from fedschema import registry
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import ConnectionLost, DepartmentMoved
from fedschema.fleet.apart import Manner, run_leg
from fedschema.fleet.transaction import refuse_collateral
from fedschema.plans import Plan
from fedschema.reach import Reach
from fedschema.versions import Heads

#: How often another command may be first, or a connection be lost, before it is given up.
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Voyage:
    """What is to be done with one department.

    Attributes:
        reach: the database, for other connections.
        department: which one.
        plan: from where it was when it was last looked at.
        manner: how it is to be done.
        compile_from: makes the plan from somewhere else, when it was moved meanwhile.
        reached: hears of each leg's end, when it is committed.
    """

    reach: Reach
    department: Department
    plan: Plan
    manner: Manner
    compile_from: Callable[[Heads], Plan]
    reached: Callable[[Heads], None]


def go(voyage: Voyage, connection: psycopg.Connection, attempts: int = _ATTEMPTS) -> Heads:
    """Go all the way, and return the rows of the version table at the end.

    Raises:
        FedschemaError: the department is where the last leg that was done ended; or, for ConnectionLost, where nobody
            can look.
    """
    try:
        refuse_collateral(voyage.department, voyage.plan, voyage.manner.confirmation)
        for leg in voyage.plan.legs:
            run_leg(voyage.reach, connection, voyage.department, leg, voyage.manner)
            voyage.reached(leg.end)
    except DepartmentMoved:
        if attempts <= 1:
            raise
        return go(_from_where_it_is(voyage, connection), connection, attempts - 1)
    except ConnectionLost:
        if attempts <= 1 or voyage.manner.halt.wait(voyage.manner.pace.pause_before(_ATTEMPTS - attempts)):
            raise
        with connect(voyage.reach.conninfo) as another, voyage.manner.halt.covering(another):
            return go(_from_where_it_is(voyage, another), another, attempts - 1)
    return voyage.plan.end


def _from_where_it_is(voyage: Voyage, connection: psycopg.Connection) -> Voyage:
    """Look where a department is, and go on from there: by the plan, where it is on the plan's way."""
    with owner_transaction(connection, f"looking where department {voyage.department} is"):
        heads = registry.revisions(connection, [voyage.department])[voyage.department] or ()
    return replace(voyage, plan=voyage.plan.rest_from(heads) or voyage.compile_from(heads))
