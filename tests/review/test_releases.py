"""What was released stays as it is: every edit of its meaning is found, and no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fedschema.errors import NotReleasable
from fedschema.review import Level
from tests.review.conftest import Bench

UPGRADE = "def upgrade():\n    op.execute_template('tenant/new/up')\n\n\n"
DOWNGRADE = "def downgrade():\n    op.execute_template('tenant/new/down')\n"
UP = "COMMENT ON TABLE {{ department.schema | ident }}.things IS 'x';\n"
DOWN = "COMMENT ON TABLE {{ department.schema | ident }}.things IS NULL;\n"


@pytest.fixture
def released(bench: Bench) -> Bench:
    bench.template("tenant/new/up", UP)
    bench.template("tenant/new/down", DOWN)
    bench.revision(UPGRADE + DOWNGRADE)
    assert bench.release() == ("federation_0001_notes", "tenant_0001_things", "tenant_0002_new")
    assert bench.review().looked_at == ()
    assert bench.review(every=True).ok
    return bench


def _rules(bench: Bench) -> dict[str, str]:
    return {one.rule: one.message for one in bench.review().findings}


def _replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def _file(bench: Bench) -> Path:
    return bench.root / "alembic/versions/tenant/0002_new.py"


def _template(bench: Bench, name: str) -> Path:
    return bench.root / f"templates/{name}.sql.j2"


def _another_template(bench: Bench) -> None:
    bench.template("tenant/new/other", UP.replace("'x'", "'z'"))
    _replaced(_file(bench), "new/up", "new/other")


def _another_place(bench: Bench) -> None:
    bench.revision(UPGRADE + DOWNGRADE, "tenant_0002_between", "tenant_0001_things")
    _replaced(_file(bench), '"tenant_0001_things"', '"tenant_0002_between"')


def _other_line_ends(bench: Bench) -> None:
    _file(bench).write_bytes(_file(bench).read_bytes().replace(b"\n", b"\r\n"))


EDITS: dict[str, tuple[Callable[[Bench], None], str]] = {
    "template": (
        lambda bench: _replaced(_template(bench, "tenant/new/up"), "'x'", "'y'"),
        "template tenant/new/up was edited",
    ),
    "way back": (
        lambda bench: _replaced(_template(bench, "tenant/new/down"), "NULL", "''"),
        "its downgrade does something else",
    ),
    "shared template": (
        lambda bench: _replaced(_template(bench, "tenant/policies/isolation"), "USING", "WITH CHECK (true) USING"),
        "template tenant/policies/isolation was edited",
    ),
    "spaces in a text": (
        lambda bench: _replaced(_template(bench, "tenant/new/up"), "'x'", "'x '"),
        "its upgrade does something else",
    ),
    "another template": (
        _another_template,
        "the revision's code was edited",
    ),
    "its place": (
        _another_place,
        "its follows was tenant_0001_things and is tenant_0002_between",
    ),
    "a contract": (
        lambda bench: _replaced(
            _file(bench), "depends_on = None", "depends_on = None\ncontracts = 'tenant_0001_things'"
        ),
        "its contracts was - and is tenant_0001_things",
    ),
    "online": (
        lambda bench: _replaced(_file(bench), "depends_on = None", "depends_on = None\nonline = True"),
        "its online was no and is yes",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edit_of_what_a_released_revision_does_is_found(released: Bench, edit: str) -> None:
    change, told = EDITS[edit]
    change(released)

    assert told in _rules(released)["released-edited"]
    assert not released.review().ok


HARMLESS: dict[str, Callable[[Bench], None]] = {
    "a docstring and a comment": lambda bench: _replaced(
        _file(bench), "def upgrade():\n", "# why\ndef upgrade():\n    '''What it does.'''\n"
    ),
    "a comment in a template": lambda bench: bench.template(
        "tenant/new/up", "-- why: it's /* so\n" + UP.rstrip() + "  -- x\n"
    ),
    "a line break in a template": lambda bench: bench.template("tenant/new/up", UP.replace(" ON ", "\n    ON ")),
    "line ends": _other_line_ends,
}


@pytest.mark.parametrize("edit", HARMLESS)
def test_edit_for_readers_is_none(released: Bench, edit: str) -> None:
    HARMLESS[edit](released)

    assert _rules(released) == {}


def test_other_code_with_the_same_sql_is_a_warning(released: Bench) -> None:
    _replaced(_file(released), "'tenant/new/up'", "'tenant/' + 'new/up'")
    (one,) = released.review().findings

    assert (one.rule, one.level) == ("released-reworded", Level.WARNING)


def test_body_of_a_function_is_what_it_is_to_the_last_comment(bench: Bench) -> None:
    """PostgreSQL keeps the body as it is written, and `fedschema drift` would see the difference."""
    body = "CREATE FUNCTION {{ department.schema | ident }}.f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;\n"
    bench.template("tenant/new/up", body)
    bench.template("tenant/new/down", "DROP FUNCTION {{ department.schema | ident }}.f();\n")
    bench.revision(UPGRADE + DOWNGRADE)
    bench.release()
    bench.template("tenant/new/up", body.replace("1 $$", "1 -- one\n$$"))

    assert "released-edited" in _rules(bench)


def test_code_of_a_revision_without_sql_is_what_it_does(bench: Bench) -> None:
    bench.revision("online = True\n\n\ndef upgrade():\n    op.execute('SELECT 1')\n\n\n" + DOWNGRADE)
    bench.release()
    assert _rules(bench) == {}
    _replaced(_file(bench), "SELECT 1", "SELECT 2")

    assert "the revision's code was edited" in _rules(bench)["released-edited"]


def test_released_revision_that_is_gone_is_missed(released: Bench) -> None:
    _file(released).unlink()

    assert "tenant_0002_new was released" in _rules(released)["released-missing"]


def test_record_that_is_missing_below_a_released_one_is_missed(released: Bench) -> None:
    (released.root / "alembic/released/tenant_0001_things.txt").unlink()

    assert "tenant_0001_things, on which it builds, is not" in _rules(released)["released-missing"]


@pytest.mark.parametrize(
    "text",
    ["", "format other\n", "format fedschema-released/1\nrevision tenant_0002_new\n", "<<<<<<< ours\n", "\udcff"],
)
def test_record_that_cannot_be_read_is_told(released: Bench, text: str) -> None:
    file = released.root / "alembic/released/tenant_0002_new.txt"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))

    assert "released-unreadable" in _rules(released)


def test_nothing_is_released_while_something_is_wrong(bench: Bench) -> None:
    bench.revision(UPGRADE + DOWNGRADE)  # its templates are not there
    with pytest.raises(NotReleasable, match="template-missing"):
        bench.release()

    assert not (bench.root / "alembic/released").exists()


def test_revision_is_not_released_before_what_it_builds_on(bench: Bench) -> None:
    bench.template("tenant/new/up", UP)
    bench.template("tenant/new/down", DOWN)
    bench.revision(UPGRADE + DOWNGRADE)
    with pytest.raises(NotReleasable, match="builds on tenant_0001_things, which is not released"):
        bench.release("tenant_0002_new")


def test_releasing_again_changes_nothing(released: Bench) -> None:
    before = {file: file.read_bytes() for file in (released.root / "alembic/released").iterdir()}

    assert released.release("tenant_0002_new") == ()
    assert {file: file.read_bytes() for file in (released.root / "alembic/released").iterdir()} == before
