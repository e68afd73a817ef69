"""Compares what is in a department's schema with what should be, object by object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from fedschema.inspection import Definition, Description, Thing


class Fault(StrEnum):
    """How an object differs."""

    MISSING = "missing"
    CHANGED = "changed"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that is not as it should be.

    Attributes:
        thing: which one.
        fault: how it differs.
        wanted: how it should be; None when it should not be.
        found: how it is; None when it is not there.
        part_of_missing: it is missing because its table is.
        grantor: of a privilege, who has to grant or revoke it, if that is not who repairs.
    """

    thing: Thing
    fault: Fault
    wanted: Definition | None
    found: Definition | None
    part_of_missing: bool = False
    grantor: str | None = None

    @property
    def changes(self) -> Mapping[str, tuple[object, object]]:
        """What is not alike, with how it should be and how it is."""
        wanted, found = self.wanted or {}, self.found or {}
        return {
            key: (wanted.get(key), found.get(key))
            for key in (*wanted, *(key for key in found if key not in wanted))
            if wanted.get(key) != found.get(key)
        }

    def __str__(self) -> str:
        """Say it in one line: ``index idx_x on contacts is missing``."""
        match self.fault:
            case Fault.MISSING:
                return f"{self.thing} is missing"
            case Fault.FOREIGN:
                return f"{self.thing} is not ours"
            case Fault.CHANGED:
                changes = (_said(key, *both) for key, both in self.changes.items())
                return f"{self.thing}: {'; '.join(changes)}"


def _said(key: str, wanted: object, found: object) -> str:
    if found is None:
        return f"{key} is missing, it should be {_shown(wanted)}"
    if wanted is None:
        return f"{key} is {_shown(found)}, there should be none"
    return f"{key} is {_shown(found)}, not {_shown(wanted)}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    text = " ".join(str(value).split())
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…"


#: A function's text is told by its beginning.
_WIDEST = 160
#: What goes with a table is not told beside the table.
_WITH_TABLE = ("column", "constraint", "index", "policy", "trigger", "rule", "privilege", "comment")


def compare(wanted: Description, found: Description) -> list[Difference]:
    """Return what differs, by kind and name; the parts of a foreign table are not told beside the table."""
    foreign = {thing.name for thing in found if thing.kind in _RELATIONS and thing not in wanted}
    gone = {thing.name for thing in wanted if thing.kind in _RELATIONS and thing not in found}
    return [
        Difference(
            thing,
            _fault(thing, wanted, found),
            wanted.get(thing),
            found.get(thing),
            part_of_missing=_is_part_of(thing, gone),
            grantor=_grantor(thing, wanted, found),
        )
        for thing in sorted({*wanted, *found})
        if wanted.get(thing) != found.get(thing) and not _is_part_of(thing, foreign)
    ]


def _fault(thing: Thing, wanted: Description, found: Description) -> Fault:
    if thing not in found:
        return Fault.MISSING
    return Fault.CHANGED if thing in wanted else Fault.FOREIGN


def _grantor(thing: Thing, wanted: Description, found: Description) -> str | None:
    """Return who owns the function that a privilege is on, unless it is made anew before that is granted."""
    _, on_function, name = thing.name.partition(" on function ")
    if thing.kind != "privilege" or not on_function:
        return None
    function = Thing("function", name)
    is_kept = thing not in wanted or wanted.get(function) == found.get(function)
    owner = str(found[function].get("owner")) if function in found and is_kept else _REPAIRER
    return None if owner == _REPAIRER else owner


#: Who runs the repairs.
_REPAIRER = "federation_owner"
_RELATIONS = ("table", "foreign table", "view", "materialized view")


def _is_part_of(thing: Thing, tables: set[str]) -> bool:
    """Tell whether an object belongs to one of some tables."""
    if thing.kind not in _WITH_TABLE:
        return False
    owner = thing.name.rpartition(" on ")[2].removeprefix("table ")
    return (owner or thing.name).partition(".")[0] in tables
