"""Plans: the SQL of the revisions between two points, compiled once, with the department's names as slots.

Alembic's `op` is one per process and sends each statement by itself; a department has some 260 of them. So revisions
are not run a thousand times: they run once, in Alembic's offline mode with the same operations, for a department that
stands for all (`SLOT`), and what they wrote becomes a `Plan`. A plan is then filled in for a department by replacing
the slot, and goes to the server as one message. `fedschema.compilation` makes plans, `fedschema.compiler` keeps them.

A revision that has to look at data while it runs says ``online = True`` and cannot be compiled; see
`Plan.needs_connection`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fedschema.department import Department
from fedschema.policies import Wall
from fedschema.rendering import quote_literal
from fedschema.versions import FEDERATION, Heads

Direction: TypeAlias = Literal["upgrade", "downgrade", "stamp"]

#: Stands for every department while a plan is compiled. No id that somebody types becomes this one: it is too long.
SLOT = Department("department_slot_" + "x" * 60)


@dataclass(frozen=True, slots=True)
class PlanStep:
    """What one revision does, for any department.

    Attributes:
        revision: its id.
        direction: ``upgrade``, ``downgrade`` or ``stamp``.
        sql: what the revision's script wrote, with slots.
        version_sql: what moves the version table along, with slots.
        recorded: False only for the step that takes the history itself away.
        online: the revision reads from the database while it runs, so that there is no SQL of it.
    """

    revision: str
    direction: Direction
    sql: str
    version_sql: str
    recorded: bool = True
    online: bool = False

    @property
    def checksum(self) -> str | None:
        """A fingerprint of the SQL, the same for every department: kept in the history. A stamp has none."""
        return f"sha256:{hashlib.sha256(self.sql.encode()).hexdigest()}" if self.sql else None

    @property
    def headline(self) -> str:
        """The comment that the step's SQL begins with."""
        return f"-- {self.direction} {self.revision}"

    def script(self, department: Department | None) -> str:
        """Return the step for one department (None: the control plane), with its row of history."""
        parts = [f"{self.headline}\n", self.sql, self.version_sql]
        if self.recorded:
            owner = quote_literal(department.id if department else FEDERATION)
            values = ", ".join(quote_literal(value) for value in (self.revision, self.direction, self.checksum))
            parts.append(f"CALL federation.record_migration({owner}, {values});\n")
        return _fill("".join(parts), department)


@dataclass(frozen=True, slots=True)
class Plan:
    """The revisions between two points.

    Attributes:
        start: the version table's rows where the plan begins.
        end: its rows where the plan ends.
        steps: what lies between, in order; empty when there is nothing to do.
        walls: the walls of the tables that the steps made and that stand at the end.
        collateral: the revisions of the department's own branch that go only because the trunk below them goes.
    """

    start: Heads
    end: Heads
    steps: tuple[PlanStep, ...]
    walls: tuple[Wall, ...] = ()
    collateral: tuple[str, ...] = ()

    @property
    def needs_connection(self) -> tuple[str, ...]:
        """The revisions because of which the plan has to run the ordinary way, if there are any."""
        return tuple(step.revision for step in self.steps if step.online)

    def script(self, department: Department | None) -> str:
        """Return all steps for one department, one after another."""
        return "\n".join(step.script(department) for step in self.steps)


def _fill(sql: str, department: Department | None) -> str:
    return sql if department is None else sql.replace(SLOT.id, department.id)
