"""Runs the statements of `statements.json` for the schema that django-tenants has chosen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import migrations

_FILE = Path(__file__).resolve().parent.parent / "statements.json"


def operation(part: str) -> migrations.RunPython:
    """Return an operation that runs one part of the file."""
    found = json.loads(_FILE.read_text())

    def run(_: Any, schema_editor: Any) -> None:
        department = schema_editor.connection.schema_name.removesuffix("_tenant")
        execute: Callable[..., None] = schema_editor.execute
        for statement in found[part]:
            execute(statement.replace(found["slot"], department), params=None)

    return migrations.RunPython(run)
