"""`fedschema metrics`: what it prints is read back by Prometheus' own parser, and compared with what was done."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fedschema import observation
from fedschema.metrics.collection import BUCKETS, collect
from fedschema.metrics.exposition import Family, Kind, Sample, exposition
from tests.conftest import ROOT, Database
from tests.observing.conftest import Shown
from tests.observing.reading import labels, measured, read


def test_durations_are_a_histogram_that_holds_what_was_recorded(shown: Shown) -> None:
    for seconds in (0.05, 0.051, 3600, 3601):
        shown.root.execute(
            "INSERT INTO federation.schema_migrations (department_id, migration_name, direction, duration_seconds)"
            " VALUES ('hr', 'x', 'stamp', %s)",
            (seconds,),
        )
    found = measured(shown.database)
    name = "fedschema_migration_step_duration_seconds"
    buckets = {
        dict(key)["le"]: value for key, value in found[f"{name}_bucket"].items() if ("direction", "stamp") in key
    }

    assert len(buckets) == len(BUCKETS) + 1
    assert buckets["0.01"] == 0
    assert buckets["0.05"] == 1, "an edge belongs to its bucket"
    assert buckets["0.1"] == 2
    assert buckets["600.0"] == 2
    assert buckets["3600.0"] == 3
    assert buckets["+Inf"] == found[f"{name}_count"][labels(direction="stamp")] == 4
    assert found[f"{name}_sum"][labels(direction="stamp")] == pytest.approx(7201.101)


def test_nothing_can_be_changed_while_it_is_watched(database: Database) -> None:
    with (
        pytest.raises(Exception, match="read-only"),
        observation.watching(database.conninfo, database.compiler, "watching") as connection,
    ):
        connection.execute("DELETE FROM federation.cross_dept_permissions")


def test_sizes_are_left_open_while_somebody_holds_a_table(shown: Shown) -> None:
    with shown.database.connect() as other, other.transaction():
        other.execute("LOCK TABLE hr_tenant.contacts IN ACCESS EXCLUSIVE MODE")
        with observation.watching(shown.database.conninfo, shown.database.compiler, "watching") as connection:
            connection.execute("SET LOCAL lock_timeout = '50ms'")
            fleet = observation.fleet(connection, shown.database.compiler)
            assert observation.sizes(connection, fleet.live) is None
            assert set(observation.estimated_sizes(connection, fleet.live)) == {"hr", "legal", "sales"}


def test_file_is_replaced_whole_and_can_be_collected(shown: Shown, tmp_path: Path) -> None:
    file = tmp_path / "fedschema.prom"
    file.write_text("old")
    done = shown.command("metrics", "--output", str(file))

    assert (done.status, done.stdout) == (0, "")
    assert "fedschema_departments" in read(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("place", ["nowhere/fedschema.prom", "link", "directory"])
def test_file_that_cannot_be_replaced_is_one_message(shown: Shown, tmp_path: Path, place: str) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    (tmp_path / "link").symlink_to(kept)
    (tmp_path / "directory").mkdir()
    done = shown.command("metrics", "--output", str(tmp_path / place))

    assert done.status == 1
    assert f"{tmp_path / place} cannot be written" in done.stderr
    assert kept.read_text() == "kept"
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("value", ['"', "\\", "\n", '\\"\n\\n', "ß🦄", '{a="b"} 1', "# HELP x"])
def test_label_is_read_back_as_it_was(value: str) -> None:
    family = Family("x", Kind.GAUGE, "It's a\nhelp with \\.", [Sample(1.5, {"a": value, "b": ""})])
    found: Any = next(iter(text_string_to_metric_families(exposition([family]))))

    assert found.documentation == "It's a\nhelp with \\."
    assert [(sample.labels, sample.value) for sample in found.samples] == [({"a": value, "b": ""}, 1.5)]


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5, 1e-9, 2.0**60, 1795547895.188847, float("inf"), float("-inf")])
def test_number_is_read_back_as_it_was(value: float) -> None:
    found = next(iter(text_string_to_metric_families(exposition([Family("x", Kind.GAUGE, "Help.", [Sample(value)])]))))

    assert found.samples[0].value == value


def test_alerts_and_the_guide_ask_for_what_is_exported(shown: Shown) -> None:
    """A name that is exported by nobody makes an alert that never fires."""
    exported = {family.name for family in collect(shown.database.conninfo, shown.database.compiler, with_drift=True)}
    rules = (ROOT / "docs/how-to/fedschema.rules.yml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\bfedschema_[a-z_]+", rules))
    described = set(re.findall(r"`(fedschema_[a-z_]+)`", (ROOT / "docs/how-to/monitor.md").read_text(encoding="utf-8")))

    assert {name.removesuffix("_bucket") for name in asked} <= exported
    assert described == exported


def test_json_says_the_same(shown: Shown) -> None:
    done = shown.command("metrics", "--json")
    found = {family["name"]: family for family in json.loads(done.stdout)["metrics"]}

    assert done.status == 0
    assert {sample["labels"]["department"] for sample in found["fedschema_department_at_head"]["samples"]} == {
        "hr",
        "legal",
        "sales",
    }
