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
    """What mends a difference.

    Attributes:
        difference: which one.
        statements: the SQL, in order; empty where a person has to look.
        safe: no row can be lost by it.
        last: what has to come after all other repairs: who has given a thing away cannot grant it.
        reason: why it is not safe, or why there is none.
    """

    difference: Difference
    statements: tuple[str, ...]
    safe: bool
    reason: str | None = None
    last: tuple[str, ...] = ()


#: In which order kinds are made: what others stand on comes first.
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
    answers = ((one, _repair(department, one)) for one in differences)
    made = [Repair(one, answer.statements, answer.safe, answer.reason, answer.last) for one, answer in answers]
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
    if make is None:
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
