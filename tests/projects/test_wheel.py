"""`pip install fedschema` is enough: what the wheel holds, and in a clean environment the way to a department."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

import pytest

from tests.conftest import ROOT, Database, Finished

#: What the new project's own revision makes.
TEMPLATE = """\
CREATE TABLE {{ department.schema | ident }}.meeting_notes (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    department varchar(100) NOT NULL DEFAULT {{ department.id | literal }},
    CONSTRAINT meeting_notes_pkey PRIMARY KEY (id),
    CONSTRAINT meeting_notes_department_check CHECK (department = {{ department.id | literal }})
);
"""
BODY = """\
TABLES = {"family": "meetings", "private": ("meeting_notes",)}


def upgrade() -> None:
    op.create_tenant_tables(**TABLES)


def downgrade() -> None:
    op.drop_tenant_tables(**TABLES)
"""


def run(command: list[str | Path], cwd: Path, **environment: str) -> Finished:
    """Run a program in an environment that knows nothing of this checkout."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        command, cwd=cwd, env=clean | environment, capture_output=True, text=True, timeout=120, check=False
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("dist")
    done = run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place], ROOT)
    assert done.status == 0, done
    (built,) = place.glob("*.whl")
    return built


def below(folder: Path) -> set[str]:
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in files if "__pycache__" not in name}


def test_wheel_holds_the_package_the_project_and_nothing_else(wheel: Path) -> None:
    wanted = {f"fedschema/{name}" for name in below(ROOT / "fedschema")}
    wanted |= {
        f"fedschema/_project/{folder}/{name}" for folder in ("alembic", "templates") for name in below(ROOT / folder)
    }
    wanted |= {"fedschema/_project/alembic.ini"}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert held == wanted
    assert {Path(name).suffix for name in held} == {
        ".css",
        ".js",
        ".py",
        ".j2",
        ".ini",
        ".json",
        ".mako",
        ".md",
        ".sh",
        ".txt",
        ".typed",
        "",
    }
    assert {name for name in held if not Path(name).suffix} == {"fedschema/skeleton/gitignore"}


def test_wheel_asks_for_the_dependencies(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    asked = {text.replace(" ", "") for text in metadata.get_all("Requires-Dist", [])}
    assert {"".join(sorted(text)) for text in asked} == {"".join(sorted(text)) for text in project["dependencies"]}


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel; the dependencies are those of the tests, fedschema is not."""

    python: Path
    url: str

    def __call__(self, cwd: Path, program: str, *arguments: str) -> Finished:
        words: list[str | Path] = [self.python.with_name(program)]
        if program == "alembic":  # its script is where the dependencies are
            words = [self.python, "-m", "alembic.config"]
        done = run([*words, *arguments], cwd, FEDSCHEMA_DATABASE_URL=self.url)
        assert done.status == 0, done
        return done


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel."""
    place = tmp_path_factory.mktemp("clean")
    run([sys.executable, "-m", "venv", place / "venv"], place)
    python = place / "venv/bin/python"
    pip: list[str | Path] = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-index",
        "--no-deps",
    ]
    done = run([python, *pip, wheel], place)
    assert done.status == 0, done
    # The .pth files of a directory that a .pth file names are not read: the editable fedschema stays out.
    (packages,) = (place / "venv/lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return python


@pytest.fixture
def installed(python: Path, blank_database: Database) -> Installed:
    return Installed(python, blank_database.url)


def _where(installed: Installed, cwd: Path) -> Path:
    return Path(installed(cwd, "python", "-c", "import fedschema; print(fedschema.__file__)").stdout.strip())


Catalogue = Callable[[str], set[str]]


@pytest.fixture
def tables(blank_database: Database) -> Catalogue:
    """The tables of a schema."""

    def look(schema: str) -> set[str]:
        with blank_database.connect() as connection:
            query = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
            return {name for (name,) in connection.execute(query, (schema,))}

    return look


def test_wheel_leads_to_a_department_and_to_a_revision_of_ones_own(
    installed: Installed, tmp_path: Path, tables: Catalogue
) -> None:
    assert _where(installed, tmp_path).is_relative_to(installed.python.parent.parent)

    installed(tmp_path, "fedschema", "new", "mine")
    project = tmp_path / "mine"
    assert installed(project, "fedschema", "init").stdout.startswith("control plane made")
    installed(project, "fedschema", "tenant", "add", "legal", "--password-file", "legal.password")
    installed(project, "fedschema", "status", "--check")
    assert installed(project, "alembic", "upgrade", "head").stdout == ""
    assert len(tables("legal_tenant") - {"alembic_version"}) == 25

    name = "tenant_1001_meetings"
    installed(project, "alembic", "revision", "--head", "tenant@head", "--rev-id", name, "-m", "Meetings.")
    revision = project / f"alembic/versions/tenant/{name}.py"
    revision.write_text(revision.read_text().partition("def upgrade")[0] + BODY)
    (project / "templates/tenant/meetings").mkdir()
    (project / "templates/tenant/meetings/meeting_notes.sql.j2").write_text(TEMPLATE)

    done = installed(project, "fedschema", "upgrade")
    assert done.stdout.startswith(f"legal: upgraded tenant_0007_retention -> {name}")
    assert "meeting_notes" in tables("legal_tenant")
    installed(project, "fedschema", "validate", "--probe")
    assert installed(project, "fedschema", "new", ".", "--update").stdout == "the project lacks nothing\n"


def test_wheel_without_a_project_has_one(installed: Installed, tmp_path: Path, tables: Catalogue) -> None:
    installed(tmp_path, "fedschema", "init")
    installed(tmp_path, "fedschema", "tenant", "add", "hr")

    assert len(tables("hr_tenant") - {"alembic_version"}) == 25
