"""`op.create_index_concurrently` and its reverse: an index that is made while the department goes on writing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from alembic.operations import MigrateOperation, Operations

from fedschema import statements
from fedschema.nontransactional import IndexChange
from fedschema.operations.registration import operation
from fedschema.operations.target import department_of, execute_sql, render, target_of
from fedschema.rendering import quote_identifier

_CREATE = re.compile(
    r"\A((?:\s+|--[^\n]*\n)*CREATE\s+(?:UNIQUE\s+)?INDEX)\s+(.*?)\s*;?\s*\Z", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class ConcurrentIndex:
    """An index of a department's table.

    Attributes:
        index: its name.
        table: the table's name.
        template: the path of its template below templates/, without ``.sql.j2``: one CREATE INDEX, as it is for an
            empty table.
    """

    index: str
    table: str
    template: str


class _IndexOperation(MigrateOperation):
    """What both directions know: the index."""

    def __init__(self, index: ConcurrentIndex) -> None:
        self.index = index

    @classmethod
    def of(cls, operations: Operations, index: str, *, table: str, template: str) -> None:
        """See `ConcurrentIndex`. The revision does nothing else."""
        operations.invoke(cls(ConcurrentIndex(index, table, template)))


@operation("create_index_concurrently")
class CreateIndexConcurrentlyOp(_IndexOperation):
    """Make an index without keeping anybody from writing, by CREATE INDEX CONCURRENTLY."""

    def reverse(self) -> DropIndexConcurrentlyOp:
        """Return the operation that drops it again."""
        return DropIndexConcurrentlyOp(self.index)


@operation("drop_index_concurrently")
class DropIndexConcurrentlyOp(_IndexOperation):
    """Drop an index without keeping anybody from reading or writing, by DROP INDEX CONCURRENTLY."""

    def reverse(self) -> CreateIndexConcurrentlyOp:
        """Return the operation that makes it again."""
        return CreateIndexConcurrentlyOp(self.index)


@Operations.implementation_for(CreateIndexConcurrentlyOp)
def _create(operations: Operations, operation: CreateIndexConcurrentlyOp) -> None:
    made = operation.index
    text = render(operations, made.template)
    change = IndexChange(made.table, made.index, _concurrently(operations, made, text), builds=True)
    execute_sql(operations, text)
    target_of(operations).nontransactional.append((change, text))


def _concurrently(operations: Operations, made: ConcurrentIndex, text: str) -> str:
    """Return a template's CREATE INDEX with CONCURRENTLY in it.

    Raises:
        ValueError: it is something else, or about another index or table.
    """
    schema = quote_identifier(department_of(operations).schema)
    start = f"{quote_identifier(made.index)} ON {schema}.{quote_identifier(made.table)}"
    found = _CREATE.match(text)
    named = found is not None and re.match(rf'{re.escape(start)}(?![\w$"])', " ".join(found[2].split()))
    if found is None or not named or len(statements.split(text)) != 1:
        raise ValueError(f"{made.template} has to be CREATE [UNIQUE] INDEX {start} … and nothing else")
    return f"{found[1]} CONCURRENTLY {found[2]}"


@Operations.implementation_for(DropIndexConcurrentlyOp)
def _drop(operations: Operations, operation: DropIndexConcurrentlyOp) -> None:
    gone = operation.index
    text = render(operations, "tenant/department/drop_index", index=gone.index)
    execute_sql(operations, text)
    name = f"{quote_identifier(department_of(operations).schema)}.{quote_identifier(gone.index)}"
    change = IndexChange(gone.table, gone.index, f"DROP INDEX CONCURRENTLY IF EXISTS {name}", builds=False)
    target_of(operations).nontransactional.append((change, text))
