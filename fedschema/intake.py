"""Takes many departments in: all are looked at before the first is made, then each is made as if it came alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum

import psycopg

from fedschema import tenancy
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import DepartmentsTaken, FedschemaError
from fedschema.obstacles import Obstacle, obstacles
from fedschema.passwords import Password
from fedschema.plans import Plan
from fedschema.tenancy import NewDepartment
from fedschema.workers import Halt, Workers

#: More than the cores of most servers, and as many as an untuned PostgreSQL has room for: a department that is being
#: made holds some 300 locks until it is committed, and the lock table has 6,400 places (max_locks_per_transaction = 64,
#: max_connections = 100, manual section "Lock Management").
MAX_JOBS = 16
DEFAULT_JOBS = 4

#: Gives a department's role its password for as long as the department is being made; None leaves it without one.
PasswordOf = Callable[[Department], AbstractContextManager[Password | None]]


class Outcome(StrEnum):
    """How it went for one department."""

    ADDED = "added"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """What was done for one department.

    Attributes:
        department: which one.
        outcome: how it went.
        duration_seconds: how long it took.
        error: why it failed, or what kept it from being begun, where that is known.
    """

    department: Department
    outcome: Outcome
    duration_seconds: float = 0.0
    error: FedschemaError | None = None


@dataclass(frozen=True, slots=True)
class Intake:
    """Departments that nothing stands in the way of.

    Attributes:
        coming: those to be made, each with its plan.
        there: those that are there and in service already.
    """

    coming: tuple[tuple[NewDepartment, Plan], ...]
    there: tuple[Department, ...]


def survey(conninfo: str, compiler: Compiler, wanted: Sequence[NewDepartment], *, skip_existing: bool) -> Intake:
    """Look at all departments before the first is made; nothing is changed.

    Args:
        conninfo: the database; its control plane has to be there and up to date.
        compiler: the project.
        wanted: the departments, each of them once.
        skip_existing: those that are there and in service are left out, rather than in the way.

    Raises:
        DepartmentsTaken: naming everything that is in the way.
        CompilationFailed, ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead, ReadOnlyServer
    """
    what = f"adding {len(wanted)} departments"
    with connect(conninfo) as connection, owner_transaction(connection, what):
        found = obstacles(connection, compiler, [new.department for new in wanted], what)
    there = [department for department, obstacle in found.items() if skip_existing and obstacle.active]
    _refuse([obstacle for department, obstacle in found.items() if department not in there])
    coming = tuple((new, compiler.creation(new.department)) for new in wanted if new.department not in there)
    return Intake(coming, tuple(there))


def _refuse(found: Sequence[Obstacle]) -> None:
    if not found:
        return
    problems = [obstacle.error.message.removesuffix("; nothing was changed") for obstacle in found]
    some_are_there = any(obstacle.active for obstacle in found)
    hint = "to leave out those that are ACTIVE already, add --skip-existing" if some_are_there else found[0].error.hint
    raise DepartmentsTaken(problems, hint)


def add_all(  # noqa: PLR0913 - what a run is made of
    conninfo: str,
    compiler: Compiler,
    intake: Intake,
    password_of: PasswordOf,
    halt: Halt,
    *,
    jobs: int = DEFAULT_JOBS,
    stop_at_failure: bool = True,
) -> Iterator[Result]:
    """Make departments, several at once, each in a transaction of its own, and yield each result as it is there.

    Args:
        conninfo: the database.
        compiler: the project.
        intake: from `survey`.
        password_of: called in several threads at once.
        halt: how the run is ended early.
        jobs: how many connections.
        stop_at_failure: one that fails is the last to be begun.

    Raises:
        FedschemaError: no connection could be opened, so that none was begun.
    """
    yield from (Result(department, Outcome.UNCHANGED) for department in intake.there)

    def work(connection: psycopg.Connection, item: tuple[NewDepartment, Plan]) -> Result:
        result = _add(connection, compiler, *item, password_of)
        if result.error and stop_at_failure:
            halt.stop()
        return result

    waiting = {new.department for new, _ in intake.coming}
    lost: FedschemaError | None = None
    try:
        for (new, _), result in Workers(conninfo, jobs, work, halt).run(intake.coming):
            waiting.discard(new.department)
            yield result
    except GeneratorExit:  # nobody waits for the rest
        halt.stop()
        raise
    except FedschemaError as error:
        if len(waiting) == len(intake.coming):
            raise
        lost = error
    left = [new.department for new, _ in intake.coming if new.department in waiting]
    yield from (Result(department, Outcome.SKIPPED, error=lost) for department in left)


def _add(
    connection: psycopg.Connection, compiler: Compiler, new: NewDepartment, plan: Plan, password_of: PasswordOf
) -> Result:
    began = time.monotonic()
    try:
        with password_of(new.department) as password:
            tenancy.create(connection, compiler, new, plan, password)
    except FedschemaError as error:
        return Result(new.department, Outcome.FAILED, time.monotonic() - began, error)
    return Result(new.department, Outcome.ADDED, time.monotonic() - began)
