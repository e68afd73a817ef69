"""What the tests of archives and backups share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fedschema import archiving, bundles
from fedschema.bundles import Manifest
from fedschema.department import Department
from fedschema.encryption import Key
from tests.archive.filling import fill
from tests.conftest import Database
from tests.tenancy.conftest import everything, fork, spawn

__all__ = ["everything", "fork", "spawn"]

Archive = Callable[..., Path]


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FEDSCHEMA_BACKUP_KEY", "OAUTH_ENCRYPTION_KEY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def full(database: Database) -> Database:
    """A database with a department that has rows in every table."""
    database.add("hr", "Human Resources")
    fill(database, "hr")
    return database


@pytest.fixture
def archive(database: Database, tmp_path: Path) -> Archive:
    """Archive a department of the test's database and return the file."""

    def make(department_id: str = "hr", key: Key | None = None) -> Path:
        department = Department(department_id)
        return archiving.archive(database.conninfo, database.compiler, department, tmp_path / "archives", key).path

    return make


def manifest_of(path: Path, key: Key | None = None) -> Manifest:
    with bundles.opened(path, key) as bundle:
        return bundle.manifest
