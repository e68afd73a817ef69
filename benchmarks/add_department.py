"""Measures adding a department against `psql -1 -q -f` applying the same generated SQL to the same server.

    python -m benchmarks.add_department [--runs N] [--bindir DIR | --url URL] [--existing N] [--imports] [--json]

A race is a number of pairs, psql and fedschema in turn, and what is judged is the median of the pairs' comparisons:
other load on the machine hardly moves a ratio, but it does stretch a difference in seconds. The departments of a pair
are dropped before the next, so that every run meets a database of the same size; `--existing N` measures beside N
departments that stay. Commands run with their bytecode written, both with what an earlier command compiled and kept
("nothing kept": without).

Exit status: 0 within all limits, 1 over one, 2 nothing could be measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence

import psycopg

from benchmarks import command, contestants, findings
from benchmarks.contestants import Contestant
from benchmarks.findings import Finding
from benchmarks.ground import Ground, draw_department, prepared_ground
from benchmarks.imports import imports_of_add
from benchmarks.pairs import race, seconds
from benchmarks.proxy import Proxy, running_proxy
from benchmarks.report import Report

#: What is promised: times psql's time, seconds more than psql's, round trips a department.
IN_PROCESS_RATIO = 1.1
PROCESS_EXCESS_SECONDS = 0.6
ROUND_TRIPS = 12
DISTANT_RATIO = 0.3

#: What the slow proxy adds, each way.
DELAY_SECONDS = 0.005

_PINGS = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    options = command.parser("benchmarks.add_department", __doc__)
    options.add_argument(
        "--runs", type=command.positive, default=10, metavar="N", help="pairs of runs in each race (10)"
    )
    options.add_argument("--existing", type=int, default=0, metavar="N", help="departments to be there before (0)")
    options.add_argument("--imports", action="store_true", help="show what the command imports, by package")
    return command.run(options, measure, arguments)


def measure(options: argparse.Namespace) -> Report:
    """Run everything on one server.

    Raises:
        BenchmarkFailed, FedschemaError, psycopg.Error: nothing can be said.
    """
    with (
        prepared_ground(options.bindir, options.url, options.existing) as ground,
        running_proxy(ground.upstream) as counter,
        running_proxy(ground.upstream, DELAY_SECONDS) as slow,
    ):
        far = ground.behind(slow)
        lines = [
            in_process(ground, options.runs),
            *first_in_a_process(ground, options.runs),
            *whole_process(ground, options.runs),
            *round_trips(ground, counter),
            at_a_distance(far, options.runs),
        ]
        return Report(
            ground.server_version,
            str(ground.psql),
            options.runs,
            options.existing,
            (ping(ground), ping(far)),
            lines,
            imports_of_add(ground) if options.imports else (),
        )


def in_process(ground: Ground, runs: int) -> Finding:
    """Race `tenancy.add`, with the revisions compiled already, against psql."""
    pairs = race(ground, contestants.psql(ground), contestants.in_process(ground), runs)
    return findings.ratio("add, in a running process", pairs, IN_PROCESS_RATIO)


def first_in_a_process(ground: Ground, runs: int) -> list[Finding]:
    """Time what a running service pays once: its imports, and its first add. Nothing is promised of them."""
    kept = [_first_add(ground) for _ in range(runs + 1)][1:]
    nothing = [_first_add(ground.without_cache()) for _ in range(runs)]
    return [
        Finding("a new process: imports", "s", statistics.median(one["import"] for one in kept)),
        Finding("a new process: first add", "s", statistics.median(one["add"] for one in kept)),
        Finding("a new process: first add, nothing kept", "s", statistics.median(one["add"] for one in nothing)),
    ]


def _first_add(ground: Ground) -> dict[str, float]:
    department = draw_department()
    done = contestants.run([sys.executable, "-m", "benchmarks.first_add", department.id], ground)
    ground.drop([department])
    timed: dict[str, float] = json.loads(done.stdout)
    return timed


def whole_process(ground: Ground, runs: int) -> list[Finding]:
    """Race `fedschema tenant add`, from its start to its end, against psql.

    `fedschema init` keeps what it compiled, so nothing is kept only after the project or fedschema itself has changed:
    that one is shown and has no limit.
    """
    kept = race(ground, contestants.psql(ground), contestants.command(ground), runs)
    nothing = race(ground, contestants.psql(ground), contestants.first_command(ground), runs)
    return [
        findings.excess("fedschema tenant add", kept, PROCESS_EXCESS_SECONDS),
        findings.excess("fedschema tenant add, nothing kept", nothing, None),
    ]


def round_trips(ground: Ground, counter: Proxy) -> list[Finding]:
    """Count how often a department waits for the server, from connecting on."""
    near = ground.behind(counter)
    floor = _count(ground, counter, contestants.psql(near))
    return [
        Finding(what, "round trips", _count(ground, counter, contestant), floor, limit=ROUND_TRIPS)
        for what, contestant in (
            ("round trips, in a running process", contestants.in_process(near)),
            ("round trips, fedschema tenant add", contestants.command(near)),
        )
    ]


def _count(ground: Ground, counter: Proxy, contestant: Contestant) -> int:
    department = draw_department()
    add = contestant(department)
    counter.take_round_trips()
    add()
    counted = counter.take_round_trips()
    ground.drop([department])
    return counted


def at_a_distance(far: Ground, runs: int) -> Finding:
    """Race `tenancy.add` against psql where each direction takes longer."""
    pairs = race(far, contestants.psql(far), contestants.in_process(far), runs)
    return findings.ratio(f"add, {DELAY_SECONDS * 1000:g} ms farther each way", pairs, DISTANT_RATIO)


def ping(ground: Ground) -> float:
    """Return the median seconds of one round trip."""
    with psycopg.connect(ground.conninfo, autocommit=True) as connection:
        ask: Callable[[], object] = lambda: connection.execute("SELECT 1")  # noqa: E731
        return statistics.median(seconds(ask) for _ in range(_PINGS))


if __name__ == "__main__":
    sys.exit(main())
