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

    @property
    def matters(self) -> bool:
        """It changes what the department holds, keeps out or lets in, or what a revision would meet."""
        if self.thing.kind == "comment":
            return False
        return self.fault is not Fault.CHANGED or not self.changes.keys() <= _TUNING.get(self.thing.kind, frozenset())

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


#: How a thing is kept and not what it is: whoever runs the server may see to that.
_TUNING: Mapping[str, frozenset[str]] = {
    "table": frozenset({"options", "replica identity"}),
    "column": frozenset({"options", "storage", "compression", "statistics"}),
    "index": frozenset({"clustered"}),
}


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
#: What holds what is told with it: an object that is missing, or not ours, is told without its parts.
_HOLDERS = ("table", "foreign table", "view", "materialized view", "sequence", "function")


def compare(wanted: Description, found: Description) -> list[Difference]:
    """Return what differs, by kind and name; the parts of a table or function that is not ours are left out."""
    foreign = {thing.name for thing in found if thing.kind in _HOLDERS and thing not in wanted}
    gone = {thing.name for thing in wanted if thing.kind in _HOLDERS and thing not in found}
    return [
        Difference(
            thing,
            _fault(thing, wanted, found),
            wanted.get(thing),
            found.get(thing),
            part_of_missing=_holder(thing) in gone,
            grantor=_grantor(thing, wanted, found),
        )
        for thing in sorted({*wanted, *found})
        if wanted.get(thing) != found.get(thing) and not (thing not in wanted and _holder(thing) in foreign)
    ]


def _holder(thing: Thing) -> str | None:
    """Return the name of the table or function that an object is part of; None for one that stands by itself."""
    if thing.kind in _HOLDERS:
        return None
    parts = thing.parts
    return parts["table"] + parts.get("arguments", "") if "table" in parts else None


def _fault(thing: Thing, wanted: Description, found: Description) -> Fault:
    if thing not in found:
        return Fault.MISSING
    return Fault.CHANGED if thing in wanted else Fault.FOREIGN


def _grantor(thing: Thing, wanted: Description, found: Description) -> str | None:
    """Return who owns the function that a privilege is on, where that is not who repairs and the function stays."""
    if thing.kind != "privilege" or thing.parts.get("what") != "function":
        return None
    function = Thing("function", _holder(thing) or "")
    ours, theirs = wanted.get(function, {}), found.get(function, {})
    stays = ours.get("owner") == theirs.get("owner") and (ours == theirs or thing not in wanted)
    owner = str(ours.get("owner", _REPAIRER))
    return owner if stays and owner != _REPAIRER else None


#: Who runs the repairs.
_REPAIRER = "federation_owner"
