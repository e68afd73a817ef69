"""What making a department takes is kept on disk, and believed only when it must be the same as compiling it anew."""

from __future__ import annotations

import json
import pwd
import shutil
from pathlib import Path

import pytest

from fedschema import blueprints
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.settings import Project
from tests.conftest import ROOT

HR = Department("hr")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project and a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    directory = tmp_path / "project"
    directory.mkdir()
    shutil.copy(ROOT / "alembic.ini", directory)
    for name in ("alembic", "templates"):
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    return Project(directory / "alembic.ini")


def cached(tmp_path: Path) -> Path:
    (file,) = (tmp_path / "cache" / "fedschema").iterdir()
    return file


def test_kept_blueprint_is_what_compiling_gives(project: Project) -> None:
    first = Compiler(project)
    made = first.blueprint

    kept = Compiler(project).blueprint

    assert kept == made
    assert kept.plan == first.upgrade(HR, (), "head")
    assert Compiler(project).creation(HR).script(HR) == first.upgrade(HR, (), "head").script(HR)
    assert kept.control_plane == first.lineage(None).as_control_plane()


def test_kept_blueprint_is_used(project: Project, tmp_path: Path) -> None:
    """Without Alembic, whose import it saves."""
    made = Compiler(project).blueprint
    shutil.rmtree(project.root / "alembic" / "versions" / "federation")
    file = cached(tmp_path)
    kept = json.loads(file.read_text(encoding="utf-8"))
    kept["fingerprint"] = blueprints.fingerprint(project)
    file.write_text(json.dumps(kept), encoding="utf-8")

    assert Compiler(project).blueprint == made


@pytest.mark.parametrize("changed", ["templates/tenant/core/tool_calls.sql.j2", "alembic.ini", "alembic/env.py"])
def test_one_changed_byte_compiles_anew(changed: str, project: Project) -> None:
    before = blueprints.fingerprint(project)
    made = Compiler(project).blueprint
    assert blueprints.load(project, before) == made

    with (project.root / changed).open("a", encoding="utf-8") as file:
        file.write("\n")

    assert blueprints.fingerprint(project) != before
    assert blueprints.load(project, blueprints.fingerprint(project)) is None


def test_changed_template_changes_the_department(project: Project) -> None:
    assert "a remark of a test" not in Compiler(project).creation(HR).script(HR)

    template = project.templates / "tenant" / "core" / "tool_calls.sql.j2"
    template.write_text(f"-- a remark of a test\n{template.read_text(encoding='utf-8')}", encoding="utf-8")

    assert "-- a remark of a test\n" in Compiler(project).creation(HR).script(HR)


def test_new_revision_changes_the_department(project: Project) -> None:
    end = Compiler(project).blueprint.plan.end
    (project.root / "alembic" / "versions" / "tenant" / "later.py").write_text(
        f"revision = 'tenant_9001_later'\ndown_revision = {end[0]!r}\nbranch_labels = depends_on = None\n"
        "def upgrade(): pass\ndef downgrade(): pass\n",
        encoding="utf-8",
    )

    assert Compiler(project).blueprint.plan.end == ("tenant_9001_later",)


def test_department_with_a_branch_gets_a_plan_of_its_own(project: Project) -> None:
    end = Compiler(project).blueprint.plan.end
    branch = project.root / "alembic" / "versions" / "departments" / "hr"
    branch.mkdir()
    (branch / "hr_0001.py").write_text(
        "revision = 'hr_0001'\ndown_revision = depends_on = None\nbranch_labels = ('hr',)\n"
        "def upgrade(): pass\ndef downgrade(): pass\n",
        encoding="utf-8",
    )
    Compiler(project).creation(Department("sales"))

    kept = Compiler(project)

    assert kept.creation(HR).end == ("hr_0001", *end)
    assert kept.creation(Department("sales")).end == end


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"fingerprint": 1}', "\xff", '{"plan": {}}'])
def test_spoilt_file_is_compiled_anew_and_written_anew(content: str, project: Project, tmp_path: Path) -> None:
    made = Compiler(project).blueprint
    cached(tmp_path).write_bytes(content.encode("latin-1"))

    assert Compiler(project).blueprint == made
    assert blueprints.load(project, blueprints.fingerprint(project)) == made


def forged(tmp_path: Path) -> Path:
    """Put other SQL into the file, as somebody else would."""
    file = cached(tmp_path)
    file.write_text(file.read_text(encoding="utf-8").replace("CREATE TABLE", "CREATE FORGED"), encoding="utf-8")
    return file


def test_file_that_others_could_have_written_is_not_believed(project: Project, tmp_path: Path) -> None:
    made = Compiler(project).blueprint

    for mode in (0o620, 0o602, 0o666):
        forged(tmp_path).chmod(mode)
        assert Compiler(project).blueprint == made
    forged(tmp_path)
    cached(tmp_path).parent.chmod(0o777)
    assert Compiler(project).blueprint == made


def test_link_in_the_place_of_the_file_is_not_followed(project: Project, tmp_path: Path) -> None:
    made = Compiler(project).blueprint
    file = forged(tmp_path)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")

    assert Compiler(project).blueprint == made


def test_file_is_its_owners_alone(project: Project, tmp_path: Path) -> None:
    Compiler(project).blueprint  # noqa: B018 - it is made when it is asked for

    assert cached(tmp_path).stat().st_mode & 0o777 == 0o600
    assert cached(tmp_path).parent.stat().st_mode & 0o777 == 0o700


def test_without_a_place_to_keep_it_a_department_is_made_all_the_same(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    assert Compiler(project).creation(HR).steps


def test_without_a_home_a_department_is_made_all_the_same(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under any number: no HOME, and no line in /etc/passwd."""

    def nobody(number: int) -> pwd.struct_passwd:
        raise KeyError(number)

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)

    assert Compiler(project).creation(HR).steps


def test_old_projects_are_forgotten(project: Project, tmp_path: Path) -> None:
    directory = tmp_path / "cache" / "fedschema"
    directory.mkdir(parents=True, mode=0o700)
    for number in range(40):
        (directory / f"{number}.json").write_text("{}", encoding="utf-8")

    made = Compiler(project).blueprint

    assert len(list(directory.iterdir())) == 16
    assert blueprints.load(project, blueprints.fingerprint(project)) == made
