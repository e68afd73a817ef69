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
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from fedschema.department import Department
from fedschema.nontransactional import Nontransactional
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
        end: the version table's rows after it.
        recorded: False only for the step that takes the history itself away.
        online: the revision reads from the database while it runs, so that there is no SQL of it.
        nontransactional: what is to be done outside the transaction instead of `sql`, with slots.
        carried: columns that go and whose values another one has: the table, the column, the other; in order.
        begins_leg: what comes before it is to be committed first.
    """

    revision: str
    direction: Direction
    sql: str
    version_sql: str
    end: Heads
    recorded: bool = True
    online: bool = False
    nontransactional: Nontransactional | None = None
    carried: tuple[tuple[str, str, str], ...] = ()
    begins_leg: bool = False

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
        return _fill(f"{self.headline}\n{self.sql}", department) + self.bookkeeping(department)

    def bookkeeping(self, department: Department | None, began: str | None = None) -> str:
        """Return what says that the step is done: the version table's row, and the history's.

        Args:
            department: None for the control plane.
            began: when it began, where that was before this transaction, as PostgreSQL writes a time.
        """
        parts = [self.version_sql]
        if self.recorded:
            owner = department.id if department else FEDERATION
            told = [owner, self.revision, self.direction, self.checksum, *([began] if began else [])]
            parts.append(f"CALL federation.record_migration({', '.join(quote_literal(value) for value in told)});\n")
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
    def legs(self) -> tuple[Plan, ...]:
        """The plan in pieces that are each done at once: what is nontransactional goes by itself."""
        pieces: list[list[PlanStep]] = []
        for step in self.steps:
            if not pieces or step.begins_leg or step.nontransactional or pieces[-1][-1].nontransactional:
                pieces.append([step])
            else:
                pieces[-1].append(step)
        starts = [self.start, *(piece[-1].end for piece in pieces)]
        return tuple(Plan(start, piece[-1].end, tuple(piece)) for start, piece in zip(starts, pieces, strict=False))

    def rest_from(self, heads: Heads) -> Plan | None:
        """Return what is left of the plan for a department that is at `heads`; None when that is not on its way."""
        if heads == self.end:
            return Plan(heads, heads, ())
        for leg in self.legs:
            if leg.start == heads:
                left = self.steps[self.steps.index(leg.steps[0]) :]
                return replace(self, start=heads, steps=left)
        return None

    @property
    def in_one_transaction(self) -> Plan:
        """The plan for a department whose tables are empty: all of it by its ordinary SQL."""
        steps = tuple(replace(step, nontransactional=None, begins_leg=False) for step in self.steps)
        return replace(self, steps=steps)

    @property
    def recorded(self) -> Plan:
        """The plan with every step in the history."""
        return replace(self, steps=tuple(replace(step, recorded=True) for step in self.steps))

    def nontransactional(self, department: Department) -> Nontransactional | None:
        """Return what one of the `legs` does outside a transaction; None when it does nothing there."""
        first = self.steps[0].nontransactional
        return first.filled(lambda sql: _fill(sql, department)) if first else None

    def heir(self, table: str, column: str) -> str | None:
        """Return the column that has another's values when all is done; None when the steps give them to none.

        Whether it stands then is for the catalogue to say: a step may have dropped it without telling.
        """
        heir = column
        for where, leaving, staying in (carried for step in self.steps for carried in step.carried):
            if (where, leaving) == (table, heir):
                heir = staying
        return None if heir == column else heir

    @property
    def needs_connection(self) -> tuple[str, ...]:
        """The revisions because of which the plan has to run the ordinary way, if there are any."""
        return tuple(step.revision for step in self.steps if step.online)

    def script(self, department: Department | None) -> str:
        """Return all steps for one department, one after another."""
        return "\n".join(step.script(department) for step in self.steps)


def _fill(sql: str, department: Department | None) -> str:
    return sql if department is None else sql.replace(SLOT.id, department.id)
