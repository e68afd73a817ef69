"""Compiles the revisions between two points once, into SQL with the department's names as slots.

Alembic's `op` is one per process and sends each statement by itself; a department has some 260 of them. So revisions
are not run a thousand times: they run once, in Alembic's offline mode with the same operations, for a department that
stands for all (`_SLOT`), and what they wrote becomes a `Plan`. A plan is then filled in for a department by replacing
the slot, and goes to the server as one message.

A revision that has to look at data while it runs says ``online = True`` and cannot be compiled; see
`Plan.needs_connection`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import HeadMaintainer, MigrationContext, RevisionStep, StampStep
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.sql.ddl import ExecutableDDLElement

from fedschema.department import Department
from fedschema.errors import CompilationFailed
from fedschema.lineages import FEDERATION, Heads, Lineage
from fedschema.operations import OPTION, RevisionTarget
from fedschema.policies import Wall
from fedschema.rendering import Templates, quote_literal
from fedschema.settings import Project

Direction = Literal["upgrade", "downgrade", "stamp"]

#: Stands for every department while a plan is compiled. No id that somebody types becomes this one: it is too long.
_SLOT = Department("department_slot_" + "x" * 60)

VERSION_TABLE = "alembic_version"


@dataclass(frozen=True, slots=True)
class PlanStep:
    """What one revision does, for any department.

    Attributes:
        revision: its id.
        direction: ``upgrade``, ``downgrade`` or ``stamp``.
        sql: what the revision's script wrote, with slots.
        version_sql: what moves the version table along, with slots.
        recorded: False only for the step that takes the history itself away.
    """

    revision: str
    direction: Direction
    sql: str
    version_sql: str
    recorded: bool = True

    @property
    def checksum(self) -> str | None:
        """A fingerprint of the SQL, the same for every department: kept in the history. A stamp has none."""
        return f"sha256:{hashlib.sha256(self.sql.encode()).hexdigest()}" if self.sql else None

    def script(self, department: Department | None) -> str:
        """Return the step for one department (None: the control plane), with its row of history."""
        parts = [f"-- {self.direction} {self.revision}\n", self.sql, self.version_sql]
        if self.recorded:
            owner = quote_literal(department.id if department else FEDERATION)
            values = ", ".join(quote_literal(value) for value in (self.revision, self.direction, self.checksum))
            parts.append(f"CALL federation.record_migration({owner}, {values});\n")
        return _fill("".join(parts), department)


@dataclass(frozen=True, slots=True)
class Plan:
    """The revisions between two points.

    Attributes:
        start: the version table's rows where the plan begins.
        end: its rows where the plan ends.
        steps: what lies between, in order; empty when there is nothing to do.
        walls: the walls of the tables that the steps made and that stand at the end.
        needs_connection: the ids of the revisions that have to run the ordinary way.
    """

    start: Heads
    end: Heads
    steps: tuple[PlanStep, ...]
    walls: tuple[Wall, ...] = ()
    needs_connection: tuple[str, ...] = ()

    def script(self, department: Department | None) -> str:
        """Return all steps for one department, one after another."""
        return "\n".join(step.script(department) for step in self.steps)


def _fill(sql: str, department: Department | None) -> str:
    return sql if department is None else sql.replace(_SLOT.id, department.id)


class Compiler:
    """Compiles plans of one project and keeps them, so that a fleet's departments at the same place share one.

    Args:
        project: where the revisions and the templates are; read once.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.templates = Templates(project.templates)
        self._plans: dict[tuple[object, ...], Plan] = {}
        self._lineages: dict[bool, Lineage] = {}

    def lineage(self, department: Department | None) -> Lineage:
        """Return the revisions of a department, or of the control plane."""
        kind = department is None
        if kind not in self._lineages:
            self._lineages[kind] = Lineage.load(self.project, department)
        loaded = self._lineages[kind]
        return loaded if department is None else loaded.of(department)

    def upgrade(self, department: Department | None, start: Heads, destination: str) -> Plan:
        """Compile the way up from `start` to `destination`.

        Raises:
            UnknownRevision, ForeignRevision: see `Lineage.upgrade_steps`.
            CompilationFailed: when a revision fails, or needs a connection and does not say so.
        """
        lineage = self.lineage(department)
        return self._kept("upgrade", lineage, start, lineage.upgrade_steps(start, destination))

    def downgrade(self, department: Department | None, start: Heads, destination: str) -> Plan:
        """Compile the way down from `start` to `destination`; raises as `upgrade` does."""
        lineage = self.lineage(department)
        return self._kept("downgrade", lineage, start, lineage.downgrade_steps(start, destination))

    def stamp(self, department: Department | None, start: Heads, destinations: tuple[str, ...]) -> Plan:
        """Compile what writes `destinations` into the version table without running anything."""
        lineage = self.lineage(department)
        return self._kept("stamp", lineage, start, lineage.stamp_steps(start, destinations))

    def _kept(self, kind: str, lineage: Lineage, start: Heads, steps: Sequence[RevisionStep | StampStep]) -> Plan:
        key = (kind, lineage.trunk, tuple(sorted(start)), tuple(_name(step) for step in steps))
        if key not in self._plans:
            self._plans[key] = _compile(lineage, self.templates, start, steps)
        return self._plans[key]


def _compile(lineage: Lineage, templates: Templates, start: Heads, steps: Sequence[RevisionStep | StampStep]) -> Plan:
    if online := tuple(_name(step) for step in steps if _needs_connection(step)):
        return Plan(start, (), (), needs_connection=online)
    buffer = io.StringIO()
    slot = _SLOT if lineage.department else None
    target = RevisionTarget(templates, slot)
    context = _offline_context(buffer, slot.schema if slot else FEDERATION, target)
    heads = HeadMaintainer(context, start)
    compiled = []
    with Operations.context(context):
        for step in steps:
            sql = _written_by(buffer, step)
            heads.update_to_step(step)
            recorded = slot is not None or bool(heads.heads)
            compiled.append(PlanStep(_name(step), _direction(step), sql, _drain(buffer), recorded))
    return Plan(start, tuple(sorted(heads.heads)), tuple(compiled), tuple(target.walls.values()))


def _needs_connection(step: RevisionStep | StampStep) -> bool:
    return isinstance(step, RevisionStep) and bool(getattr(step.revision.module, "online", False))


def _name(step: RevisionStep | StampStep) -> str:
    """Return the revision that a step is about: for a stamp, the one that is written."""
    if isinstance(step, RevisionStep):
        return step.revision.revision
    return ", ".join(step.to_revisions) or "base"


def _direction(step: RevisionStep | StampStep) -> Direction:
    if isinstance(step, StampStep):
        return "stamp"
    return "upgrade" if step.is_upgrade else "downgrade"


def _written_by(buffer: io.StringIO, step: RevisionStep | StampStep) -> str:
    """Run one step of a revision and return the SQL that it wrote."""
    try:
        step.migration_fn()
    except Exception as error:
        raise CompilationFailed(
            f"revision {_name(step)} cannot be compiled: {type(error).__name__}: {error}",
            "mend the revision, or set online = True in it if it has to read from the database",
        ) from error
    return _drain(buffer)


def _drain(buffer: io.StringIO) -> str:
    """Take what was written since the last time."""
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _offline_context(buffer: io.StringIO, schema: str, target: RevisionTarget) -> MigrationContext:
    """Return a migration context that writes SQL and refuses every question."""
    options: dict[str, Any] = {
        "as_sql": True,
        "output_buffer": buffer,
        "literal_binds": True,
        "version_table": VERSION_TABLE,
        "version_table_schema": schema,
        OPTION: target,
    }
    context = MigrationContext(postgresql.dialect(), None, options)  # type: ignore[no-untyped-call]
    context._version.implicit_returning = False  # noqa: SLF001 - a script's reader has no use for what it returns

    def execute(construct: sa.Executable, *_: Any, **__: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own signature
        if not isinstance(construct, ExecutableDDLElement):
            raise CompilationFailed(
                "a revision asks the database while it is compiled",
                "use op.execute for a statement; set online = True in the revision if it needs the answer",
            )
        context.impl.execute(construct)

    connection: Any = MockConnection(context.dialect, execute)
    context.connection = context.impl.connection = connection
    return context
