"""Compiles revisions into a plan: runs them in Alembic's offline mode, once, for the department that stands for all.

While a revision is compiled there is no database: a question to it is refused, since offline Alembic would otherwise
answer None and silently skip what depended on the answer.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import HeadMaintainer, MigrationContext, RevisionStep, StampStep
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.sql.ddl import ExecutableDDLElement

from fedschema import statements
from fedschema.errors import CompilationFailed, NoWayBack
from fedschema.lineages import Lineage
from fedschema.nontransactional import Nontransactional
from fedschema.operations import OPTION, RevisionTarget, execute_exactly
from fedschema.plans import SLOT, Direction, Plan, PlanStep
from fedschema.rendering import Templates
from fedschema.versions import FEDERATION, VERSION_TABLE, Heads

_ENDS_TRANSACTION = re.compile(
    r"(?:COMMIT|END|ROLLBACK(?!\s+(?:WORK\s+|TRANSACTION\s+)?TO)|ABORT|BEGIN|START|PREPARE\s+TRANSACTION)\b",
    re.IGNORECASE,
)


def compile_steps(
    lineage: Lineage,
    templates: Templates,
    start: Heads,
    steps: Sequence[RevisionStep | StampStep],
    operations: Callable[[MigrationContext], Operations] = Operations,
) -> Plan:
    """Run steps of a lineage offline and return what they wrote as a plan from `start`.

    Args:
        lineage: whose revisions they are.
        templates: what they are rendered from.
        start: where they begin.
        steps: what to run.
        operations: makes what `op` is meanwhile; other ones watch what the revisions do.

    Raises:
        CompilationFailed: when a revision fails, needs a connection and does not say so, or ends its transaction.
    """
    buffer = io.StringIO()
    slot = SLOT if lineage.department else None
    target = RevisionTarget(templates, slot)
    context = _offline_context(buffer, slot.schema if slot else FEDERATION, target)
    heads = HeadMaintainer(context, start)
    compiled = []
    with _installed(operations(context)):
        for step in steps:
            online = _needs_connection(step)
            sql = "" if online else _written_by(buffer, step)
            apart = _nontransactional(step, sql, target)
            heads.update_to_step(step)
            end = tuple(sorted(heads.heads))
            compiled.append(
                PlanStep(
                    name_of(step),
                    _direction(step),
                    sql,
                    _drain(buffer),
                    end,
                    recorded=slot is not None or bool(end),
                    online=online,
                    nontransactional=apart,
                    carried=tuple(target.carried),
                    begins_leg=target.begins_leg,
                )
            )
            target.carried.clear()
            target.begins_leg = False
    return Plan(start, tuple(sorted(heads.heads)), tuple(compiled), tuple(target.walls.values()))


@contextmanager
def _installed(operations: Operations) -> Iterator[None]:
    """Let `alembic.op` be these operations, as Operations.context does with its own."""
    operations._install_proxy()  # noqa: SLF001
    try:
        yield
    finally:
        operations._remove_proxy()  # noqa: SLF001


def _needs_connection(step: RevisionStep | StampStep) -> bool:
    return isinstance(step, RevisionStep) and bool(getattr(step.revision.module, "online", False))


def name_of(step: RevisionStep | StampStep) -> str:
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
        if isinstance(step, RevisionStep) and not step.is_upgrade and raised_on_purpose(error, step.revision.path):
            raise NoWayBack(name_of(step), " ".join(str(error).split())) from error
        raise CompilationFailed(
            f"revision {name_of(step)} cannot be compiled: {type(error).__name__}: {error}",
            "mend the revision, or set online = True in it if it has to read from the database",
        ) from error
    sql = _drain(buffer)
    if ending := next(
        (part for part in statements.split(sql) if _ENDS_TRANSACTION.match(statements.headline(part))), None
    ):
        raise CompilationFailed(
            f"revision {name_of(step)} would end its own transaction: {statements.headline(ending)}",
            "a department moves in one transaction; leave autocommit_block, COMMIT and ROLLBACK out of the revision",
        )
    return sql


def raised_on_purpose(error: BaseException, file: str) -> bool:
    """Tell whether a revision raised an error to say that it cannot be taken back, rather than by a slip.

    Args:
        error: what came out of its downgrade.
        file: of the revision: what is raised elsewhere is not the revision's word.
    """
    if isinstance(error, NotImplementedError):
        return True
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    raised_there = at is not None and at.tb_frame.f_code.co_filename == file
    return raised_there and not isinstance(error, _SLIPS)


#: What Python raises where somebody made a mistake.
_SLIPS = (NameError, TypeError, AttributeError, LookupError, ImportError, ArithmeticError, AssertionError, OSError)


def _nontransactional(step: RevisionStep | StampStep, sql: str, target: RevisionTarget) -> Nontransactional | None:
    """Take what a revision wants done outside the transaction, which has to be all that it does."""
    wanted = tuple(target.nontransactional)
    target.nontransactional.clear()
    if not wanted:
        return None
    (todo, ordinary), *more = wanted
    if more or sql.strip() != ordinary.strip():
        raise CompilationFailed(
            f"revision {name_of(step)} does more than one thing, and one of them outside its transaction",
            "put op.create_index_concurrently, op.drop_index_concurrently and op.backfill into revisions of their own",
        )
    return todo


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
    context = MigrationContext(postgresql.dialect(paramstyle="named"), None, options)  # type: ignore[no-untyped-call]
    context._version.implicit_returning = False  # noqa: SLF001 - a script's reader has no use for what it returns

    def execute(construct: sa.Executable, *_: Any, **__: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own signature
        if not isinstance(construct, ExecutableDDLElement):
            raise CompilationFailed(
                "a revision asks the database while it is compiled",
                "use op.execute for a statement; set online = True in the revision if it needs the answer",
            )
        context.impl.execute(construct)

    execute_exactly(context)
    connection: Any = MockConnection(context.dialect, execute)
    context.connection = context.impl.connection = connection
    return context
