"""A breach is allowed by a comment that names the rule and says why, where it is, and not otherwise."""

from __future__ import annotations

import pytest

from tests.review.conftest import Bench

UNQUALIFIED = {"tenant/up": "COMMENT ON TABLE things IS 'x';\n"}


def _upgrade(comment_above: str = "", comment_beside: str = "") -> str:
    above = f"    {comment_above}\n" if comment_above else ""
    return f"def upgrade():\n{above}    op.execute_template('tenant/up')  {comment_beside}\n"


@pytest.mark.parametrize(
    "body",
    [
        _upgrade("# fedschema: ignore[unqualified-name] it is a temporary one"),
        _upgrade("", "# fedschema: ignore[unqualified-name]: it is a temporary one"),
        _upgrade("# fedschema: ignore[ unqualified-name ] it is a temporary one"),
        _upgrade("# fedschema: ignore[unqualified-name] why").replace("('tenant/up')", "(\n        'tenant/up'\n    )"),
    ],
)
def test_comment_with_a_reason_allows_a_breach(bench: Bench, body: str) -> None:
    assert bench.rules(body, UNQUALIFIED) == set()


@pytest.mark.parametrize(
    "comment",
    [
        "# fedschema: ignore[unqualified-name]",
        "# fedschema: ignore[unqualified-name]  -  ",
        "# fedschema: ignore because",
        "# fedschema: ignore[] because",
        "# fedschema: ignore[raw-table] because",
    ],
)
def test_comment_without_rule_or_reason_allows_nothing(bench: Bench, comment: str) -> None:
    assert bench.rules(_upgrade(comment), UNQUALIFIED) == {"unqualified-name", "suppression"}


def test_comment_of_another_line_allows_nothing(bench: Bench) -> None:
    body = "# fedschema: ignore[unqualified-name] why\n" + _upgrade()

    assert bench.rules(body, UNQUALIFIED) == {"unqualified-name", "suppression"}


def test_comment_that_allows_nothing_any_more_is_told(bench: Bench) -> None:
    sound = {"tenant/up": "COMMENT ON TABLE {{ department.schema | ident }}.things IS 'x';\n"}

    assert bench.rules(_upgrade("# fedschema: ignore[unqualified-name] why"), sound) == {"suppression"}


def test_comment_in_a_template_is_about_its_statement(bench: Bench) -> None:
    first = "-- fedschema: ignore[unqualified-name] a temporary one\nCOMMENT ON TABLE things IS 'x';\n"
    assert bench.sql_rules(first) == set()
    assert bench.sql_rules(first + "COMMENT ON TABLE things IS 'y';\n") == {"unqualified-name"}
    assert bench.sql_rules(first.replace(" a temporary one", "")) == {"unqualified-name", "suppression"}


def test_squawks_rules_are_allowed_by_the_same_comment(bench: Bench) -> None:
    sql = {"tenant/up": "ALTER TABLE {{ department.schema | ident }}.things ALTER COLUMN note SET NOT NULL;\n"}

    assert bench.rules(_upgrade("# fedschema: ignore[adding-not-nullable-field] it is small"), sql) == set()


def test_missing_downgrade_is_allowed_where_it_begins(bench: Bench) -> None:
    sound = {"tenant/up": "COMMENT ON TABLE {{ department.schema | ident }}.things IS 'x';\n"}
    down = "\n\ndef downgrade():  # fedschema: ignore[no-downgrade] a comment hurts nobody\n    pass\n"

    assert bench.rules(_upgrade() + down, sound) == set()


def test_string_is_no_comment(bench: Bench) -> None:
    body = _upgrade().replace("def upgrade", "X = '# fedschema: ignore[unqualified-name] why'\ndef upgrade")

    assert bench.rules(body, UNQUALIFIED) == {"unqualified-name"}


def test_released_revision_that_was_edited_is_not_allowed_by_a_comment(bench: Bench) -> None:
    bench.release()
    path = bench.root / "alembic/versions/tenant/0001_things.py"
    text = path.read_text(encoding="utf-8").replace(
        "def upgrade", "# fedschema: ignore[released-edited] why\ndef upgrade"
    )
    path.write_text(text.replace('"things", columns', '"stuff", columns'), encoding="utf-8")

    assert {one.rule for one in bench.review().findings} >= {"released-edited"}
