"""`op.add_tenant_constraint`, `op.validate_tenant_constraint` and their reverses: a CHECK for a table in use."""

from __future__ import annotations

import re
from dataclasses import dataclass

from alembic.operations import MigrateOperation, Operations

from fedschema.operations.registration import operation
from fedschema.operations.target import execute_rendered, target_of, written

_CHECK = re.compile(r"\s*CHECK\s*\(", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TenantConstraint:
    """A CHECK of a department's table.

    A foreign key is none of these: PostgreSQL looks for rows that break it as the table's owner, whom forced
    row-level security shows none, and calls it valid whatever there is.

    Attributes:
        table: the table's name.
        constraint: its own.
        definition: ``CHECK (length(notes) < 1000)``.
    """

    table: str
    constraint: str
    definition: str

    def add(self, operations: Operations) -> None:
        """Add it for rows that come; those that are there are not looked at.

        Raises:
            ValueError: it is no CHECK.
        """
        if not _CHECK.match(self.definition):
            raise ValueError(
                f"{self.definition!r} is no CHECK (…): only a CHECK can be added and validated like this, since of a "
                "foreign key PostgreSQL would not see the rows that break it"
            )
        definition = written(self.definition, "a constraint")
        names = {"table": self.table, "constraint": self.constraint}
        execute_rendered(operations, "tenant/department/add_constraint", definition=definition, **names)

    def drop(self, operations: Operations) -> None:
        """Drop it."""
        names = {"table": self.table, "constraint": self.constraint}
        execute_rendered(operations, "tenant/department/drop_constraint", **names)


class _ConstraintOperation(MigrateOperation):
    """What all four know: the constraint."""

    def __init__(self, constraint: TenantConstraint) -> None:
        self.constraint = constraint

    @classmethod
    def of(cls, operations: Operations, table: str, constraint: str, definition: str) -> None:
        """See `TenantConstraint`; all four take the same arguments."""
        operations.invoke(cls(TenantConstraint(table, constraint, definition)))


@operation("add_tenant_constraint")
class AddTenantConstraintOp(_ConstraintOperation):
    """Add a CHECK, NOT VALID: it holds for what is written from now on."""

    def reverse(self) -> DropTenantConstraintOp:
        """Return the operation that drops it again."""
        return DropTenantConstraintOp(self.constraint)


@operation("drop_tenant_constraint")
class DropTenantConstraintOp(_ConstraintOperation):
    """Drop a CHECK that was not validated yet."""

    def reverse(self) -> AddTenantConstraintOp:
        """Return the operation that adds it again."""
        return AddTenantConstraintOp(self.constraint)


@operation("validate_tenant_constraint")
class ValidateTenantConstraintOp(_ConstraintOperation):
    """Look whether all rows meet a CHECK, while the department reads and writes; in a revision of its own."""

    def reverse(self) -> UnvalidateTenantConstraintOp:
        """Return the operation that forgets it again."""
        return UnvalidateTenantConstraintOp(self.constraint)


@operation("unvalidate_tenant_constraint")
class UnvalidateTenantConstraintOp(_ConstraintOperation):
    """Make a CHECK one that was not validated yet."""

    def reverse(self) -> ValidateTenantConstraintOp:
        """Return the operation that validates it again."""
        return ValidateTenantConstraintOp(self.constraint)


@Operations.implementation_for(AddTenantConstraintOp)
def _add(operations: Operations, operation: AddTenantConstraintOp) -> None:
    operation.constraint.add(operations)


@Operations.implementation_for(DropTenantConstraintOp)
def _drop(operations: Operations, operation: DropTenantConstraintOp) -> None:
    operation.constraint.drop(operations)


@Operations.implementation_for(ValidateTenantConstraintOp)
def _validate(operations: Operations, operation: ValidateTenantConstraintOp) -> None:
    names = {"table": operation.constraint.table, "constraint": operation.constraint.constraint}
    execute_rendered(operations, "tenant/department/validate_constraint", **names)
    # Whatever locks the steps before it took would be held while PostgreSQL looks.
    target_of(operations).begins_leg = True


@Operations.implementation_for(UnvalidateTenantConstraintOp)
def _unvalidate(operations: Operations, operation: UnvalidateTenantConstraintOp) -> None:
    # Nothing makes a valid constraint one that is not; for a moment nobody can write in between.
    operation.constraint.drop(operations)
    operation.constraint.add(operations)
