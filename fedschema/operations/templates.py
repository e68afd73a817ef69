"""`op.execute_template`: run an SQL template as it is; the control plane's revisions are made of these."""

from __future__ import annotations

from alembic.operations import MigrateOperation, Operations

from fedschema.operations.registration import operation
from fedschema.operations.target import execute_rendered


@operation("execute_template")
class ExecuteTemplateOp(MigrateOperation):
    """Execute one template of the project, for what no other operation does.

    Args:
        template: its path below templates/, without ``.sql.j2``.
        reverse: the template that takes back what it does, or None where there is none.
    """

    def __init__(self, template: str, reverse: str | None = None) -> None:
        self.template = template
        self.reverse_template = reverse

    @classmethod
    def of(cls, operations: Operations, template: str, *, reverse: str | None = None) -> None:
        """See there; a downgrade names the two the other way round."""
        operations.invoke(cls(template, reverse))

    def reverse(self) -> ExecuteTemplateOp:
        """Return the operation that takes this one back.

        Raises:
            NotImplementedError: when no reverse was named.
        """
        if self.reverse_template is None:
            raise NotImplementedError(f"template {self.template} names no reverse")
        return ExecuteTemplateOp(self.reverse_template, self.template)


@Operations.implementation_for(ExecuteTemplateOp)
def _execute_template(operations: Operations, operation: ExecuteTemplateOp) -> None:
    execute_rendered(operations, operation.template)
