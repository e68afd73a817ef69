"""What tests of previews share: everything that could be left behind, and the revisions that are looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from psycopg import sql

from tests.conftest import Database
from tests.fleet.conftest import AFTER, BEFORE, SCHEMA
from tests.migrations.catalogue import describe_department
from tests.migrations.conftest import CopiedProject

Everything = dict[str, Any]
Look = Callable[..., dict[str, Any]]

_CATALOGUE = {
    "roles": "SELECT rolname, rolpassword FROM pg_authid ORDER BY 1",
    "memberships": "SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members ORDER BY 1, 2",
    "schemas": "SELECT nspname, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp' ORDER BY 1",
    "relations": "SELECT oid, relname, relfilenode FROM pg_class ORDER BY 1",
    "functions": "SELECT oid, proname FROM pg_proc ORDER BY 1",
    "shared comments": "SELECT objoid, description FROM pg_shdescription ORDER BY 1",
}


def everything(database: Database) -> Everything:
    """Return all that a rehearsal could leave: roles, schemas, objects, and each row of each table."""
    with database.connect() as connection:
        found: Everything = {name: connection.execute(query.encode()).fetchall() for name, query in _CATALOGUE.items()}
        tables = connection.execute(
            r"""
            SELECT schemaname, tablename FROM pg_tables
            WHERE schemaname = 'federation' OR schemaname LIKE '%\_tenant'
            """
        ).fetchall()
        for schema, table in sorted(tables):
            name = sql.Identifier(schema, table)
            query = sql.SQL("SELECT t::text FROM {} AS t ORDER BY 1").format(name)
            found[f"{schema}.{table}"] = connection.execute(query).fetchall()
    return found


def revise(
    project: CopiedProject, *statements: str, revision: str = AFTER, after: str = BEFORE, online: bool = False
) -> None:
    """Write the revision that comes: statements with `{schema}` for the department's."""
    body = "\n".join(f'op.execute(f"""{statement}""")' for statement in statements)
    project.add_revision("tenant", revision, SCHEMA + body, after=after, online=online)


def own(statements: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what keeps the books."""
    return [one for one in statements if not one["bookkeeping"]]


def strongest(statement: dict[str, Any]) -> str | None:
    """Return the strongest lock, as people see it."""
    locks = statement["locks"]
    return f"{locks[0]['mode']} {locks[0]['relation']}" if locks else None


__all__ = ["describe_department", "everything", "own", "revise", "strongest"]
