"""Counts what is asked of the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest


def questions(work: Callable[[], object]) -> int:
    """Return how many statements some work sends."""
    sent = 0
    real = psycopg.Cursor.execute

    def execute(self: Any, *given: Any, **named: Any) -> Any:
        nonlocal sent
        sent += 1
        return real(self, *given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", execute)
        work()
    return sent
