"""`op.create_tenant_function` and its reverse: a function of a department's own, in its schema."""

from __future__ import annotations

from alembic.operations import MigrateOperation, Operations

from fedschema.operations.target import execute_rendered


class _FunctionOperation(MigrateOperation):
    """What both directions know: where the function's template is, its name, and whether it may be called."""

    def __init__(self, family: str, function: str, *, callable_: bool) -> None:
        self.family = family
        self.function = function
        self.callable = callable_


@Operations.register_operation("create_tenant_function")
class CreateTenantFunctionOp(_FunctionOperation):
    """Make a function without arguments from templates/tenant/<family>/<function>.sql.j2."""

    @classmethod
    def create_tenant_function(
        cls, operations: Operations, family: str, function: str, *, callable_: bool = True
    ) -> None:
        """Make a function in the department's schema.

        Args:
            operations: supplied by Alembic.
            family: the directory of its template below templates/tenant/.
            function: its name.
            callable_: the department and the administrators may call it; False for a trigger's function.
        """
        operations.invoke(cls(family, function, callable_=callable_))

    def reverse(self) -> DropTenantFunctionOp:
        """Return the operation that drops it again."""
        return DropTenantFunctionOp(self.family, self.function, callable_=self.callable)


@Operations.register_operation("drop_tenant_function")
class DropTenantFunctionOp(_FunctionOperation):
    """Drop a function of the department's schema."""

    @classmethod
    def drop_tenant_function(
        cls, operations: Operations, family: str, function: str, *, callable_: bool = True
    ) -> None:
        """Take back `op.create_tenant_function`, with the same arguments."""
        operations.invoke(cls(family, function, callable_=callable_))

    def reverse(self) -> CreateTenantFunctionOp:
        """Return the operation that makes it again."""
        return CreateTenantFunctionOp(self.family, self.function, callable_=self.callable)


@Operations.implementation_for(CreateTenantFunctionOp)
def _create(operations: Operations, operation: CreateTenantFunctionOp) -> None:
    execute_rendered(operations, f"tenant/{operation.family}/{operation.function}")
    if operation.callable:
        execute_rendered(operations, "tenant/policies/function_grants", function=operation.function)


@Operations.implementation_for(DropTenantFunctionOp)
def _drop(operations: Operations, operation: DropTenantFunctionOp) -> None:
    execute_rendered(operations, "tenant/department/drop_function", function=operation.function)
