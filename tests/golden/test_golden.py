"""Generated SQL is compared whole: whatever changes it shows in a review, line by line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fedschema.cli.main import run
from tests.conftest import ROOT
from tests.golden.generated import DIRECTORY, GENERATED


@pytest.mark.parametrize("name", GENERATED)
def test_generated_sql_is_what_was_reviewed(name: str) -> None:
    """To accept a change: python -m tests.golden.generated"""
    assert GENERATED[name]() == (DIRECTORY / name).read_text(encoding="utf-8")


def test_every_golden_file_is_compared() -> None:
    assert {file.name for file in DIRECTORY.glob("*.sql")} == set(GENERATED)


def test_command_writes_the_same_files_without_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    words = ["tenant", "sql", "legal", "--name", "Legal Department", "--output-dir"]

    assert run([*words, str(tmp_path / "both")]) == 0
    for policy_type in ("isolation", "admin", "cross_dept"):
        directory = tmp_path / policy_type
        assert run([*words, str(directory), "--rls-only", "--policy-type", policy_type]) == 0

    written = {
        str(path.relative_to(tmp_path)): path.read_text(encoding="utf-8") for path in sorted(tmp_path.rglob("*.sql"))
    }
    assert written == {
        "both/schema_legal_tenant.sql": golden("schema_legal_tenant.sql"),
        "both/rls_policies_legal.sql": golden("rls_policies_legal.sql"),
        "isolation/rls_policies_legal.sql": golden("rls_policies_legal.isolation.sql"),
        "admin/rls_policies_legal.sql": golden("rls_policies_legal.admin.sql"),
        "cross_dept/rls_policies_legal.sql": golden("rls_policies_legal.cross_dept.sql"),
    }


def test_command_prints_the_first_of_them(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    assert run(["tenant", "sql", "legal", "--name", "Legal Department"]) == 0
    assert capsys.readouterr().out == golden("schema_legal_tenant.sql")
    assert run(["tenant", "sql", "legal", "--rls-only"]) == 0
    assert capsys.readouterr().out == golden("rls_policies_legal.sql")
    assert run(["tenant", "add", "legal", "--name", "Legal Department", "--dry-run"]) == 0
    assert capsys.readouterr().out == golden("schema_legal_tenant.sql")


def golden(name: str) -> str:
    return (DIRECTORY / name).read_text(encoding="utf-8")


def test_scripts_hold_no_secret_and_one_transaction() -> None:
    for name in GENERATED:
        text = golden(name)
        assert not re.search(r"password|scram", text, re.IGNORECASE), name
        assert len(re.findall(r"^BEGIN\b.*;$", text, re.MULTILINE)) == 1, name
        assert text.endswith("\nCOMMIT;\n"), name
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), name


def test_each_kind_of_policy_is_written_alone_and_together_they_are_all() -> None:
    policies = {
        kind: re.findall(r"^CREATE POLICY (\w+) ON (\S+)$", golden(f"rls_policies_legal{kind}.sql"), re.MULTILINE)
        for kind in ("", ".isolation", ".admin", ".cross_dept")
    }

    assert {policy for policy, _ in policies[".isolation"]} == {"isolation"}
    assert {policy for policy, _ in policies[".admin"]} == {"admin_bypass"}
    assert {policy for policy, _ in policies[".cross_dept"]} == {"cross_dept_read", "reader"}
    parts = policies[".isolation"] + policies[".admin"] + policies[".cross_dept"]
    assert sorted(parts) == sorted(policies[""])
    assert len({table for _, table in policies[".isolation"]}) >= 24
    assert len(set(policies[""])) == len(policies[""])
