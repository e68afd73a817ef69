"""A department that is there only as long as a transaction is: made, migrated, and rolled back with everything else.

Its id is nobody's. Neither a role nor a schema, neither a row of the registry nor one of the history is left of it,
however the transaction ends: nobody but its own transaction ever sees it.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from itertools import chain

import psycopg

from fedschema import batches
from fedschema.compiler import Compiler
from fedschema.connections import owner_transaction
from fedschema.department import Department
from fedschema.errors import NotRehearsable
from fedschema.fleet.findings import Rehearsal
from fedschema.fleet.pace import Pace
from fedschema.fleet.rehearsal import rehearse
from fedschema.plans import Plan
from fedschema.versions import Heads, place

#: The operation, for messages.
REHEARSING = "rehearsal on a scratch department"


def scratch_department() -> Department:
    """Return a department that nobody has: as many letters as it takes for two never to meet."""
    return Department.parse(f"rehearsal_{secrets.token_hex(8)}")


def way_to(compiler: Compiler, department: Department, heads: Heads) -> Plan:
    """Compile what brings a new department to where another one is.

    Args:
        compiler: the project.
        department: whose lineage it is, its own branch included.
        heads: the rows of the version table to arrive at.

    Raises:
        NotRehearsable: a revision on the way reads from the database, or the way leads elsewhere.
    """
    parts: list[Plan] = []
    at: Heads = ()
    for head in heads:
        parts.append(compiler.upgrade(department, at, head))
        at = parts[-1].end
    # No history: of its rows nothing stays, but of their numbers.
    steps = (replace(step, recorded=False) for step in chain.from_iterable(part.steps for part in parts))
    plan = Plan((), at, tuple(steps))
    unreachable = f"no scratch department can be brought to {place(heads)}"
    refuse_online(plan, unreachable)
    if set(at) != set(heads):
        raise NotRehearsable(unreachable, f"its revisions end at {place(at)}")
    return plan


def refuse_online(plan: Plan, wanted: str, hint: str | None = None) -> None:
    """Refuse a plan of which not all SQL is known.

    Args:
        plan: which one.
        wanted: what cannot be done for that, for the message.
        hint: what can be done instead.

    Raises:
        NotRehearsable: a revision reads from the database.
    """
    if plan.needs_connection:
        raise NotRehearsable(wanted, f"revision {plan.needs_connection[0]} reads from the database while it runs", hint)


def make(connection: psycopg.Connection, compiler: Compiler, department: Department, way: Plan) -> None:
    """Make a scratch department, inside `owner_transaction`.

    Raises:
        FedschemaError: it cannot be made here.
    """
    batch = batches.scratch(compiler.templates, department, way)
    batches.execute(connection, batch, way)


def rehearse_on_scratch(
    connection: psycopg.Connection, compiler: Compiler, pace: Pace, way: Plan, plan: Plan
) -> Rehearsal:
    """Try a plan on a department that is made for it, in one transaction that is rolled back.

    The locks stay unknown: the transaction holds all locks on tables that it has made itself.

    Args:
        connection: an autocommit connection.
        compiler: the project.
        pace: how long is waited for locks: making a role may wait for others who do.
        way: see `way_to`.
        plan: what to try.

    Raises:
        FedschemaError: the department cannot be made here.
    """
    department = scratch_department()
    with owner_transaction(connection, REHEARSING, rollback=True):
        pace.apply(connection)
        make(connection, compiler, department, way)
        return rehearse(connection, department, plan, REHEARSING)
