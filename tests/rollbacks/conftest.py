"""A project with revisions of every kind, each tried once: up, down, and up again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fedschema.rollbacks import Proof, prove, subjects
from tests.conftest import ROOT
from tests.migrations.conftest import CopiedProject, copied_project

__all__ = ["copied_project"]

LAST = "tenant_0007_retention"
SCHEMA = "s = op.get_context().version_table_schema\n"
NAMES = '"calendar_events", old="location", new="place", type="varchar(500)"'
INDEX = '"idx_contacts_few", table="contacts", template="tenant/few/idx_contacts_few"'
AS_ADMIN = 'op.execute("SET LOCAL ROLE federation_admin_role")\n'
AS_OWNER = 'op.execute("SET LOCAL ROLE federation_owner")\n'


def _contacts(change: str) -> str:
    return f'{SCHEMA}op.execute(f"ALTER TABLE {{s}}.contacts {change}")\n'


def _sql(statement: str) -> str:
    return f'{SCHEMA}op.execute(f"{statement}")\n'


def _rows(statement: str) -> str:
    return f'{SCHEMA}{AS_ADMIN}op.execute(f"""{statement}""")\n{AS_OWNER}'


#: Each revision: how it goes up, and down; one follows the other.
REVISIONS: Mapping[str, tuple[str, str]] = {
    "t01_index": (
        _sql("CREATE INDEX idx_t01 ON {s}.contacts (full_name)"),
        _sql("DROP INDEX {s}.idx_t01"),
    ),
    "t02_column": (_contacts("ADD COLUMN nickname text"), _contacts("DROP COLUMN nickname")),
    "t03_refuses": (
        _contacts("DROP COLUMN nickname"),
        'raise NotImplementedError("the nicknames are gone")',
    ),
    "t04_silent": ("pass", "raise NotImplementedError"),
    "t05_slip": (_contacts("ADD COLUMN t05 text"), "op.execute(unheard_of)"),
    "t06_forgets": (_sql("CREATE INDEX idx_t06 ON {s}.contacts (t05)"), "pass"),
    "t07_overwrites": (_rows("UPDATE {s}.contacts SET full_name = upper(full_name)"), "pass"),
    "t08_deletes": ("pass", _rows("DELETE FROM {s}.contacts WHERE contact_id IS NOT NULL")),
    "t09_concurrent": (f"op.create_index_concurrently({INDEX})", f"op.drop_index_concurrently({INDEX})"),
    "t10_expand": (f"op.expand_tenant_column({NAMES})", f"op.unexpand_tenant_column({NAMES})"),
    "t11_fill": (
        'op.backfill("calendar_events", assign="place = location", where="place IS NULL AND location IS NOT NULL")',
        "pass",
    ),
    "t12_contract": (f"op.contract_tenant_column({NAMES})", f"op.uncontract_tenant_column({NAMES})"),
    "t13_widens": (
        'op.widen_tenant_column("calendar_events", "place", "text", was="varchar(500)")',
        'op.narrow_tenant_column("calendar_events", "place", "text", was="varchar(500)")',
    ),
    "t14_refused_by_server": (
        _contacts("ADD COLUMN t14 text"),
        _contacts("DROP COLUMN unheard_of"),
    ),
    "t15_keeps_rows_out": (
        _contacts("ADD CONSTRAINT t15 CHECK (full_name = 'nobody')"),
        _contacts("DROP CONSTRAINT t15"),
    ),
    "t16_forgets_a_sequence": (
        _sql("CREATE SEQUENCE {s}.t16"),
        "pass",
    ),
    "t17_drops": (_contacts("DROP COLUMN t14"), _contacts("ADD COLUMN t14 text")),
    "t18_says_no_by_sql": (
        "pass",
        "op.execute(\"DO $$ BEGIN RAISE EXCEPTION 'not without a backup'; END $$\")",
    ),
    "t19_changes": (
        _contacts("ADD COLUMN t19 integer"),
        _contacts("ALTER COLUMN t19 TYPE bigint"),
    ),
}
ONLINE = "t20_online"
ONLINE_REFUSES = "t21_online_refuses"
BRANCH = ("legal_1_rows", "legal_2_column")


def _write(project: CopiedProject) -> None:
    project.add_template(
        "tenant/few/idx_contacts_few",
        "CREATE INDEX idx_contacts_few ON {{ department.schema | ident }}.contacts (organization);\n",
    )
    after = LAST
    for revision, (up, down) in REVISIONS.items():
        project.add_revision("tenant", revision, up, down, after=after)
        after = revision
    looks = f"{SCHEMA}n = op.get_bind().scalar(sa.text('SELECT 1'))\n"
    project.add_revision(
        "tenant",
        ONLINE,
        looks + _contacts("ADD COLUMN t20 text"),
        _contacts("DROP COLUMN t20"),
        after=after,
        online=True,
    )
    project.add_revision(
        "tenant", ONLINE_REFUSES, looks, 'raise NotImplementedError("asked and gone")', after=ONLINE, online=True
    )
    project.add_revision(
        "departments/legal",
        BRANCH[0],
        _rows("UPDATE {s}.contacts SET notes = 'seen' WHERE notes IS NOT NULL"),
        "pass",
        label="legal",
        depends_on=LAST,
    )
    project.add_revision(
        "departments/legal",
        BRANCH[1],
        _contacts("ADD COLUMN matter text NOT NULL DEFAULT 'none'"),
        _contacts("DROP COLUMN matter"),
        after=BRANCH[0],
    )


@pytest.fixture(scope="module")
def nasty_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CopiedProject]:
    directory = tmp_path_factory.mktemp("nasty") / "project"
    directory.mkdir()
    shutil.copy(ROOT / "alembic.ini", directory)
    for name in ("alembic", "templates"):
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    project = CopiedProject(Path(directory))
    _write(project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(directory.parent / "cache"))
        yield project


@pytest.fixture(scope="module")
def proofs(nasty_project: CopiedProject) -> dict[str, Proof]:
    """What each revision turned out to be."""
    compiler = nasty_project.compiler()
    tried = [one for one in subjects(compiler) if one.revision == LAST or not one.revision.startswith("tenant_")]
    return {proof.revision: proof for proof in prove(compiler, tried)}
