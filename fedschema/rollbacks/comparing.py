"""What is not as it was after a revision was taken back, or applied again."""

from __future__ import annotations

from fedschema import snapshots
from fedschema.differences import Difference, Fault, compare
from fedschema.downgrades import Loss, Lost
from fedschema.losses import gone
from fedschema.plans import Plan
from fedschema.snapshots import Snapshot


class Broken(Exception):
    """A revision does not come back as it was.

    Attributes:
        reason: what went wrong.
        differences: how the schema differs.
    """

    def __init__(self, reason: str, differences: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.differences = differences


def require_same(wanted: Snapshot, found: Snapshot, reason: str) -> None:
    """Compare what a department looks like.

    Raises:
        Broken: it looks otherwise than it should.
    """
    if differences := compare(wanted.schema, found.schema):
        raise Broken(reason, tuple(_said(one) for one in differences if not one.part_of_missing))


def _said(difference: Difference) -> str:
    """Say how something differs; what `fedschema drift` calls not ours was left behind here."""
    if difference.fault is Fault.FOREIGN:
        return f"{difference.thing} is left over"
    return str(difference)


def lost(down: Plan, own: Snapshot, lower: Snapshot, again: Snapshot) -> dict[Loss, int]:
    """Return what of a revision's own rows is gone after down and up: with its table, its column, or by itself.

    What goes with a table or a column is lost also where no row could be made. No column is lost whose values another
    has, nor one that is computed.
    """
    changes = snapshots.changes(own, again)
    tables, columns = gone(down, own.columns, lower.columns)
    computed = {(name, one.name) for name, table in own.tables.items() for one in table.columns if one.computed}
    found: dict[Loss, int] = {}
    for name in tables:
        rows = sum(count for loss, count in changes.items() if loss.table == name)
        if rows or not own.rows.get(name):
            found[Loss(Lost.TABLE, name)] = len(own.rows.get(name, ()))
    for name, column in columns:
        values = sum(row.get(column) is not None for row in own.rows.get(name, ()))
        changed = any(loss.table == name and loss.column in {column, None} for loss in changes)
        if (name, column) not in computed and (changed or not values):
            found[Loss(Lost.COLUMN, name, column)] = values
    gone_columns = {(table, column) for table, column in columns}
    for loss, count in changes.items():
        carried = loss.column is not None and down.heir(loss.table, loss.column) is not None
        if loss.table not in tables and (loss.table, loss.column) not in gone_columns and not carried:
            found[loss] = count
    return found
