"""Hands a schema over to the platform, with the role that is to use it.

The login does what only an owner may do, and nothing else. None of these statements runs anything that somebody put
into the schema; each is written and quoted by the server, and sent by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import sql

from fedschema import logins
from fedschema.adoption.outcome import Wish
from fedschema.rendering import Templates

#: From here on, whoever made a role has to be given the right to administer it by name.
_ADMIN_BY_NAME = 160000


@contextmanager
def as_login(connection: psycopg.Connection) -> Iterator[None]:
    """Be the login that connected, inside an owner's transaction, then the owner again."""
    connection.execute("SET LOCAL ROLE NONE")
    yield  # what fails in between ends the transaction, and with it the role
    connection.execute("SET LOCAL ROLE federation_owner")


@contextmanager
def _as_whoever_may(connection: psycopg.Connection) -> Iterator[None]:
    """Be the login where it is a superuser, who may alter any role; else stay the owner, who may alter most."""
    row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = session_user").fetchone()
    if row is not None and row[0]:
        with as_login(connection):
            yield
    else:
        yield


def hand_over(connection: psycopg.Connection, templates: Templates, wish: Wish) -> Mapping[str, int]:
    """Give the schema its name, and it and everything in it to federation_owner.

    Args:
        connection: inside an owner's transaction.
        templates: the project's.
        wish: which schema, and whose it becomes.

    Returns:
        how many things there each owner had before.
    """
    schema = wish.department.schema
    if wish.found_in != schema:
        with as_login(connection):
            rename = sql.SQL("ALTER SCHEMA {} RENAME TO {}")
            connection.execute(rename.format(sql.Identifier(wish.found_in), sql.Identifier(schema)))
    question = templates.render("adoption/holdings").encode()
    holdings = connection.execute(question, {"schema": schema}).fetchall()
    if holdings:
        with as_login(connection):
            # An owner has to be allowed to make things where it gets them; the schema itself comes last.
            connection.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA {} TO federation_owner").format(_name(schema)))
            for statement, _ in holdings:
                connection.execute(str(statement).encode())
    return Counter(str(owner) for _, owner in holdings)


def claim_role(connection: psycopg.Connection, templates: Templates, wish: Wish) -> bool:
    """Make the department's role, or one that is there the department's; what it must not have goes if repairs may.

    Args:
        connection: inside an owner's transaction.
        templates: the project's.
        wish: whose role it is, and the password that it gets.

    Returns:
        whether it was made.
    """
    role = wish.department.role
    known = connection.execute("SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    if known is None:
        connection.execute(templates.render("tenant/department/role", department=wish.department).encode())
    else:
        if connection.info.server_version >= _ADMIN_BY_NAME:
            _let_administer(connection, role)
        with _as_whoever_may(connection):
            for statement in _role_statements(connection, templates, wish, unlimited=known[0] < 0):
                connection.execute(statement)
    if wish.password is not None:
        verifier = wish.password.verifier(connection, role)
        with _as_whoever_may(connection):
            logins.set_password(connection, role, verifier)
    return known is None


def _role_statements(
    connection: psycopg.Connection, templates: Templates, wish: Wish, *, unlimited: bool
) -> Iterator[bytes | sql.Composed]:
    """Return what a department's role is altered by."""
    role = _name(wish.department.role)
    if wish.repair:
        question = templates.render("adoption/role_repairs").encode()
        for (statement,) in connection.execute(question, {"role": wish.department.role}).fetchall():
            yield str(statement).encode()
    yield sql.SQL("ALTER ROLE {} LOGIN").format(role)
    if unlimited:
        yield sql.SQL("ALTER ROLE {} CONNECTION LIMIT 100").format(role)
    yield sql.SQL("ALTER ROLE {} SET search_path = {}").format(role, _name(wish.department.schema))


def _let_administer(connection: psycopg.Connection, role: str) -> None:
    """Let federation_owner administer a role, as it may the roles that it makes."""
    held = connection.execute(
        """
        SELECT FROM pg_auth_members
        WHERE roleid = to_regrole(quote_ident(%s)) AND member = 'federation_owner'::regrole AND admin_option
        """,
        (role,),
    )
    if held.rowcount == 0:
        with as_login(connection):
            grant = "GRANT {} TO federation_owner WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"
            connection.execute(sql.SQL(grant).format(_name(role)))


def _name(name: str) -> sql.Identifier:
    return sql.Identifier(name)
