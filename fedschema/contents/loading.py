"""What has to stand aside while rows are loaded as they were: walls, triggers and references; and what puts it back.

The owner is bound by FORCE, triggers would change rows (updated_at), and references may lead in circles. A reference or
CHECK that was not validated lets old rows be and would refuse them anew, so it goes and comes back unvalidated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

_PAIRS = """
    WITH relation AS (
        SELECT class.oid, class.relforcerowsecurity
        FROM pg_catalog.pg_depend AS member
        JOIN pg_catalog.pg_class AS class ON class.oid = member.objid
        WHERE member.refclassid = 'pg_catalog.pg_namespace'::regclass
          AND member.refobjid = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(schema)s))
          AND member.classid = 'pg_catalog.pg_class'::regclass
          AND class.relkind IN ('r', 'p') AND class.relname <> 'alembic_version'
          AND class.relowner = 'federation_owner'::regrole
    )
    SELECT pair.before, pair.after FROM (
        SELECT 1 AS step, relation.oid AS table_oid, ''::name AS name,
               format('ALTER TABLE %%s NO FORCE ROW LEVEL SECURITY', relation.oid::regclass) AS before,
               format('ALTER TABLE %%s FORCE ROW LEVEL SECURITY', relation.oid::regclass) AS after
        FROM relation WHERE relation.relforcerowsecurity
        UNION ALL
        SELECT 2, relation.oid, hook.tgname,
               format('ALTER TABLE %%s DISABLE TRIGGER %%I', relation.oid::regclass, hook.tgname),
               format('ALTER TABLE %%s ENABLE %%sTRIGGER %%I', relation.oid::regclass,
                      CASE hook.tgenabled WHEN 'R' THEN 'REPLICA ' WHEN 'A' THEN 'ALWAYS ' ELSE '' END, hook.tgname)
        FROM relation JOIN pg_catalog.pg_trigger AS hook ON hook.tgrelid = relation.oid
        WHERE NOT hook.tgisinternal AND hook.tgenabled <> 'D' AND hook.tgparentid = 0
        UNION ALL
        SELECT 3, relation.oid, rule.conname,
               format('ALTER TABLE %%s ALTER CONSTRAINT %%I DEFERRABLE INITIALLY DEFERRED',
                      relation.oid::regclass, rule.conname),
               format('ALTER TABLE %%s ALTER CONSTRAINT %%I %%s', relation.oid::regclass, rule.conname,
                      CASE WHEN rule.condeferred THEN 'DEFERRABLE INITIALLY DEFERRED'
                           WHEN rule.condeferrable THEN 'DEFERRABLE INITIALLY IMMEDIATE' ELSE 'NOT DEFERRABLE' END)
        FROM relation JOIN pg_catalog.pg_constraint AS rule ON rule.conrelid = relation.oid
        WHERE rule.contype = 'f' AND rule.convalidated AND rule.conparentid = 0 AND NOT rule.condeferred
        UNION ALL
        SELECT 4, relation.oid, rule.conname,
               format('ALTER TABLE %%s DROP CONSTRAINT %%I', relation.oid::regclass, rule.conname),
               format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', relation.oid::regclass, rule.conname,
                      pg_catalog.pg_get_constraintdef(rule.oid))
        FROM relation JOIN pg_catalog.pg_constraint AS rule ON rule.conrelid = relation.oid
        WHERE rule.contype IN ('f', 'c') AND NOT rule.convalidated AND rule.conparentid = 0
    ) AS pair
    ORDER BY pair.step, pair.table_oid::regclass::text, pair.name
"""
_MEET = "SET CONSTRAINTS ALL IMMEDIATE"


@dataclass(frozen=True, slots=True)
class Making:
    """Statements that make room for rows, and those that put all back.

    Attributes:
        before: to be run first, in order.
        after: to be run when the rows are there.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]


def making(connection: psycopg.Connection, schema: str) -> Making:
    """Ask what has to stand aside in a schema; the statements come from the server, which quotes what is in them."""
    pairs = connection.execute(_PAIRS, {"schema": schema}).fetchall()
    return Making(tuple(before for before, _ in pairs), (_MEET, *(after for _, after in reversed(pairs))))


@contextmanager
def room(connection: psycopg.Connection, schema: str) -> Iterator[None]:
    """Make room for rows in the owner's transaction, and put all back; what does not meet its references fails."""
    needed = making(connection, schema)
    for statement in needed.before:
        connection.execute(statement.encode())
    yield
    for statement in needed.after:
        connection.execute(statement.encode())
