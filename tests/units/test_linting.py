"""squawk is run as it is, on scripts of ours: what it says is kept, what does not apply is left out with a reason."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fedschema import linting
from fedschema.linting import NOT_APPLICABLE, NotLinted, lint, program
from tests.docs.pages import page, rows, spans

SCRIPT = """\
CALL federation.begin_migration('hr', ARRAY['a']::text[]);

-- upgrade b
ALTER TABLE hr_tenant.contacts ADD COLUMN größe varchar(50); CREATE INDEX i ON hr_tenant.contacts (größe);
ALTER TABLE hr_tenant.contacts
    ALTER COLUMN notes SET NOT NULL,
    ALTER COLUMN notes TYPE text;
"""


def _fake(directory: Path, script: str) -> Path:
    file = directory / "squawk"
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def test_warnings_are_about_the_statement_that_they_are_about(tmp_path: Path) -> None:
    found = lint(SCRIPT, 180006, tmp_path)

    assert [(each.rule, each.statement) for each in found] == [
        ("require-concurrent-index-creation", 2),
        ("adding-not-nullable-field", 3),
        ("changing-column-type", 3),
    ]
    assert found[0].mend == "Use `concurrently` to avoid blocking writes."
    assert {each.level for each in found} == {"Warning"}


def test_script_without_a_fault_has_no_warning(tmp_path: Path) -> None:
    assert lint("ALTER TABLE hr_tenant.contacts ADD COLUMN n text;\n", 150018, tmp_path) == ()
    assert lint("", 150018, tmp_path) == ()


def test_script_that_squawk_cannot_read_is_told(tmp_path: Path) -> None:
    assert {each.rule for each in lint("ALTER TABEL x;", 180006, tmp_path)} == {"syntax-error"}


def test_savepoint_is_no_end_of_the_transaction(tmp_path: Path) -> None:
    assert lint("SAVEPOINT a;\nSELECT 1;\nROLLBACK TO a;\n", 180006, tmp_path) == ()


def test_page_lists_the_rules_that_do_not_apply_and_no_others() -> None:
    listed = [span for row in rows(page("docs/explanation/linters.md").section("squawk")) for span in spans(row[0])]

    assert sorted(listed) == sorted(NOT_APPLICABLE)


def test_rules_that_do_not_apply_have_a_reason_and_are_real() -> None:
    """A rule that squawk does not know would be left out for nothing."""
    squawk = program()
    assert squawk is not None
    script = "BEGIN;\nBEGIN;\nALTER TABLE t ADD COLUMN n varchar(5);\nCREATE INDEX CONCURRENTLY i ON t (n);\nCOMMIT;\n"
    told = subprocess.run(
        [squawk, "--reporter", "gcc", "--config", os.devnull, "--stdin-filepath", "x.sql"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )

    rules = {rule for rule in NOT_APPLICABLE if rule in told.stdout or rule in _told(squawk)}
    assert rules == set(NOT_APPLICABLE)
    assert all(len(reason) > 20 for reason in NOT_APPLICABLE.values())


def _told(squawk: Path) -> str:
    return subprocess.run(
        [squawk, "--reporter", "gcc", "--config", os.devnull, "--stdin-filepath", "x.sql"],
        input="ALTER TABLE t ADD COLUMN n text;\n",
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def test_project_may_have_squawk_leave_out_more(tmp_path: Path) -> None:
    (tmp_path / ".squawk.toml").write_text('excluded_rules = ["adding-not-nullable-field"]\n', encoding="utf-8")

    assert "adding-not-nullable-field" not in {each.rule for each in lint(SCRIPT, 180006, tmp_path)}
    assert len(lint(SCRIPT, 180006, tmp_path)) == 2


def test_configuration_of_a_directory_above_is_none_of_the_project(tmp_path: Path) -> None:
    (tmp_path / ".squawk.toml").write_text('excluded_rules = ["adding-not-nullable-field"]\n', encoding="utf-8")
    project = tmp_path / "project"
    project.mkdir()

    assert len(lint(SCRIPT, 180006, project)) == 3


def test_squawk_is_found_beside_this_python_and_else_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert program() is not None
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(sys, "executable", str(elsewhere / "python"))
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(elsewhere))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() is None
    assert program() is None
    fake = _fake(tmp_path, "exit 0")
    assert program() == fake


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'no such option' >&2; exit 2", "squawk ended with 2: no such option"),
        ("echo nonsense", "squawk could not be run: JSONDecodeError"),
        ("echo '{}'", "squawk ended with 0"),
        ("exec sleep 30", "squawk was not done after"),
    ],
)
def test_squawk_that_does_not_answer_is_not_taken_for_one_without_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    fake = _fake(tmp_path, script)
    monkeypatch.setattr(linting, "program", lambda: fake)
    monkeypatch.setattr(linting, "_SECONDS", 0.5)

    with pytest.raises(NotLinted, match=reason):
        lint(SCRIPT, 180006, tmp_path)


def test_squawk_that_is_not_there_says_how_to_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linting, "program", lambda: None)

    with pytest.raises(NotLinted, match="pip install squawk-cli"):
        lint(SCRIPT, 180006, tmp_path)
