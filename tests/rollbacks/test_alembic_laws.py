"""pytest-alembic's laws, on the tenant lineage through env.py: those that apply where tables are no models.

Which do not, and why: docs/explanation/decisions/0021-a-way-back-is-proven.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest
from alembic.config import Config
from psycopg import sql
from pytest_alembic.config import Config as Settings
from pytest_alembic.executor import CommandExecutor, ConnectionExecutor
from pytest_alembic.runner import MigrationContext
from pytest_alembic.tests import (
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)

from fedschema.reach import Reach
from tests.conftest import PROJECT, Database
from tests.migrations.conftest import _logging_restored

__all__ = ["test_single_head_revision", "test_up_down_consistency", "test_upgrade"]


class _Department(MigrationContext):
    """One department: env.py has no command that only looks, so its version table is asked."""

    database: Database

    @property
    def current(self) -> str:
        with self.database.connect() as connection:
            row = connection.execute(
                sql.SQL("SELECT version_num FROM {}").format(sql.Identifier("hr_tenant", "alembic_version"))
            ).fetchone()
        return str(row[0]) if row else "base"


@pytest.fixture
def alembic_runner(database: Database) -> Iterator[MigrationContext]:
    """A department at base, which `alembic -x tenant=hr` moves."""
    database.add("hr")
    config = Config(str(PROJECT.ini), cmd_opts=argparse.Namespace(x=["tenant=hr", "confirm=hr"]))
    config.attributes["reach"] = Reach(database.conninfo)
    settings = Settings(alembic_config=config, config_options={"script_location": str(PROJECT.root / "alembic")})
    executor = CommandExecutor.from_config(settings)
    context = _Department.from_config(settings, executor, ConnectionExecutor(None))
    assert isinstance(context, _Department)
    context.database = database
    with _logging_restored():
        context.migrate_down_to("base")
        yield context


def test_laws_are_tried_on_the_departments_own_lineage(alembic_runner: MigrationContext) -> None:
    assert alembic_runner.current == "base"

    alembic_runner.migrate_up_to("tenant_0002_documents")

    assert alembic_runner.current == "tenant_0002_documents"
