"""Asks before something is lost: the department's id has to be typed again."""

from __future__ import annotations

import sys

from fedschema.cli import output
from fedschema.department import Department


def ask_for_id(department: Department, what: str) -> bool:
    """Ask for the id of a department, on stderr, and tell whether it was typed.

    Args:
        department: whose id is wanted.
        what: what typing it means: ``drop it``.
    """
    sys.stderr.write(f"type {department} to {what}: ")
    sys.stderr.flush()
    typed = sys.stdin.readline()
    if not typed.endswith("\n"):
        output.note("")  # nobody there to answer, or no more than this: end the prompt's line
    return typed.strip() == department.id
