"""Where the demo plays: runs commands as processes, sends queries as the roles that are named, sees what comes back."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.rows import tuple_row

from fedschema import passwords
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.embedded import Endpoint
from fedschema.errors import OperationError

_TIMEOUT_SECONDS = 120


class DemoFailed(OperationError):
    """A step of the demo did not end as it should have."""

    code = "demo_failed"


class DemoInTheWay(OperationError):
    """The database holds a department of the demo's that the demo did not make."""

    code = "demo_in_the_way"

    def __init__(self, department: str) -> None:
        super().__init__(
            f"department {department} exists here already and is not the demo's; nothing was changed",
            "run the demo in another directory",
        )


@dataclass(frozen=True, slots=True)
class Chapter:
    """A heading."""

    title: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What was run, with its prompt, and what came back."""

    prompt: str
    output: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A server, a project, and the passwords of the roles that play.

    Attributes:
        endpoint: the embedded server.
        compiler: the project.
        secrets: the directory where the passwords are kept.
    """

    endpoint: Endpoint
    compiler: Compiler
    secrets: Path

    def run(self, *words: str, status: int = 0) -> Shown:
        """Run a command of ours as a process and return what it printed.

        Raises:
            DemoFailed: it ended with another status.
        """
        module = {"fedschema": "fedschema", "alembic": "alembic.config"}[words[0]]
        done = subprocess.run(
            [sys.executable, "-m", module, *words[1:]],
            env=os.environ | {"FEDSCHEMA_DATABASE_URL": self.endpoint.url()},
            # Plain Alembic looks for alembic.ini in its working directory.
            cwd=self.compiler.project.root if words[0] == "alembic" else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode != status:
            raise DemoFailed(f"{shlex.join(words)} ended with {done.returncode} instead of {status}:\n{done.stdout}")
        return Shown(f"$ {shlex.join(words)}", done.stdout.rstrip())

    def query(
        self, login: str, query: str, *, refused: str | None = None, source: str | None = None, rows: int | None = None
    ) -> Shown:
        """Send a query as a login and return its rows, or the refusal that has to come back.

        Args:
            login: who asks.
            query: what is asked.
            refused: part of the error that has to come back, if one has to.
            source: the department in whose name a gateway asks, in the session that is documented for it.
            rows: how many rows have to come back, where that matters.

        Raises:
            DemoFailed: something else came back.
        """
        prompt = f"{login}=> {query};"
        with self._login(login) as connection:
            if source is not None:
                connection.execute("SET ROLE cross_dept_query_role")
                connection.execute("SELECT set_config('app.source_department', %s, false)", (source,))
                begin = (
                    f"SET ROLE cross_dept_query_role; SELECT set_config('app.source_department', '{source}', false);"
                )
                prompt = f"{login}=> {begin}\n{prompt}"
            try:
                cursor = connection.execute(query)
            except psycopg.Error as error:
                message = error.diag.message_primary or str(error)
                if refused is None or refused not in message:
                    raise DemoFailed(f"{prompt} failed: {message}") from error
                return Shown(prompt, f"ERROR:  {message}")
            if refused is not None:
                raise DemoFailed(f"{prompt} was not refused")
            if rows is not None and cursor.rowcount != rows:
                raise DemoFailed(f"{prompt} gave {cursor.rowcount} rows instead of {rows}")
            return Shown(prompt, _as_table(cursor))

    def fill(self, department: Department) -> Shown:
        """Write the demo's rows of a department, as its role, and say how many they were."""
        script = self.compiler.templates.render(f"demo/{department.id}")
        counts = []
        with self._login(department.role) as connection:
            cursor = connection.execute(script)
            while True:
                counts.append(cursor.rowcount)
                if not cursor.nextset():
                    break
        return Shown(f"{department.role}=> \\i templates/demo/{department.id}.sql.j2", f"{sum(counts)} rows")

    def password_file(self, login: str) -> Path:
        """Return where a login's password is kept: a department's under the department's id."""
        return self.secrets / f"{login.removesuffix('_role')}.password"

    def _login(self, login: str) -> psycopg.Connection:
        return psycopg.connect(
            host=self.endpoint.host,
            port=self.endpoint.port,
            dbname=self.endpoint.database,
            user=login,
            password=passwords.read_file(self.password_file(login)).text,
            autocommit=True,
            row_factory=tuple_row,
        )


def _as_table(cursor: psycopg.Cursor[tuple[object, ...]]) -> str:
    """Return rows in aligned columns, as psql has them."""
    if cursor.description is None:
        return cursor.statusmessage or ""
    headings = [column.name for column in cursor.description]
    rows: list[Sequence[str]] = [[str(value) for value in row] for row in cursor.fetchall()]
    widths = [max(len(line[index]) for line in [headings, *rows]) for index in range(len(headings))]
    rule = "-+-".join("-" * width for width in widths)
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in [headings, *rows]
    ]
    plural = "" if len(rows) == 1 else "s"
    return "\n".join(line.rstrip() for line in [lines[0], rule, *lines[1:], f"({len(rows)} row{plural})"])
