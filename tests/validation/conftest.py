"""What these tests share: three departments in a database of their own, kept for a whole module.

Holes are opened and closed in place, so a database is made once a module; it and its roles go with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from pytest_postgresql.executors import NoopExecutor

from fedschema import federation
from fedschema.compiler import Compiler
from fedschema.validation import Validation, validate
from tests.conftest import PROJECT, Database, Server, drop_roles, janitor_of

DEPARTMENTS = ("hr", "legal", "sales")
NAME = "fedschema_walls"


def probed(database: Database) -> Validation:
    """Validate every department, by the catalogue and by trying."""
    return validate(database.conninfo, database.compiler, [], by_trying=True)


def told(found: Validation) -> list[str]:
    """Return what was found, one line a hole, for a failing test to show."""
    return [f"{hole.check}: {hole}" for hole in found.holes]


@contextmanager
def fresh_database(server: Server, control_plane: NoopExecutor, *departments: str) -> Iterator[Database]:
    """Make a database with departments; it and every role that was made for it go at the end."""
    compiler = Compiler(PROJECT)
    try:
        with janitor_of(server, NAME, control_plane.template_dbname):
            federation.initialise(server.conninfo(NAME), compiler)
            made = Database(server, NAME, compiler)
            for department in departments:
                made.add(department)
            yield made
    finally:
        drop_roles(server, NAME)


@pytest.fixture(scope="module")
def walled(server: Server, control_plane: NoopExecutor) -> Iterator[Database]:
    """A database with the departments hr, legal and sales, for a whole module."""
    with fresh_database(server, control_plane, *DEPARTMENTS) as made:
        yield made


@pytest.fixture(scope="module")
def root(walled: Database) -> Iterator[psycopg.Connection]:
    """The superuser."""
    with walled.connect() as connection:
        yield connection
