"""An archive goes from one version of PostgreSQL to another, either way, and back to life by psql alone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from psycopg import sql

from fedschema import archiving, bundles, drift, federation, restoring, validation
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.embedded import throwaway_server
from tests.archive.filling import fill, held
from tests.conftest import PROJECT, Database, Server

HR = Department("hr")
OLD = Path("/usr/lib/postgresql/15/bin")


@contextmanager
def _served(bindir: Path | None) -> Iterator[Database]:
    """A server of its own with an empty database, which takes its roles along."""
    with throwaway_server(bindir) as running:
        server = Server(running.host, running.port, running.user, running.password)
        with server.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier("fleet")))
        yield Database(server, "fleet", Compiler(PROJECT))


@pytest.mark.parametrize(("source", "target"), [(OLD, None), (None, OLD)], ids=["15 to 18", "18 to 15"])
def test_restored_on_another_version_it_is_identical_row_by_row(
    source: Path | None, target: Path | None, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        old, new = (stack.enter_context(_served(bindir)) for bindir in (source, target))
        for database in (old, new):
            federation.initialise(database.conninfo, database.compiler)
        old.add("hr")
        fill(old, "hr")

        written = archiving.archive(old.conninfo, old.compiler, HR, tmp_path, None)
        with bundles.opened(written.path, None) as bundle:
            restored = restoring.restore(new.conninfo, new.compiler, bundle, HR)

        assert held(new, "hr") == held(old, "hr")
        assert restored.schema_alike is None
        assert drift.examine(new.conninfo, new.compiler, [HR])[0].ok
        assert validation.validate(new.conninfo, new.compiler, []).ok


def test_psql_alone_brings_it_back(tmp_path: Path) -> None:
    """As README.txt in the bundle says, with the programs that are told there and nothing of fedschema."""
    with ExitStack() as stack:
        old, new = (stack.enter_context(_served(None)) for _ in range(2))
        federation.initialise(old.conninfo, old.compiler)
        old.add("hr")
        fill(old, "hr")
        written = archiving.archive(old.conninfo, old.compiler, HR, tmp_path / "to", None)
        readme = subprocess.run(
            ["unzip", "-p", written.path, "README.txt"], capture_output=True, text=True, check=True
        ).stdout

        commands = [line.strip() for line in readme.splitlines() if line.startswith("    ")]
        given = {"THIS_FILE": f"'{written.path}'", "RECOVERED": f'"{new.conninfo}"'}
        for command in commands:
            for name, value in given.items():
                command = command.replace(name, value)  # noqa: PLW2901 - as a reader fills it in
            done = subprocess.run(
                ["/bin/sh", "-ec", command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
            )
            assert done.returncode == 0, done.stderr

        assert len(commands) == 2
        assert held(new, "hr") == held(old, "hr")
        assert validation.validate(new.conninfo, new.compiler, []).ok
