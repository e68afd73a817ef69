"""Prometheus' own promtool on what is exported, and on the alert rules: that they can be read, and when they fire.

It needs promtool, of Debian's package prometheus.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fedschema.metrics.collection import collect
from fedschema.metrics.exposition import exposition
from tests.conftest import ROOT, Database

RULES = ROOT / "docs/how-to/fedschema.rules.yml"

#: What happens to four departments, minute by minute, and which alerts that has to raise.
STORY = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'fedschema_metrics_timestamp_seconds', values: '0+60x30'}}
      - series: 'fedschema_migration_steps_total{{department="hr",direction="upgrade",result="failed"}}'
        values: '0x9 1x20'
      - series: 'fedschema_migration_steps_total{{department="it",direction="upgrade",result="failed"}}'
        values: '5x30'
      - {{series: 'fedschema_denied_attempts_total{{department="unknown"}}', values: '0+10x30'}}
      - {{series: 'fedschema_denied_attempts_total{{department="hr"}}', values: '0x9 3x20'}}
      - {{series: 'fedschema_department_damaged{{department="it"}}', values: '1x30'}}
    alert_rule_test:
      - eval_time: 15m
        alertname: FedschemaMigrationFailed
        exp_alerts:
          - exp_labels: {{severity: critical, department: hr, direction: upgrade, result: failed}}
            exp_annotations: {{summary: "hr: a step failed (upgrade)"}}
      - eval_time: 20m
        alertname: FedschemaDeniedAttempts
        exp_alerts:
          - exp_labels: {{severity: warning, department: unknown}}
            exp_annotations: {{summary: "150 attempts in the name of unknown were denied in 15 minutes"}}
      - eval_time: 10m
        alertname: FedschemaDepartmentDamaged
        exp_alerts:
          - exp_labels: {{severity: critical, department: it}}
            exp_annotations: {{summary: "nobody can tell which revision it is at"}}
      - eval_time: 10m
        alertname: FedschemaMetricsStale
        exp_alerts: []
      - eval_time: 50m
        alertname: FedschemaMetricsStale
        exp_alerts: []
"""


def promtool(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    assert program, "these tests need promtool: apt-get install prometheus"
    return subprocess.run([program, *words], input=stdin, capture_output=True, text=True, check=False)


def test_metrics_are_as_prometheus_wants_them(database: Database) -> None:
    database.add("hr")
    text = exposition(collect(database.conninfo, database.compiler, with_drift=True))
    done = promtool("check", "metrics", stdin=text)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert promtool("check", "metrics", stdin=f"{text}oh no\n").returncode != 0


def test_rules_can_be_read(tmp_path: Path) -> None:
    done = promtool("check", "rules", str(RULES))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 rules found" in done.stdout


@pytest.mark.parametrize("department", ["it", "hr"])
def test_alerts_fire_when_they_should(tmp_path: Path, department: str) -> None:
    story = STORY.format(rules=RULES)
    if department == "hr":  # that the test can fail
        story = story.replace("severity: critical, department: it", "severity: critical, department: hr")
    (tmp_path / "story.yml").write_text(story)
    done = promtool("test", "rules", str(tmp_path / "story.yml"))

    assert (done.returncode == 0) == (department == "it"), done.stdout + done.stderr
