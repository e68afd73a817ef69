"""What `alembic upgrade` or `downgrade` has left to do for one department."""

from __future__ import annotations

from dataclasses import dataclass

from alembic.runtime.migration import RevisionStep, StampStep

from fedschema.department import Department
from fedschema.errors import DepartmentMoved
from fedschema.plans import Plan
from fedschema.versions import Heads


@dataclass(frozen=True, slots=True)
class Journey:
    """The legs of a plan, and the same steps as Alembic has them.

    Attributes:
        legs: what is left, at least one.
        steps: the steps of all of them, in order.
    """

    legs: tuple[Plan, ...]
    steps: tuple[RevisionStep | StampStep, ...]

    @property
    def after_a_leg(self) -> Journey | None:
        """What is left when the first leg is done; None when nothing is."""
        first, *rest = self.legs
        return Journey(tuple(rest), self.steps[len(first.steps) :]) if rest else None

    def require_start(self, department: Department, heads: Heads) -> None:
        """Check that a department is where the first leg starts.

        Raises:
            DepartmentMoved: another command took it elsewhere, between two legs.
        """
        if set(heads) != set(self.legs[0].start):
            raise DepartmentMoved.to(department.id, heads)
