"""`fedschema new` makes a whole project or none, and never writes over anything."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fedschema import projects
from fedschema.errors import DirectoryUnsuitable, ProjectNotFound, ProjectNotWritten
from fedschema.settings import Project
from tests.cli.typing_in import type_in
from tests.conftest import ROOT, Database, Finished

TEMPLATE = Path("templates/checks/walls.sql.j2")
OWN = "-- Ours.\n"

New = Callable[..., Finished]


@pytest.fixture
def new(tmp_path: Path) -> New:
    """Type `fedschema new …` in an empty directory."""
    return lambda *arguments: type_in("new", *arguments, cwd=tmp_path)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def content(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def shipped() -> dict[str, bytes]:
    found = {"alembic.ini": (ROOT / "alembic.ini").read_bytes()}
    for folder in ("alembic", "templates"):
        found |= {
            f"{folder}/{name}": text for name, text in content(ROOT / folder).items() if "__pycache__" not in name
        }
    return found


def test_project_has_what_comes_with_fedschema_and_nothing_cached(new: New, tmp_path: Path) -> None:
    done = new("mine")

    assert done.status == 0
    assert content(tmp_path / "mine").keys() - shipped().keys() == {"README.md", ".gitignore"}
    assert content(tmp_path / "mine").items() >= shipped().items()
    assert done.stdout.startswith("project made in mine: 9 revisions, ")
    assert done.stderr == "next: cd mine && fedschema init\n"


def test_files_have_the_permissions_of_new_files(umask: None, tmp_path: Path) -> None:
    projects.create(tmp_path / "mine")

    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in (tmp_path / "mine").rglob("*")}
    assert modes == {(True, 0o750), (False, 0o640)}


def test_json_lists_the_files(new: New, tmp_path: Path) -> None:
    document = json.loads(new("mine", "--json").stdout)

    assert document["directory"] == str(tmp_path / "mine")
    assert set(document["written"]) == content(tmp_path / "mine").keys()
    assert document["different"] == []


def test_hidden_files_may_be_there_and_stay(new: New, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text(OWN)

    done = new(".")

    assert done.status == 0
    assert done.stderr == "next: fedschema init\n"
    assert (tmp_path / ".gitignore").read_text() == OWN


@pytest.mark.parametrize("name", ["full", "file", "link", "project"])
def test_directory_that_is_taken_is_refused_and_untouched(new: New, tmp_path: Path, name: str) -> None:
    (tmp_path / "full").mkdir()
    for file in ("full/a", "full/b", "full/c", "full/d", "file"):
        (tmp_path / file).write_text(OWN)
    (tmp_path / "link").symlink_to("file")
    projects.create(tmp_path / "project")
    before = content(tmp_path)

    done = new(name)

    assert done.status == 2
    assert f"no project can be made in {name}: it is " in done.stderr
    assert ("fedschema new project --update" in done.stderr) == (name == "project")
    assert ("(a, b, c and 1 more)" in done.stderr) == (name == "full")
    assert content(tmp_path) == before


def test_nothing_is_left_of_a_project_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {Path("a"): b"", Path("d/e"): b"", Path("z"): b"", Path("z/below-a-file"): b""}
    monkeypatch.setattr(projects, "_files_of", lambda _: broken)
    (tmp_path / "there").mkdir()

    for directory in ("there", "x/y"):
        with pytest.raises(ProjectNotWritten, match="Not a directory"):
            projects.create(tmp_path / directory)

    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@pytest.mark.parametrize("name", ["50%off", "a\tb", "a\nb"])
def test_path_that_alembic_cannot_read_is_refused(new: New, tmp_path: Path, name: str) -> None:
    done = new(name)

    assert done.status == 2
    assert "Alembic cannot read a path with % or control characters in it" in done.stderr
    assert content(tmp_path) == {}


def test_path_of_several_words_can_be_read(tmp_path: Path) -> None:
    projects.create(tmp_path / "ünser projekt")

    done = type_in("tenant", "sql", "legal", url="postgresql://u@127.0.0.1:1/none", cwd=tmp_path / "ünser projekt")

    assert done.status == 0


def test_place_below_a_file_is_refused(new: New, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = new("file/mine")

    assert done.status == 1
    assert done.stderr.startswith(
        "error: the project in file/mine cannot be written: Not a directory; nothing was left"
    )


def test_project_within_a_project_is_its_own(tmp_path: Path) -> None:
    projects.create(tmp_path)
    inner = projects.create(tmp_path / "inner").project

    assert Project.find(None, {}, inner.root) == inner


def test_templates_are_read_from_the_project(new: New, tmp_path: Path) -> None:
    new("mine")
    with (tmp_path / "mine/templates/tenant/communication/contacts.sql.j2").open("a") as file:
        file.write(OWN)

    done = type_in("tenant", "sql", "legal", url="postgresql://u@127.0.0.1:1/none", cwd=tmp_path / "mine")

    assert done.stdout.count(OWN) == 1


# ------------------------------------------------------------------------------------------------------------ --update


def test_update_writes_what_is_missing_and_names_what_differs(new: New, tmp_path: Path) -> None:
    new("mine")
    before = content(tmp_path / "mine")
    (tmp_path / "mine/README.md").unlink()
    shutil.rmtree(tmp_path / "mine/templates/checks")
    (tmp_path / "mine/alembic.ini").write_bytes(before["alembic.ini"] + b"# ours\n")
    (tmp_path / "mine/alembic/versions/tenant/1001_ours.py").write_text(OWN)

    done = new("mine", "--update")

    assert done.status == 0
    assert f"{TEMPLATE}: written\n" in done.stdout
    assert "\nalembic.ini: differs, and was left\n" in done.stdout
    assert done.stderr.startswith(f"to compare: diff -ru {ROOT} mine\n")
    after = content(tmp_path / "mine")
    assert {name for name in before if after.get(name) != before[name]} == {"README.md", "alembic.ini"}
    assert after["alembic/versions/tenant/1001_ours.py"] == OWN.encode()


def test_update_says_when_there_is_nothing_to_do(new: New) -> None:
    new("mine")

    done = new("mine", "--update")

    assert (done.stdout, done.stderr) == ("the project lacks nothing\n", "")


def test_update_wants_a_project(new: New, tmp_path: Path) -> None:
    done = new("mine", "--update")

    assert done.status == 2
    assert "no fedschema project at mine" in done.stderr
    assert "hint: to make one: fedschema new mine\n" in done.stderr
    assert content(tmp_path) == {}


def test_update_that_fails_leaves_the_project_as_it_was(tmp_path: Path) -> None:
    projects.create(tmp_path)
    shutil.rmtree(tmp_path / "templates/tenant")
    (tmp_path / "templates/tenant").touch()
    shutil.rmtree(tmp_path / "templates/checks")
    before = content(tmp_path)

    with pytest.raises(ProjectNotWritten) as refusal:
        projects.update(tmp_path)

    assert refusal.value.hint == f"as who may write there: fedschema new {tmp_path} --update"
    assert content(tmp_path) == before


def test_template_that_a_project_lacks_is_named(database: Database, tmp_path: Path) -> None:
    """As after an upgrade of fedschema that came with a new check."""
    projects.create(tmp_path)
    (tmp_path / TEMPLATE).unlink()

    done = type_in("validate", url=database.url, cwd=tmp_path)

    assert done.status == 1
    assert "there is no template checks/walls.sql.j2 in " in done.stderr
    assert f"fedschema new {tmp_path} --update\n" in done.stderr


def test_errors_are_what_a_program_catches(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DirectoryUnsuitable):
        projects.create(tmp_path)
    with pytest.raises(ProjectNotFound):
        projects.update(tmp_path)


# ------------------------------------------------------------------------------------- a newer fedschema, and ones own


def _add_revision(root: Path, revision: str, after: str, table: str) -> Path:
    """Write a revision that makes a table, with its template."""
    folder = root / "templates/tenant" / table
    folder.mkdir()
    (folder / f"{table}.sql.j2").write_text(
        f"CREATE TABLE {{{{ department.schema | ident }}}}.{table} (\n"
        "    department varchar(100) NOT NULL DEFAULT {{ department.id | literal }},\n"
        f"    CONSTRAINT {table}_pkey PRIMARY KEY (department),\n"
        f"    CONSTRAINT {table}_department_check CHECK (department = {{{{ department.id | literal }}}})\n);\n"
    )
    file = root / f"alembic/versions/tenant/{revision}.py"
    file.write_text(
        f'"""{table}."""\n\nfrom alembic import op\n\nrevision = "{revision}"\ndown_revision = "{after}"\n\n'
        f'TABLES = {{"family": "{table}", "private": ("{table}",)}}\n\n\n'
        "def upgrade() -> None:\n    op.create_tenant_tables(**TABLES)\n\n\n"
        "def downgrade() -> None:\n    op.drop_tenant_tables(**TABLES)\n"
    )
    return file


def test_revision_of_a_newer_fedschema_can_follow_ones_own(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/how-to/own-project.md says it: nothing moves until it is said which goes first, then all goes on."""
    mine, newer = (projects.create(tmp_path / name).project.root for name in ("mine", "newer"))
    _add_revision(mine, "tenant_1001_meetings", "tenant_0007_retention", "meetings")

    def typed(*arguments: str) -> Finished:
        return type_in(*arguments, url=database.url, cwd=mine)

    assert typed("tenant", "add", "legal").status == 0
    _add_revision(newer, "tenant_0008_rooms", "tenant_0007_retention", "rooms")
    monkeypatch.setattr(Project, "shipped", classmethod(lambda cls: Project.at(newer)))

    warned = typed("init")
    assert warned.status == 0
    assert "the project lacks: alembic/versions/tenant/tenant_0008_rooms.py (fedschema new . --update)" in warned.stderr
    assert "alembic/versions/tenant/tenant_0008_rooms.py: written" in typed("new", ".", "--update").stdout
    refused = typed("upgrade")
    brought = mine / "alembic/versions/tenant/tenant_0008_rooms.py"
    brought.write_text(brought.read_text().replace("tenant_0007_retention", "tenant_1001_meetings"))
    moved = typed("upgrade")

    assert typed("init").stderr == ""
    assert refused.status == 2
    assert "multiple heads: tenant_0008_rooms, tenant_1001_meetings\nhint: let one of them follow" in refused.stderr
    assert moved.stdout.startswith("legal: upgraded tenant_1001_meetings -> tenant_0008_rooms")
    assert typed("new", ".", "--update").stdout == (
        "alembic/versions/tenant/tenant_0008_rooms.py: differs, and was left\nthe project lacks nothing\n"
    )
