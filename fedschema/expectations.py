"""What departments should look like: read from one that is made by the revisions themselves, and rolled back."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from fedschema import inspection
from fedschema.compiler import Compiler
from fedschema.connections import owner_transaction
from fedschema.department import Department
from fedschema.fleet import scratch
from fedschema.inspection import Pattern
from fedschema.versions import Heads

_WHAT = "making a department to compare with"


def patterns(
    connection: psycopg.Connection, compiler: Compiler, places: Mapping[Heads, Department]
) -> dict[Heads, Pattern]:
    """Return what a department looks like at each of some places, made once for each; nothing is left of them.

    Args:
        connection: an autocommit connection.
        compiler: the project.
        places: the rows of a version table, each with a department that is there: whose branches lead there.

    Raises:
        NotRehearsable: a revision on the way reads from the database, so that nobody knows what it gives.
    """
    database = (
        f"{connection.info.host}:{connection.info.port}/{connection.info.dbname} {connection.info.server_version}"
    )
    for heads, department in places.items():
        if (database, heads) not in compiler.patterns:
            compiler.patterns[database, heads] = _pattern(connection, compiler, department, heads)
    return {heads: compiler.patterns[database, heads] for heads in places}


def _pattern(connection: psycopg.Connection, compiler: Compiler, department: Department, heads: Heads) -> Pattern:
    way = scratch.way_to(compiler, department, heads)
    made = scratch.scratch_department()
    with owner_transaction(connection, _WHAT, rollback=True):
        scratch.make(connection, compiler, made, way)
        return inspection.pattern(connection, compiler.templates, made)
