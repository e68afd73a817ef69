"""`op.create_tenant_table` and its reverse: one table, of which a template holds only what is its own."""

from __future__ import annotations

from dataclasses import dataclass

from alembic.operations import MigrateOperation, Operations

from fedschema import statements
from fedschema.operations.registration import operation
from fedschema.operations.target import execute_rendered, render, target_of, written
from fedschema.operations.walls import EnableDepartmentRlsOp
from fedschema.policies import Wall

_UPDATED_AT = "updated_at"


@dataclass(frozen=True, slots=True)
class OwnTable:
    """A table of a department.

    Attributes:
        wall: its name, and how it is walled off.
        columns: the path of a template below templates/, without ``.sql.j2``: its own columns and constraints, with
            commas between them.
        indexes: that of a template with its CREATE INDEX statements, or None.
    """

    wall: Wall
    columns: str
    indexes: str | None = None


class _OwnTableOperation(MigrateOperation):
    """What both directions know: the table."""

    def __init__(self, table: OwnTable) -> None:
        self.table = table

    @classmethod
    def of(  # noqa: PLR0913 - one argument for each thing that a table can be
        cls,
        operations: Operations,
        table: str,
        *,
        columns: str,
        indexes: str | None = None,
        resource: str | None = None,
        append_only: bool = False,
    ) -> None:
        """See `OwnTable` and `Wall`: a template holds only the columns of its own."""
        operations.invoke(cls(OwnTable(Wall(table, resource, append_only=append_only), columns, indexes)))


@operation("create_tenant_table")
class CreateTenantTableOp(_OwnTableOperation):
    """Make a table with id, department and CHECK, its walls, and the trigger of updated_at where it has that."""

    def reverse(self) -> DropTenantTableOp:
        """Return the operation that drops it again."""
        return DropTenantTableOp(self.table)


@operation("drop_tenant_table")
class DropTenantTableOp(_OwnTableOperation):
    """Drop a table, and with it its policies, grants, indexes and triggers."""

    def reverse(self) -> CreateTenantTableOp:
        """Return the operation that makes it again, empty."""
        return CreateTenantTableOp(self.table)


@Operations.implementation_for(CreateTenantTableOp)
def _create(operations: Operations, operation: CreateTenantTableOp) -> None:
    made, table = operation.table, operation.table.wall.table
    own = render(operations, made.columns)
    columns = written(own, f"{made.columns}, which is to hold the table's own columns,")
    names = {"primary_key": f"{table}_pkey", "own_rows": f"{table}_department_check"}
    execute_rendered(operations, "tenant/department/table", table=table, columns=columns, **names)
    if made.indexes:
        execute_rendered(operations, made.indexes)
    if _UPDATED_AT in statements.first_names(own):
        execute_rendered(operations, "tenant/department/updated_at", table=table)
    operations.invoke(EnableDepartmentRlsOp(made.wall))


@Operations.implementation_for(DropTenantTableOp)
def _drop(operations: Operations, operation: DropTenantTableOp) -> None:
    table = operation.table.wall.table
    execute_rendered(operations, "tenant/department/drop_table", table=table)
    target_of(operations).walls.pop(table, None)
