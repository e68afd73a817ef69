"""The story that `fedschema demo` tells: what is run, as whom, and what has to come back.

Nothing is staged: each command is a process of its own, each query is sent by the role that is named, over TCP with its
own password, and a step that does not end as it should ends the demo.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fedschema import registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.demo.stage import Chapter, DemoInTheWay, Shown, Stage
from fedschema.department import Department
from fedschema.embedded import Endpoint

#: Id, display name.
DEPARTMENTS = (("hr", "Human Resources"), ("sales", "Sales"), ("legal", "Legal Department"))

GATEWAY = "demo_gateway"

_MARK = '{"made_by": "fedschema demo"}'


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

    @property
    def _stage(self) -> Stage:
        return Stage(self.endpoint, self.compiler, self.secrets)

    def play(self) -> Iterator[Chapter | Shown]:
        """Yield what there is to show, each as soon as it has happened.

        Raises:
            DemoInTheWay: before anything is touched.
            DemoFailed: when something came back that should not have.
        """
        yield from self._prologue()
        yield from self._departments()
        yield from self._isolation()
        yield from self._sharing()
        yield from self._proof()
        yield from self._upgrade()
        yield from self._rollback()

    def _prologue(self) -> Iterator[Chapter | Shown]:
        yield Chapter("The control plane: registry, roles, history")
        yield self._stage.run("fedschema", "init")
        leftovers = self._leftovers()
        if leftovers:
            yield Chapter("An earlier demo's departments go first")
            for department in leftovers:
                yield self._stage.run("fedschema", "tenant", "drop", department.id, "--yes")

    def _departments(self) -> Iterator[Chapter | Shown]:
        yield Chapter("Three departments, each with its own schema, role and 24 tables behind row-level security")
        self.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        for department_id, name in DEPARTMENTS:
            file = self._stage.password_file(Department.parse(department_id).role)
            file.unlink(missing_ok=True)
            shown_file = os.path.relpath(file)
            yield self._stage.run(
                "fedschema", "tenant", "add", department_id, "--name", name, "--password-file", shown_file
            )
        self._mark()
        yield self._stage.run("fedschema", "tenant", "list")
        yield Chapter("Each department writes rows of its own, as its own role")
        for department_id, _ in DEPARTMENTS:
            yield self._stage.fill(Department.parse(department_id))

    def _isolation(self) -> Iterator[Chapter | Shown]:
        yield Chapter("HR reads HR")
        yield self._stage.query(
            "hr_role", "SELECT file_name, left(extracted_text, 40) AS begins FROM drive_document_repository"
        )
        yield Chapter(
            "HR tries to read Sales, to become Sales, and to write as Sales: refused by PostgreSQL, three times"
        )
        yield self._stage.query("hr_role", "SELECT * FROM sales_tenant.contacts", refused="permission denied")
        yield self._stage.query("hr_role", "SET ROLE sales_role", refused="permission denied")
        yield self._stage.query(
            "hr_role",
            "INSERT INTO contacts (contact_id, department) VALUES ('people/x', 'sales')",
            refused="row-level security",
        )

    def _sharing(self) -> Iterator[Chapter | Shown]:
        look = "SELECT file_name, left(extracted_text, 40) AS begins FROM sales_tenant.drive_document_repository"
        yield Chapter("A gateway asks on behalf of HR: nothing, as long as nobody has granted it")
        yield from self._gateway()
        yield self._stage.query(GATEWAY, look, source="hr", rows=0)
        yield Chapter("Sales' documents are granted to HR for thirty days, and nothing else is")
        grant = ("--resource", "drive_documents", "--expires", "30d", "--by", "admin@company.com")
        yield self._stage.run("fedschema", "grant", "hr", "sales", "--type", "read", *grant)
        yield self._stage.query(GATEWAY, look, source="hr", rows=2)
        yield self._stage.query(GATEWAY, "SELECT full_name FROM sales_tenant.contacts", source="hr", rows=0)
        yield Chapter("A grant to search gives passages, never whole texts")
        yield self._stage.run("fedschema", "grant", "hr", "sales", "--type", "search", *grant)
        search = "SELECT name, snippet FROM federation.search('sales', 'drive_documents', 'q4 report')"
        yield self._stage.query(GATEWAY, search, source="hr", rows=1)
        yield Chapter("Every attempt is on record, the refused ones too")
        yield self._stage.run("fedschema", "audit", "--since", "1h", "--limit", "4")

    def _gateway(self) -> Iterator[Shown]:
        """Make the gateway's login; one that an earlier demo left gets a password that is known again."""
        file = self._stage.password_file(GATEWAY)
        file.unlink(missing_ok=True)
        shown = os.path.relpath(file)
        yield self._stage.run("fedschema", "gateway", "add", GATEWAY, "--department", "hr", "--password-file", shown)
        if not file.exists():
            yield self._stage.run("fedschema", "gateway", "rotate", GATEWAY, "--password-file", shown)

    def _proof(self) -> Iterator[Chapter | Shown]:
        yield Chapter("A proof that this is all that anybody can see of anybody: every department tries")
        yield self._stage.run("fedschema", "validate", "--probe")

    def _upgrade(self) -> Iterator[Chapter | Shown]:
        yield Chapter("One revision back for HR (plain Alembic), then one release for everybody")
        yield self._stage.run("alembic", "-x", "tenant=hr", "downgrade", "-1")
        yield self._stage.run("fedschema", "status")
        yield self._stage.run("fedschema", "upgrade")

    def _rollback(self) -> Iterator[Chapter | Shown]:
        yield Chapter("A rollback that would lose rows is refused, and names them")
        yield self._stage.run("fedschema", "downgrade", "sales", "--to", "tenant_0001_core", status=1)
        yield Chapter("The history knows all of it")
        yield self._stage.run("fedschema", "history", "hr", "--limit", "4")

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
