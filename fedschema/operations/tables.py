"""`op.create_tenant_tables` and its reverse: a family of tables, each walled off in the same step that makes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from alembic.operations import MigrateOperation, Operations

from fedschema.operations.registration import operation
from fedschema.operations.target import execute_rendered, target_of
from fedschema.operations.walls import EnableDepartmentRlsOp
from fedschema.policies import Wall


@dataclass(frozen=True, slots=True)
class TableFamily:
    """The tables that one revision makes.

    Attributes:
        family: the directory below templates/tenant/ that holds a template for each.
        shared: the tables that can be shared, each with its canonical resource name.
        private: the tables that never are.
        append_only: those of them whose rows a department may not change or delete.
        identity: those of them whose ``id`` is an identity.
    """

    family: str
    shared: Mapping[str, str] = field(default_factory=dict)
    private: Collection[str] = ()
    append_only: Collection[str] = ()
    identity: Collection[str] = ()

    def walls(self) -> list[Wall]:
        """Return how each table is walled off, in the order in which they are made."""
        resources: dict[str, str | None] = {**self.shared, **dict.fromkeys(self.private)}
        return [
            Wall(table, resource, append_only=table in self.append_only, identity=table in self.identity)
            for table, resource in resources.items()
        ]


class _FamilyOperation(MigrateOperation):
    """What both directions know: the family."""

    def __init__(self, family: TableFamily) -> None:
        self.family = family

    @classmethod
    def of(  # noqa: PLR0913 - one argument for each thing that a table can be
        cls,
        operations: Operations,
        family: str,
        *,
        shared: Mapping[str, str] | None = None,
        private: Collection[str] = (),
        append_only: Collection[str] = (),
        identity: Collection[str] = (),
    ) -> None:
        """See `TableFamily`: the tables are those of templates/tenant/<family>/<table>.sql.j2."""
        operations.invoke(cls(TableFamily(family, shared or {}, private, append_only, identity)))


@operation("create_tenant_tables")
class CreateTenantTablesOp(_FamilyOperation):
    """Make the tables of a family, with row-level security, policies and grants."""

    def reverse(self) -> DropTenantTablesOp:
        """Return the operation that drops them again."""
        return DropTenantTablesOp(self.family)


@operation("drop_tenant_tables")
class DropTenantTablesOp(_FamilyOperation):
    """Drop the tables of a family, and with them their policies, grants, triggers and sequences."""

    def reverse(self) -> CreateTenantTablesOp:
        """Return the operation that makes them again, empty."""
        return CreateTenantTablesOp(self.family)


@Operations.implementation_for(CreateTenantTablesOp)
def _create(operations: Operations, operation: CreateTenantTablesOp) -> None:
    for wall in operation.family.walls():
        execute_rendered(operations, f"tenant/{operation.family.family}/{wall.table}")
        operations.invoke(EnableDepartmentRlsOp(wall))


@Operations.implementation_for(DropTenantTablesOp)
def _drop(operations: Operations, operation: DropTenantTablesOp) -> None:
    for wall in reversed(operation.family.walls()):
        execute_rendered(operations, "tenant/department/drop_table", table=wall.table)
        target_of(operations).walls.pop(wall.table, None)
