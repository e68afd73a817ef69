"""`fedschema lint` as it is typed: what it prints, how it ends, and what it asks of a database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fedschema import linting
from fedschema.errors import LinterUnavailable
from fedschema.review import trees
from tests.conftest import Database, Finished, Run
from tests.review.conftest import Bench

BAD = "def upgrade():\n    op.execute('ALTER TABLE things ADD COLUMN n text')\n\n\ndef downgrade():\n    pass\n"
SLOW = "ALTER TABLE {{ department.schema | ident }}.things ALTER COLUMN note SET NOT NULL;\n"
WARNED = "def upgrade():\n    op.execute_template('tenant/up')\n\n\ndef downgrade():\n    raise ValueError('no way')\n"


def _typed(command: Run, bench: Bench, *words: str) -> Finished:
    return command("--config", str(bench.root / "alembic.ini"), "lint", *words)


def test_errors_fail_and_say_what_to_do(command: Run, bench: Bench) -> None:
    bench.revision(BAD)
    done = _typed(command, bench)

    assert done.status == 1
    assert "0002_new.py:10: error: unqualified-name: things has no schema before it" in done.stdout
    assert "    ALTER TABLE things ADD COLUMN n text;" in done.stdout
    assert "    mend: put the schema before it" in done.stdout
    assert done.stdout.endswith("3 revisions looked at, 0 released; 2 errors, 0 warnings\n")

    document = json.loads(_typed(command, bench, "--json").stdout)
    assert [document["ok"], document["recorded"], [one["rule"] for one in document["findings"]]] == [
        False,
        [],
        ["unqualified-name", "no-downgrade"],
    ]
    assert _typed(command, bench, "--release").status == 1
    assert not (bench.root / "alembic/released").exists()


def test_warnings_fail_when_that_is_wished(command: Run, bench: Bench) -> None:
    bench.template("tenant/up", SLOW)
    bench.revision(WARNED)

    assert _typed(command, bench).status == 0
    assert _typed(command, bench, "--strict").status == 1
    assert _typed(command, bench, "--release", "--strict").status == 1
    assert json.loads(_typed(command, bench, "--release", "--json").stdout)["recorded"][-1] == "tenant_0002_new"


def test_scaffold_that_is_not_filled_in_does_nothing(command: Run, bench: Bench) -> None:
    bench.template("tenant/up", "-- What the revision does.\n")
    bench.revision(WARNED)

    assert "warning: empty-revision" in _typed(command, bench).stdout


@pytest.mark.parametrize("words", [("nowhere",), ("--all", "tenant_0001"), ("--pg-version", "9")])
def test_wrong_words_are_wrong_usage(command: Run, bench: Bench, words: tuple[str, ...]) -> None:
    assert _typed(command, bench, *words).status == 2


def test_database_is_compared_with_what_there_is(command: Run, database: Database) -> None:
    database.add("hr")
    assert command("lint", "--applied").status == 0

    with database.connect() as connection:
        changed = "UPDATE federation.schema_migrations SET checksum = 'sha256:0' WHERE migration_name = %s"
        connection.execute(changed, ("tenant_0003_communication",))
    done = command("lint", "--applied")
    assert done.status == 0  # a comment may be all that differs
    assert "applied-otherwise: hr got other SQL from tenant_0003_communication than there is" in done.stdout


def test_squawk_that_reads_otherwise_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    ordinary = linting.syntax_tree
    trees.require_understanding.cache_clear()
    monkeypatch.setattr(linting, "syntax_tree", lambda sql: ordinary(sql).replace("TABLE_NAME_REF", "TABLE_REF"))
    with pytest.raises(LinterUnavailable, match="in another way"):
        bench.review()


def test_missing_squawk_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    trees.require_understanding.cache_clear()
    monkeypatch.setattr(linting, "program", lambda: None)
    with pytest.raises(LinterUnavailable, match="squawk is not installed"):
        bench.review()


def test_new_project_has_the_records_of_what_comes_with_it(command: Run, tmp_path: Path) -> None:
    assert command("new", str(tmp_path / "own")).status == 0
    done = command("--config", str(tmp_path / "own" / "alembic.ini"), "lint")

    assert (done.status, done.stdout) == (0, "0 revisions looked at, 9 released; 0 errors, 0 warnings\n")
