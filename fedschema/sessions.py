"""Ends the sessions of a login, for whoever may become federation_owner: it needs no pg_signal_backend."""

from __future__ import annotations

import time

import psycopg
from psycopg import sql

from fedschema.connections import owner_transaction, translated
from fedschema.errors import LockTimeout, PrivilegeMissing

_PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.02

_THEIRS = """
    FROM pg_catalog.pg_stat_activity
    WHERE usename = %s AND pid <> pg_catalog.pg_backend_pid() AND (datname = pg_catalog.current_database() OR %s)
"""


def count(connection: psycopg.Connection, login: str, *, everywhere: bool = True) -> int:
    """Return how many sessions of a login there are: in whatever database, or in this one."""
    return connection.execute(f"SELECT {_THEIRS}", (login, everywhere)).rowcount


def end(connection: psycopg.Connection, login: str, what: str, *, everywhere: bool = True) -> tuple[int, int]:
    """End the sessions of a login and wait until they are gone; what they had not committed is rolled back.

    Args:
        connection: an autocommit connection, in no transaction.
        login: whose sessions.
        what: the operation, for messages.
        everywhere: in all databases of the server, for a role that belongs to one of them; else in this one.

    Returns:
        how many there were, and how many are still there: sessions that do not listen to the signal.

    Raises:
        PrivilegeMissing: they may not be ended by this login.
    """
    patience = time.monotonic() + _PATIENCE_SECONDS
    found = remaining = count(connection, login, everywhere=everywhere)
    while remaining and time.monotonic() < patience:
        try:
            _signal_as_themselves(connection, login, what, everywhere=everywhere)
        except (PrivilegeMissing, LockTimeout):  # somebody else made the role, or holds its memberships
            with translated(what):
                connection.execute(f"SELECT pg_catalog.pg_terminate_backend(pid) {_THEIRS}", (login, everywhere))
        time.sleep(_PAUSE_SECONDS)
        remaining = count(connection, login, everywhere=everywhere)
    return found, remaining


def _signal_as_themselves(connection: psycopg.Connection, login: str, what: str, *, everywhere: bool) -> None:
    """Tell sessions to end, as their own login: whoever is a role may end its sessions.

    The owner becomes that role for a transaction that is rolled back; what the sessions were told is not.
    """
    since_16 = connection.info.server_version >= 160000  # noqa: PLR2004
    options = sql.SQL(" WITH SET TRUE, INHERIT FALSE" if since_16 else "")
    with owner_transaction(connection, what, rollback=True):
        connection.execute("SET LOCAL lock_timeout = '300ms'")
        connection.execute(sql.SQL("GRANT {} TO federation_owner").format(sql.Identifier(login)) + options)
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(login)))
        connection.execute(f"SELECT pg_catalog.pg_terminate_backend(pid) {_THEIRS}", (login, everywhere))
