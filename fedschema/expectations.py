"""What departments should look like: read from one that is made by the revisions themselves, and rolled back."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from fedschema import inspection
from fedschema.compiler import Compiler
from fedschema.connections import owner_transaction
from fedschema.department import Department
from fedschema.errors import Cancelled, ConnectionLost, FedschemaError
from fedschema.fleet import scratch
from fedschema.inspection import Pattern
from fedschema.versions import Heads

_WHAT = "making a department to compare with"


def patterns(
    connection: psycopg.Connection, compiler: Compiler, places: Mapping[Heads, Department]
) -> dict[Heads, Pattern | FedschemaError]:
    """Return what a department looks like at each of some places, or why nobody knows; nothing is left of it.

    Args:
        connection: an autocommit connection.
        compiler: the project; it keeps what was found.
        places: the rows of a version table, each with a department that is there: whose branches lead there.
    """
    at = connection.info
    database = f"{at.host}:{at.port}/{at.dbname} {at.server_version}"
    found: dict[Heads, Pattern | FedschemaError] = {}
    for heads, department in places.items():
        try:
            if (database, heads) not in compiler.patterns:
                compiler.patterns[database, heads] = _pattern(connection, compiler, department, heads)
            found[heads] = compiler.patterns[database, heads]
        except (ConnectionLost, Cancelled):
            raise
        except FedschemaError as error:  # a revision that reads from the database, a server that takes no department
            found[heads] = error
    return found


def _pattern(connection: psycopg.Connection, compiler: Compiler, department: Department, heads: Heads) -> Pattern:
    way = scratch.way_to(compiler, department, heads)
    made = scratch.scratch_department()
    with owner_transaction(connection, _WHAT, rollback=True):
        scratch.make(connection, compiler, made, way)
        return inspection.pattern(connection, compiler.templates, made)
