"""One release over a fleet: wave after wave, several departments at a time, each to the end or not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import psycopg

from fedschema import checks
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import CanaryFailed, FedschemaError, NeedsConfirmation
from fedschema.fleet.release import Ask, Direction, Outcome, Release, Result
from fedschema.fleet.transaction import Confirmation
from fedschema.fleet.voyage import Voyage, go, run_with_alembic
from fedschema.plans import Plan
from fedschema.positions import Position, position_of
from fedschema.versions import Heads
from fedschema.workers import Halt, Workers

#: So many departments over one connection are told of in their order, rather than sorted by what they need.
_FEW = 16


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of one department, as its worker tells it.

    Attributes:
        duration: seconds.
        heads: the rows of its version table now.
        error: why it failed, or None.
    """

    duration: float
    heads: Heads = ()
    error: FedschemaError | None = None


class _Failures:
    """Counts what failed, from all workers, and halts the run when it is more than may."""

    def __init__(self, release: Release, fleet: int, halt: Halt) -> None:
        self.halt = halt
        self._release = release
        self._fleet = fleet
        self._failed = 0
        self._lock = threading.Lock()

    def count(self, error: FedschemaError | None) -> None:
        """Count a department that failed; None for one that did not."""
        with self._lock:
            self._failed += error is not None
            if self._release.is_spent(self._failed, self._fleet):
                self.halt.stop()


def _is_to_be_asked(error: FedschemaError | None, ask: Ask | None) -> bool:
    """A refusal that somebody can lift is none yet."""
    return ask is not None and isinstance(error, NeedsConfirmation)


@dataclass(frozen=True, slots=True)
class Run:
    """One release over the departments that were chosen.

    Attributes:
        conninfo: the database.
        compiler: the project.
        release: what is asked for.
        positions: where each department is.
        plans: the way of each, or why there is none.
    """

    conninfo: str
    compiler: Compiler
    release: Release
    positions: Mapping[Department, Position]
    plans: Mapping[Department, Plan | FedschemaError]

    def results(self, ordered: list[list[Department]], jobs: int, halt: Halt, ask: Ask | None) -> Iterator[Result]:
        """Work through the waves and yield each result; what was not begun at the end is skipped."""
        seen: set[Department] = set()
        failures = _Failures(self.release, len(self.plans), halt)
        for number, wave in enumerate(ordered):
            are_canaries = bool(self.release.canaries) and number == 0
            found = self._wave(wave, jobs, failures, ask)
            for result in self._checked(list(found), failures) if are_canaries else found:
                seen.add(result.department)
                yield result
            if halt.stopping:
                break
        for department, position in self.positions.items():
            if department not in seen:
                yield Result(department, Outcome.SKIPPED, position, position, 0.0)

    def _wave(self, wave: list[Department], jobs: int, failures: _Failures, ask: Ask | None) -> Iterator[Result]:
        """Take one wave along: those that need nothing, those that can go side by side, then the others.

        What has to go through Alembic, and what somebody has to be asked about, goes one after another. So do a few
        departments over a single connection, in the order in which they were asked for.
        """
        halt = failures.halt
        if jobs == 1 and 1 < len(wave) <= _FEW:
            for department in wave:
                yield from () if halt.stopping else self._wave([department], jobs, failures, ask)
            return
        beside: list[Department] = []
        alone: list[Department] = []
        for department in wave:
            plan = self.plans[department]
            position = self.positions[department]
            if isinstance(plan, FedschemaError):
                failures.count(plan)
                yield Result(department, Outcome.FAILED, position, position, 0.0, plan)
            elif not plan.steps:
                yield Result(department, Outcome.UNCHANGED, position, position, 0.0, plan=plan)
            else:
                (alone if plan.needs_connection else beside).append(department)
        for department, done in Workers(self.conninfo, jobs, self._worker(failures, ask), halt).run(beside):
            if _is_to_be_asked(done.error, ask):
                alone.append(department)
            else:
                yield self._result(department, done)
        for department in alone:
            if halt.stopping:
                return
            done = self._alone(department, halt, ask)
            failures.count(done.error)
            yield self._result(department, done)

    def _worker(self, failures: _Failures, ask: Ask | None) -> Callable[[psycopg.Connection, Department], _Done]:
        def work(connection: psycopg.Connection, department: Department) -> _Done:
            began = time.monotonic()
            try:
                confirmed = department in self.release.confirmed
                heads = go(self._voyage(department, failures.halt, confirmed=confirmed), connection)
            except FedschemaError as error:
                if not _is_to_be_asked(error, ask):
                    failures.count(error)  # before this worker begins with the next one
                return _Done(time.monotonic() - began, error=error)
            return _Done(time.monotonic() - began, heads)

        return work

    def _alone(self, department: Department, halt: Halt, ask: Ask | None) -> _Done:
        """Take one department along in this thread, asking when something would be lost."""
        began = time.monotonic()
        confirmed = department in self.release.confirmed
        while True:
            try:
                heads = self._go_alone(department, halt, confirmed=confirmed)
            except NeedsConfirmation as error:
                if confirmed or ask is None or not ask(department, error):
                    return _Done(time.monotonic() - began, error=error)
                confirmed = True
            except FedschemaError as error:
                return _Done(time.monotonic() - began, error=error)
            else:
                return _Done(time.monotonic() - began, heads)

    def _go_alone(self, department: Department, halt: Halt, *, confirmed: bool) -> Heads:
        plan = self._plan_of(department)
        if not plan.needs_connection:
            with connect(self.conninfo) as connection, halt.covering(connection):
                return go(self._voyage(department, halt, confirmed=confirmed), connection)
        way = (self.release.direction.value, self.release.destination)
        hint = None if confirmed else self.release.hint
        run_with_alembic(self.conninfo, self.compiler.project.ini, department, way, hint)
        return plan.end

    def _voyage(self, department: Department, halt: Halt, *, confirmed: bool) -> Voyage:
        release = self.release
        compile_plan = self.compiler.upgrade if release.direction is Direction.UPGRADE else self.compiler.downgrade
        return Voyage(
            self.conninfo,
            department,
            self._plan_of(department),
            Confirmation(confirmed, release.hint),
            release.pace,
            halt,
            lambda heads: compile_plan(department, heads, release.destination),
        )

    def _plan_of(self, department: Department) -> Plan:
        plan = self.plans[department]
        assert isinstance(plan, Plan)  # noqa: S101 - those without one never get here
        return plan

    def _result(self, department: Department, done: _Done) -> Result:
        before = self.positions[department]
        plan = self._plan_of(department)
        if done.error is not None:
            return Result(department, Outcome.FAILED, before, before, done.duration, done.error, plan)
        after = position_of(self.compiler, before.entry, done.heads)
        return Result(department, self.release.direction.outcome, before, after, done.duration, plan=plan)

    def _checked(self, canaries: list[Result], failures: _Failures) -> list[Result]:
        """Check the canaries that were migrated; one that does not stand the checks has failed."""
        migrated = [one.department for one in canaries if one.outcome is self.release.direction.outcome]
        if not migrated:
            return canaries
        with connect(self.conninfo) as connection, owner_transaction(connection, "checking the canaries"):
            holes = checks.run(connection, self.compiler.templates, migrated)
        checked = []
        for result in canaries:
            mine = [str(hole) for hole in holes if hole.target == result.department.id]
            if mine and result.department in migrated:
                error = CanaryFailed(result.department.id, mine)
                failures.count(error)
                failures.halt.stop()  # whatever else may fail: a release that opens walls goes no further
                checked.append(replace(result, outcome=Outcome.FAILED, error=error))
            else:
                checked.append(result)
        return checked
