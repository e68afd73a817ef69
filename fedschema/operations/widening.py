"""`op.widen_tenant_column` and its reverse: a type that takes more, where PostgreSQL need not write the table anew."""

from __future__ import annotations

import re
from dataclasses import dataclass

from alembic.operations import MigrateOperation, Operations

from fedschema.operations.registration import operation
from fedschema.operations.target import execute_rendered, written

_TYPE = re.compile(r"([a-z][a-z ]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?")
_SYNONYMS = {"character varying": "varchar", "decimal": "numeric", "bit varying": "varbit"}
_UNLIMITED_TEXT = {("varchar", None), ("text", None)}


@dataclass(frozen=True, slots=True)
class Widening:
    """A column's type, before and after.

    Attributes:
        table: the table's name.
        column: the column's.
        type: the wider type.
        was: the type before.
        rewrite: the table may be written anew, with nobody reading or writing meanwhile.
    """

    table: str
    column: str
    type: str
    was: str
    rewrite: bool

    def check(self) -> None:
        """Refuse what would write the table anew, unless that may be.

        Raises:
            ValueError
        """
        if not self.rewrite and not widens_in_place(self.was, self.type):
            raise ValueError(
                f"from {self.was} to {self.type} PostgreSQL writes all of {self.table} anew, with nobody reading or "
                "writing meanwhile: go by op.expand_tenant_column, or say rewrite=True where the tables are small"
            )


def widens_in_place(was: str, becomes: str) -> bool:
    """Tell whether every value of a type is one of another already, as it is stored.

    That is so for a longer varchar, for text, for a numeric with more digits before the point, and for a longer varbit
    (PostgreSQL's manual, ALTER TABLE, notes; the rules are the types' support functions).
    """
    before, after = _parsed(was), _parsed(becomes)
    if before is None or after is None:
        return False
    (kind, size, scale), (wider_kind, wider_size, wider_scale) = before, after
    if kind in {"varchar", "text"} and (wider_kind, wider_size) in _UNLIMITED_TEXT:
        return True
    if kind != wider_kind or kind not in {"varchar", "numeric", "varbit"}:
        return before == after
    if wider_size is None:
        return True
    return size is not None and size <= wider_size and scale == wider_scale


def _parsed(text: str) -> tuple[str, int | None, int] | None:
    """Return a type's name, its size and its scale; None for one that is not known here."""
    found = _TYPE.fullmatch(" ".join(text.lower().split()))
    if found is None:
        return None
    name, size, scale = found.groups()
    return _SYNONYMS.get(name, name), int(size) if size else None, int(scale or 0)


class _TypeOperation(MigrateOperation):
    """What both directions know: the types."""

    def __init__(self, widening: Widening) -> None:
        self.widening = widening

    @classmethod
    def of(  # noqa: PLR0913 - a column, its types, and whether it may take long
        cls,
        operations: Operations,
        table: str,
        column: str,
        type: str,  # noqa: A002 - SQL's word for it
        *,
        was: str,
        rewrite: bool = False,
    ) -> None:
        """See `Widening`; the way back takes the same arguments."""
        operations.invoke(cls(Widening(table, column, type, was, rewrite)))


@operation("widen_tenant_column")
class WidenTenantColumnOp(_TypeOperation):
    """Give a column a type that takes more."""

    def reverse(self) -> NarrowTenantColumnOp:
        """Return the operation that makes it narrow again."""
        return NarrowTenantColumnOp(self.widening)


@operation("narrow_tenant_column")
class NarrowTenantColumnOp(_TypeOperation):
    """Give a column its narrower type back; a value that does not fit any more makes it fail."""

    def reverse(self) -> WidenTenantColumnOp:
        """Return the operation that widens it again."""
        return WidenTenantColumnOp(self.widening)


@Operations.implementation_for(WidenTenantColumnOp)
def _widen(operations: Operations, operation: WidenTenantColumnOp) -> None:
    operation.widening.check()
    _change(operations, operation.widening, operation.widening.type)


@Operations.implementation_for(NarrowTenantColumnOp)
def _narrow(operations: Operations, operation: NarrowTenantColumnOp) -> None:
    _change(operations, operation.widening, operation.widening.was)


def _change(operations: Operations, widening: Widening, to: str) -> None:
    names = {"table": widening.table, "column": widening.column}
    execute_rendered(operations, "tenant/department/change_type", type=written(to, "a type"), **names)
