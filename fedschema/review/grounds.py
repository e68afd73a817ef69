"""What a statement is judged against: whose revision it is, and what there is beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fedschema.plans import SLOT
from fedschema.review.rules import Rule
from fedschema.review.trees import Node, Statement
from fedschema.versions import FEDERATION

#: A rule, and what was found.
Breach = tuple[Rule, str]

_PLATFORM_ROLE = re.compile(r"federation_\w+|cross_dept_query_role")

#: Stands for a department where squawk reads the SQL: the slot of plans is longer than a name can be.
_STAND_IN = "some_department"


@dataclass(frozen=True, slots=True)
class Ground:
    """Whose revision a statement is in.

    Attributes:
        is_department: a department's; False for the control plane's.
        walled: the tables that have walls after the revision.
        relations: the tables, views and sequences that revisions make, without their schema.
        routines: the functions and procedures that revisions make, without their schema.
        types: the types that revisions make, without their schema.
    """

    is_department: bool
    walled: frozenset[str] = frozenset()
    relations: frozenset[str] = frozenset()
    routines: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    def may_name_schema(self, schema: str) -> bool:
        """Tell whether a schema is the department's own or the platform's."""
        own = {SLOT.schema} if self.is_department else set()
        return schema in {FEDERATION, "pg_catalog", "information_schema", "pg_temp", *own}

    def may_name_role(self, role: str) -> bool:
        """Tell whether a role is the department's own or the platform's."""
        return _PLATFORM_ROLE.fullmatch(role) is not None or (self.is_department and role == SLOT.role)


def with_stand_in(sql: str) -> str:
    """Return SQL with a department's name in it that has a usual length."""
    return sql.replace(SLOT.id, _STAND_IN)


def shown(text: str) -> str:
    """Return a text about SQL as its author knows it: with what the templates say for a department."""
    for id_ in (SLOT.id, _STAND_IN):
        text = text.replace(f"{id_}_tenant", "{{ department.schema }}").replace(f"{id_}_role", "{{ department.role }}")
        text = text.replace(id_, "{{ department.id }}")
    return text


def made(statements: list[Statement], *kinds: str) -> Iterator[str]:
    """Yield the names, without their schema, of what statements of some kinds make."""
    for statement in statements:
        if statement.node.kind in kinds:
            name = next((node for node in statement.node.walk() if node.is_name), None)
            if name and name.segments:
                yield name.segments[-1]


def bodies(node: Node) -> Iterator[str]:
    """Yield what a DO block or a function has for a body that is a text to PostgreSQL."""
    if node.kind == "DO":
        yield from (_unquoted(one.text) for one in node.all_of("LITERAL"))
    for definition in node.all_of("AS_DEFINITION"):
        yield from (_unquoted(one.text) for one in definition.all_of("LITERAL"))


def language(node: Node) -> str:
    """Return the language of a function or a DO block."""
    return next((one.text.lower().strip("'\"") for one in node.all_of("LANGUAGE_REF")), "plpgsql")


def _unquoted(text: str) -> str:
    if text.startswith("$"):
        tag = text[: text.index("$", 1) + 1]
        return text[len(tag) : -len(tag)]
    return text[text.index("'") + 1 : -1].replace("''", "'")
