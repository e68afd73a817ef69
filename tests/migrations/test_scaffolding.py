"""`fedschema revision` writes files that run as they are, chained and labelled, or writes nothing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fedschema import settings
from fedschema.department import Department
from fedschema.lineages import Lineage
from tests.conftest import PROJECT, ROOT, Database, Finished
from tests.migrations.catalogue import look
from tests.migrations.conftest import Command, CopiedProject

LAST = Lineage.load(PROJECT, Department("hr")).trunk_revisions[-1]
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture
def write(copied_project: CopiedProject, fedschema_command: Command) -> Command:
    """Type `fedschema revision …` in the copied project, where no database can be reached."""

    def run(*words: str, url: str | None = NOWHERE, cwd: Path | None = None) -> Finished:
        return fedschema_command("revision", *words, url=url, cwd=cwd or copied_project.directory)

    return run


def written(done: Finished) -> dict[str, object]:
    """Return what a command with --json says that it wrote."""
    assert done.status == 0, done.stderr + done.stdout
    document: dict[str, object] = json.loads(done.stdout)
    return document


def files(project: CopiedProject) -> dict[str, str]:
    """Return every file of a project but what Python keeps of it."""
    here = project.directory
    found = (path for path in here.rglob("*") if "__pycache__" not in path.parts)
    return {str(path.relative_to(here)): path.read_text() if path.is_file() else "directory" for path in found}


# ------------------------------------------------------------------------------------------------------ what is written


def test_revision_goes_on_with_the_lineage(write: Command, copied_project: CopiedProject) -> None:
    done = write("-m", "add case files")

    assert done.stdout.splitlines() == [
        f"tenant_0008_case_files follows {LAST}",
        "wrote templates/tenant/case_files/upgrade.sql.j2",
        "wrote templates/tenant/case_files/downgrade.sql.j2",
        "wrote alembic/versions/tenant/0008_case_files.py",
    ]
    script = Lineage.load(copied_project.project, Department("hr")).script_of("tenant_0008_case_files")
    assert (script.doc, script.down_revision, script.dependencies) == ("Add case files.", LAST, None)
    assert script.branch_labels == {"tenant"}


def test_each_goes_on_with_the_one_before_and_has_templates_of_its_own(
    write: Command, copied_project: CopiedProject
) -> None:
    first, second = written(write("-m", "case files", "--json")), written(write("-m", "Case files!", "--json"))

    assert (first["revision"], second["revision"]) == ("tenant_0008_case_files", "tenant_0009_case_files")
    assert second["follows"] == first["revision"]
    assert isinstance(first["files"], list)
    assert isinstance(second["files"], list)
    assert (len(first["files"]), len(second["files"])) == (3, 3)
    assert not set(first["files"]) & set(second["files"])


def test_first_revision_of_a_branch_has_a_base_of_its_own(write: Command, copied_project: CopiedProject) -> None:
    first = written(write("-m", "matters", "--department", "legal", "--json"))
    second = written(write("-m", "deadlines", "--department", "legal", "--json"))
    other = written(write("-m", "matters", "--department", "hr", "--json"))

    assert (first["revision"], first["lineage"]) == ("legal_0001_matters", "legal")
    assert (first["follows"], first["depends_on"]) == (None, LAST)
    assert (second["revision"], second["follows"], second["depends_on"]) == (
        "legal_0002_deadlines",
        "legal_0001_matters",
        None,
    )
    assert (other["revision"], other["depends_on"]) == ("hr_0001_matters", LAST)
    here = copied_project.directory
    assert (here / "alembic/versions/departments/legal/0001_matters.py").is_file()
    assert (here / "templates/tenant/departments/legal/matters/upgrade.sql.j2").is_file()
    assert Lineage.load(copied_project.project, Department("legal")).heads == (LAST, "legal_0002_deadlines")


def test_control_plane_has_a_lineage_of_its_own(write: Command) -> None:
    made = written(write("-m", "share case files", "--federation", "--json"))

    assert (made["revision"], made["lineage"]) == ("federation_0003_share_case_files", "federation")
    assert made["follows"] == "federation_0002_retention"


def test_contract_step_names_the_whole_id(write: Command, copied_project: CopiedProject) -> None:
    assert write("-m", "old name goes", "--contracts", "tenant_0007").status == 0

    script = Lineage.load(copied_project.project, Department("hr")).script_of("tenant_0008_old_name_goes")

    assert script.module.contracts == LAST


def test_id_can_be_named(write: Command, copied_project: CopiedProject) -> None:
    made = written(write("-m", "日本", "--rev-id", "tenant_0100_japan", "--json"))
    after = written(write("-m", "more", "--json"))

    assert made["revision"] == "tenant_0100_japan"
    assert (copied_project.directory / "alembic/versions/tenant/0100_japan.py").is_file()
    assert (after["revision"], after["follows"]) == ("tenant_0101_more", "tenant_0100_japan")


@pytest.mark.parametrize(
    ("message", "revision", "doc"),
    [
        ("Pronouns: what people want", "pronouns", "Pronouns: what people want."),
        ("add the Übersicht", "ubersicht", "Add the Übersicht."),
        ("add", "add", "Add."),
        ('what is "called"', "what_is_called", 'What is "called".'),
        ('"quoted"', "quoted", '"quoted".'),
        ("$message ${x} {{ y }} %s {z} #", "message_x_y_s_z", "$message ${x} {{ y }} %s {z} #."),
        ("is it? ", "is_it", "Is it?"),
        ("2nd try", "2nd_try", "2nd try."),
        ("a very long message about what the revision does with it", "very_long_message_about_what_the", None),
        ("x" * 60, "x" * 40, None),
    ],
)
def test_message_makes_the_id_and_stays_inside_the_docstring(
    message: str, revision: str, doc: str | None, write: Command, copied_project: CopiedProject
) -> None:
    made = written(write("-m", message, "--json"))

    assert made["revision"] == f"tenant_0008_{revision}"
    text = next(copied_project.directory.glob("alembic/versions/tenant/0008_*.py")).read_text()
    read = ast.get_docstring(ast.parse(text))
    assert read == (doc or f"{message[0].upper()}{message[1:]}.")


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--table", "case_files"),
        ("--department", "legal"),
        ("--department", "legal", "--table", "matters"),
        ("--federation",),
        ("--contracts", LAST),
    ],
    ids=" ".join,
)
def test_what_is_written_is_as_the_formatter_has_it(
    words: tuple[str, ...], write: Command, copied_project: CopiedProject
) -> None:
    made = written(write("-m", "x" * 110, *words, "--json"))
    paths = made["files"]
    assert isinstance(paths, list)
    ruff = Path(sys.executable).with_name("ruff")
    for command in (["format", "--check"], ["check", "--ignore", "INP001,D103"]):
        done = subprocess.run(
            [ruff, *command, "--config", ROOT / "pyproject.toml", paths[-1]],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


# ---------------------------------------------------------------------------------------------------- and runs as it is


@pytest.mark.parametrize("words", [(), ("--table", "case_files")], ids=["templates", "table"])
@pytest.mark.parametrize("branch", [(), ("--department", "hr")], ids=["everybody", "branch"])
def test_revision_runs_at_once_on_every_road(
    words: tuple[str, ...],
    branch: tuple[str, ...],
    write: Command,
    database: Database,
    copied_project: CopiedProject,
    alembic_command: Command,
    fedschema_command: Command,
) -> None:
    here = copied_project.directory
    for department in ("hr", "sales"):
        database.add(department)
    before = look(database, "hr")
    made = written(write("-m", "case files", *words, *branch, "--json"))
    target = "hr@-1" if branch else "-1"

    preview = fedschema_command("tenant", "sql", "hr", cwd=here, url=NOWHERE)
    up = alembic_command("-x", "tenant=hr", "upgrade", "head", cwd=here)
    there = look(database, "hr")
    down = fedschema_command("downgrade", "hr", "--to", target, cwd=here)
    back = look(database, "hr")
    again = fedschema_command("upgrade", cwd=here)
    by_plan = look(database, "hr")
    alembic_down = alembic_command("-x", "tenant=hr", "downgrade", target, cwd=here)

    assert [done.status for done in (preview, up, down, again, alembic_down)] == [0] * 5, (up, down, again)
    assert f"-- upgrade {made['revision']}" in preview.stdout
    assert ("relation case_files" in there) == bool(words)
    assert ("relation case_files" in look(database, "sales")) == (bool(words) and not branch)
    assert (back, by_plan) == (before, there)
    assert look(database, "hr") == before


def test_revision_of_the_control_plane_runs_at_once(
    write: Command, database: Database, copied_project: CopiedProject, fedschema_command: Command
) -> None:
    assert write("-m", "share", "--federation").status == 0

    behind = fedschema_command("status", cwd=copied_project.directory)
    done = fedschema_command("init", cwd=copied_project.directory)

    assert (behind.status, done.status) == (1, 0)
    assert "federation_0003_share" in done.stdout
    replace(database, compiler=copied_project.compiler()).add("hr")


def test_alembics_own_command_still_goes(
    copied_project: CopiedProject, alembic_command: Command, write: Command
) -> None:
    words = ("revision", "--head", "tenant@head", "--rev-id", "tenant_0008_mine", "-m", "Mine.")
    done = alembic_command(*words, cwd=copied_project.directory, url=NOWHERE)

    assert done.status == 0, done.stdout
    assert written(write("-m", "next", "--json"))["follows"] == "tenant_0008_mine"


# ----------------------------------------------------------------------------------------------------------- or nothing

WRONG = {
    "empty": ("-m", ""),
    "blank": ("-m", "  "),
    "two lines": ("-m", "a\nb"),
    "separator": ("-m", "a\u2028b"),
    "escape": ("-m", "a\x1b[31mb"),
    "end of the docstring": ("-m", 'a""" + __import__("os").system("x") + """b'),
    "backslash": ("-m", "a\\"),
    "too long": ("-m", "x" * 111),
    "no letters": ("-m", "日本"),
    "department": ("-m", "x", "--department", "../hr"),
    "platform's own": ("-m", "x", "--department", "federation"),
    "id with a path": ("-m", "x", "--rev-id", "../../x"),
    "id that is there": ("-m", "x", "--rev-id", LAST),
    "id that is a label": ("-m", "x", "--rev-id", "tenant"),
    "id with a meaning": ("-m", "x", "--rev-id", "head"),
    "id too long": ("-m", "x", "--rev-id", "x" * 129),
    "table with a path": ("-m", "x", "--table", "../x"),
    "table to be quoted": ("-m", "x", "--table", "Case"),
    "table without room": ("-m", "x", "--table", "x" * 47),
    "version table": ("-m", "x", "--table", "alembic_version"),
    "table of the control plane": ("-m", "x", "--table", "x", "--federation"),
    "branch of the control plane": ("-m", "x", "--department", "hr", "--federation"),
    "contract of nothing": ("-m", "x", "--contracts", "nothing"),
    "contract of another lineage": ("-m", "x", "--contracts", "federation_0001_control_plane"),
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
def test_wrong_words_write_nothing(words: tuple[str, ...], write: Command, copied_project: CopiedProject) -> None:
    before = files(copied_project)

    done = write(*words)

    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert "\x1b" not in done.stderr
    assert files(copied_project) == before


def test_contract_of_another_departments_branch_writes_nothing(write: Command, copied_project: CopiedProject) -> None:
    assert write("-m", "matters", "--department", "legal").status == 0
    before = files(copied_project)

    done = write("-m", "x", "--contracts", "legal_0001_matters")

    assert done.status == 2
    assert "the lineage 'tenant' does not build on it" in done.stderr
    assert files(copied_project) == before


def test_file_that_is_there_is_not_written_over(write: Command, copied_project: CopiedProject) -> None:
    """And what was written before it is gone again."""
    stray = copied_project.directory / "alembic/versions/tenant/0008_case_files.py"
    stray.write_text(stray.with_name("0007_retention.py").read_text())
    stray.with_name("0007_retention.py").unlink()
    before = files(copied_project)

    done = write("-m", "case files")

    assert done.status == 2
    assert f"{stray} is there already; nothing was written" in done.stderr
    assert files(copied_project) == before


def test_file_where_a_directory_is_needed_writes_nothing(write: Command, copied_project: CopiedProject) -> None:
    (copied_project.directory / "alembic/versions/departments/legal").write_text("")
    before = files(copied_project)

    done = write("-m", "matters", "--department", "legal")

    assert done.status in {1, 2}
    assert "legal" in done.stderr
    assert files(copied_project) == before


def test_lineage_with_two_heads_is_named(write: Command, copied_project: CopiedProject) -> None:
    for revision in ("tenant_9001_one", "tenant_9001_other"):
        copied_project.add_revision("tenant", revision, "pass", after=LAST)
    before = files(copied_project)

    done = write("-m", "x")

    assert done.status == 2
    assert "has multiple heads: tenant_9001_one, tenant_9001_other" in done.stderr
    assert files(copied_project) == before


def test_project_that_comes_with_fedschema_is_not_written_into(
    write: Command, copied_project: CopiedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "_PACKAGED", copied_project.directory)
    before = files(copied_project)

    done = write("-m", "x")

    assert done.status == 1
    assert "it is the one that comes with fedschema" in done.stderr
    assert files(copied_project) == before
