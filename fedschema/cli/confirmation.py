"""Asks before something is lost: the department's id has to be typed again."""

from __future__ import annotations

import typer

from fedschema.department import Department


def ask_for_id(department: Department, what: str) -> bool:
    """Ask for the id of a department and tell whether it was typed.

    Args:
        department: whose id is wanted.
        what: what typing it means: ``drop it``.
    """
    try:
        typed: str = typer.prompt(f"type {department} to {what}", default="", show_default=False, err=True)
    except typer.Abort:
        return False  # nobody there to answer
    return typed == department.id
