"""Sees to it that the rows meet the foreign keys that a migration adds, which PostgreSQL does not see itself here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from fedschema.department import Department
from fedschema.errors import ReferencesUnmet
from fedschema.fleet.offenders import against, references
from fedschema.plans import Plan

_MAY_REFER = re.compile(r"\bREFERENCES\b", re.IGNORECASE)


@contextmanager
def references_met(connection: psycopg.Connection, department: Department, plan: Plan, what: str) -> Iterator[None]:
    """Compare the foreign keys before and after what runs inside, and look at the rows of those that are new.

    PostgreSQL looks for rows that do not meet a new foreign key as the table's owner, and FORCE keeps that one from
    seeing any: it takes the key for valid whatever there is. Nobody can add such a row meanwhile, since making the key
    locks both tables against writers until the transaction ends.

    Args:
        connection: inside an owner's transaction.
        department: whose tables they are.
        plan: what runs inside; where it can add no foreign key nothing is looked at.
        what: the operation, for messages.

    Raises:
        ReferencesUnmet: the transaction has to be rolled back.
    """
    if not plan.needs_connection and not _MAY_REFER.search(plan.script(department)):
        yield
        return
    known = references(connection, department)
    yield
    for reference in sorted(references(connection, department) - known, key=lambda one: one.name):
        if found := against(connection, department, reference):
            raise ReferencesUnmet(what, f"{reference.name} of {reference.table}", str(found))
