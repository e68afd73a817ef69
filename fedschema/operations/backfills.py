"""`op.backfill`: changes rows that are there already, a few at a time, while the department goes on working."""

from __future__ import annotations

from alembic.operations import MigrateOperation, Operations

from fedschema import statements
from fedschema.nontransactional import Backfill
from fedschema.operations.registration import operation
from fedschema.operations.target import execute_sql, render, target_of
from fedschema.rendering import SqlText


@operation("backfill")
class BackfillOp(MigrateOperation):
    """Change the rows of a table that need it, in many short transactions."""

    def __init__(self, backfill: Backfill) -> None:
        self.todo = backfill

    @classmethod
    def of(  # noqa: PLR0913 - what an UPDATE is made of, and its pace
        cls,
        operations: Operations,
        table: str,
        *,
        assign: str,
        where: str,
        batch_rows: int = 1000,
        pause: float = 0.0,
    ) -> None:
        """Update those that meet a condition, until none does. The revision does nothing else.

        Args:
            operations: Alembic's.
            table: the table's name, in the department's schema.
            assign: what stands after SET: ``nickname = split_part(full_name, ' ', 1)``.
            where: what stands after WHERE, true of a row that needs it and not true afterwards: ``nickname IS NULL``.
            batch_rows: about how many rows one transaction changes.
            pause: how long to leave the server alone between two transactions, seconds.

        Raises:
            ValueError: a number makes no sense, or a text is empty.
        """
        if batch_rows < 1 or pause < 0 or not assign.strip() or not where.strip():
            raise ValueError("a backfill needs assign, where, batch_rows of at least 1 and a pause of at least 0")
        if any(len(statements.split(text)) != 1 for text in (assign, where)):
            raise ValueError("a backfill has one statement: assign and where are pieces of an UPDATE")
        operations.invoke(cls(Backfill(table, assign.strip(), where.strip(), batch_rows, pause)))


@Operations.implementation_for(BackfillOp)
def _backfill(operations: Operations, operation: BackfillOp) -> None:
    todo = operation.todo
    # The revision's own SQL, as in a template of its own.
    own = {"assignments": SqlText(todo.assignments), "condition": SqlText(todo.condition)}
    text = render(operations, "tenant/department/backfill", table=todo.table, **own)
    execute_sql(operations, text)
    target_of(operations).nontransactional.append((todo, text))
