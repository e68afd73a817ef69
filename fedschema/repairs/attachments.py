"""Repairs of what is attached to tables: constraints, indexes, triggers, rules; and of functions."""

from __future__ import annotations

from collections.abc import Iterator

from fedschema.differences import Fault
from fedschema.rendering import quote_identifier
from fedschema.repairs.place import Answer, Place, safe, unsafe


def constraint(place: Place) -> Answer:
    """Mend a constraint: it is dropped and made, or validated."""
    alter = f"ALTER TABLE {place.table}"
    drop = f"{alter} DROP CONSTRAINT {place.own_name}"
    if place.fault is Fault.FOREIGN:
        return safe(drop)
    if place.fault is Fault.CHANGED and set(place.changes) == {"validated"}:
        return safe(f"{alter} VALIDATE CONSTRAINT {place.own_name}")
    add = f"{alter} ADD CONSTRAINT {place.own_name} {place.wanted['definition']}"
    return safe(add) if place.fault is Fault.MISSING else safe(drop, add)


def index(place: Place) -> Answer:
    """Mend a index: it is dropped and made; one of a constraint comes with that."""
    if (place.wanted or place.difference.found or {}).get("of constraint"):
        return safe()  # it comes with its constraint
    drop = f"DROP INDEX {place.qualified(place.difference.thing.name.rpartition(' on ')[0])}"
    if place.fault is Fault.FOREIGN:
        return safe(drop)
    create = str(place.wanted["definition"])
    return safe(create) if place.fault is Fault.MISSING else safe(drop, create)


def trigger(place: Place) -> Answer:
    """Mend a trigger: it is dropped and made, or enabled."""
    drop = f"DROP TRIGGER {place.own_name} ON {place.table}"
    if place.fault is Fault.FOREIGN:
        return safe(drop)
    if place.fault is Fault.CHANGED and set(place.changes) == {"fires"}:
        return safe(f"ALTER TABLE {place.table} ENABLE TRIGGER {place.own_name}")
    create = str(place.wanted["definition"])
    return safe(create) if place.fault is Fault.MISSING else safe(drop, create)


def rule(place: Place) -> Answer:
    """Mend a rule: one that is not ours goes."""
    drop = f"DROP RULE {place.own_name} ON {place.table}"
    return safe(drop) if place.fault is Fault.FOREIGN else unsafe("a rule has to be looked at")


def function(place: Place) -> Answer:
    """Mend a function: its text and its owner."""
    name, _, arguments = place.difference.thing.name.partition("(")
    signature = f"{place.qualified(name)}({arguments}"
    if place.fault is Fault.FOREIGN:
        return safe(f"DROP ROUTINE {signature}")
    found = place.difference.found or {}
    statements = [f"DROP ROUTINE {signature}"] if found.get("owner", _OWNER) != _OWNER else []
    if statements or place.fault is Fault.MISSING or "definition" in place.changes:
        statements.append(str(place.wanted["definition"]).strip())
    return safe(*statements, last=tuple(_handed_over(place, signature)))


#: Who makes everything; what belongs to somebody else is handed over when it is made.
_OWNER = "federation_owner"


def _handed_over(place: Place, signature: str) -> Iterator[str]:
    """Give a function to its owner, who for that moment has to be allowed to make things in the schema."""
    if place.wanted["owner"] == _OWNER:
        return
    owner, schema = quote_identifier(str(place.wanted["owner"])), quote_identifier(place.department.schema)
    yield f"GRANT CREATE ON SCHEMA {schema} TO {owner}"
    yield f"ALTER ROUTINE {signature} OWNER TO {owner}"
    yield f"REVOKE CREATE ON SCHEMA {schema} FROM {owner}"
