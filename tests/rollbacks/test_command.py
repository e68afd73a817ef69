"""`fedschema revision check` as it is typed, what it puts on record, and what plans and downgrades make of that."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedschema import downgrades, releases
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.downgrades import Record, Verdict
from fedschema.releases import Direction, Outcome, Release
from fedschema.rollbacks import subjects
from tests.cli.typing_in import type_in
from tests.conftest import PROJECT, Database, Finished
from tests.migrations.conftest import CopiedProject
from tests.rollbacks.conftest import LAST, REVISIONS, SCHEMA

COLUMN, CHANGES = "t02_column", "t07_overwrites"
Type = Callable[..., Finished]


@pytest.fixture
def nowhere(copied_project: CopiedProject) -> Type:
    """Type `fedschema …` in a project of the test's own, where no database can be reached."""
    return lambda *words: type_in(*words, url="postgresql://u@127.0.0.1:1/none", cwd=copied_project.directory)


def _add(project: CopiedProject, *names: str) -> None:
    after = LAST
    for name in names:
        project.add_revision("tenant", name, *REVISIONS[name], after=after)
        after = name


def _record(project: CopiedProject, **entries: dict[str, Any]) -> None:
    """Put something on record without trying it: each entry's revision, and what it loses."""
    compiler = project.compiler()
    path = downgrades.path_of(project.project)
    document = json.loads(path.read_text())
    for revision, entry in entries.items():
        known: dict[str, Any] = {
            "downgrade": "lossy",
            "loses": [],
            "reason": None,
            "checksum": downgrades.checksum(compiler, revision, "tenant"),
        }
        document["revisions"][revision] = known | entry
    path.write_text(json.dumps(document))


def _loses(kind: str, table: str, column: str | None = None) -> dict[str, Any]:
    return {"loses": [{"kind": kind, "table": table, "column": column}]}


NICKNAMES = _loses("column", "contacts", "nickname")

# ------------------------------------------------------------------------------------------------------ the command


def test_projects_own_revisions_are_on_record_as_they_are() -> None:
    """What CI tries whole is here compared by the checksums alone."""
    compiler = Compiler(PROJECT)
    record = Record.read(compiler)

    assert list(record.entries) == [one.revision for one in subjects(compiler)]
    assert {record.way_back(name).verdict for name in record.entries} == {Verdict.LOSSY}


def test_check_needs_no_database_and_notices_what_is_on_record_otherwise_or_damaged(
    copied_project: CopiedProject, nowhere: Type
) -> None:
    _add(copied_project, COLUMN)

    path = downgrades.path_of(copied_project.project)
    for text in ("{", "[]", '{"format": "fedschema-downgrades/1", "revisions": {"x": {}}}'):
        path.write_text(text)
        damaged = nowhere("revision", "check", COLUMN)
        assert (damaged.status, "write it anew: fedschema revision check --record" in damaged.stderr) == (1, True)

    recorded = nowhere("revision", "check", COLUMN, "--record")
    assert recorded == Finished(
        0, f"{COLUMN}: lossy: column contacts.nickname (3 rows)\n", "on record in alembic/downgrades.json\n"
    )
    document = json.loads(path.read_text())
    assert list(document["revisions"]) == [COLUMN]

    document["revisions"][COLUMN] |= {"downgrade": "exact", "loses": []}
    path.write_text(json.dumps(document))
    again = nowhere("revision", "check", COLUMN, "--json")
    found = json.loads(again.stdout)
    assert (again.status, found["ok"], found["recorded"]) == (1, False, None)
    (entry,) = found["revisions"]
    assert (entry["lineage"], entry["downgrade"], entry["on_record"], entry["ok"]) == (
        "tenant",
        "lossy",
        "exact",
        False,
    )
    assert entry["loses"] == [
        {"kind": "column", "table": "contacts", "column": "nickname", "message": "column contacts.nickname", "rows": 3}
    ]


def test_broken_and_silent_downgrades_end_it_with_1_and_are_not_put_on_record(
    copied_project: CopiedProject, nowhere: Type
) -> None:
    copied_project.add_revision("tenant", "t1", f'{SCHEMA}op.execute(f"CREATE SEQUENCE {{s}}.t1")', after=LAST)
    copied_project.add_revision("tenant", "t2", "pass", "raise NotImplementedError", after="t1")

    done = nowhere("revision", "check", "--since", LAST, "--record")

    assert done.status == 1
    assert "t1: broken: it does not come back as it was before\n  sequence t1 is left over\n" in done.stdout
    assert "error: revision t1: it does not come back as it was before\n" in done.stderr
    assert "error: revision t2 cannot be taken back, and does not say so" in done.stderr
    assert "t1" not in json.loads(downgrades.path_of(copied_project.project).read_text())["revisions"]


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("nosuch",), 2, "unknown_revision"),
        (("--since", "federation_0001_control_plane"), 2, "unknown_revision"),
        (("--postgres", "99"), 2, "postgres_not_found"),
        (("--postgres", "9"), 2, "usage"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(nowhere: Type, words: tuple[str, ...], status: int, code: str) -> None:
    done = nowhere("revision", "check", *words, "--json")

    assert (done.status, json.loads(done.stdout)["error"]["code"]) == (status, code)


def test_options_that_begin_a_revision_are_not_for_check(nowhere: Type) -> None:
    done = nowhere("revision", "-m", "more", "check")

    assert done.status == 2
    assert "--message begins a revision" in done.stderr


# ------------------------------------------------------------------------------------------------ plans and downgrades


@pytest.fixture
def two(database: Database, copied_project: CopiedProject) -> Type:
    """Two departments at a revision with a column, of which one has a row with a value there."""
    for name in ("hr", "sales"):
        database.add(name)
    _add(copied_project, COLUMN)

    def command(*words: str) -> Finished:
        return type_in(*words, url=database.url, cwd=copied_project.directory)

    assert command("upgrade").status == 0
    with database.connect() as connection:
        connection.execute("INSERT INTO hr_tenant.contacts (contact_id, nickname) VALUES ('1', 'Bo')")
    return command


def _places(two: Type) -> list[str]:
    return [each["revision"] for each in json.loads(two("status", "--json").stdout)]


@pytest.mark.parametrize("whom", [("--all",), ("hr", "sales")])
def test_fleet_goes_back_over_a_lossy_step_only_when_it_is_named(
    two: Type, copied_project: CopiedProject, whom: tuple[str, ...]
) -> None:
    _record(copied_project, **{COLUMN: NICKNAMES})

    for words in ((), ("--yes",), ("--lossy", LAST)):
        refused = two("downgrade", *whom, "--to", LAST, *words)
        assert refused == Finished(
            1,
            "",
            f"error: going back over {COLUMN} loses column contacts.nickname; nothing was touched\n"
            f"hint: if that may go, add --lossy {COLUMN}\n",
        )
        assert _places(two) == [COLUMN, COLUMN]

    done = two("downgrade", *whom, "--to", LAST, "--lossy", COLUMN[:4])  # which is all that has to be confirmed
    assert (done.status, done.stderr) == (0, "")
    assert _places(two) == [LAST, LAST]


def test_one_department_is_asked_about_its_own_rows_and_never_twice(two: Type, copied_project: CopiedProject) -> None:
    _record(copied_project, **{COLUMN: NICKNAMES})

    refused = two("downgrade", "hr", "--to", LAST)
    empty = two("downgrade", "sales", "--to", LAST)
    confirmed = two("downgrade", "hr", "--to", LAST, "--yes")

    assert (refused.status, "would lose column contacts.nickname (1 row)" in refused.stderr) == (1, True)
    assert (empty.status, confirmed.status) == (0, 0)


def test_what_a_named_step_is_not_on_record_as_losing_is_still_asked_about(
    two: Type, copied_project: CopiedProject
) -> None:
    _record(copied_project, **{COLUMN: _loses("column", "contacts", "another")})

    done = two("downgrade", "--all", "--to", LAST, "--lossy", COLUMN, "--on-error", "continue")

    assert done.status == 1
    assert "department hr: this would lose column contacts.nickname (1 row)" in done.stderr
    assert _places(two) == [COLUMN, LAST]


def test_what_nobody_counts_has_to_be_named_for_one_department_too(two: Type, copied_project: CopiedProject) -> None:
    _record(copied_project, **{COLUMN: _loses("values", "contacts", "full_name")})

    refused = two("downgrade", "sales", "--to", LAST, "--yes")
    done = two("downgrade", "sales", "--to", LAST, "--lossy", COLUMN)

    assert (refused.status, f"--lossy {COLUMN}" in refused.stderr) == (1, True)
    assert "loses what was in contacts.full_name" in refused.stderr
    assert done.status == 0


def test_step_that_comes_onto_the_way_meanwhile_has_to_be_named_too(
    two: Type, database: Database, copied_project: CopiedProject
) -> None:
    copied_project.add_revision("tenant", CHANGES, *REVISIONS[CHANGES], after=COLUMN)
    _record(copied_project, **{COLUMN: NICKNAMES, CHANGES: _loses("values", "contacts", "full_name")})
    release = Release(Direction.DOWNGRADE, LAST, all_confirmed=True)
    hr = Department("hr")

    run = releases.prepare(database.conninfo, copied_project.compiler(), [hr], release)
    assert two("upgrade", "hr").status == 0
    (result,) = run.results()

    assert result.error is not None
    assert (result.outcome, result.error.code) == (Outcome.FAILED, "lossy_step")
    assert _places(two) == [CHANGES, COLUMN]


@pytest.mark.parametrize("checksum", ["sha256:of another text", None])
def test_stale_record_counts_for_nothing_and_a_fleet_is_warned(
    two: Type, copied_project: CopiedProject, checksum: str | None
) -> None:
    if checksum:
        _record(copied_project, **{COLUMN: NICKNAMES | {"checksum": checksum}})

    done = two("downgrade", "--all", "--to", LAST, "--on-error", "continue")
    planned = json.loads(two("upgrade", "--plan", "--json").stdout)["groups"][0]["revisions"][0]

    assert done.stderr.startswith(f"warning: what going back over {COLUMN} loses is not on record; to find out: ")
    assert "would lose column contacts.nickname (1 row)" in done.stderr
    why = "what is on record is of another text of it" if checksum else "it is not on record"
    assert (planned["downgrade"], planned["loses"], planned["reason"]) == ("unknown", [], why)


def test_plan_and_sealed_plan_tell_what_each_way_back_is(
    two: Type, copied_project: CopiedProject, tmp_path: Path
) -> None:
    _record(copied_project, **{COLUMN: NICKNAMES})
    file = tmp_path / "plan.json"

    down = two("downgrade", "--all", "--to", LAST, "--plan")
    assert two("downgrade", "--all", "--to", LAST, "--lossy", COLUMN).status == 0
    up = two("upgrade", "--plan", "--out", str(file))
    applied = two("upgrade", "--apply", str(file))

    told = f"way back over {COLUMN}: lossy: column contacts.nickname\n"
    assert (told in down.stdout, told in up.stdout, down.status, up.status) == (True, True, 0, 0)
    (sealed,) = json.loads(file.read_text())["ways_back"]
    assert (sealed["revision"], sealed["downgrade"]) == (COLUMN, "lossy")
    assert applied.status == 0


def test_named_step_has_to_be_one(two: Type) -> None:
    done = two("downgrade", "--all", "--to", LAST, "--lossy", "nosuch")

    assert (done.status, "'nosuch'" in done.stderr) == (2, True)


def test_downgrade_that_cannot_be_says_why(two: Type, copied_project: CopiedProject) -> None:
    copied_project.add_revision("tenant", "t3", "pass", 'raise NotImplementedError("it is gone")', after=COLUMN)
    assert two("upgrade").status == 0

    done = two("downgrade", "hr", "--to", LAST)

    assert (done.status, "error: revision t3 cannot be taken back: it is gone\n" in done.stderr) == (1, True)
    assert _places(two) == ["t3", "t3"]
