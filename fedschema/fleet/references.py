"""Sees to it that the rows meet the foreign keys that a migration adds, which PostgreSQL does not see itself here.

It looks for rows that do not meet a new foreign key as the table's owner, and FORCE keeps that one from seeing any: it
takes the key for valid whatever there is (manual section "Row Security Policies"; RI_Initial_Check in ri_triggers.c
asks a query, unlike what checks the other constraints).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from fedschema.department import Department
from fedschema.errors import ReferencesUnmet
from fedschema.fleet.offenders import against
from fedschema.fleet.rows import Offenders
from fedschema.plans import Plan

#: No foreign key begins to count as met without one of these; SQL that has none of them needs no look.
_MAY_REFER = re.compile(r"\b(?:REFERENCES|VALIDATE|ENFORCED|ATTACH)\b", re.IGNORECASE)

_REFERENCES = """
    SELECT reference.oid::bigint, class.relname::text, reference.conname::text
    FROM pg_catalog.pg_constraint AS reference
    JOIN pg_catalog.pg_class AS class ON class.oid = reference.conrelid
    WHERE reference.connamespace = pg_catalog.to_regnamespace(%(schema)s)
      AND reference.contype = 'f' AND reference.convalidated
"""


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key."""

    oid: int
    table: str
    name: str


def references(connection: psycopg.Connection, department: Department) -> frozenset[Reference]:
    """Return the foreign keys of a department that count as met; one that is NOT VALID does not yet."""
    rows = connection.execute(_REFERENCES, {"schema": department.schema}).fetchall()
    return frozenset(Reference(*row) for row in rows)


def unmet(
    connection: psycopg.Connection, department: Department, known: frozenset[Reference], what: str
) -> tuple[ReferencesUnmet, Offenders] | None:
    """Find a foreign key that counts as met since a while and is not, and the rows that do not meet it.

    Args:
        connection: inside the owner's transaction since when they are new.
        department: whose tables they are.
        known: those that counted before, from `references`.
        what: the operation, for messages.
    """
    for reference in sorted(references(connection, department) - known, key=lambda one: one.name):
        if found := against(connection, department, reference.table, reference.name):
            return ReferencesUnmet(what, f"{reference.name} of {reference.table}", str(found)), found
    return None


@contextmanager
def met(connection: psycopg.Connection, department: Department, what: str) -> Iterator[None]:
    """Compare the foreign keys before and after what runs inside, and look at the rows of those that are new.

    Nobody can add such a row meanwhile, since making the key locks both tables against writers until the transaction
    ends; and while a key is only validated, it holds for new rows already.

    Args:
        connection: inside an owner's transaction.
        department: whose tables they are.
        what: the operation, for messages.

    Raises:
        ReferencesUnmet: the transaction has to be rolled back.
    """
    known = references(connection, department)
    yield
    if found := unmet(connection, department, known, what):
        raise found[0]


@contextmanager
def references_met(connection: psycopg.Connection, department: Department, plan: Plan, what: str) -> Iterator[None]:
    """Do as `met` does, unless a plan can make no foreign key count.

    Args:
        connection: inside an owner's transaction.
        department: whose tables they are.
        plan: what runs inside.
        what: the operation, for messages.

    Raises:
        ReferencesUnmet: the transaction has to be rolled back.
    """
    if not plan.needs_connection and not _MAY_REFER.search(plan.script(department)):
        yield
        return
    with met(connection, department, what):
        yield
