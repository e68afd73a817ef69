"""Takes out of a schema whatever could run while it is repaired: first that goes, then anything is made.

An index with a function of somebody's choice runs it, with the rights of whoever builds the index; making a column may
build all of a table's. So what is not ours, or is under one of our names and otherwise than ours, is taken away before
a repair touches a row. What is to be there is made afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import psycopg

from fedschema import drift, inspection
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.differences import Difference, Fault, compare
from fedschema.inspection import Description
from fedschema.repairs import plan_repairs

#: What may hold an expression or a name of somebody's choice, and is made anew as a whole.
_MADE_ANEW = frozenset({"constraint", "index", "policy", "trigger", "rule"})


def clear(
    connection: psycopg.Connection, compiler: Compiler, department: Department, wanted: Description
) -> Sequence[Difference]:
    """Take away what is not ours and what is otherwise than ours, as far as it can be made anew.

    Args:
        connection: inside an owner's transaction, with everything handed over.
        compiler: the project.
        department: whose schema it is.
        wanted: how it should be.

    Returns:
        what could not be taken away; nothing may be repaired then.
    """
    before: list[Difference] = []
    while True:
        found = inspection.descriptions(connection, compiler.templates, [department])[department]
        going = [_as_foreign(one) for one in compare(wanted, found) if _goes(one)]
        if not going or going == before:
            return going
        drift.run_safe(connection, department, plan_repairs(department, going))
        before = going


def _goes(difference: Difference) -> bool:
    if not difference.matters:
        return False
    remade = difference.fault is Fault.CHANGED and difference.thing.kind in _MADE_ANEW
    return difference.fault is Fault.FOREIGN or remade


def _as_foreign(difference: Difference) -> Difference:
    """Return the difference as if the object had to go and nothing had to come."""
    return replace(difference, fault=Fault.FOREIGN, wanted=None)


def hand_back_functions(
    connection: psycopg.Connection, department: Department, differences: Sequence[Difference]
) -> None:
    """Give functions that are ours in all but their owner to that owner, as it is done when they are made."""
    owners = [
        one
        for one in differences
        if one.thing.kind == "function" and one.fault is Fault.CHANGED and one.changes.keys() == {"owner"}
    ]
    drift.run_safe(connection, department, plan_repairs(department, owners))
