"""A fleet whose next revisions build an index, or fill a column, outside the departments' transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg
from psycopg import sql

from tests.conftest import Database
from tests.fleet.conftest import Fleet, MakeFleet

INDEX = "tenant_9002_index"
FILLED = "tenant_9002_filled"
NAME = "idx_contacts_busy"
ROWS = 500
TEMPLATE = "CREATE {unique}INDEX {name} ON {{{{ department.schema | ident }}}}.contacts ({columns});\n"


def with_rows(database: Database, *departments: str, first: int = 1, rows: int = ROWS) -> None:
    """Put rows into the departments' contacts."""
    with database.connect() as connection:
        for department in departments:
            connection.execute(
                sql.SQL(
                    "INSERT INTO {} (contact_id, full_name) SELECT n, 'Name ' || n FROM generate_series({}, {}) AS n"
                ).format(
                    sql.Identifier(f"{department}_tenant", "contacts"),
                    sql.Literal(first),
                    sql.Literal(first + rows - 1),
                )
            )


def add_index_revision(fleet: Fleet, *, after: str, columns: str = "full_name", unique: bool = False) -> None:
    """Write a revision that builds an index concurrently."""
    templates = fleet.project.directory / "templates" / "tenant" / "building"
    templates.mkdir(exist_ok=True)
    text = TEMPLATE.format(unique="UNIQUE " if unique else "", name=NAME, columns=columns)
    (templates / f"{NAME}.sql.j2").write_text(text)
    arguments = f'"{NAME}", table="contacts", template="tenant/building/{NAME}"'
    fleet.project.add_revision(
        "tenant",
        INDEX,
        f"op.create_index_concurrently({arguments})",
        f"op.drop_index_concurrently({arguments})",
        after=after,
    )


def add_backfill_revision(fleet: Fleet, *, after: str, options: str = "", where: str = "nickname IS NULL") -> None:
    """Write a revision that fills the column nickname."""
    fleet.project.add_revision(
        "tenant",
        FILLED,
        f'op.backfill("contacts", assign="nickname = lower(full_name)", where="{where}"{options})',
        after=after,
    )


def make_busy_fleet(make_fleet: MakeFleet, count: int) -> Fleet:
    """Add departments with rows, at the revision that has the column nickname."""
    fleet = make_fleet(count)
    assert fleet.type_in("upgrade").status == 0
    with_rows(fleet.database, *fleet.ids)
    return fleet


def revision_of(database: Database, department: str) -> str:
    """Return where a department is, by its version table."""
    return str(_asked(database, department, "SELECT string_agg(version_num, ',') FROM {schema}.alembic_version"))


def _asked(database: Database, department: str, question: LiteralString) -> object:
    """Ask a department's schema for one value."""
    with database.connect() as connection:
        row = connection.execute(sql.SQL(question).format(schema=sql.Identifier(f"{department}_tenant"))).fetchone()
    assert row is not None
    return row[0]


def indexes(database: Database, department: str) -> dict[str, bool]:
    """Return the indexes of a department's contacts that revisions of these tests made, and whether each is valid."""
    with database.connect() as connection:
        rows = connection.execute(
            """
            SELECT class.relname, index.indisvalid
            FROM pg_index AS index JOIN pg_class AS class ON class.oid = index.indexrelid
            WHERE index.indrelid = %s::regclass AND class.relname LIKE 'idx_contacts_busy%%'
            """,
            (f"{department}_tenant.contacts",),
        ).fetchall()
    return dict(rows)


def unfilled(database: Database, department: str) -> int:
    """Count the rows without a nickname."""
    return int(str(_asked(database, department, "SELECT count(*) FROM {schema}.contacts WHERE nickname IS NULL")))


@contextmanager
def writing(database: Database, department: str) -> Iterator[psycopg.Connection]:
    """Have a transaction open that wrote into a department's contacts: an index waits for it."""
    with psycopg.connect(database.conninfo) as connection:
        connection.execute(
            sql.SQL("INSERT INTO {} (contact_id, full_name) VALUES ('w', 'Writer')").format(
                sql.Identifier(f"{department}_tenant", "contacts")
            )
        )
        yield connection
        connection.rollback()


def building(watcher: psycopg.Connection) -> list[int]:
    """List the server processes that build an index concurrently."""
    rows = watcher.execute(
        """
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'
          AND query LIKE '%INDEX CONCURRENTLY%'
        """
    ).fetchall()
    return [pid for (pid,) in rows]
