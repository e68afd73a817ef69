"""A small project to lint: one revision of the control plane, one of every department, and the one under test."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import pytest

from fedschema import review as reviewing
from fedschema.compiler import Compiler
from fedschema.review import Finding, Review
from fedschema.settings import Project
from tests.conftest import PROJECT

BASE = '''
"""Things."""

from alembic import op

revision = "tenant_0001_things"
down_revision = None
branch_labels = ("tenant",)
depends_on = None


def upgrade() -> None:
    op.create_tenant_table("things", columns="tenant/things/columns")


def downgrade() -> None:
    op.drop_tenant_table("things", columns="tenant/things/columns")
'''
CONTROL_PLANE = '''
"""The control plane."""

from alembic import op

revision = "federation_0001_notes"
down_revision = None
branch_labels = ("federation",)
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE federation.notes (id bigint PRIMARY KEY, note text NOT NULL)")


def downgrade() -> None:
    op.execute("DROP TABLE federation.notes")
'''
HEAD = """
from alembic import op

revision = "{revision}"
down_revision = "{follows}"
branch_labels = None
depends_on = None

"""
COLUMNS = "    note text NOT NULL\n"
TAKEN_BACK = """
def downgrade():
    op.execute_template("tenant/down")
"""
DOWN = "COMMENT ON TABLE {{ department.schema | ident }}.things IS NULL;\n"


@dataclass
class Bench:
    """A project under the linter."""

    root: Path
    named: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Project:
        return Project.at(self.root)

    def template(self, name: str, text: str) -> None:
        path = self.root / "templates" / f"{name}.sql.j2"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def revision(self, body: str, name: str = "tenant_0002_new", follows: str = "tenant_0001_things") -> Path:
        label, _, rest = name.partition("_")
        path = self.root / "alembic" / "versions" / label / f"{rest}.py"
        path.write_text(HEAD.format(revision=name, follows=follows) + dedent(body), encoding="utf-8")
        return path

    def review(self, *named: str, every: bool = False) -> Review:
        return reviewing.review(Compiler(self.project), named, every=every)

    def release(self, *named: str) -> tuple[str, ...]:
        compiler = Compiler(self.project)
        return reviewing.release(compiler, reviewing.review(compiler, named))

    def found(self, body: str, templates: Mapping[str, str] | None = None) -> list[Finding]:
        """Lint one more revision, whose way back is a matter of its own unless it says so."""
        if "def downgrade" not in body:
            body = dedent(body) + TAKEN_BACK
            self.template("tenant/down", DOWN)
        for name, text in (templates or {}).items():
            self.template(name, text)
        self.revision(body)
        return [one for one in self.review("tenant_0002_new").findings if one.revision == "tenant_0002_new"]

    def rules(self, body: str, templates: Mapping[str, str] | None = None) -> set[str]:
        return {one.rule for one in self.found(body, templates)}

    def sql_rules(self, sql: str) -> set[str]:
        """Return the rules that SQL breaks, as it stands in a template of a department."""
        schema = "{{ department.schema | ident }}"
        return self.rules(
            "def upgrade():\n    op.execute_template('tenant/up')\n", {"tenant/up": sql.replace("MINE", schema)}
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = tmp_path / "project"
    shutil.copytree(PROJECT.root / "templates", root / "templates", ignore=shutil.ignore_patterns("checks", "demo"))
    for family in (
        path for path in (root / "templates" / "tenant").iterdir() if path.name not in {"department", "policies"}
    ):
        shutil.rmtree(family)
    shutil.rmtree(root / "templates" / "federation" / "control_plane")
    (root / "alembic" / "versions" / "tenant").mkdir(parents=True)
    (root / "alembic" / "versions" / "federation").mkdir()
    shutil.copy(PROJECT.ini, root / "alembic.ini")
    shutil.copy(PROJECT.root / "alembic" / "env.py", root / "alembic" / "env.py")
    (root / "alembic" / "versions" / "tenant" / "0001_things.py").write_text(BASE.lstrip(), encoding="utf-8")
    (root / "alembic" / "versions" / "federation" / "0001_notes.py").write_text(
        CONTROL_PLANE.lstrip(), encoding="utf-8"
    )
    made = Bench(root)
    made.template("tenant/things/columns", COLUMNS)
    return made
