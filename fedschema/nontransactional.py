"""What a revision does outside its department's transaction, where it would hold a lock for too long inside.

Such a revision does nothing else, and each of these can be done again: whatever an earlier attempt left behind is
found and repaired, so that a department is at the revision before it, or at it. Each has an ordinary form as well, in
`fedschema.plans.PlanStep.sql`: for tables that are empty, and for scripts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

Fill = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class IndexChange:
    """An index that is made or dropped without keeping anybody from writing: CREATE or DROP INDEX CONCURRENTLY.

    Attributes:
        table: the table's name, in the department's schema.
        index: the index's name.
        sql: the statement, with slots.
        builds: it is made; False when it is dropped.
    """

    table: str
    index: str
    sql: str
    builds: bool

    @property
    def told(self) -> str:
        """All that it does, as a text that is another where it does something else."""
        return f"{'build' if self.builds else 'drop'} {self.index} on {self.table}: {self.sql}"

    def filled(self, fill: Fill) -> IndexChange:
        """Return it for one department."""
        return replace(self, sql=fill(self.sql))


@dataclass(frozen=True, slots=True)
class Backfill:
    """An update of all rows that need it, in many short transactions.

    Attributes:
        table: the table's name, in the department's schema.
        assignments: what stands after SET.
        condition: what stands after WHERE: true of a row that needs it, and not true afterwards.
        batch_rows: about how many rows one transaction changes.
        pause: how long to leave the server alone between two of them, seconds.
    """

    table: str
    assignments: str
    condition: str
    batch_rows: int
    pause: float

    @property
    def told(self) -> str:
        """All that it does, as a text that is another where it does something else."""
        pace = f"{self.batch_rows} rows, then {self.pause} s"
        return f"fill {self.table}, {pace}: SET {self.assignments}\nWHERE {self.condition}"

    def filled(self, fill: Fill) -> Backfill:
        """Return it for one department."""
        return replace(self, assignments=fill(self.assignments), condition=fill(self.condition))


Nontransactional: TypeAlias = IndexChange | Backfill
