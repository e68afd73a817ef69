"""`op.add_tenant_column` and its reverse: a column more for a table that is there already."""

from __future__ import annotations

from dataclasses import dataclass

from alembic.operations import MigrateOperation, Operations

from fedschema.operations.registration import operation
from fedschema.operations.target import execute_rendered, written
from fedschema.rendering import SqlText


@dataclass(frozen=True, slots=True)
class TenantColumn:
    """A column of a department's table.

    Attributes:
        table: the table's name.
        column: its own.
        type: as it stands in SQL: ``varchar(50)``.
        default: an SQL expression, ``'unknown'`` with its quotes; None for none.
        not_null: it always holds a value.
    """

    table: str
    column: str
    type: str
    default: str | None = None
    not_null: bool = False

    @property
    def definition(self) -> SqlText:
        """What stands after the column's name.

        Raises:
            ValueError: it can have no value in the rows that are there, and has to have one.
        """
        if self.not_null and self.default is None:
            raise ValueError(
                f"column {self.column} has to hold a value and has no default, which no table with rows can take: "
                "give it one, or add it without not_null, fill it with op.backfill and add a constraint"
            )
        required = " NOT NULL" if self.not_null else ""
        default = "" if self.default is None else f" DEFAULT {written(self.default, 'a default')}"
        return SqlText(f"{written(self.type, 'a type')}{required}{default}")


class _ColumnOperation(MigrateOperation):
    """What both directions know: the column."""

    def __init__(self, column: TenantColumn) -> None:
        self.column = column

    @classmethod
    def of(  # noqa: PLR0913 - what a column is made of
        cls,
        operations: Operations,
        table: str,
        column: str,
        type: str,  # noqa: A002 - SQL's word for it
        *,
        default: str | None = None,
        not_null: bool = False,
    ) -> None:
        """See `TenantColumn`."""
        operations.invoke(cls(TenantColumn(table, column, type, default, not_null)))


@operation("add_tenant_column")
class AddTenantColumnOp(_ColumnOperation):
    """Add a column to a table of the department."""

    def reverse(self) -> DropTenantColumnOp:
        """Return the operation that drops it again."""
        return DropTenantColumnOp(self.column)


@operation("drop_tenant_column")
class DropTenantColumnOp(_ColumnOperation):
    """Drop a column of a table of the department, and what it holds: the same arguments take back what adds it."""

    def reverse(self) -> AddTenantColumnOp:
        """Return the operation that adds it again, empty."""
        return AddTenantColumnOp(self.column)


@Operations.implementation_for(AddTenantColumnOp)
def _add(operations: Operations, operation: AddTenantColumnOp) -> None:
    added = operation.column
    names = {"table": added.table, "column": added.column}
    execute_rendered(operations, "tenant/department/add_column", definition=added.definition, **names)


@Operations.implementation_for(DropTenantColumnOp)
def _drop(operations: Operations, operation: DropTenantColumnOp) -> None:
    gone = operation.column
    execute_rendered(operations, "tenant/department/drop_column", table=gone.table, column=gone.column)
