"""A column gets another name while departments use it: `op.expand_tenant_column`, then `op.contract_tenant_column`.

Between the two both columns are there, and a trigger keeps them in step, so that the application may use either. That
makes it the way to another type as well.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from alembic.operations import MigrateOperation, Operations

from fedschema.department import NAME_BYTES
from fedschema.operations.columns import TenantColumn
from fedschema.operations.registration import operation
from fedschema.operations.target import department_of, execute_rendered, target_of, written
from fedschema.rendering import SqlText, quote_identifier

_DIGITS = 8


@dataclass(frozen=True, slots=True)
class ColumnPair:
    """Two columns that hold the same.

    Attributes:
        table: the table's name.
        old: the column that was there first.
        new: the one that takes its place.
    """

    table: str
    old: str
    new: str

    @property
    def keeper(self) -> str:
        """The name of the trigger that keeps them in step, and of its function; it comes before set_updated_at."""
        name = f"keep_{self.table}_{self.old}_{self.new}"
        if len(name.encode()) <= NAME_BYTES:
            return name
        # PostgreSQL would cut it, and two could become one.
        digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
        return f"{name.encode()[: NAME_BYTES - _DIGITS - 1].decode(errors='ignore')}_{digest}"

    def join(self, operations: Operations) -> None:
        """Have each follow the other."""
        names = {"table": self.table, "old": self.old, "new": self.new}
        execute_rendered(operations, "tenant/department/keep_in_step", keeper=self.keeper, **names)

    def part(self, operations: Operations, leaving: str, staying: str, type_: SqlText) -> None:
        """Drop one of them, whose values the other one has to have.

        Args:
            operations: Alembic's.
            leaving: the column that goes.
            staying: the other one.
            type_: the type of the one that goes.
        """
        message = f"{staying} of table {self.table} does not hold all of {leaving} yet: fill it with op.backfill first"
        names = {"table": self.table, "leaving": leaving, "staying": staying, "type": type_}
        execute_rendered(operations, "tenant/department/assert_in_step", message=message, **names)
        self._require_bare(operations, leaving)
        execute_rendered(operations, "tenant/department/let_go", table=self.table, keeper=self.keeper)
        execute_rendered(operations, "tenant/department/drop_column", table=self.table, column=leaving)
        target_of(operations).carried.append((self.table, leaving, staying))

    def _require_bare(self, operations: Operations, column: str) -> None:
        """Refuse to drop a column with an index or a constraint on it."""
        message = f"{column} of table {self.table} is still used, drop that in a revision before this one: "
        self._assert(operations, "assert_bare", column, message)

    def require_no_default(self, operations: Operations) -> None:
        """Refuse to drop the old column while it has a default that the revision does not name."""
        message = f"{self.old} of table {self.table} has a DEFAULT that would be lost, name it in default=: "
        self._assert(operations, "assert_no_default", self.old, message)

    def _assert(self, operations: Operations, template: str, column: str, message: str) -> None:
        schema = department_of(operations).schema
        qualified = f"{quote_identifier(schema)}.{quote_identifier(self.table)}"
        values = {"qualified": qualified, "column": column, "message": message}
        execute_rendered(operations, f"tenant/department/{template}", **values)


class _ExpandOperation(MigrateOperation):
    """What both directions know: the columns, and the type of the new one."""

    def __init__(self, pair: ColumnPair, type_: str) -> None:
        self.pair = pair
        self.type = type_

    @classmethod
    def of(
        cls,
        operations: Operations,
        table: str,
        old: str,
        new: str,
        type: str,  # noqa: A002 - SQL's word for it
    ) -> None:
        """Say which columns they are.

        Args:
            operations: Alembic's.
            table: the table's name.
            old: the column's name now.
            new: its name to come.
            type: the new column's type, the old one's or another that takes all of its values.
        """
        operations.invoke(cls(ColumnPair(table, old, new), type))


@operation("expand_tenant_column")
class ExpandTenantColumnOp(_ExpandOperation):
    """Begin to rename a column: add it under the new name, and keep the two in step.

    Rows that are there are filled by `op.backfill`, in a revision of its own.
    """

    def reverse(self) -> UnexpandTenantColumnOp:
        """Return the operation that drops the new column again."""
        return UnexpandTenantColumnOp(self.pair, self.type)


@operation("unexpand_tenant_column")
class UnexpandTenantColumnOp(_ExpandOperation):
    """Drop the new column again, whose values the old one has."""

    def reverse(self) -> ExpandTenantColumnOp:
        """Return the operation that adds it again."""
        return ExpandTenantColumnOp(self.pair, self.type)


class _ContractOperation(MigrateOperation):
    """What both directions know: the columns, and what the old one was."""

    def __init__(self, pair: ColumnPair, was: TenantColumn) -> None:
        self.pair = pair
        self.was = was

    @classmethod
    def of(  # noqa: PLR0913 - two names, and what the old column was
        cls,
        operations: Operations,
        table: str,
        old: str,
        new: str,
        type: str,  # noqa: A002 - SQL's word for it
        *,
        default: str | None = None,
        not_null: bool = False,
    ) -> None:
        """Say which columns they are.

        Args:
            operations: Alembic's.
            table: the table's name.
            old: the name that goes.
            new: the name that stays.
            type: the type of the old column, for the way back.
            default: its default, which the new one gets, and the old one on the way back.
            not_null: it always held a value, for the way back.
        """
        operations.invoke(cls(ColumnPair(table, old, new), TenantColumn(table, old, type, default, not_null)))


@operation("contract_tenant_column")
class ContractTenantColumnOp(_ContractOperation):
    """Finish renaming a column, when nobody uses the old name any more: drop it, the new one has its values."""

    def reverse(self) -> UncontractTenantColumnOp:
        """Return the operation that brings the old column back."""
        return UncontractTenantColumnOp(self.pair, self.was)


@operation("uncontract_tenant_column")
class UncontractTenantColumnOp(_ContractOperation):
    """Bring the old column back, with its values, and keep the two in step again."""

    def reverse(self) -> ContractTenantColumnOp:
        """Return the operation that drops it again."""
        return ContractTenantColumnOp(self.pair, self.was)


@Operations.implementation_for(ExpandTenantColumnOp)
def _expand(operations: Operations, operation: ExpandTenantColumnOp) -> None:
    pair = operation.pair
    definition = written(operation.type, "a type")
    names = {"table": pair.table, "column": pair.new}
    execute_rendered(operations, "tenant/department/add_column", definition=definition, **names)
    pair.join(operations)


@Operations.implementation_for(UnexpandTenantColumnOp)
def _unexpand(operations: Operations, operation: UnexpandTenantColumnOp) -> None:
    pair = operation.pair
    pair.part(operations, pair.new, pair.old, written(operation.type, "a type"))


@Operations.implementation_for(ContractTenantColumnOp)
def _contract(operations: Operations, operation: ContractTenantColumnOp) -> None:
    pair = operation.pair
    was = operation.was
    if was.default is None:
        pair.require_no_default(operations)
    pair.part(operations, pair.old, pair.new, written(was.type, "a type"))
    if was.default is not None:
        default = written(was.default, "a default")
        execute_rendered(
            operations, "tenant/department/set_default", table=pair.table, column=pair.new, default=default
        )


@Operations.implementation_for(UncontractTenantColumnOp)
def _uncontract(operations: Operations, operation: UncontractTenantColumnOp) -> None:
    pair, was = operation.pair, operation.was
    type_ = written(was.type, "a type")
    default = "" if was.default is None else f" DEFAULT {written(was.default, 'a default')}"
    values = {"table": pair.table, "old": pair.old, "new": pair.new, "type": type_}
    if was.default is not None:
        execute_rendered(operations, "tenant/department/drop_default", table=pair.table, column=pair.new)
    execute_rendered(operations, "tenant/department/restore_column", definition=SqlText(f"{type_}{default}"), **values)
    if was.not_null:
        execute_rendered(operations, "tenant/department/require_value", table=pair.table, column=pair.old)
    pair.join(operations)
