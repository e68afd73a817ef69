"""Finds the place on a department's way that a schema is most like."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from fedschema import expectations
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.errors import FedschemaError
from fedschema.inspection import Description, Pattern
from fedschema.versions import Heads


def patterns(
    connection: psycopg.Connection, compiler: Compiler, department: Department, revision: str | None
) -> dict[Heads, Pattern]:
    """Return what a department looks like at each place that it can have been made for, in their order.

    Args:
        connection: an autocommit connection.
        compiler: the project.
        department: which one; its own branch counts.
        revision: the only place that is meant; None for all of them.

    Raises:
        UnknownRevision, ForeignRevision: there is no such revision, or it is somebody else's.
        NotRehearsable, …: nobody knows what a department looks like there.
    """
    if revision is not None:
        places = [compiler.lineage(department).resolve(revision)]
    else:
        places = [step.end for step in compiler.upgrade(department, (), "head").steps]
    found = expectations.patterns(connection, compiler, {tuple(sorted(place)): department for place in places})
    known = {heads: pattern for heads, pattern in found.items() if isinstance(pattern, Pattern)}
    for problem in found.values():
        if isinstance(problem, FedschemaError) and not known:
            raise problem
    return known


def best(known: Mapping[Heads, Pattern], department: Department, found: Description) -> Heads:
    """Return the place that a schema is most like: fewest objects differ, and it is the latest of several."""
    places = list(known)
    return min(places, key=lambda heads: (_distance(known[heads].description(department), found), -places.index(heads)))


def _distance(wanted: Description, found: Description) -> int:
    return sum(wanted.get(thing) != found.get(thing) for thing in {*wanted, *found})
