"""`op.create_tenant_table` and its reverse: one table, of which a template holds only what is its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from alembic.operations import MigrateOperation, Operations

from fedschema.operations.target import execute_rendered, render, target_of, written
from fedschema.operations.walls import EnableDepartmentRlsOp
from fedschema.policies import Wall

_UPDATED_AT = re.compile(r"^\s*updated_at\s", re.MULTILINE)


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


@Operations.register_operation("create_tenant_table")
class CreateTenantTableOp(_OwnTableOperation):
    """Make a table with id, department and CHECK, its walls, and the trigger of updated_at where it has that."""

    @classmethod
    def create_tenant_table(  # noqa: PLR0913 - one argument for each thing that a table can be
        cls,
        operations: Operations,
        table: str,
        *,
        columns: str,
        indexes: str | None = None,
        resource: str | None = None,
        append_only: bool = False,
    ) -> None:
        """Make a table of which a template holds only the columns of its own; see `OwnTable` and `Wall`."""
        operations.invoke(cls(OwnTable(Wall(table, resource, append_only=append_only), columns, indexes)))

    def reverse(self) -> DropTenantTableOp:
        """Return the operation that drops it again."""
        return DropTenantTableOp(self.table)


@Operations.register_operation("drop_tenant_table")
class DropTenantTableOp(_OwnTableOperation):
    """Drop a table, and with it its policies, grants, indexes and triggers."""

    @classmethod
    def drop_tenant_table(  # noqa: PLR0913 - the arguments of its reverse
        cls,
        operations: Operations,
        table: str,
        *,
        columns: str,
        indexes: str | None = None,
        resource: str | None = None,
        append_only: bool = False,
    ) -> None:
        """Take back `op.create_tenant_table`, with the same arguments."""
        operations.invoke(cls(OwnTable(Wall(table, resource, append_only=append_only), columns, indexes)))

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
    if _UPDATED_AT.search(own):
        execute_rendered(operations, "tenant/department/updated_at", table=table)
    operations.invoke(EnableDepartmentRlsOp(made.wall))


@Operations.implementation_for(DropTenantTableOp)
def _drop(operations: Operations, operation: DropTenantTableOp) -> None:
    table = operation.table.wall.table
    execute_rendered(operations, "tenant/department/drop_table", table=table)
    target_of(operations).walls.pop(table, None)
