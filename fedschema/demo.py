"""The story that `fedschema demo` tells: what is run, as whom, and what has to come back.

Nothing is staged: each command is a process of its own, each query is sent by the role that is named, over TCP with its
own password, and a step that does not end as it should ends the demo.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.rows import tuple_row

from fedschema import passwords, registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.embedded import Endpoint
from fedschema.errors import OperationError

#: Id, display name.
DEPARTMENTS = (("hr", "Human Resources"), ("sales", "Sales"), ("legal", "Legal Department"))

_TIMEOUT_SECONDS = 120
_MARK = '{"made_by": "fedschema demo"}'


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
class Demo:
    """One performance.

    Attributes:
        endpoint: the embedded server.
        compiler: the project.
        secrets: the directory where the departments' passwords are kept.
    """

    endpoint: Endpoint
    compiler: Compiler
    secrets: Path

    def play(self) -> Iterator[Chapter | Shown]:
        """Yield what there is to show, each as soon as it has happened.

        Raises:
            DemoInTheWay: before anything is touched.
            DemoFailed: when something came back that should not have.
        """
        yield from self._prologue()
        yield from self._departments()
        yield from self._isolation()
        yield from self._upgrade()
        yield from self._rollback()

    def _prologue(self) -> Iterator[Chapter | Shown]:
        yield Chapter("The control plane: registry, roles, history")
        yield self._run("fedschema", "init")
        leftovers = self._leftovers()
        if leftovers:
            yield Chapter("An earlier demo's departments go first")
            for department in leftovers:
                yield self._run("fedschema", "tenant", "drop", department.id, "--yes")

    def _departments(self) -> Iterator[Chapter | Shown]:
        yield Chapter("Three departments, each with its own schema, role and 24 tables behind row-level security")
        self.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        for department_id, name in DEPARTMENTS:
            file = self._password_file(department_id)
            file.unlink(missing_ok=True)
            shown_file = os.path.relpath(file)
            yield self._run("fedschema", "tenant", "add", department_id, "--name", name, "--password-file", shown_file)
        self._mark()
        yield self._run("fedschema", "tenant", "list")
        yield Chapter("Each department writes rows of its own, as its own role")
        for department_id, _ in DEPARTMENTS:
            yield self._fill(Department.parse(department_id))

    def _isolation(self) -> Iterator[Chapter | Shown]:
        yield Chapter("HR reads HR")
        yield self._query("hr", "SELECT file_name, left(extracted_text, 40) AS begins FROM drive_document_repository")
        yield Chapter(
            "HR tries to read Sales, to become Sales, and to write as Sales: refused by PostgreSQL, three times"
        )
        yield self._query("hr", "SELECT * FROM sales_tenant.contacts", refused="permission denied")
        yield self._query("hr", "SET ROLE sales_role", refused="permission denied")
        yield self._query(
            "hr",
            "INSERT INTO contacts (contact_id, department) VALUES ('people/x', 'sales')",
            refused="row-level security",
        )

    def _upgrade(self) -> Iterator[Chapter | Shown]:
        yield Chapter("One revision back for HR (plain Alembic), then one release for everybody")
        yield self._run("alembic", "-x", "tenant=hr", "downgrade", "-1")
        yield self._run("fedschema", "status")
        yield self._run("fedschema", "upgrade")

    def _rollback(self) -> Iterator[Chapter | Shown]:
        yield Chapter("A rollback that would lose rows is refused, and names them")
        yield self._run("fedschema", "downgrade", "sales", "--to", "tenant_0001_core", status=1)
        yield Chapter("The history knows all of it")
        yield self._run("fedschema", "history", "hr", "--limit", "4")

    # ------------------------------------------------------------------------------------------------------- stage work

    def _run(self, *words: str, status: int = 0) -> Shown:
        """Run a command of ours as a process and return what it printed."""
        module = {"fedschema": "fedschema", "alembic": "alembic.config"}[words[0]]
        done = subprocess.run(
            [sys.executable, "-m", module, *words[1:]],
            env=os.environ | {"FEDSCHEMA_DATABASE_URL": self.endpoint.url()},
            cwd=self._directory_for(words[0]),
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

    def _directory_for(self, program: str) -> Path | None:
        """Plain Alembic looks for alembic.ini in its working directory."""
        return self.compiler.project.root if program == "alembic" else None

    def _query(self, department_id: str, query: str, refused: str | None = None) -> Shown:
        """Send a query as a department and return its rows, or the refusal that has to come back."""
        department = Department.parse(department_id)
        prompt = f"{department.role}=> {query};"
        with self._login(department) as connection:
            try:
                cursor = connection.execute(query)
            except psycopg.Error as error:
                message = error.diag.message_primary or str(error)
                if refused is None or refused not in message:
                    raise DemoFailed(f"{prompt} failed: {message}") from error
                return Shown(prompt, f"ERROR:  {message}")
            if refused is not None:
                raise DemoFailed(f"{prompt} was not refused")
            return Shown(prompt, _as_table(cursor))

    def _fill(self, department: Department) -> Shown:
        """Write the demo's rows of a department, as its role, and say which tables took how many."""
        rows = self.compiler.templates.render(f"demo/{department.id}")
        counts = []
        with self._login(department) as connection:
            cursor = connection.execute(rows)
            while True:
                counts.append(cursor.rowcount)
                if not cursor.nextset():
                    break
        return Shown(f"{department.role}=> \\i templates/demo/{department.id}.sql.j2", f"{sum(counts)} rows")

    def _login(self, department: Department) -> psycopg.Connection:
        return psycopg.connect(
            host=self.endpoint.host,
            port=self.endpoint.port,
            dbname=self.endpoint.database,
            user=department.role,
            password=passwords.read_file(self._password_file(department.id)).text,
            autocommit=True,
            row_factory=tuple_row,
        )

    def _password_file(self, department_id: str) -> Path:
        return self.secrets / f"{department_id}.password"

    def _leftovers(self) -> list[Department]:
        """Return the departments of an earlier demo.

        Raises:
            DemoInTheWay: when one of that id is somebody's own.
        """
        with connect(self.endpoint.url()) as connection, owner_transaction(connection, "looking for departments"):
            marked = {
                row[0]
                for row in connection.execute(
                    "SELECT department_id FROM federation.departments WHERE config = %s::jsonb", (_MARK,)
                )
            }
            live = {entry.department_id for entry in registry.entries(connection) if entry.is_live}
        mine = [department_id for department_id, _ in DEPARTMENTS if department_id in live]
        for department_id in mine:
            if department_id not in marked:
                raise DemoInTheWay(department_id)
        return [Department.parse(department_id) for department_id in mine]

    def _mark(self) -> None:
        """Write into the registry that the departments are the demo's, so that the next one may drop them."""
        with (
            connect(self.endpoint.url()) as connection,
            owner_transaction(connection, "marking the demo's departments"),
        ):
            connection.execute(
                "UPDATE federation.departments SET config = %s::jsonb WHERE department_id = ANY(%s)",
                (_MARK, [department_id for department_id, _ in DEPARTMENTS]),
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
