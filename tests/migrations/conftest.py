"""How migrations are run here: `alembic` and `fedschema` inside the test, `psql` as it is, projects copied."""

from __future__ import annotations

import io
import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from typing import Protocol

import pytest
from alembic.config import CommandLine, Config

from fedschema.cli.main import run as run_fedschema
from fedschema.compiler import Compiler
from fedschema.embedded import packaged_directory
from fedschema.settings import Project
from tests.conftest import ROOT, Database, Finished

FAILED_BY_ALEMBIC = 255


class Command(Protocol):
    """Run a command inside this process, as if it had been typed.

    An exception that the command lets through, which would be a traceback, fails the test.
    """

    def __call__(self, *words: str, url: str | None = None, cwd: Path = ROOT) -> Finished: ...


class Psql(Protocol):
    """Run a script through psql, which stops at the first error."""

    def __call__(self, script: str, conninfo: str | None = None) -> Finished: ...


@contextmanager
def _logging_restored() -> Iterator[None]:
    """Take back what env.py configures for a process of its own: its handler writes to a stream that is gone later."""
    root, alembic, ours = (logging.getLogger(name) for name in (None, "alembic.util.messaging", "fedschema"))
    loggers = (root, alembic, ours)
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    try:
        yield
    finally:
        for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
            logger.handlers[:] = handlers
            logger.setLevel(level)
            logger.propagate = propagate


class _Stream(io.TextIOWrapper):
    """What a command writes to; with an encoding, since Alembic asks for it."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        super().__init__(self._bytes, encoding="utf-8", write_through=True)

    def text(self) -> str:
        return self._bytes.getvalue().decode()


@contextmanager
def _process(monkeypatch: pytest.MonkeyPatch, url: str, cwd: Path) -> Iterator[tuple[_Stream, _Stream]]:
    """Be a process for a while: its directory, its environment, its streams."""
    stdout, stderr = _Stream(), _Stream()
    with monkeypatch.context() as patch, _logging_restored():
        patch.chdir(cwd)
        patch.setenv("FEDSCHEMA_DATABASE_URL", url)
        patch.setattr("alembic.util.messaging.TERMWIDTH", None)
        with redirect_stdout(stdout), redirect_stderr(stderr):
            yield stdout, stderr


@pytest.fixture
def alembic_command(database: Database, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`alembic …`, on the test's database."""

    def run(*words: str, url: str | None = None, cwd: Path = ROOT) -> Finished:
        status = 0
        with _process(monkeypatch, database.url if url is None else url, cwd) as (stdout, stderr):
            try:
                command = CommandLine()
                options = command.parser.parse_args(words)
                # As CommandLine.main does, but for stdout, whose default was bound when alembic was imported.
                config = Config(
                    "alembic.ini", "pyproject.toml", ini_section=options.name, cmd_opts=options, stdout=stdout
                )
                command.run_cmd(config, options)
            except SystemExit as ending:
                status = int(ending.code or 0) & FAILED_BY_ALEMBIC
        return Finished(status, stdout.text(), stderr.text())

    return run


@pytest.fixture
def fedschema_command(database: Database, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`fedschema …`, on the test's database."""

    def run(*words: str, url: str | None = None, cwd: Path = ROOT) -> Finished:
        with _process(monkeypatch, database.url if url is None else url, cwd) as (stdout, stderr):
            status = run_fedschema(words)
        return Finished(status, stdout.text(), stderr.text())

    return run


@pytest.fixture(scope="session")
def psql_program() -> Path:
    """The psql of the server that the tests run on, the packaged one, or that of PATH; without any, tests fail."""
    given = os.environ.get("FEDSCHEMA_TEST_BINDIR")
    candidates = [Path(given) / "psql"] if given else [packaged_directory() / "psql"]
    if on_path := shutil.which("psql"):
        candidates.append(Path(on_path))
    found = next((program for program in candidates if os.access(program, os.X_OK)), None)
    if found is None:
        pytest.fail(f"no psql at {', '.join(map(str, candidates))}")
    return found


@pytest.fixture
def psql(psql_program: Path, database: Database, tmp_path: Path) -> Psql:
    """`psql -f`, as the superuser on the test's database unless another connection string is given."""

    def run(script: str, conninfo: str | None = None) -> Finished:
        file = tmp_path / "script.sql"
        file.write_text(script, encoding="utf-8")
        done = subprocess.run(
            [psql_program, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", file, "-d", conninfo or database.conninfo],
            capture_output=True,
            text=True,
            env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
            timeout=60,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@dataclass(frozen=True)
class CopiedProject:
    """A project of the test's own, to which it adds revisions."""

    directory: Path

    @property
    def project(self) -> Project:
        return Project(self.directory / "alembic.ini")

    def compiler(self) -> Compiler:
        """Read the project as it is now."""
        return Compiler(self.project)

    def add_revision(
        self,
        place: str,
        revision: str,
        upgrade: str,
        downgrade: str = "pass",
        *,
        after: str | None = None,
        label: str | None = None,
        depends_on: str | None = None,
        online: bool = False,
    ) -> None:
        """Write a revision script.

        Args:
            place: the directory below alembic/versions/: ``tenant``, ``departments/legal``.
            revision: its id.
            upgrade: the body of upgrade().
            downgrade: the body of downgrade().
            after: the revision before it.
            label: its branch label.
            depends_on: the revision of another lineage that it needs.
            online: it reads from the database.
        """
        file = self.directory / "alembic" / "versions" / place / f"{revision}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        labels = (label,) if label else None
        header = f'''
            """A revision of a test."""

            import sqlalchemy as sa
            from alembic import op

            revision = {revision!r}
            down_revision = {after!r}
            branch_labels = {labels!r}
            depends_on = {depends_on!r}
            online = {online!r}
        '''
        functions = "\n\n".join(
            f"def {name}() -> None:\n{indent(dedent(body).strip(), '    ')}"
            for name, body in (("upgrade", upgrade), ("downgrade", downgrade))
        )
        file.write_text(f"{dedent(header).strip()}\n\n\n{functions}\n", encoding="utf-8")

    def add_template(self, name: str, text: str) -> None:
        """Write a template: ``tenant/legal/matters``."""
        file = self.directory / "templates" / f"{name}.sql.j2"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text).lstrip(), encoding="utf-8")


@pytest.fixture
def copied_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CopiedProject:
    """The project's own alembic.ini, revisions and templates, in a directory of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    directory = tmp_path / "project"
    directory.mkdir()
    shutil.copy(ROOT / "alembic.ini", directory)
    for name in ("alembic", "templates"):
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    return CopiedProject(directory)
