"""Compares departments with what their own revisions give, and makes them so again: `fedschema drift`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from fedschema import batches, events, expectations, inspection, positions, registry
from fedschema.checks import LOCK_TIMEOUT
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction, translate
from fedschema.department import Department
from fedschema.differences import Difference, compare
from fedschema.errors import Cancelled, ConnectionLost, DepartmentMoved, FedschemaError, LockTimeout
from fedschema.fleet.pace import Pace
from fedschema.fleet.references import met
from fedschema.inspection import Description, Pattern
from fedschema.positions import Position
from fedschema.repairs import Repair, plan_repairs
from fedschema.versions import Heads
from fedschema.workers import Halt, Workers

Answer = TypeVar("Answer")

#: More connections than a few cores have use for cost more than they give.
_JOBS = 2
#: How many departments are described in one question: all that differ, as long as the answer is not too large.
_AT_ONCE = 50
#: For a question that reads all of a catalogue: what it reads stays in memory, and nothing is compiled for it.
_MEANS = "SET LOCAL work_mem = '64MB'; SET LOCAL jit = off"
#: How often it is looked again what is left; nothing stands on others that deep, and a repair may not take.
_PASSES = 8


@dataclass(frozen=True, slots=True)
class Drift:
    """How one department compares with its revisions.

    Attributes:
        department: which one.
        position: where it is.
        heads: the rows of its version table, which say so.
        fingerprint: of its schema, its names included; None where it could not be taken.
        differences: what differs; empty when nothing does.
        problem: why it could not be compared.
    """

    department: Department
    position: Position
    heads: Heads
    fingerprint: str | None
    differences: tuple[Difference, ...] = ()
    problem: FedschemaError | None = None

    @property
    def ok(self) -> bool:
        """It is what its revisions give."""
        return not self.differences and self.problem is None

    @property
    def repairs(self) -> list[Repair]:
        """What mends each difference, mostly in the order in which it can be run."""
        return plan_repairs(self.department, self.differences)


def examine(conninfo: str, compiler: Compiler, wanted: Sequence[Department]) -> list[Drift]:
    """Compare departments with what their own revisions give; nothing is changed.

    Args:
        conninfo: the database.
        compiler: the project.
        wanted: the departments; empty means all.

    Raises:
        UnknownDepartment, ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead
    """
    with connect(conninfo) as connection:
        return examine_over(connection, conninfo, compiler, wanted)


def examine_over(
    connection: psycopg.Connection, conninfo: str, compiler: Compiler, wanted: Sequence[Department]
) -> list[Drift]:
    """Do as `examine` does, over a connection that is there; for many departments others are opened beside it."""
    found = positions.read(connection, compiler, wanted)
    found_at = {position.entry.department: heads for position, heads in found if not position.problem}
    places = {heads: department for department, heads in found_at.items()}
    patterns = expectations.patterns(connection, compiler, places)
    known = _patterned(found_at, patterns)
    fingerprints = _fingerprints(connection, conninfo, compiler, list(known))
    if doubtful := {found_at[unlike] for unlike in _unlike(known, fingerprints) if known[unlike].kept}:
        patterns |= _anew(connection, compiler, {heads: places[heads] for heads in doubtful})
        known = _patterned(found_at, patterns)
    described = _described(connection, compiler, found, known, _unlike(known, fingerprints))
    return [_drift(position, heads, patterns, fingerprints, described) for position, heads in found]


def _patterned(
    found_at: Mapping[Department, Heads], patterns: Mapping[Heads, Pattern | FedschemaError]
) -> dict[Department, Pattern]:
    """Return what each department should look like, where that is known."""
    return {
        department: pattern
        for department, heads in found_at.items()
        if isinstance(pattern := patterns.get(heads), Pattern)
    }


def _unlike(
    known: Mapping[Department, Pattern], fingerprints: Mapping[Department, str | FedschemaError]
) -> list[Department]:
    """Return the departments whose fingerprint is not what it should be."""
    return [
        department
        for department, pattern in known.items()
        if isinstance(taken := fingerprints.get(department, ""), str) and taken != pattern.fingerprint(department)
    ]


def _anew(
    connection: psycopg.Connection, compiler: Compiler, places: Mapping[Heads, Department]
) -> dict[Heads, Pattern | FedschemaError]:
    """Make again what an earlier command kept; where that cannot be done, as on a standby, it is all that is known."""
    made = expectations.patterns(connection, compiler, places, anew=True)
    return {heads: pattern for heads, pattern in made.items() if isinstance(pattern, Pattern)}


def _fingerprints(
    connection: psycopg.Connection, conninfo: str, compiler: Compiler, departments: Sequence[Department]
) -> dict[Department, str | FedschemaError]:
    """Return each department's fingerprint, or why it could not be taken."""

    def work(over: psycopg.Connection, some: Sequence[Department]) -> dict[Department, str | FedschemaError]:
        return _patiently(over, some, lambda few: inspection.fingerprints(over, compiler.templates, few))

    if len(departments) <= _AT_ONCE:  # another connection would take longer to open
        return work(connection, departments) if departments else {}
    found: dict[Department, str | FedschemaError] = {}
    parts = [departments[start::_JOBS] for start in range(_JOBS)]
    for _, some in Workers(conninfo, _JOBS, work, Halt()).run(parts):
        found |= some
    return found


def _patiently(
    connection: psycopg.Connection,
    departments: Sequence[Department],
    ask: Callable[[Sequence[Department]], Mapping[Department, Answer]],
) -> dict[Department, Answer | FedschemaError]:
    """Ask about departments together, fewer at once where somebody holds a table: PostgreSQL waits for it."""
    try:
        with owner_transaction(connection, "reading what departments look like"):
            connection.execute(LOCK_TIMEOUT)
            connection.execute(_MEANS)
            return dict(ask(departments))
    except LockTimeout as error:
        if len(departments) == 1:
            return {departments[0]: error}
    found: dict[Department, Answer | FedschemaError] = {}
    fewer = _in_parts(departments) if len(departments) > _AT_ONCE else [[department] for department in departments]
    for some in fewer:
        found |= _patiently(connection, some, ask)
    return found


def _in_parts(departments: Sequence[Department]) -> list[Sequence[Department]]:
    return [departments[start : start + _AT_ONCE] for start in range(0, len(departments), _AT_ONCE)]


def _described(
    connection: psycopg.Connection,
    compiler: Compiler,
    found: Sequence[tuple[Position, Heads]],
    known: Mapping[Department, Pattern],
    unlike: Sequence[Department],
) -> dict[Department, tuple[Difference, ...] | FedschemaError]:
    """Look closely at those whose fingerprint is not what it should be, and did not move while it was taken."""
    described: dict[Department, Description | FedschemaError] = {}
    for some in _in_parts(unlike):
        described |= _patiently(
            connection, some, lambda few: inspection.descriptions(connection, compiler.templates, few)
        )
    moved = _moved(connection, found, unlike)
    return {
        department: moved.get(department)
        or (
            description
            if isinstance(description, FedschemaError)
            else tuple(compare(known[department].description(department), description))
        )
        for department, description in described.items()
    }


def _moved(
    connection: psycopg.Connection, found: Sequence[tuple[Position, Heads]], unlike: Sequence[Department]
) -> dict[Department, FedschemaError]:
    """Return those that a release took elsewhere meanwhile: what they look like says nothing about where they were."""
    if not unlike:
        return {}
    before = {position.entry.department: heads for position, heads in found}
    with owner_transaction(connection, "reading where departments are"):
        now = registry.revisions(connection, unlike)
    return {
        department: DepartmentMoved.to(department.id, heads or ())
        for department, heads in now.items()
        if (heads or ()) != before[department]
    }


def _drift(
    position: Position,
    heads: Heads,
    patterns: Mapping[Heads, Pattern | FedschemaError],
    fingerprints: Mapping[Department, str | FedschemaError],
    described: Mapping[Department, tuple[Difference, ...] | FedschemaError],
) -> Drift:
    """Say how one department compares, or why nobody knows."""
    department = position.entry.department
    differences = described.get(department, ())
    for seen in (position.problem, patterns.get(heads), fingerprints.get(department), differences):
        if isinstance(seen, FedschemaError):
            return Drift(department, position, heads, None, problem=seen)
    taken = fingerprints.get(department)
    assert not isinstance(taken, FedschemaError)  # noqa: S101 - it was among those
    assert not isinstance(differences, FedschemaError)  # noqa: S101
    return Drift(department, position, heads, taken, differences)


def repair(conninfo: str, compiler: Compiler, before: Drift) -> Drift:
    """Run the safe repairs of one department, in one transaction: all of them, or none.

    Args:
        conninfo: the database.
        compiler: the project.
        before: how it compared. What is repaired is looked at anew, since it may have changed since then.

    Returns:
        how it compares afterwards.

    Raises:
        DepartmentMoved: it is at another revision by now; nothing was changed.
        ReferencesUnmet, StatementFailed, LockTimeout, …: nothing was changed.
    """
    department, heads = before.department, before.heads
    if before.problem:
        return before
    what = f"repair of department {department}"
    with connect(conninfo) as connection:
        pattern = expectations.patterns(connection, compiler, {heads: department}, anew=True)[heads]
        if isinstance(pattern, FedschemaError):
            raise pattern
        with owner_transaction(connection, what):
            Pace().apply(connection)
            connection.execute("CALL federation.begin_migration(%s, %s::text[])", (department.id, list(heads)))
            with met(connection, department, what):
                left = mend(connection, compiler, department, pattern.description(department))
            taken = inspection.fingerprints(connection, compiler.templates, [department])[department]
    return Drift(department, before.position, heads, taken, tuple(left))


def mend(
    connection: psycopg.Connection, compiler: Compiler, department: Department, wanted: Description
) -> list[Difference]:
    """Run what is safe, again and again while something gets done, and return what is left.

    One thing stands on another in more ways than an order of kinds could know, so what fails is tried again after the
    others; and what a repair brings with it, as the privileges of a new function, is repaired next.

    Args:
        connection: inside an owner's transaction, with the department held.
        compiler: the project.
        department: which one.
        wanted: how it should be.

    Raises:
        StatementFailed, LockTimeout, …: something that is safe cannot be run; the transaction has to be rolled back.
    """
    done = 0
    for _ in range(_PASSES):
        found = inspection.descriptions(connection, compiler.templates, [department])[department]
        differences = compare(wanted, found)
        ran, failure = run_safe(connection, department, plan_repairs(department, differences))
        done += ran
        if not ran:
            break
    if failure is not None:
        raise failure
    if done:
        events.record(connection, "SCHEMA_REPAIRED", department, statements=done)
    return differences


def run_safe(
    connection: psycopg.Connection, department: Department, repairs: Sequence[Repair]
) -> tuple[int, FedschemaError | None]:
    """Run each safe repair by itself, and return how many statements were run, and why the first that failed did."""
    safe = [one.answer for one in repairs if one.answer.safe]
    ran, failure = 0, None
    for statements in (*(answer.statements for answer in safe), *(answer.last for answer in safe)):
        try:
            with connection.transaction():
                for statement in statements:
                    _run(connection, f"repair of department {department}", statement)
        except (LockTimeout, ConnectionLost, Cancelled):
            raise
        except FedschemaError as error:
            failure = failure or error
        else:
            ran += len(statements)
    return ran, failure


def _run(connection: psycopg.Connection, what: str, statement: str) -> None:
    """Run one statement: over the extended protocol the server takes no second one with it."""
    try:
        connection.execute(statement.encode(), binary=True)
    except psycopg.Error as error:
        raise translate(error, what, None, batches.shown(statement)) from error
