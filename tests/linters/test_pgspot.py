"""pgspot, a linter for what search_path attacks need, on everything that fedschema sends.

Two kinds of statement are kept from it. A function whose body is SQL (BEGIN ATOMIC) makes it fail on its own account;
its names were resolved once and for all when it was made. ALTER ROLE … SET search_path it takes for the session's.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fedschema import statements, tenancy
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.tenancy import NewDepartment
from tests.conftest import PROJECT

_KEPT_FROM_IT = re.compile(r"BEGIN ATOMIC\n|^ALTER ROLE \w+ SET search_path", re.MULTILINE)
CLEAN = "Errors: 0 Warnings: 0 Unknown: 0"


def _lint(script: str, directory: Path) -> str:
    kept = [part for part in statements.split(script) if not _KEPT_FROM_IT.search(part)]
    file = directory / "script.sql"
    file.write_text("".join(f"{part.rstrip().rstrip(';')};\n" for part in kept))
    done = subprocess.run([Path(sys.executable).with_name("pgspot"), file], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def scripts() -> dict[str, str]:
    compiler = Compiler(PROJECT)
    plan = compiler.upgrade(None, (), "head")
    bootstrap = compiler.templates.render("federation/bootstrap")
    return {
        "control plane": bootstrap + "\n" + plan.script(None),
        "department": tenancy.creation_script(compiler, NewDepartment(Department.parse("legal"), "Legal")),
        "audit channel": (
            compiler.templates.render("federation/audit_channel/quiet")
            + compiler.templates.render(
                "federation/audit_channel/install",
                server="s",
                login="a", verifier="b", comment="c", database="d", host="e", port="f", password="g",
            )
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["control plane", "department", "audit channel"])
def test_pgspot_finds_nothing(scripts: dict[str, str], tmp_path: Path, name: str) -> None:
    assert _lint(scripts[name], tmp_path).strip().endswith(CLEAN)


def test_pgspot_would_find_something(scripts: dict[str, str], tmp_path: Path) -> None:
    careless = scripts["control plane"].replace("SET search_path = pg_catalog, pg_temp", "")

    assert "SECURITY DEFINER function without explicit search_path" in _lint(careless, tmp_path)


def test_functions_that_are_kept_from_it_have_a_body_that_was_resolved(scripts: dict[str, str]) -> None:
    kept = [part for script in scripts.values() for part in statements.split(script) if _KEPT_FROM_IT.search(part)]

    assert len(kept) > 5
    assert all(re.search(r"\bCREATE (FUNCTION|PROCEDURE)\b|^ALTER ROLE", part, re.MULTILINE) for part in kept)
    assert all("LANGUAGE sql" in part for part in kept if "BEGIN ATOMIC" in part)
