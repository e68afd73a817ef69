"""Measures a fleet against psql applying the same SQL, one process a department, one after another.

    python -m benchmarks.fleet [--departments N] [--part N] [--rounds N] [--bindir DIR | --url URL] [--json]

A fleet of 20 and one of N are created, each on a server of its own with PostgreSQL's own max_locks_per_transaction and
max_connections, and then measured in turn. The release adds a column and an index to one table. psql is timed on
`--part` departments and its time is taken per department, so that a thousand need not be waited for.

Whole commands are compared from their start to their end: `tenant add --from` with a password for each department, and
`upgrade` as the first command after the project has changed. Growth is of the time that a department takes, so it
compares what runs in this process: starting up is the same for 20 and for N and would hide it.

- a release to all: the seconds of the whole fleet, divided by its size. A larger fleet shares out over more connections
  what opening one costs, so this flatters the larger.
- a part: the same number of departments, on the same number of connections, in a fleet of 20 and in one of N.
- creating and dropping: 20 departments more, beside 20 and beside N. What psql takes for the same SQL grows as well,
  which is shown beside it.

Memory is the most that the process of the `upgrade` that ships the release had, as the kernel counts it. Round trips
are counted by a proxy, connecting included. Locks are counted inside a transaction that is rolled back.
`drift` and `validate` are whole commands over a fleet in which nothing differs.

Exit status: 0 within all limits, 1 over one, 2 nothing could be measured.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from benchmarks import command, findings, fleet_sample, locks, next_release
from benchmarks.findings import Finding
from benchmarks.fleet_sample import Plot, Sample
from benchmarks.ground import prepared_ground
from benchmarks.pairs import Spread
from benchmarks.proxy import running_proxy
from benchmarks.report import Report
from fedschema.compiler import Compiler
from fedschema.intake import DEFAULT_JOBS

#: What is promised: times psql's time.
CREATE_RATIO = 0.5
IN_PROCESS_RATIO = 0.2
COMMAND_RATIO = 0.5
#: The same for the whole command where the fleet is so large that its start no longer counts.
LARGE_FLEET = 1000
LARGE_COMMAND_RATIO = 0.2
#: Seconds over `fedschema --version` for an upgrade with nothing to do.
NOTHING_TO_DO_SECONDS = 1.0
#: Of a large fleet against a small one: the time of a department, and the memory of the command.
GROWTH_RATIO = 1.3
MEMORY_RATIO = 1.1
PEAK_MEGABYTES = 150

#: Seconds to compare a thousand departments with their revisions.
DRIFT_SECONDS = 5.0

#: A small fleet.
SMALL = 20

#: PostgreSQL's own, whatever the throwaway server has otherwise.
_SERVER = {"max_locks_per_transaction": "64", "max_connections": "100"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    options = command.parser("benchmarks.fleet", __doc__)
    for name, default, what in (
        ("--departments", 100, "size of the fleet"),
        ("--part", SMALL, "departments that are measured by themselves, and that psql is timed on"),
        ("--rounds", 3, "how often a release is measured"),
    ):
        options.add_argument(name, type=command.positive, default=default, metavar="N", help=f"{what} ({default})")
    return command.run(options, measure, arguments)


def measure(options: argparse.Namespace) -> Report:
    """Run everything on one server.

    Raises:
        BenchmarkFailed, FedschemaError, psycopg.Error: nothing can be said.
    """
    part = min(options.part, options.departments)
    with ExitStack() as stack, next_release.released_project() as project:
        compiler = Compiler(project)
        plots = []
        for kind, size in (("small", max(part, min(SMALL, options.departments))), ("fleet", options.departments)):
            ground = stack.enter_context(prepared_ground(options.bindir, options.url, settings=_SERVER))
            counter = stack.enter_context(running_proxy(ground.upstream))
            plots.append(Plot(ground, counter, compiler, fleet_sample.names(kind, size), part))
        small, large = fleet_sample.take(plots, options.rounds)
        held = locks.findings(ground, compiler, plots[-1].fleet, DEFAULT_JOBS)
        lines = [*_of_the_fleet(large), *growth(small, large), *held]
        floor = f"{ground.psql}, one process a department, timed on {part}"
        return Report(ground.server_version, floor, options.rounds, 0, (0.0, 0.0), lines)


def _of_the_fleet(large: Sample) -> Iterator[Finding]:
    size = large.departments
    yield findings.ratio(f"create {size} departments, the whole command", [large.creation], CREATE_RATIO)
    yield findings.ratio(f"release to {size}, in a running process", large.releases, IN_PROCESS_RATIO)
    yield findings.ratio(f"release to {size}, the whole command", large.commands, limit_of_command(size))
    yield findings.excess(f"upgrade of {size} with nothing to do, over --version", large.idle, NOTHING_TO_DO_SECONDS)
    drift = statistics.median(large.drift)
    yield Finding(f"drift of {size}, the whole command", "s", drift, limit=DRIFT_SECONDS)
    yield Finding(f"validate {size}, the whole command", "s", statistics.median(large.validate))


def limit_of_command(departments: int) -> float:
    """Return what is promised of a release by the whole command: its start counts less, the larger the fleet is."""
    return LARGE_COMMAND_RATIO if departments >= LARGE_FLEET else COMMAND_RATIO


def growth(small: Sample, large: Sample) -> Iterator[Finding]:
    """Compare the two sizes; where two figures stand side by side, the floor's column has the small fleet's."""
    few, many = small.departments, large.departments
    yield _growth_of(
        f"a release to all: a department of {many}, of {few}",
        [pair.ours / few for pair in small.releases],
        [pair.ours / many for pair in large.releases],
    )
    yield _growth_of(f"a release to a part of {many}, of {few}", small.part, large.part)
    yield _growth_of(f"create a department beside {many}, beside {few}", small.addition, large.addition)
    yield _growth_of("the same by psql", small.addition_by_psql, large.addition_by_psql, limit=None)
    yield _growth_of(f"drop a department beside {many}, beside {few}", small.removal, large.removal)
    yield Finding(
        f"memory of upgrade at its peak, {many}, {few}", "MB", large.peak_megabytes, small.peak_megabytes,
        limit=PEAK_MEGABYTES,
    )  # fmt: skip
    yield Finding(
        "the same, times that of the small fleet", "times", large.peak_megabytes / small.peak_megabytes,
        limit=MEMORY_RATIO,
    )  # fmt: skip
    yield Finding(
        f"nothing to do: round trips, {many}, {few}", "round trips", large.idle_round_trips, small.idle_round_trips,
        limit=small.idle_round_trips,
    )  # fmt: skip
    yield Finding(
        f"drift: round trips, {many}, {few}; many are asked over two connections more", "round trips",
        large.drift_round_trips, small.drift_round_trips,
    )  # fmt: skip


def _growth_of(
    what: str, small: Sequence[float], large: Sequence[float], limit: float | None = GROWTH_RATIO
) -> Finding:
    """Judge how many times the small fleet's time a department of the large one takes, round by round."""
    ratios = [after / before for before, after in zip(small, large, strict=True)]
    return Finding(what, "times", statistics.median(large), statistics.median(small), Spread.of(ratios), limit)


if __name__ == "__main__":
    sys.exit(main())
