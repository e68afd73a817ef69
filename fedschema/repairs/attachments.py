"""Repairs of what is attached to tables: constraints, indexes, triggers, rules; and of functions."""

from __future__ import annotations

from collections.abc import Iterator

from fedschema.differences import Fault
from fedschema.rendering import quote_identifier
from fedschema.repairs.place import Answer, Place, safe, unsafe


def constraint(place: Place) -> Answer:
    """Mend a constraint: it is dropped and made, or validated."""
    alter = f"ALTER TABLE {place.table}"
    drop = f"{alter} DROP CONSTRAINT {place.own}"
    if place.fault is Fault.FOREIGN:
        return safe(drop)
    if place.fault is Fault.CHANGED and set(place.changes) == {"validated"}:
        return safe(f"{alter} VALIDATE CONSTRAINT {place.own}")
    add = f"{alter} ADD CONSTRAINT {place.own} {place.wanted['definition']}"
    return safe(add) if place.fault is Fault.MISSING else safe(drop, add)


def index(place: Place) -> Answer:
    """Mend an index: it is dropped and made; one of a constraint comes with that."""
    if (place.wanted or place.difference.found or {}).get("of constraint"):
        return safe()  # it comes with its constraint
    drop = f"DROP INDEX {place.schema}.{place.own}"
    if place.fault is Fault.FOREIGN:
        return safe(drop)
    create = str(place.wanted["definition"])
    return safe(create) if place.fault is Fault.MISSING else safe(drop, create)


def trigger(place: Place) -> Answer:
    """Mend a trigger: it is dropped and made, or enabled."""
    drop = f"DROP TRIGGER {place.own} ON {place.table}"
    if place.fault is Fault.FOREIGN:
        return safe(drop)
    fires = f"ALTER TABLE {place.table} {_FIRES[str(place.wanted['fires'])]} TRIGGER {place.own}"
    if place.fault is Fault.CHANGED and set(place.changes) == {"fires"}:
        return safe(fires)
    create = str(place.wanted["definition"])
    return safe(create, fires) if place.fault is Fault.MISSING else safe(drop, create, fires)


_FIRES = {"yes": "ENABLE", "never": "DISABLE", "always": "ENABLE ALWAYS", "on a replica": "ENABLE REPLICA"}


def rule(place: Place) -> Answer:
    """Mend a rule: one that is not ours goes."""
    drop = f"DROP RULE {place.own} ON {place.table}"
    return safe(drop) if place.fault is Fault.FOREIGN else unsafe("a rule has to be looked at")


def function(place: Place) -> Answer:
    """Mend a function: its text and its owner."""
    drop = f"DROP ROUTINE {place.itself}"
    if place.fault is Fault.FOREIGN:
        return safe(drop)
    found = place.difference.found or {}
    statements = [drop] if found.get("owner", _OWNER) != _OWNER else []
    if statements or place.fault is Fault.MISSING or "definition" in place.changes:
        statements.append(str(place.wanted["definition"]).strip())
    return safe(*statements, last=tuple(_handed_over(place)))


#: Who makes everything; what belongs to somebody else is handed over when it is made.
_OWNER = "federation_owner"


def _handed_over(place: Place) -> Iterator[str]:
    """Give a function to its owner, who for that moment has to be allowed to make things in the schema."""
    if place.wanted["owner"] == _OWNER:
        return
    owner = quote_identifier(str(place.wanted["owner"]))
    yield f"GRANT CREATE ON SCHEMA {place.schema} TO {owner}"
    yield f"ALTER ROUTINE {place.itself} OWNER TO {owner}"
    yield f"REVOKE CREATE ON SCHEMA {place.schema} FROM {owner}"
