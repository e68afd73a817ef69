"""Where the isolation policy is written: which policies and grants a department's table gets, and their SQL.

Exactly these four and no other, since permissive policies are joined by OR (security.md, wall 3):

- ``isolation``: the department's role sees and writes rows whose department is its own;
- ``admin_bypass``: the platform's administrators see all rows, and write none of another department;
- ``cross_dept_read``, where a table can be shared: gateways read what a grant lets through the gate;
- ``reader``, where a table can be shared: the owner of the search and aggregate functions reads.

The texts are in templates/tenant/policies/, one policy a file. Everything here is a pure function.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from fedschema.department import Department
from fedschema.rendering import Templates


class PolicyType(StrEnum):
    """The choices of ``--policy-type``, as the old generator had them."""

    ALL = "all"
    ISOLATION = "isolation"
    ADMIN = "admin"
    CROSS_DEPT = "cross_dept"


_POLICIES_OF_TYPE = {
    PolicyType.ALL: ("isolation", "admin_bypass", "cross_dept_read", "reader"),
    PolicyType.ISOLATION: ("isolation",),
    PolicyType.ADMIN: ("admin_bypass",),
    PolicyType.CROSS_DEPT: ("cross_dept_read", "reader"),
}
_OWN_POLICIES = ("isolation", "admin_bypass")
_SHARED_POLICIES = ("cross_dept_read", "reader")


@dataclass(frozen=True, slots=True)
class Wall:
    """How one table of a department is walled off.

    Attributes:
        table: its name, without the schema.
        resource: the canonical name under which it can be shared, or None when it never is.
        append_only: the department may read and add rows, and neither change nor delete them.
        identity: its column ``id`` is an identity with a sequence of its own.
    """

    table: str
    resource: str | None = None
    append_only: bool = False
    identity: bool = False


def policies_of(wall: Wall) -> tuple[str, ...]:
    """Return the policies that a table gets, by name."""
    return _OWN_POLICIES if wall.resource is None else _OWN_POLICIES + _SHARED_POLICIES


def grants_of(wall: Wall) -> tuple[str, ...]:
    """Return the templates of the grants that a table gets."""
    own = "append_only_grants" if wall.append_only else "grants"
    shared = () if wall.resource is None else ("shared_grants",)
    sequence = ("sequence_grants",) if wall.identity else ()
    return (own, *shared, *sequence)


def sequence_of(wall: Wall) -> str:
    """Return the name that PostgreSQL gives to the sequence of an identity column ``id``."""
    return f"{wall.table}_id_seq"


def policy_script(
    templates: Templates, department: Department, walls: Iterable[Wall], policy_type: PolicyType = PolicyType.ALL
) -> str:
    """Return the policies of a department's tables as a script that can be applied again over what is there.

    Each policy is dropped if it exists and made anew, in one transaction, so that no moment is without it.
    """
    chosen = _POLICIES_OF_TYPE[policy_type]
    parts = []
    for wall in walls:
        names = [name for name in policies_of(wall) if name in chosen]
        if not names:
            continue
        parts.append(templates.render("tenant/policies/force", department=department, table=wall.table))
        for name in names:
            values = {"department": department, "table": wall.table, "policy": name, "resource": wall.resource}
            parts.append(templates.render("tenant/policies/drop", **values))
            parts.append(templates.render(f"tenant/policies/{name}", **values))
    return "".join(parts)
