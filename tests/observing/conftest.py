"""A small federation with something of everything that is shown: where it is hostile, on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from fedschema import federation, sharing
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.sharing import PermissionType, Sharing
from tests.cli.typing_in import type_in
from tests.conftest import PROJECT, ROOT, Database, Finished, Server, drop_roles, janitor_of

#: What would run in a page that does not escape, wherever somebody may write it.
HOSTILE = "<script>document.title = 'taken'</script>\"'&"


@dataclass(frozen=True)
class Shown:
    """The federation, and a connection of the superuser's."""

    database: Database
    root: psycopg.Connection

    def command(self, *words: str) -> Finished:
        """Type `fedschema …` on it."""
        return type_in(*words, url=self.database.url, cwd=ROOT)


def fill(database: Database, root: psycopg.Connection) -> Shown:
    """Make hr, which may read documents of sales, and legal; with refusals and a failed step on record."""
    database.add("hr", HOSTILE)
    database.add("sales")
    database.add("legal")
    read = Sharing(Department("hr"), Department("sales"), PermissionType.READ, "drive_documents")
    sharing.grant(database.conninfo, database.compiler, read, HOSTILE, None)
    root.execute(
        """
        INSERT INTO federation.security_audit (event_type, source_department_id, target_department_id, details)
        VALUES ('CROSS_DEPT_ACCESS_DENIED', 'hr', 'legal', '{"refusal": "there is no grant"}'),
               ('CROSS_DEPT_ACCESS_DENIED', %(hostile)s, 'legal', '{"refusal": "no such department"}'),
               ('CROSS_DEPT_ACCESS_DENIED', NULL, 'legal', NULL),
               ('GATEWAY_ENTITLED', 'hr', NULL, NULL)
        """,
        {"hostile": HOSTILE},
    )
    root.execute(
        """
        INSERT INTO federation.schema_migrations (department_id, migration_name, direction, success, error_message)
        VALUES ('hr', 'tenant_0007_retention', 'upgrade', false, %s)
        """,
        (HOSTILE,),
    )
    return Shown(database, root)


@pytest.fixture(scope="module")
def shown(server: Server, control_plane: Any) -> Iterator[Shown]:
    """For tests that look at it."""
    name = "fedschema_shown"
    compiler = Compiler(PROJECT)
    with janitor_of(server, name, control_plane.template_dbname):
        federation.initialise(server.conninfo(name), compiler)
        database = Database(server, name, compiler)
        with database.connect() as root:
            yield fill(database, root)
    drop_roles(server, name)


@pytest.fixture
def changing(database: Database) -> Iterator[Shown]:
    """For tests that change it."""
    with database.connect() as root:
        yield fill(database, root)
