"""Compares departments with what their own revisions give, and makes them so again: `fedschema drift`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from fedschema import batches, events, expectations, inspection, positions
from fedschema.checks import LOCK_TIMEOUT
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction, translate
from fedschema.department import Department
from fedschema.differences import Difference, compare
from fedschema.errors import FedschemaError, LockTimeout
from fedschema.fleet.pace import Pace
from fedschema.inspection import Description, Pattern
from fedschema.positions import Position
from fedschema.repairs import Repair, plan_repairs
from fedschema.versions import Heads
from fedschema.workers import Halt, Workers

Answer = TypeVar("Answer")

#: More connections than a few cores have use for cost more than they give.
_JOBS = 2
#: How many departments are described in one question.
_AT_ONCE = 50
#: How often it is looked again what is left to repair.
_PASSES = 3


@dataclass(frozen=True, slots=True)
class Drift:
    """How one department compares with its revisions.

    Attributes:
        department: which one.
        position: where it is.
        fingerprint: of its schema; two departments with the same one are alike but for their names.
        differences: what differs; empty when nothing does.
        problem: why it could not be compared.
    """

    department: Department
    position: Position
    fingerprint: str | None
    differences: tuple[Difference, ...] = ()
    problem: FedschemaError | None = None

    @property
    def ok(self) -> bool:
        """It is what its revisions give."""
        return not self.differences and self.problem is None

    @property
    def repairs(self) -> list[Repair]:
        """What mends each difference, in the order in which it can be run."""
        return plan_repairs(self.department, self.differences)


def examine(conninfo: str, compiler: Compiler, wanted: Sequence[Department]) -> list[Drift]:
    """Compare departments with what their own revisions give; nothing is changed.

    Args:
        conninfo: the database.
        compiler: the project.
        wanted: the departments; empty means all.

    Raises:
        UnknownDepartment, ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead
        NotRehearsable: a revision reads from the database, so that nobody knows what it gives.
    """
    with connect(conninfo) as connection:
        found = positions.read(connection, compiler, wanted)
        patterns = _patterns(connection, compiler, found)
    return _examined(conninfo, compiler, found, patterns)


def _examined(
    conninfo: str, compiler: Compiler, found: Sequence[tuple[Position, Heads]], patterns: Mapping[Heads, Pattern]
) -> list[Drift]:
    departments = [position.entry.department for position, _ in found if not position.problem]
    return _compared(conninfo, compiler, found, patterns, _fingerprints(conninfo, compiler, departments))


def _patterns(
    connection: psycopg.Connection, compiler: Compiler, found: Sequence[tuple[Position, Heads]]
) -> dict[Heads, Pattern]:
    """Read what departments should look like at each place where there is one."""
    places = {heads: position.entry.department for position, heads in found if not position.problem}
    return expectations.patterns(connection, compiler, places)


def _fingerprints(
    conninfo: str, compiler: Compiler, departments: Sequence[Department]
) -> dict[Department, str | FedschemaError]:
    """Return each department's fingerprint, or why it could not be taken."""

    def work(connection: psycopg.Connection, some: Sequence[Department]) -> dict[Department, str | FedschemaError]:
        return _patiently(connection, some, lambda few: inspection.fingerprints(connection, compiler.templates, few))

    found: dict[Department, str | FedschemaError] = {}
    for _, some in Workers(conninfo, _JOBS, work, Halt()).run(_in_parts(departments)):
        found |= some
    return found


def _patiently(
    connection: psycopg.Connection,
    departments: Sequence[Department],
    ask: Callable[[Sequence[Department]], Mapping[Department, Answer]],
) -> dict[Department, Answer | FedschemaError]:
    """Ask about departments together, and one by one where somebody holds a table of one: PostgreSQL waits for it."""
    try:
        with owner_transaction(connection, "reading what departments look like"):
            connection.execute(LOCK_TIMEOUT)
            return dict(ask(departments))
    except LockTimeout as error:
        if len(departments) == 1:
            return {departments[0]: error}
    found: dict[Department, Answer | FedschemaError] = {}
    for department in departments:
        found |= _patiently(connection, [department], ask)
    return found


def _in_parts(departments: Sequence[Department]) -> list[Sequence[Department]]:
    return [departments[start : start + _AT_ONCE] for start in range(0, len(departments), _AT_ONCE)]


def _compared(
    conninfo: str,
    compiler: Compiler,
    found: Sequence[tuple[Position, Heads]],
    patterns: Mapping[Heads, Pattern],
    fingerprints: Mapping[Department, str | FedschemaError],
) -> list[Drift]:
    """Look closely at those whose fingerprint is not what it should be."""
    unlike = {
        position.entry.department: patterns[heads]
        for position, heads in found
        if not position.problem
        and fingerprints.get(position.entry.department) != patterns[heads].fingerprint(position.entry.department)
        and not isinstance(fingerprints.get(position.entry.department), FedschemaError)
    }
    described: dict[Department, Description | FedschemaError] = {}
    with connect(conninfo) as connection:
        for some in _in_parts(list(unlike)):
            described |= _patiently(
                connection, some, lambda few: inspection.descriptions(connection, compiler.templates, few)
            )
    return [_drift(position, fingerprints, unlike, described) for position, _ in found]


def _drift(
    position: Position,
    fingerprints: Mapping[Department, str | FedschemaError],
    unlike: Mapping[Department, Pattern],
    described: Mapping[Department, Description | FedschemaError],
) -> Drift:
    """Say how one department compares, or why nobody knows."""
    department = position.entry.department
    fingerprint, description = fingerprints.get(department), described.get(department, {})
    problem = position.problem
    for seen in (fingerprint, description):
        problem = problem or (seen if isinstance(seen, FedschemaError) else None)
    if problem or isinstance(fingerprint, FedschemaError) or isinstance(description, FedschemaError):
        return Drift(department, position, None, problem=problem)
    wanted = unlike[department].description(department) if department in unlike else {}
    return Drift(department, position, fingerprint, tuple(compare(wanted, description)))


def repair(conninfo: str, compiler: Compiler, department: Department) -> Drift:
    """Run the safe repairs of one department, in one transaction: all of them, or none.

    Args:
        conninfo: the database.
        compiler: the project.
        department: it is compared anew, since it may have changed since somebody looked.

    Returns:
        what differs afterwards.

    Raises:
        StatementFailed, LockTimeout, …: nothing was changed.
    """
    what = f"repair of department {department}"
    with connect(conninfo) as connection:
        found = positions.read(connection, compiler, [department])
        patterns = _patterns(connection, compiler, found)
        ((position, heads),) = found
        if not position.problem:
            with owner_transaction(connection, what):
                Pace().apply(connection)
                connection.execute("CALL federation.lock_department(%s)", (department.id,))
                _mend(connection, compiler, department, patterns[heads].description(department))
    (after,) = _examined(conninfo, compiler, found, patterns)
    return after


def _mend(connection: psycopg.Connection, compiler: Compiler, department: Department, wanted: Description) -> None:
    """Run what is safe; what a repair brings with it, as the privileges of a new function, is repaired next."""
    what = f"repair of department {department}"
    done = 0
    for _ in range(_PASSES):
        found = inspection.descriptions(connection, compiler.templates, [department])[department]
        repairs = plan_repairs(department, compare(wanted, found))
        safe = [one for one in repairs if one.safe]
        statements = [*(text for one in safe for text in one.statements), *(text for one in safe for text in one.last)]
        for statement in statements:
            _run(connection, what, statement)
        if not statements:
            break
        done += len(statements)
    if done:
        events.record(connection, "SCHEMA_REPAIRED", department, statements=done)


def _run(connection: psycopg.Connection, what: str, statement: str) -> None:
    try:
        connection.execute(statement.encode())
    except psycopg.Error as error:
        raise translate(error, what, None, batches.shown(statement)) from error
