"""What is measured of a fleet of one size, so that two sizes can be compared: they are measured in turn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks import contestants, next_release, processes
from benchmarks.errors import BenchmarkFailed
from benchmarks.ground import Ground, new
from benchmarks.pairs import Pair, seconds
from benchmarks.proxy import Proxy
from fedschema import intake, passwords
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.workers import Halt

Figure = TypeVar("Figure")


@dataclass(frozen=True, slots=True)
class Plot:
    """Where a fleet is measured.

    Attributes:
        ground: its database.
        counter: a proxy in front of the server that counts round trips.
        compiler: the project with the release.
        fleet: its departments, to be made.
        part: how many departments are made besides, and how many of the fleet are measured by themselves; psql is timed
            on as many.
    """

    ground: Ground
    counter: Proxy
    compiler: Compiler
    fleet: Sequence[Department]
    part: int

    @property
    def some(self) -> Sequence[Department]:
        """A few departments of the fleet."""
        return self.fleet[: self.part]

    @property
    def apart(self) -> list[Department]:
        """A few departments that are not of the fleet, and go again."""
        return [Department.parse(f"{department}_apart") for department in self.some]


@dataclass(frozen=True, slots=True)
class Sample:
    """What a fleet of one size took.

    Attributes:
        departments: its size.
        creation: the fleet, made by the command, against psql.
        releases: in this process, against psql; for a whole fleet.
        part: a release to the same few departments, whatever the size: seconds a department.
        addition: a few departments more, made in this process and dropped again: seconds a department.
        addition_by_psql: the same by psql.
        removal: the same, for dropping.
        commands: the release by the command, against psql.
        peak_megabytes: of that command.
        idle: the command with nothing to do, against `fedschema --version`.
        idle_round_trips: how often it waits for the server.
        drift: seconds of `fedschema drift`, which compares every schema with its revisions.
        drift_round_trips: how often it waits for the server.
        validate: seconds of `fedschema validate`.
    """

    departments: int
    creation: Pair
    releases: Sequence[Pair]
    part: Sequence[float]
    addition: Sequence[float]
    addition_by_psql: Sequence[float]
    removal: Sequence[float]
    commands: Sequence[Pair]
    peak_megabytes: float
    idle: Sequence[Pair]
    idle_round_trips: int
    drift: Sequence[float]
    drift_round_trips: int
    validate: Sequence[float]


def take(plots: Sequence[Plot], rounds: int) -> list[Sample]:
    """Create fleets and measure them in turn, so that whatever else the machine does meets all; they stay."""
    creations = [_create(plot) for plot in plots]
    additions = _in_turn(plots, rounds, _add_and_drop)
    by_psql = _in_turn(plots, rounds, _create_with_psql)
    parts = _in_turn(plots, rounds, lambda plot: _ship_in_process(plot, plot.some) / plot.part)
    releases = _in_turn(plots, rounds, lambda plot: Pair(_floor(plot), _ship_in_process(plot, plot.fleet)))
    commands = _in_turn(plots, rounds, _ship_by_command)
    idle = _in_turn(plots, rounds, _nothing_to_do)
    drift = _in_turn(plots, rounds, lambda plot: processes.fedschema(plot.ground, "drift").seconds)
    validate = _in_turn(plots, rounds, lambda plot: processes.fedschema(plot.ground, "validate").seconds)
    return [
        Sample(
            departments=len(plot.fleet),
            creation=creations[number],
            releases=releases[number],
            part=parts[number],
            addition=[added for added, _ in additions[number]],
            addition_by_psql=by_psql[number],
            removal=[dropped for _, dropped in additions[number]],
            commands=[pair for pair, _ in commands[number]],
            peak_megabytes=max(peak for _, peak in commands[number]),
            idle=[pair for pair, _ in idle[number]],
            idle_round_trips=max(trips for _, trips in idle[number]),
            drift=drift[number],
            drift_round_trips=_round_trips(plot, "drift"),
            validate=validate[number],
        )
        for number, plot in enumerate(plots)
    ]


def _in_turn(plots: Sequence[Plot], rounds: int, measure: Callable[[Plot], Figure]) -> list[list[Figure]]:
    """Measure each plot, so many times; return the figures of each."""
    taken: list[list[Figure]] = [[] for _ in plots]
    for _ in range(rounds):
        for plot, figures in zip(plots, taken, strict=True):
            figures.append(measure(plot))
    return taken


def names(kind: str, count: int) -> list[Department]:
    """Return departments that are nowhere else in the run."""
    return [Department.parse(f"bench_{kind}_{number:04}") for number in range(count)]


def _create(plot: Plot) -> Pair:
    """Make the fleet by the command, with a password for each; psql makes some before and after, dropped again."""
    ground, size = plot.ground, len(plot.fleet)
    roster = ground.directory / "roster.csv"
    roster.write_text("department_id\n" + "".join(f"{department}\n" for department in plot.fleet))
    before = _create_with_psql(plot)
    made = processes.fedschema(
        ground, "tenant", "add", "--from", str(roster), "--password-dir", str(ground.directory / "passwords")
    )
    each = (before + _create_with_psql(plot)) / 2
    return Pair(each * size, made.seconds)


def _create_with_psql(plot: Plot) -> float:
    """Make departments with psql and drop them; return seconds a department."""
    prepare = contestants.psql(plot.ground)
    ready = [prepare(department) for department in plot.apart]
    took = seconds(lambda: [apply() for apply in ready])
    plot.ground.drop(plot.apart)
    return took / plot.part


def _add_and_drop(plot: Plot) -> tuple[float, float]:
    """Make departments in this process as `tenant add --from` does, and drop them; return seconds a department."""
    ground = plot.ground
    wanted = [new(department) for department in plot.apart]
    found = intake.survey(ground.conninfo, ground.compiler, wanted, skip_existing=False)
    password = passwords.generate()

    def add() -> None:
        added = intake.add_all(
            ground.conninfo, ground.compiler, found, lambda _: contextlib.nullcontext(password), Halt()
        )
        if any(one.outcome is not intake.Outcome.ADDED for one in list(added)):
            raise BenchmarkFailed("not every department was made")

    return seconds(add) / plot.part, seconds(lambda: ground.drop(plot.apart)) / plot.part


def _floor(plot: Plot) -> float:
    """Return what psql would take for a release to all, from what it takes for some."""
    each = next_release.ship_with_psql(plot.ground, plot.compiler, plot.some)
    next_release.take_back(plot.ground, plot.compiler, plot.some)
    return each * len(plot.fleet)


def _ship_in_process(plot: Plot, departments: Sequence[Department]) -> float:
    took = seconds(lambda: next_release.ship(plot.ground, plot.compiler, departments))
    next_release.take_back(plot.ground, plot.compiler, departments)
    return took


def _ship_by_command(plot: Plot) -> tuple[Pair, float]:
    """Ship by the command where none has kept anything: the first one after the project has changed is a release."""
    floor = _floor(plot)
    done = processes.fedschema(plot.ground.without_cache(), *_upgrade(plot))
    next_release.take_back(plot.ground, plot.compiler, plot.fleet)
    return Pair(floor, done.seconds), done.peak_megabytes


def _nothing_to_do(plot: Plot) -> tuple[Pair, int]:
    """Run the command where all is done, against `--version`; count its round trips in a run of their own."""
    next_release.ship(plot.ground, plot.compiler, plot.fleet)
    processes.fedschema(plot.ground, *_upgrade(plot))  # keeps what it compiled
    version = processes.fedschema(plot.ground, "--version")
    done = processes.fedschema(plot.ground, *_upgrade(plot))
    trips = _round_trips(plot, *_upgrade(plot))
    next_release.take_back(plot.ground, plot.compiler, plot.fleet)
    return Pair(version.seconds, done.seconds), trips


def _round_trips(plot: Plot, *words: str) -> int:
    plot.counter.take_round_trips()
    processes.fedschema(plot.ground.behind(plot.counter), *words)
    return plot.counter.take_round_trips()


def _upgrade(plot: Plot) -> tuple[str, ...]:
    return ("--config", str(plot.compiler.project.ini), "upgrade")
