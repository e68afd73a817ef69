"""What a revision writes, in either direction, and which of its lines wrote what: it is run offline, and watched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import jinja2.meta
from alembic.operations import MigrateOperation, Operations
from alembic.operations.ops import ExecuteSQLOp
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import Script

from fedschema import statements
from fedschema.compilation import compile_steps
from fedschema.errors import CompilationFailed
from fedschema.lineages import Lineage
from fedschema.plans import PlanStep
from fedschema.policies import Wall
from fedschema.rendering import Templates

Way = Literal["upgrade", "downgrade"]


@dataclass(frozen=True, slots=True)
class Passage:
    """What one operation of a revision wrote.

    Attributes:
        operation: its class's name.
        is_raw: it is one of Alembic's own that deals with tables and the like.
        line: the line of the revision that asked for it; None when it is asked for elsewhere.
        start: where what it wrote begins.
        end: where it ends.
    """

    operation: str
    is_raw: bool
    line: int | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Writing:
    """What a revision writes in one direction.

    Attributes:
        way: the direction.
        step: what it came to; None when it cannot be compiled.
        passages: by whom what was written.
        walls: of the tables that it made and that stand after it.
        templates: those that it rendered, and those that they include.
        error: why it cannot be compiled, or None.
    """

    way: Way
    step: PlanStep | None
    passages: tuple[Passage, ...]
    walls: tuple[Wall, ...]
    templates: frozenset[str]
    error: CompilationFailed | None

    @property
    def sql(self) -> str:
        """The SQL, with slots; empty when there is none."""
        return self.step.sql if self.step else ""

    @property
    def does_something(self) -> bool:
        """There is SQL, or work that is done outside the transaction."""
        return bool(self.step and (statements.split(self.step.sql) or self.step.nontransactional or self.step.online))

    def passage_at(self, offset: int) -> Passage | None:
        """Return who wrote what stands at an offset of the SQL; None when no operation did."""
        return next((one for one in self.passages if one.start <= offset < one.end), None)


def write(lineage: Lineage, templates: Path, script: Script, way: Way) -> Writing:
    """Run one direction of a revision offline and return what it wrote. A failure is part of the answer."""
    file = script.module.__file__ or ""
    passages: list[Passage] = []
    rendered = _Noting(templates)
    watched = _watching(file, passages)
    try:
        step = RevisionStep(lineage.script.revision_map, script, is_upgrade=way == "upgrade")
        start = step.from_revisions if way == "upgrade" else (script.revision,)
        plan = compile_steps(lineage, rendered, tuple(start), [step], watched)
    except CompilationFailed as error:
        return Writing(way, None, tuple(passages), (), rendered.closure, error)
    except AttributeError as error:  # it has no such function at all
        failure = CompilationFailed(f"revision {script.revision}: {error}", None)
        return Writing(way, None, tuple(passages), (), rendered.closure, failure)
    return Writing(way, plan.steps[0], tuple(passages), plan.walls, rendered.closure, None)


def _watching(file: str, passages: list[Passage]) -> Callable[[MigrationContext], Operations]:
    """Return what makes operations that note who wrote what; what an operation asks of another is its own."""

    def make(context: MigrationContext) -> Operations:
        operations = Operations(context)
        ordinary = operations.invoke
        buffer: Any = context.output_buffer  # a StringIO, in which one can ask where one is
        depth = 0

        def invoke(operation: MigrateOperation) -> Any:  # noqa: ANN401 - Alembic's own signature
            nonlocal depth
            start, line = buffer.tell(), _line_in(file)
            depth += 1
            try:
                return ordinary(operation)
            finally:
                depth -= 1
                if depth == 0:
                    name = type(operation).__name__
                    passages.append(Passage(name, _is_raw(operation), line, start, buffer.tell()))

        watched: Any = operations  # Alembic proxies its own class and no other
        watched.invoke = invoke
        return operations

    return make


def _is_raw(operation: MigrateOperation) -> bool:
    return type(operation).__module__.startswith("alembic.") and not isinstance(operation, ExecuteSQLOp)


def _line_in(file: str) -> int | None:
    """Return the line of a file that is being run, the innermost one."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - who asked is on the stack and nowhere else
    while frame is not None:
        if frame.f_code.co_filename == file:
            return frame.f_lineno
        frame = frame.f_back
    return None


class _Noting(Templates):
    """Templates that note which of them are rendered."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.rendered: set[str] = set()

    def render(self, name: str, /, **values: Any) -> str:  # noqa: ANN401 - whatever the template asks for
        self.rendered.add(name)
        return super().render(name, **values)

    @property
    def closure(self) -> frozenset[str]:
        """Those that were rendered, with what they include."""
        found: set[str] = set()
        left = sorted(self.rendered)
        while left:
            name = left.pop()
            file = self.directory / f"{name}.sql.j2"
            if name in found or not file.is_file():
                continue
            found.add(name)
            left += _included(self._environment, file.read_text(encoding="utf-8"))
        return frozenset(found)


def _included(environment: jinja2.Environment, text: str) -> Iterable[str]:
    try:
        names = jinja2.meta.find_referenced_templates(environment.parse(text))
        return [name.removesuffix(".sql.j2") for name in names if name]
    except jinja2.TemplateSyntaxError:
        return []  # rendering it says what is wrong
