"""The benchmark of a fleet runs on the smallest one, and judges what it finds by what is promised."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import fleet, processes
from benchmarks.findings import Finding
from benchmarks.fleet_sample import Sample
from benchmarks.pairs import Pair

SMALL = Sample(
    departments=20,
    creation=Pair(2.0, 0.9),
    releases=[Pair(0.5, 0.1)],
    part=[0.005],
    addition=[0.05],
    addition_by_psql=[0.1],
    removal=[0.05],
    commands=[Pair(0.5, 1.0)],
    peak_megabytes=80.0,
    idle=[Pair(0.3, 0.7)],
    idle_round_trips=15,
    drift=[1.0],
    drift_round_trips=15,
    validate=[1.2],
)
LARGE = replace(
    SMALL,
    departments=1000,
    releases=[Pair(25.0, 4.0)],
    commands=[Pair(25.0, 4.9)],
    peak_megabytes=85.0,
)


def test_benchmark_of_the_smallest_fleet_gives_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    status = fleet.main(["--departments", "2", "--part", "1", "--rounds", "1", "--json"])

    report = json.loads(capsys.readouterr().out)
    found = {line["what"]: line for line in report["findings"]}
    assert status == int(not report["within"])
    assert len(found) == 19
    assert found["locks: dropping a department"]["ours"] > 100
    assert found["nothing to do: round trips, 2, 2"]["within"]


def test_growth_is_of_the_time_of_a_department() -> None:
    found = growth(SMALL, LARGE)

    assert found["a release to all: a department of 1000, of 20"].judged == pytest.approx(0.8)
    assert all(finding.within for finding in found.values())


@pytest.mark.parametrize(
    ("grown", "what"),
    [
        ({"part": [0.0066]}, "a release to a part of 1000, of 20"),
        ({"addition": [0.066]}, "create a department beside 1000, beside 20"),
        ({"removal": [0.066]}, "drop a department beside 1000, beside 20"),
        ({"peak_megabytes": 89.0}, "the same, times that of the small fleet"),
        ({"idle_round_trips": 16}, "nothing to do: round trips, 1000, 20"),
    ],
)
def test_growth_over_its_limit_is_told(grown: dict[str, object], what: str) -> None:
    found = growth(SMALL, replace(LARGE, **grown))  # type: ignore[arg-type] # one attribute each

    assert [one.what for one in found.values() if not one.within] == [what]


def test_command_over_a_thousand_departments_has_the_limit_of_large_fleets() -> None:
    hundred, thousand = (fleet.limit_of_command(size) for size in (100, 1000))

    assert (hundred, thousand) == (0.5, 0.2)


def test_launcher_does_not_count_the_memory_of_whoever_starts_it(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    large = bytearray(b"x" * 400_000_000)

    subprocess.run(
        [sys.executable, "-I", "-S", str(processes.LAUNCHER), str(told), sys.executable, "-c", "pass"], check=True
    )

    finished = json.loads(told.read_text())
    assert len(large) / 1e6 > 4 * finished["peak_megabytes"] > 0
    assert finished["seconds"] > 0


def growth(small: Sample, large: Sample) -> dict[str, Finding]:
    return {finding.what: finding for finding in fleet.growth(small, large)}
