"""`op.replace_tenant_function`: a function of a department's own becomes another, under the same name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from alembic.operations import MigrateOperation, Operations

from fedschema.operations.registration import operation
from fedschema.operations.target import department_of, execute_sql, render
from fedschema.rendering import SqlText, quote_identifier

_CREATE = re.compile(
    r"^CREATE\s+(?:OR\s+REPLACE\s+)?FUNCTION\s+([\w\".]+)\s*(\(.*?\))\s*RETURNS\b",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Replacement:
    """A function that changes.

    Attributes:
        function: its name, in the department's schema.
        template: the path of its template below templates/, without ``.sql.j2``.
        was: that of the template that it was made from.
        as_reader: it belongs to federation_reader_role, as `op.create_tenant_function` said.
    """

    function: str
    template: str
    was: str
    as_reader: bool = False

    @property
    def back(self) -> Replacement:
        """The same the other way round."""
        return Replacement(self.function, self.was, self.template, self.as_reader)


@operation("replace_tenant_function")
class ReplaceTenantFunctionOp(MigrateOperation):
    """Replace a function by what another template makes; whose it is and who may call it stays."""

    def __init__(self, replacement: Replacement) -> None:
        self.replacement = replacement

    @classmethod
    def of(cls, operations: Operations, function: str, *, template: str, was: str, as_reader: bool = False) -> None:
        """See `Replacement`.

        The way back is the same operation with `template` and `was` the other way round.
        """
        operations.invoke(cls(Replacement(function, template, was, as_reader)))

    def reverse(self) -> ReplaceTenantFunctionOp:
        """Return the operation that brings the old one back."""
        return ReplaceTenantFunctionOp(self.replacement.back)


@Operations.implementation_for(ReplaceTenantFunctionOp)
def _replace(operations: Operations, operation: ReplaceTenantFunctionOp) -> None:
    wanted = operation.replacement
    text, arguments = _replacing(operations, wanted.function, wanted.template)
    _, old_arguments = _replacing(operations, wanted.function, wanted.was)
    if arguments != old_arguments:
        raise ValueError(
            f"{wanted.template} takes {arguments} and {wanted.was} takes {old_arguments}: with other arguments it is "
            "another function; use op.create_tenant_function, and op.drop_tenant_function when nobody calls the old one"
        )
    if wanted.as_reader:
        text = render(operations, "tenant/department/as_reader", statements=SqlText(text.rstrip()))
    execute_sql(operations, text)


def _replacing(operations: Operations, function: str, template: str) -> tuple[str, str]:
    """Return a template's text with OR REPLACE in it, and its arguments.

    Raises:
        ValueError: it makes something else.
    """
    text = render(operations, template)
    found = list(_CREATE.finditer(text))
    name = f"{quote_identifier(department_of(operations).schema)}.{quote_identifier(function)}"
    if len(found) != 1 or found[0][1] != name:
        raise ValueError(f"{template} has to make the function {name}, and no other")
    start, arguments = found[0].start(), " ".join(found[0][2].split())
    head = re.sub(
        r"^CREATE\s+(?:OR\s+REPLACE\s+)?FUNCTION", "CREATE OR REPLACE FUNCTION", found[0][0], flags=re.IGNORECASE
    )
    return text[:start] + head + text[found[0].end() :], arguments
