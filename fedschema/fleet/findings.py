"""What is known of a migration by trying it: of each statement, and of the whole."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fedschema import batches
from fedschema.department import Department
from fedschema.errors import FedschemaError
from fedschema.fleet.measures import Effects, Lock
from fedschema.fleet.rows import Offenders
from fedschema.plans import Plan
from fedschema.statements import headline

_BOOKKEEPING = re.compile(r"CALL federation\.|(?:UPDATE|INSERT INTO|DELETE FROM) \S+\.alembic_version\b")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a migration.

    Attributes:
        sql: the whole of it.
        revision: whose it is; None for what surrounds the revisions.
        leg: the number of the plan's leg that it is part of, from 1.
        effects: what it did; None where it failed or was not tried.
        duration_seconds: how long it took, also to fail; None where it was not tried.
        apart: no transaction holds its locks to the end: it is done outside of any.
    """

    sql: str
    revision: str | None
    leg: int = 1
    effects: Effects | None = None
    duration_seconds: float | None = None
    apart: bool = False

    @property
    def failed(self) -> bool:
        """It was tried, and did nothing."""
        return self.effects is None and self.duration_seconds is not None

    @property
    def headline(self) -> str:
        """The beginning of it, as people may see it."""
        return batches.shown(self.sql)

    @property
    def is_bookkeeping(self) -> bool:
        """It moves the version table and the history along, checks the walls, or holds the department."""
        return _BOOKKEEPING.match(headline(self.sql)) is not None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a migration would do.

    Attributes:
        department: whose tables it was tried on.
        statements: in order; those after one that failed were not tried.
        drops: the tables and columns that would be gone, whether they hold something or not; no column whose values
            another has.
        duration_seconds: of the whole, the looking left out.
        error: why it would fail, or None.
        offenders: the rows because of which it would, where they could be counted.
        notes: what of it was not tried, and why.
        untried_from: the revision from which on nothing was tried, though nothing failed; None where all was.
    """

    department: Department
    statements: tuple[Statement, ...]
    drops: tuple[str, ...] = ()
    duration_seconds: float | None = None
    error: FedschemaError | None = None
    offenders: Offenders | None = None
    notes: tuple[str, ...] = ()
    untried_from: str | None = None

    @property
    def legs(self) -> tuple[int, ...]:
        """The numbers of the legs, in order."""
        return tuple(dict.fromkeys(statement.leg for statement in self.statements))

    def end_of(self, leg: int) -> str | None:
        """Return the last revision of a leg."""
        revisions = [one.revision for one in self.statements if one.leg == leg and one.revision]
        return revisions[-1] if revisions else None

    def held(self, leg: int) -> tuple[Lock, ...]:
        """Return the strongest lock on each relation that a leg's transaction would hold at its end."""
        own = [one for one in self.statements if one.leg == leg and not one.apart]
        taken = [lock for one in own if one.effects for lock in one.effects.locks or ()]
        by_relation = {lock.relation: lock for lock in sorted(taken, key=lambda lock: lock.strength)}
        return tuple(sorted(by_relation.values(), key=lambda lock: (-lock.strength, lock.relation)))

    @property
    def tried(self) -> bool:
        """At least one statement was."""
        return any(statement.effects is not None for statement in self.statements)


def untried(department: Department, plan: Plan) -> tuple[Statement, ...]:
    """Return the statements of a department's migration, leg by leg."""
    return tuple(
        Statement(text, revision, number)
        for number, leg in enumerate(plan.legs, 1)
        for text, revision in batches.statements_of(batches.migration(department, leg), leg)
    )
