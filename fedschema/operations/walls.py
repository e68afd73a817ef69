"""`op.enable_department_rls` and its reverse: the walls around one table of a department.

Whatever walls exist are listed by `fedschema.policies`; this module only turns them into Alembic operations.
"""

from __future__ import annotations

from alembic.operations import MigrateOperation, Operations

from fedschema.operations.registration import operation
from fedschema.operations.target import execute_rendered, target_of
from fedschema.policies import Wall, grants_of, policies_of, sequence_of


class _WallOperation(MigrateOperation):
    """What both directions know: the table's wall."""

    def __init__(self, wall: Wall) -> None:
        self.wall = wall

    @classmethod
    def of(
        cls,
        operations: Operations,
        table: str,
        *,
        resource: str | None = None,
        append_only: bool = False,
        identity: bool = False,
    ) -> None:
        """Say whose walls they are.

        Args:
            operations: supplied by Alembic.
            table: a table of the department's schema; it has the department column and its CHECK already.
            resource: the canonical name under which it can be shared, or None when it never is.
            append_only: the department may read and add rows, and neither change nor delete them.
            identity: its column ``id`` is an identity, so the department needs its sequence.
        """
        operations.invoke(cls(Wall(table, resource, append_only=append_only, identity=identity)))


@operation("enable_department_rls")
class EnableDepartmentRlsOp(_WallOperation):
    """Wall off one table: RLS enabled and forced, exactly its policies, exactly its grants."""

    def reverse(self) -> DisableDepartmentRlsOp:
        """Return the operation that takes the walls down again."""
        return DisableDepartmentRlsOp(self.wall)


@operation("disable_department_rls")
class DisableDepartmentRlsOp(_WallOperation):
    """Take the walls of one table down: for a table that is dropped in the same step, or that leaves the department.

    A transaction that leaves the table behind like this is refused when it ends.
    """

    def reverse(self) -> EnableDepartmentRlsOp:
        """Return the operation that puts the walls up again."""
        return EnableDepartmentRlsOp(self.wall)


@Operations.implementation_for(EnableDepartmentRlsOp)
def _enable(operations: Operations, operation: EnableDepartmentRlsOp) -> None:
    wall = operation.wall
    execute_rendered(operations, "tenant/policies/force", table=wall.table)
    for policy in policies_of(wall):
        execute_rendered(operations, f"tenant/policies/{policy}", table=wall.table, resource=wall.resource)
    for grant in grants_of(wall):
        execute_rendered(operations, f"tenant/policies/{grant}", table=wall.table, sequence=sequence_of(wall))
    target_of(operations).walls[wall.table] = wall


@Operations.implementation_for(DisableDepartmentRlsOp)
def _disable(operations: Operations, operation: DisableDepartmentRlsOp) -> None:
    wall = operation.wall
    execute_rendered(
        operations,
        "tenant/policies/disable",
        table=wall.table,
        policies=policies_of(wall),
        sequences=[sequence_of(wall)] if wall.identity else [],
    )
    target_of(operations).walls.pop(wall.table, None)
