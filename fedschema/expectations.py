"""What departments should look like: read from one that is made by the revisions themselves, and rolled back."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import psycopg

from fedschema import blueprints, inspection
from fedschema.cache import Shelf
from fedschema.compiler import Compiler
from fedschema.connections import database_identity, owner_transaction
from fedschema.department import Department
from fedschema.errors import Cancelled, ConnectionLost, FedschemaError
from fedschema.fleet import scratch
from fedschema.inspection import Pattern
from fedschema.versions import Heads

_WHAT = "making a department to compare with"
_SHELF = Shelf("patterns", holds=64)


def patterns(
    connection: psycopg.Connection, compiler: Compiler, places: Mapping[Heads, Department], *, anew: bool = False
) -> dict[Heads, Pattern | FedschemaError]:
    """Return what a department looks like at each of some places, or why nobody knows; nothing is left of it.

    Args:
        connection: an autocommit connection.
        compiler: the project; it keeps what was found, and so does the cache of this user.
        places: the rows of a version table, each with a department that is there: whose branches lead there.
        anew: believe nothing that an earlier command kept: the database decides as well what its revisions give.
    """
    with owner_transaction(connection, _WHAT):
        at = database_identity(connection) or f"{connection.info.host}:{connection.info.port}/{connection.info.dbname}"
    database = f"{at} {connection.info.server_version}"
    found: dict[Heads, Pattern | FedschemaError] = {}
    for heads, department in places.items():
        known = compiler.patterns.get((database, heads))
        if known is None or (anew and known.kept):
            key = f"{compiler.project.ini} {database} {' '.join(sorted(heads))}"
            try:
                known = (None if anew else _kept(compiler, key)) or _made(connection, compiler, department, heads, key)
            except (ConnectionLost, Cancelled):
                raise
            except FedschemaError as error:  # a revision that reads from the database, a server that takes none
                found[heads] = error
                continue
            compiler.patterns[database, heads] = known
        found[heads] = known
    return found


def _kept(compiler: Compiler, key: str) -> Pattern | None:
    kept = _SHELF.load(key, blueprints.fingerprint(compiler.project))
    with suppress(ValueError, KeyError, TypeError):
        if kept:
            lines = tuple((kind, name, definition) for kind, name, definition in kept["lines"])
            return Pattern(Department.parse(kept["of"]), lines, kept=True)
    return None


def _made(
    connection: psycopg.Connection, compiler: Compiler, department: Department, heads: Heads, key: str
) -> Pattern:
    way = scratch.way_to(compiler, department, heads)
    of = scratch.scratch_department()
    with owner_transaction(connection, _WHAT, rollback=True):
        scratch.make(connection, compiler, of, way)
        made = inspection.pattern(connection, compiler.templates, of)
    _SHELF.save(key, blueprints.fingerprint(compiler.project), {"of": of.id, "lines": made.lines})
    return made
