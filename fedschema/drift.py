"""Compares departments with what their own revisions give, and makes them so again: `fedschema drift`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg

from fedschema import batches, events, expectations, inspection, positions
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction, translate
from fedschema.department import Department
from fedschema.differences import Difference, compare
from fedschema.errors import FedschemaError
from fedschema.fleet.pace import Pace
from fedschema.inspection import Description, Pattern
from fedschema.positions import Position
from fedschema.repairs import Repair, plan_repairs
from fedschema.versions import Heads
from fedschema.workers import Halt, Workers

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


def _fingerprints(conninfo: str, compiler: Compiler, departments: Sequence[Department]) -> dict[Department, str]:
    def work(connection: psycopg.Connection, some: Sequence[Department]) -> dict[Department, str]:
        with owner_transaction(connection, "reading what departments look like"):
            return inspection.fingerprints(connection, compiler.templates, some)

    found: dict[Department, str] = {}
    for _, some in Workers(conninfo, _JOBS, work, Halt()).run(_in_parts(departments)):
        found |= some
    return found


def _in_parts(departments: Sequence[Department]) -> list[Sequence[Department]]:
    return [departments[start : start + _AT_ONCE] for start in range(0, len(departments), _AT_ONCE)]


def _compared(
    conninfo: str,
    compiler: Compiler,
    found: Sequence[tuple[Position, Heads]],
    patterns: Mapping[Heads, Pattern],
    fingerprints: Mapping[Department, str],
) -> list[Drift]:
    """Look closely at those whose fingerprint is not what it should be."""
    unlike = {
        position.entry.department: patterns[heads]
        for position, heads in found
        if not position.problem
        and fingerprints.get(position.entry.department) != patterns[heads].fingerprint(position.entry.department)
    }
    differences: dict[Department, tuple[Difference, ...]] = defaultdict(tuple)
    with connect(conninfo) as connection:
        for some in _in_parts(list(unlike)):
            with owner_transaction(connection, "reading what departments look like"):
                described = inspection.descriptions(connection, compiler.templates, some)
            for department, description in described.items():
                wanted = unlike[department].description(department)
                differences[department] = tuple(compare(wanted, description))
    return [
        Drift(
            position.entry.department,
            position,
            fingerprints.get(position.entry.department),
            differences[position.entry.department],
            position.problem,
        )
        for position, _ in found
    ]


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
