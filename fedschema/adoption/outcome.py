"""What is asked of an adoption, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fedschema.checks import Hole
from fedschema.department import Department
from fedschema.differences import Difference
from fedschema.errors import FedschemaError
from fedschema.passwords import Password
from fedschema.repairs import Repair, plan_repairs
from fedschema.tenancy import NewDepartment
from fedschema.versions import Heads


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be adopted, and how.

    Attributes:
        new: the department that it becomes.
        schema: the schema's name until now; None when it is the department's already.
        revision: what it is compared with; None for what its version table says, or for what it is most like.
        repair: also run the repairs by which no row can be lost.
        dry_run: roll all of it back and say what came of it.
        password: for its role; None leaves one that is there as it is, and gives a new role none.
    """

    new: NewDepartment
    schema: str | None = None
    revision: str | None = None
    repair: bool = False
    dry_run: bool = False
    password: Password | None = field(default=None, repr=False)

    @property
    def department(self) -> Department:
        """The department that it becomes."""
        return self.new.department

    @property
    def found_in(self) -> str:
        """The schema's name until now."""
        return self.schema or self.department.schema


@dataclass(frozen=True, slots=True)
class Adoption:
    """What came of it.

    Attributes:
        department: which one.
        heads: the version rows of the place that it was compared with.
        differences: what differed before anything was repaired, once it was handed over.
        handed_over: how many things each owner had there before.
        role_made: the role is new; else it was there and is kept, with its password unless another one was given.
        repaired: the repairs were run.
        holes: what stands open afterwards, and so is in the way.
        problem: why it was not adopted; None when it was, or would be.
    """

    department: Department
    heads: Heads
    differences: tuple[Difference, ...]
    handed_over: Mapping[str, int]
    role_made: bool
    repaired: bool = False
    holes: tuple[Hole, ...] = ()
    problem: FedschemaError | None = None

    @property
    def repairs(self) -> list[Repair]:
        """What mends each difference."""
        return plan_repairs(self.department, self.differences)
