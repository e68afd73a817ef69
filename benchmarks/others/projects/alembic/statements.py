"""Runs the statements of `statements.json` for the schema that env.py has chosen."""

import json
from pathlib import Path

from alembic import op

_FOUND = json.loads((Path(__file__).resolve().parent / "statements.json").read_text())


def run(part: str) -> None:
    """Run one part of the file, each statement by itself, as `op.create_table` and its like do."""
    department = op.get_context().version_table_schema.removesuffix("_tenant")
    connection = op.get_bind()
    for statement in _FOUND[part]:
        text = statement.replace(_FOUND["slot"], department)
        connection.exec_driver_sql(text, execution_options={"no_parameters": True})
