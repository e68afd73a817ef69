"""How the database is reached: by its URL, and past a pooler where something needs a session of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from fedschema.connections import BECOME_OWNER, connect, translated
from fedschema.errors import DirectUrlElsewhere, SessionNeeded


@dataclass(frozen=True, slots=True)
class Reach:
    """How the database is reached.

    Attributes:
        conninfo: the database; see `fedschema.addresses.conninfo_of`.
        direct: the same past a pooler, for what needs a session of its own; None where there is no pooler.
    """

    conninfo: str
    direct: str | None = None

    @contextmanager
    def session(self, connection: psycopg.Connection, what: str) -> Iterator[psycopg.Connection]:
        """Open a session that is federation_owner from end to end, for statements that no transaction may hold.

        Args:
            connection: leads to where the session has to lead as well.
            what: the operation, for messages.

        Raises:
            SessionNeeded: a pooler stands in between.
            DirectUrlElsewhere: the direct URL leads to another server or database.
        """
        with _owner_session(self.direct or self.conninfo, what) as session:
            if self.direct:
                _require_same_server(connection, session)
            yield session


@contextmanager
def _owner_session(conninfo: str, what: str) -> Iterator[psycopg.Connection]:
    """Open a session that is federation_owner from end to end, for statements that no transaction may hold.

    Args:
        conninfo: the server itself: behind a pooler a session is other people's too, and would make them the owner.
        what: the operation, for messages.

    Raises:
        SessionNeeded: a pooler stands in between.
    """
    with translated(what), connect(conninfo) as connection:
        row = connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
        if row != (connection.info.backend_pid,):  # a pooler invents what it tells a client of its session
            raise SessionNeeded(what)
        connection.execute(BECOME_OWNER.replace("SET LOCAL", "SET"))
        yield connection


def _require_same_server(one: psycopg.Connection, other: psycopg.Connection) -> None:
    """Check that two connections lead to the same database, as a pooler's URL and the server's own have to.

    Raises:
        DirectUrlElsewhere: they do not.
    """
    question = """
        SELECT pg_catalog.pg_postmaster_start_time(), oid
        FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
    """
    if one.execute(question).fetchone() != other.execute(question).fetchone():
        raise DirectUrlElsewhere
