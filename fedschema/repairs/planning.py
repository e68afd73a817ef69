"""Writes the SQL that makes a department's object as it should be, and says whether it may be run without asking.

What could take rows along is never run: it is shown, for a person to decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fedschema.department import Department
from fedschema.differences import Difference, Fault
from fedschema.repairs import access, attachments, relations
from fedschema.repairs.place import Answer, Place, unsafe


@dataclass(frozen=True, slots=True)
class Repair:
    """What mends a difference."""

    difference: Difference
    answer: Answer


#: In which order kinds are made: mostly, what others stand on comes first.
_ORDER = (
    "schema",
    "function",
    "table",
    "column",
    "sequence",
    "constraint",
    "index",
    "trigger",
    "policy",
    "privilege",
)


def plan_repairs(department: Department, differences: Sequence[Difference]) -> list[Repair]:
    """Return what mends each difference, in an order in which it can be run."""
    made = [Repair(one, _repair(department, one)) for one in differences]
    return sorted(made, key=lambda repair: _place(repair.difference))


def _place(difference: Difference) -> tuple[int, int]:
    kind = difference.thing.kind
    position = _ORDER.index(kind) if kind in _ORDER else len(_ORDER)
    if difference.fault is Fault.FOREIGN:  # what is not ours goes first, and what stands on others before these
        return 0, len(_ORDER) - position
    foreign_keys = str((difference.wanted or {}).get("definition", "")).startswith("FOREIGN KEY")
    return 2 if foreign_keys else 1, position


def _repair(department: Department, difference: Difference) -> Answer:
    make = _MAKERS.get(difference.thing.kind)
    if make is None or (difference.thing.kind != "schema" and not difference.thing.parts):
        return unsafe("there is no repair for this kind of object: look at it")
    return make(Place(department, difference))


_MAKERS: Mapping[str, Callable[[Place], Answer]] = {
    "schema": relations.schema,
    "table": relations.table,
    "column": relations.column,
    "sequence": relations.sequence,
    "constraint": attachments.constraint,
    "index": attachments.index,
    "policy": access.policy,
    "trigger": attachments.trigger,
    "rule": attachments.rule,
    "view": relations.view,
    "function": attachments.function,
    "privilege": access.privilege,
    "default privilege": access.default_privilege,
    "comment": relations.comment,
}
