"""Which metrics there are, and where each comes from.

What counts up is counted by the database: a command that has just begun knows of no others, and what is read from
rows that are kept never starts anew.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import psycopg
from psycopg.rows import class_row

from fedschema import __version__, drift, observation, sharing
from fedschema.compiler import Compiler
from fedschema.drift import Drift
from fedschema.metrics.exposition import Family, Kind, Sample
from fedschema.observation import Fleet
from fedschema.sharing import Grant

_Row = TypeVar("_Row")

#: Seconds, from a step that nobody notices to one that a night is planned for.
BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)

_EDGES = [[-Decimal(str(edge)) for edge in reversed(BUCKETS)]]

#: What a department is that no department of the registry is called.
UNKNOWN = "unknown"

_STEPS = """
    SELECT department_id, direction, success, count(*) AS steps, max(applied_at) AS last_at
    FROM federation.schema_migrations
    GROUP BY department_id, direction, success
    ORDER BY department_id, direction, success
"""
#: How many edges there are that a step was within: from the largest down, since the smaller ones hold an equal one too.
_DURATIONS = """
    SELECT direction, pg_catalog.width_bucket(-duration_seconds, %s::numeric[]) AS edges, count(*) AS steps,
           sum(duration_seconds) AS seconds
    FROM federation.schema_migrations
    WHERE duration_seconds IS NOT NULL
    GROUP BY direction, edges
    ORDER BY direction, edges
"""


@dataclass(frozen=True, slots=True)
class _Steps:
    """How many steps of a kind a department has taken."""

    department_id: str
    direction: str
    success: bool
    steps: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class _Durations:
    """How long the steps of a direction took that were within so many edges of `BUCKETS`."""

    direction: str
    edges: int
    steps: int
    seconds: Decimal


def collect(conninfo: str, compiler: Compiler, *, with_drift: bool = False) -> list[Family]:
    """Measure a federation; nothing is changed, unless it is compared with its revisions.

    Args:
        conninfo: the database.
        compiler: the project.
        with_drift: also compare each department with its revisions, which costs more, and for a place that nobody has
            been compared at makes a department there and rolls it back.

    Raises:
        ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead, ServerUnreachable, …
    """
    began = time.perf_counter()
    with observation.watching(conninfo, compiler, "measuring the federation") as connection:
        moment = observation.now(connection)
        fleet = observation.fleet(connection, compiler)
        families = [
            *_departments(fleet),
            *_migrations(fleet, _rows(connection, _STEPS, _Steps)),
            _durations(_rows(connection, _DURATIONS, _Durations, _EDGES)),
            _denials(fleet, observation.denials(connection)),
            _grants(sharing.read_grants(connection), moment),
            _sizes(observation.estimated_sizes(connection, fleet.live)),
        ]
    if with_drift:
        families += _drift(drift.examine(conninfo, compiler, []))
    return [*families, *_itself(moment, time.perf_counter() - began)]


def _rows(
    connection: psycopg.Connection, query: str, kind: type[_Row], values: Sequence[object] | None = None
) -> list[_Row]:
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query.encode(), values).fetchall()


def _departments(fleet: Fleet) -> list[Family]:
    """Say what state the registry has departments in, and where they are."""
    places = Counter(
        (position.entry.status, position.revision or "base", position.branch_revision or "")
        for position in fleet.positions
    )
    dropped = sum(not entry.is_live for entry in fleet.entries)
    return [
        Family(
            "fedschema_departments",
            Kind.GAUGE,
            "Departments by status and revision; dropped ones have no revision.",
            [
                *(Sample(number, _place(*place)) for place, number in sorted(places.items())),
                Sample(dropped, _place("DEPROVISIONED", "", "")),
            ],
        ),
        Family(
            "fedschema_department_at_head",
            Kind.GAUGE,
            "1 where nothing is left to apply to the department, else 0.",
            [Sample(position.at_head, _of(position.entry.department_id)) for position in fleet.positions],
        ),
        Family(
            "fedschema_department_damaged",
            Kind.GAUGE,
            "1 where nobody can tell which revision the department is at, else 0.",
            [Sample(position.problem is not None, _of(position.entry.department_id)) for position in fleet.positions],
        ),
    ]


def _place(status: str, revision: str, branch: str) -> dict[str, str]:
    return {"status": status, "revision": revision, "branch_revision": branch}


def _of(department_id: str) -> dict[str, str]:
    return {"department": department_id}


def _result(*, success: bool) -> str:
    return "succeeded" if success else "failed"


def _migrations(fleet: Fleet, rows: Sequence[_Steps]) -> list[Family]:
    """Count the steps that were tried. Departments that have none of a kind begin at 0, so that a first one is seen."""
    known = {(row.department_id, row.direction, row.success): row.steps for row in rows}
    for department in fleet.live:
        for direction in ("upgrade", "downgrade"):
            known.setdefault((department.id, direction, False), 0)
    last: dict[tuple[str, bool], datetime] = {}
    for row in rows:
        key = row.department_id, row.success
        last[key] = max(row.last_at, last.get(key, row.last_at))
    return [
        Family(
            "fedschema_migration_steps_total",
            Kind.COUNTER,
            "Revisions that were applied or taken back, or failed to be, since the federation was made.",
            [
                Sample(steps, _of(owner) | {"direction": direction, "result": _result(success=success)})
                for (owner, direction, success), steps in sorted(known.items())
            ],
        ),
        Family(
            "fedschema_migration_last_timestamp_seconds",
            Kind.GAUGE,
            "When a revision last was applied or taken back, and when one last failed to be.",
            [
                Sample(moment.timestamp(), _of(owner) | {"result": _result(success=success)})
                for (owner, success), moment in sorted(last.items())
            ],
        ),
    ]


def _durations(rows: Sequence[_Durations]) -> Family:
    """Say how long steps took, as a histogram: each bucket counts what was within its edge, the smaller ones' too."""
    samples = []
    for direction in dict.fromkeys(row.direction for row in rows):
        mine = [row for row in rows if row.direction == direction]
        labels = {"direction": direction}
        for number, edge in enumerate(BUCKETS):
            within = sum(row.steps for row in mine if row.edges >= len(BUCKETS) - number)
            samples.append(Sample(within, labels | {"le": repr(edge)}, "_bucket"))
        steps = sum(row.steps for row in mine)
        samples.append(Sample(steps, labels | {"le": "+Inf"}, "_bucket"))
        samples.append(Sample(float(sum(row.seconds for row in mine)), labels, "_sum"))
        samples.append(Sample(steps, labels, "_count"))
    return Family(
        "fedschema_migration_step_duration_seconds",
        Kind.HISTOGRAM,
        "How long each revision took, in each department.",
        samples,
    )


def _denials(fleet: Fleet, found: dict[str, int]) -> Family:
    """Count what was refused, by the one in whose name it was asked; each department begins at 0."""
    counted = dict.fromkeys((department.id for department in fleet.live), 0) | found
    counted.setdefault("", 0)
    return Family(
        "fedschema_denied_attempts_total",
        Kind.COUNTER,
        "Attempts to see data of another department that were refused, by the department that it was asked for.",
        [Sample(denials, _of(source or UNKNOWN)) for source, denials in sorted(counted.items())],
    )


def _grants(found: Sequence[Grant], moment: datetime) -> Family:
    states = Counter((grant.permission_type, grant.state(moment)) for grant in found)
    return Family(
        "fedschema_grants",
        Kind.GAUGE,
        "Grants between departments, by what they permit and whether they are in force.",
        [
            Sample(states[permission, state], {"type": permission, "state": state})
            for permission in sharing.PermissionType
            for state in sharing.GrantState
        ],
    )


def _sizes(sizes: dict[str, int]) -> Family:
    return Family(
        "fedschema_department_size_bytes",
        Kind.GAUGE,
        "What the department's tables and indexes take on the disk, as VACUUM and ANALYZE last counted it.",
        [Sample(size, _of(department_id)) for department_id, size in sorted(sizes.items())],
    )


def _drift(found: Sequence[Drift]) -> list[Family]:
    return [
        Family(
            "fedschema_department_differences",
            Kind.GAUGE,
            "In how many objects the department differs from what its revisions give; left out where nobody can tell.",
            [Sample(len(one.differences), _of(one.department.id)) for one in found if one.problem is None],
        ),
        Family(
            "fedschema_department_comparable",
            Kind.GAUGE,
            "1 where the department could be compared with its revisions, else 0.",
            [Sample(one.problem is None, _of(one.department.id)) for one in found],
        ),
    ]


def _itself(moment: datetime, seconds: float) -> list[Family]:
    return [
        Family("fedschema_build_info", Kind.GAUGE, "Always 1.", [Sample(1, {"version": __version__})]),
        Family(
            "fedschema_metrics_timestamp_seconds",
            Kind.GAUGE,
            "When these values were so, as the server's clock has it.",
            [Sample(moment.timestamp())],
        ),
        Family(
            "fedschema_metrics_duration_seconds", Kind.GAUGE, "How long it took to find them out.", [Sample(seconds)]
        ),
    ]
