"""`op.create_tenant_function` and its reverse: a function of a department's own, in its schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alembic.operations import MigrateOperation, Operations

from fedschema.operations.registration import operation
from fedschema.operations.target import execute_rendered


@dataclass(frozen=True, slots=True)
class TenantFunction:
    """A function of a department's schema.

    Attributes:
        family: the directory of its template below templates/tenant/.
        function: its name.
        arguments: the types of its arguments, by PostgreSQL's own names: text, int4.
        callable: the department and the administrators may call it; False for a trigger's function.
        as_reader: it is made SECURITY DEFINER and runs as federation_reader_role, past the department's own policies.
    """

    family: str
    function: str
    arguments: tuple[str, ...] = ()
    callable: bool = True
    as_reader: bool = False


class _FunctionOperation(MigrateOperation):
    """What both directions know: the function."""

    def __init__(self, function: TenantFunction) -> None:
        self.function = function

    @classmethod
    def of(  # noqa: PLR0913 - one argument for each thing that a function can be
        cls,
        operations: Operations,
        family: str,
        function: str,
        *,
        arguments: Sequence[str] = (),
        callable_: bool = True,
        as_reader: bool = False,
    ) -> None:
        """See `TenantFunction`."""
        made = TenantFunction(family, function, tuple(arguments), callable=callable_, as_reader=as_reader)
        operations.invoke(cls(made))


@operation("create_tenant_function")
class CreateTenantFunctionOp(_FunctionOperation):
    """Make a function from templates/tenant/<family>/<function>.sql.j2."""

    def reverse(self) -> DropTenantFunctionOp:
        """Return the operation that drops it again."""
        return DropTenantFunctionOp(self.function)


@operation("drop_tenant_function")
class DropTenantFunctionOp(_FunctionOperation):
    """Drop a function of the department's schema."""

    def reverse(self) -> CreateTenantFunctionOp:
        """Return the operation that makes it again."""
        return CreateTenantFunctionOp(self.function)


@Operations.implementation_for(CreateTenantFunctionOp)
def _create(operations: Operations, operation: CreateTenantFunctionOp) -> None:
    made = operation.function
    names = {"function": made.function, "arguments": made.arguments}
    execute_rendered(operations, f"tenant/{made.family}/{made.function}")
    if made.callable:
        execute_rendered(operations, "tenant/policies/function_grants", **names)
    if made.as_reader:
        execute_rendered(operations, "tenant/policies/reader_function", **names)


@Operations.implementation_for(DropTenantFunctionOp)
def _drop(operations: Operations, operation: DropTenantFunctionOp) -> None:
    gone = operation.function
    execute_rendered(operations, "tenant/department/drop_function", function=gone.function, arguments=gone.arguments)
