"""One release over a fleet: wave after wave, several departments at a time, each to the end or not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import psycopg

from fedschema import checks
from fedschema.checks import EVERYBODY, Hole
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import CanaryFailed, DepartmentMoved, FedschemaError, NeedsConfirmation
from fedschema.fleet.alembic_road import OrdinaryRoad, run_with_alembic
from fedschema.fleet.apart import Manner
from fedschema.fleet.contracts import held_back, require_everybody
from fedschema.fleet.going_back import GoingBack
from fedschema.fleet.release import Ask, Direction, Outcome, Release, Result
from fedschema.fleet.schedule import waves
from fedschema.fleet.transaction import Confirmation
from fedschema.fleet.voyage import Voyage, go
from fedschema.plans import Plan
from fedschema.positions import Position, position_of
from fedschema.reach import Reach
from fedschema.versions import Heads
from fedschema.workers import Halt, Workers


class _Failures:
    """Counts what failed, from all workers, and halts the run when it is more than may."""

    def __init__(self, release: Release, fleet: int, halt: Halt) -> None:
        self._release = release
        self._fleet = fleet
        self._halt = halt
        self._failed = 0
        self._lock = threading.Lock()

    def count(self) -> None:
        """Count a department that failed."""
        with self._lock:
            self._failed += 1
            if self._release.is_spent(self._failed, self._fleet):
                self._halt.stop()


@dataclass(frozen=True, slots=True)
class Run:
    """One release over the departments that were chosen: known before it begins, and then run once.

    Attributes:
        reach: the database.
        compiler: the project.
        release: what is asked for.
        positions: where each department is.
        plans: the way of each, or why there is none.
        sizes: of each, in pages, where canaries are to be chosen.
        jobs: how many connections share the work.
        going_back: what is known of the steps down that are on anybody's way.
    """

    reach: Reach
    compiler: Compiler
    release: Release
    positions: Mapping[Department, Position]
    plans: Mapping[Department, Plan | FedschemaError]
    sizes: Mapping[Department, int]
    jobs: int
    going_back: GoingBack = GoingBack()  # noqa: RUF009 - it is frozen

    @property
    def departments(self) -> list[Department]:
        """Those that it is about, in the order in which they were asked for."""
        return list(self.positions)

    def results(self, ask: Ask | None = None, halt: Halt | None = None) -> Iterator[Result]:
        """Work through the waves and yield each result; what was not begun at the end is skipped.

        Args:
            ask: asked about a department that would lose something unconfirmed; without it such a step is refused.
            halt: ends it early.

        Raises:
            FedschemaError: no connection could be opened, so that nothing was begun.
        """
        halt = halt or Halt()
        failures = _Failures(self.release, len(self.plans), halt)
        left = dict(self.positions)
        lost: FedschemaError | None = None
        try:
            for result in self._waves(ask, halt, failures):
                left.pop(result.department)
                yield result
        except FedschemaError as error:
            if len(left) == len(self.positions):
                raise
            lost = error
        for department, position in left.items():
            yield Result(department, Outcome.SKIPPED, position, position, 0.0, lost)

    def _waves(self, ask: Ask | None, halt: Halt, failures: _Failures) -> Iterator[Result]:
        ordered = waves(self.departments, self.release.canaries, self.sizes, self.jobs)
        if self.release.canaries:
            first = ordered.pop(0)
            open_before = self._holes(first)
            yield from self._checked(list(self._wave(first, ask, halt, failures)), open_before, halt)
        for wave in ordered:
            if halt.stopping:
                return
            yield from self._wave(wave, ask, halt, failures)

    def _wave(self, wave: list[Department], ask: Ask | None, halt: Halt, failures: _Failures) -> Iterator[Result]:
        if all(self._is_there(department) for department in wave):  # no connection is opened for that
            yield from (self._unchanged(department) for department in wave)
            return

        def work(connection: psycopg.Connection, department: Department) -> Result:
            result = self._take(connection, department, halt, confirmed=self.release.confirms(department))
            if result.outcome is Outcome.FAILED and not _is_to_be_asked(result, ask):
                failures.count()  # before this worker begins with the next one
            return result

        for department, result in Workers(self.reach.conninfo, self.jobs, work, halt).run(wave):
            if ask is None or not _is_to_be_asked(result, ask):
                yield result
                continue
            answered = self._asked(department, result, ask, halt)
            if answered.outcome is Outcome.FAILED:
                failures.count()
            yield answered

    def _asked(self, department: Department, refused: Result, ask: Ask, halt: Halt) -> Result:
        """Ask whether what a department would lose may go, and take it along if so."""
        assert isinstance(refused.error, NeedsConfirmation)  # noqa: S101 - the others are not asked about
        if halt.stopping or not ask(department, refused.error):
            return refused
        with connect(self.reach.conninfo) as connection, halt.covering(connection):
            return self._take(connection, department, halt, confirmed=True)

    def _take(self, connection: psycopg.Connection, department: Department, halt: Halt, *, confirmed: bool) -> Result:
        """Take one department along, and say how it went."""
        before = self.positions[department]
        plan = self.plans[department]
        if isinstance(plan, FedschemaError):
            return Result(department, Outcome.FAILED, before, before, 0.0, plan)
        if not plan.steps:
            return self._unchanged(department)
        began = time.monotonic()
        reached: list[Heads] = []
        outcome, failure = self.release.direction.outcome, None
        try:
            if plan.needs_connection:
                self._go_with_alembic(department, confirmed=confirmed)
                reached.append(plan.end)
            else:
                voyage = self._voyage(department, plan, halt, reached, confirmed=confirmed)
                reached.append(go(voyage, connection))
        except FedschemaError as error:
            outcome, failure = Outcome.FAILED, error
        after = position_of(self.compiler, before.entry, reached[-1]) if reached else before
        return Result(department, outcome, before, after, time.monotonic() - began, failure, plan)

    def _is_there(self, department: Department) -> bool:
        plan = self.plans[department]
        return not isinstance(plan, FedschemaError) and not plan.steps

    def _unchanged(self, department: Department) -> Result:
        position, plan = self.positions[department], self.plans[department]
        assert isinstance(plan, Plan)  # noqa: S101 - nobody is where an unknown way leads
        return Result(department, Outcome.UNCHANGED, position, position, 0.0, plan=plan)

    def _go_with_alembic(self, department: Department, *, confirmed: bool) -> None:
        release = self.release
        hint = None if confirmed else release.hint
        way = (release.direction.value, release.destination)
        with self.compiler.alembic:
            road = OrdinaryRoad(self.reach, self.compiler.project.ini, *way, hint)
            run_with_alembic(road, department)

    def _voyage(
        self, department: Department, plan: Plan, halt: Halt, reached: list[Heads], *, confirmed: bool
    ) -> Voyage:
        release = self.release
        return Voyage(
            self.reach,
            department,
            plan,
            Manner(Confirmation(confirmed, release.hint, self.going_back.accepted), release.pace, halt),
            lambda heads: self._plan_again(department, heads),
            reached.append,
        )

    def _plan_again(self, department: Department, heads: Heads) -> Plan:
        """Plan for a department that somebody took elsewhere meanwhile; +1 from there is not what was meant.

        Raises:
            DepartmentMoved: it was to go so many revisions on from where it was, or by a plan that was sealed.
            ContractBlocked: on the way from there is a contract step that has to wait.
            LossyStep: the way back from there goes over a step that was not on the way before, and has to be named.
        """
        if self.release.is_relative or not self.release.replans:
            raise DepartmentMoved.to(department.id, heads)
        plan = self.release.plan(self.compiler, department, heads)
        if self.release.direction is Direction.DOWNGRADE:
            known = self.going_back
            GoingBack.of(self.compiler, [plan], known.named, fleet=known.fleet).refuse_unnamed()
        elif contracts := held_back(self.compiler, [step.revision for step in plan.steps]):
            with (
                connect(self.reach.conninfo) as connection,
                owner_transaction(connection, "reading where departments are"),
            ):
                require_everybody(connection, self.compiler, contracts)
        return plan

    def _checked(self, canaries: list[Result], open_before: set[Hole], halt: Halt) -> Iterator[Result]:
        """Check the canaries that were migrated: with a hole of their own, or one that opens everybody, they failed."""
        migrated = [one.department for one in canaries if one.outcome is self.release.direction.outcome]
        holes = self._holes([one.department for one in canaries]) if migrated else set()
        for result in canaries:
            mine = [str(hole) for hole in holes if hole.target == result.department.id]
            mine += [str(hole) for hole in holes - open_before if hole.target == EVERYBODY]
            if mine and result.department in migrated:
                halt.stop()  # whatever else may fail: a release that opens walls goes no further
                yield replace(result, outcome=Outcome.FAILED, error=CanaryFailed(result.department.id, sorted(mine)))
            else:
                yield result

    def _holes(self, departments: list[Department]) -> set[Hole]:
        with connect(self.reach.conninfo) as connection, owner_transaction(connection, "checking the canaries"):
            return set(checks.run(connection, self.compiler.templates, departments))


def _is_to_be_asked(result: Result, ask: Ask | None) -> bool:
    """A refusal that somebody can lift is no failure yet."""
    return ask is not None and isinstance(result.error, NeedsConfirmation)
