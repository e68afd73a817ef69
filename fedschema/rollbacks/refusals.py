"""Why a revision was refused: what the server said, and whether rows are the reason."""

from __future__ import annotations

import psycopg

from fedschema.errors import BackfillStuck, FedschemaError, ReferencesUnmet
from fedschema.snapshots import Snapshot

#: What a revision's own SQL raises (manual, appendix "PostgreSQL Error Codes").
_RAISED = "P0001"
#: The classes of what rows may be the reason for: data exceptions, constraints; and what is raised.
_OF_ROWS = ("22", "23", _RAISED)


def is_of_rows(error: FedschemaError) -> bool:
    """Tell whether the server refused something that rows may be the reason for."""
    return _state(error).startswith(_OF_ROWS)


def says_so(error: FedschemaError) -> bool:
    """Tell whether a revision's own SQL raised an error."""
    return _state(error) == _RAISED


def to_blame(error: FedschemaError, seen: Snapshot) -> list[str]:
    """Return the tables whose rows keep a revision from being applied: the one that the server names, or all."""
    filled = [name for name, rows in seen.rows.items() if rows]
    if not (is_of_rows(error) or isinstance(error, (ReferencesUnmet, BackfillStuck))):
        return []
    driver = _driver(error)
    named = driver.diag.table_name if driver else None
    return [named] if named in filled else filled


def _driver(error: FedschemaError) -> psycopg.Error | None:
    """Return the driver's error that one of ours was made of, also past SQLAlchemy's."""
    cause = error.__cause__
    cause = getattr(cause, "orig", cause)
    return cause if isinstance(cause, psycopg.Error) else None


def _state(error: FedschemaError) -> str:
    driver = _driver(error)
    return (driver.sqlstate if driver else None) or ""


def told(error: FedschemaError) -> str:
    """Say what the server said, which does not name the scratch department."""
    driver = _driver(error)
    said = driver.diag.message_primary if driver else None
    return " ".join((said or error.message).split())
