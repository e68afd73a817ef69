"""`--log-format json`: every line on stderr can be read by a program, and holds no secret."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fedschema import releases
from tests.conftest import ROOT, Database, Run


def lines(text: str) -> list[dict[str, Any]]:
    """Read lines, each of which has to be whole."""
    found: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    for line in found:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["level"] in {"info", "warning", "error"}
        assert line["event"]
    return found


def test_release_is_on_record_department_by_department(database: Database, command: Run) -> None:
    database.add("hr")
    database.add("sales")
    with database.connect() as root:
        root.execute("DROP TABLE sales_tenant.alembic_version")
    done = command("upgrade", "hr", "sales", "--log-format", "json")
    found = {line.get("department", line["event"]): line for line in lines(done.stderr)}

    assert done.status == 1
    assert "hr: unchanged" in done.stdout
    assert found["hr"] | {"time": ""} == {
        "time": "", "level": "info", "event": "department_unchanged", "command": "upgrade", "department": "hr",
        "duration_seconds": 0.0, "revision_from": "tenant_0007_retention", "revision": "tenant_0007_retention",
    }  # fmt: skip
    assert found["sales"]["level"] == "error"
    assert found["sales"]["event"] == "department_failed"
    assert found["sales"]["error_code"] == "department_damaged"
    assert sum(line.get("department") == "sales" for line in lines(done.stderr)) == 1, "once"
    assert found["command_finished"]["exit_status"] == 1


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("tenant", "show", "nosuch"), 2, "unknown_department"),
        (("upgrade", "--sideways"), 2, "usage"),
        (("tenant", "show", "Not An Id"), 2, "invalid_department_id"),
        (("nosuch",), 2, "usage"),
    ],
    ids=str,
)
def test_what_is_wrong_is_one_line(command: Run, words: tuple[str, ...], status: int, code: str) -> None:
    for typed in ((*words, "--log-format", "json"), ("--log-format=json", *words)):
        done = command(*typed)
        failed, finished = lines(done.stderr)

        assert (done.status, done.stdout) == (status, "")
        assert (failed["event"], failed["error_code"]) == ("failed", code)
        assert finished["exit_status"] == status


def test_results_stay_what_they_were(database: Database, command: Run) -> None:
    database.add("hr")
    for words in (("status",), ("status", "--json"), ("tenant", "list")):
        assert command(*words, "--log-format", "json").stdout == command(*words).stdout


def test_without_the_option_nothing_is_different(command: Run) -> None:
    done = command("tenant", "show", "nosuch")

    assert done.stderr.startswith("error: unknown department nosuch")
    assert "{" not in done.stderr
    assert command("tenant", "show", "nosuch", "--log-format", "text").stderr == done.stderr


def test_other_format_is_refused(command: Run) -> None:
    done = command("status", "--log-format", "xml")

    assert done.status == 2
    assert "xml" in done.stderr


def test_no_password_is_on_record(database: Database, command: Run, tmp_path: Path) -> None:
    shown = command("tenant", "add", "hr", "--log-format", "json", "--json")
    assert shown.status == 2
    assert "--password-file" in shown.stderr

    file = tmp_path / "hr.password"
    made = command("tenant", "add", "hr", "--log-format", "json", "--password-file", str(file))
    assert made.status == 0
    assert [line["event"] for line in lines(made.stderr)] == ["department_added", "command_finished"]
    assert file.read_text().strip() not in made.stderr + made.stdout

    url = database.url.replace(database.server.password, "wrong-secret-in-url")
    refused = command("--log-format", "json", "--database-url", url, "status")
    assert refused.status == 1
    assert lines(refused.stderr)[0]["error_code"]
    assert "wrong-secret-in-url" not in refused.stderr


def test_what_nobody_foresaw_is_a_line_too(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret value")

    monkeypatch.setattr(releases, "status", fail)
    done = command("status", "--log-format", "json")
    failed, finished = lines(done.stderr)

    assert (done.status, failed["error_code"], finished["exit_status"]) == (1, "unexpected", 1)
    assert "ZeroDivisionError" in failed["message"]
    assert "a secret value" not in done.stderr
    with pytest.raises(ZeroDivisionError):
        command("status")


def test_process_writes_lines_and_nothing_else(database: Database) -> None:
    database.add("hr")
    done = subprocess.run(
        [sys.executable, "-W", "always", "-m", "fedschema", "--log-format", "json", "drift"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "FEDSCHEMA_DATABASE_URL": database.url},
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert [line["event"] for line in lines(done.stderr)] == ["department_unchanged", "command_finished"]
