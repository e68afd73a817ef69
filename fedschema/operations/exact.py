"""Has revisions' SQL executed as it was written, so that both roads do the same with it.

Alembic reads a string as SQLAlchemy's text: ``:name`` in it is a parameter, ``%`` may be doubled, and offline a tab
becomes four spaces, in string constants too. A revision has no parameters to give; its strings are SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from sqlalchemy.sql.ddl import ExecutableDDLElement


def execute_exactly(context: MigrationContext) -> None:
    r"""Change a migration context so that what it executes is what was written.

    ``\:`` still stands for a colon, as Alembic's manual teaches it.
    """
    impl: Any = context.impl
    ordinary = impl._exec  # noqa: SLF001 - where every statement of every operation passes

    def execute(
        construct: sa.Executable | str,
        execution_options: Mapping[str, Any] | None = None,
        multiparams: Any = None,  # noqa: ANN401 - Alembic's own signature
        params: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        if isinstance(construct, str):
            return _execute_string(context, construct.replace(r"\:", ":"))
        if context.as_sql:
            return _write(context, construct)
        return ordinary(construct, execution_options, multiparams, params or {})

    impl._exec = execute  # noqa: SLF001


def _execute_string(context: MigrationContext, sql: str) -> Any:  # noqa: ANN401 - a result, or nothing
    impl = context.impl
    if context.as_sql:
        return impl.static_output(sql.strip() + impl.command_terminator)
    connection = context.connection
    assert connection is not None  # noqa: S101 - only a script has none
    return connection.exec_driver_sql(sql, execution_options={"no_parameters": True})


def _write(context: MigrationContext, construct: sa.Executable) -> None:
    """Write a construct into the script, with its values in it."""
    literal = {} if isinstance(construct, ExecutableDDLElement) else {"compile_kwargs": {"literal_binds": True}}
    statement: Any = construct
    compiled = str(statement.compile(dialect=context.dialect, **literal))
    context.impl.static_output(compiled.strip() + context.impl.command_terminator)
