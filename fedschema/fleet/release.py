"""What is asked of a fleet, and what became of each department."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.errors import FedschemaError, NeedsConfirmation
from fedschema.fleet.pace import Pace
from fedschema.fleet.schedule import Budget
from fedschema.plans import Plan
from fedschema.positions import Position
from fedschema.versions import Heads


class Outcome(StrEnum):
    """How it went for one department."""

    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    SKIPPED = "skipped"


class OnError(StrEnum):
    """What a failed department means for those after it."""

    STOP = "stop"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class Result:
    """What was done with one department."""

    department: Department
    outcome: Outcome
    before: Position | None
    after: Position | None
    duration_seconds: float
    error: FedschemaError | None = None
    plan: Plan | None = None


class Direction(StrEnum):
    """Up or down."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"

    @property
    def outcome(self) -> Outcome:
        """What a department is called that went all the way."""
        return Outcome.UPGRADED if self is Direction.UPGRADE else Outcome.DOWNGRADED


@dataclass(frozen=True, slots=True)
class Release:
    """What is asked for.

    Attributes:
        direction: up or down.
        destination: ``head``, ``base``, ``+N``, ``-N``, a revision, or ``label@…``.
        confirmed: the departments whose rows may be lost.
        all_confirmed: all of them may lose theirs.
        lossy: the revisions that may be gone back over although they are on record as losing something: named by who
            knows what. What they are known to lose needs no other confirmation.
        hint: how to confirm, shown when a step is refused.
        on_error: what a failure means for the departments after it.
        budget: how many may fail before nothing new is begun; None leaves that to `on_error`.
        canaries: how many go first and are checked before the others begin; 0 for none.
        jobs: how many connections share the work; None for what the server has room for.
        pace: how hard it may press.
        replans: a department that is taken elsewhere while it runs is planned for anew; False for a sealed plan.
    """

    direction: Direction
    destination: str
    confirmed: frozenset[Department] = frozenset()
    all_confirmed: bool = False
    lossy: frozenset[str] = frozenset()
    hint: str = "if they may go, add --yes"
    on_error: OnError = OnError.STOP
    budget: Budget | None = None
    canaries: int = 0
    jobs: int | None = None
    pace: Pace = Pace()  # noqa: RUF009 - it is frozen
    replans: bool = True

    def confirms(self, department: Department) -> bool:
        """Tell whether a department's rows may be lost."""
        return self.all_confirmed or department in self.confirmed

    @property
    def is_relative(self) -> bool:
        """It goes so many revisions on, from wherever a department is."""
        return self.destination.rpartition("@")[2].startswith(("+", "-"))

    def plan(self, compiler: Compiler, department: Department, heads: Heads) -> Plan:
        """Compile a department's way from where it is; raises as `Compiler.upgrade` does."""
        compile_plan = compiler.upgrade if self.direction is Direction.UPGRADE else compiler.downgrade
        return compile_plan(department, heads, self.destination)

    def is_spent(self, failures: int, fleet: int) -> bool:
        """Tell whether so many failures end it."""
        if self.budget is not None:
            return self.budget.is_spent(failures, fleet)
        return self.on_error is OnError.STOP and failures > 0


#: Asks whether what a department would lose may go; True goes on.
Ask = Callable[[Department, NeedsConfirmation], bool]
