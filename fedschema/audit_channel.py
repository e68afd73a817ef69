"""The durable audit channel: attempts are written over a connection of their own, where no rollback reaches them.

It takes a superuser to install, because dblink does, so it is an operator's choice: `fedschema init --durable-audit`.
How an attempt gets there is in templates/federation/control_plane/admission.sql.j2.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from fedschema import batches, passwords, registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction, translated
from fedschema.errors import AuditChannelFailed, PrivilegeMissing

#: Where the server reaches itself. A password has to be asked for there: dblink lets nobody else but a superuser in.
DEFAULT_HOST = "127.0.0.1"

_WHAT = "installing the durable audit channel"
#: The foreign server that the gate looks for, and the one under which a new channel is tried first.
_IN_USE = "federation_audit"
_ON_TRIAL = "federation_audit_on_trial"


_INSTALLED = """
    SELECT FROM pg_catalog.pg_foreign_server AS channel
    WHERE channel.srvname = 'federation_audit' AND channel.srvowner = pg_catalog.to_regrole('federation_owner')
      AND 'dbname=' || pg_catalog.current_database() = ANY (channel.srvoptions)
"""


@dataclass(frozen=True, slots=True)
class _Place:
    """The database that the channel leads back to."""

    database: str
    port: str
    login: str
    superuser: bool

    @property
    def comment(self) -> str:
        """What says that the login is ours."""
        return f"fedschema: audit login of database {self.database}"


def install(conninfo: str, compiler: Compiler, host: str = DEFAULT_HOST) -> None:
    """Install the channel, or install it anew with another password, and write over it once to see that it works.

    Args:
        conninfo: the database, as a superuser.
        compiler: the project.
        host: the address at which the server reaches itself.

    Raises:
        PrivilegeMissing: the login is no superuser.
        AuditChannelFailed: the server does not reach itself there, or asks for no password; nothing is left behind.
    """
    with connect(conninfo) as connection, translated(_WHAT):
        with owner_transaction(connection, _WHAT):
            registry.require_control_plane(connection, compiler.blueprint.control_plane)
        place = _place(connection)
        before = _logins(connection, place)
        password = passwords.generate()
        values = {
            "server": _ON_TRIAL,
            "database": place.database,
            "host": host,
            "port": place.port,
            "login": place.login,
            "comment": place.comment,
            "password": password.text,
            "verifier": password.verifier(connection, place.login),
        }
        with connection.transaction():
            _run(connection, compiler, "quiet")
            _run(connection, compiler, "remove", server=_ON_TRIAL)  # one that was killed may have left it
            _run(connection, compiler, "install", **values)
        try:
            _try(connection)
        except psycopg.Error as error:
            with connection.transaction():
                _run(connection, compiler, "remove", server=_ON_TRIAL)
                _run(connection, compiler, "drop_login", login=place.login)
            reason = error.diag.message_detail or error.diag.message_primary or str(error)
            raise AuditChannelFailed(host, place.port, reason.strip().splitlines()[-1]) from None
        with connection.transaction():
            _run(connection, compiler, "adopt", server=_ON_TRIAL)
            for login in before:
                _run(connection, compiler, "drop_login", login=login)


def remove(conninfo: str, compiler: Compiler) -> None:
    """Take the channel away; attempts are then written in the transaction of whoever asks.

    Raises:
        PrivilegeMissing: the login is no superuser.
    """
    what = "removing the durable audit channel"
    with connect(conninfo) as connection, translated(what), connection.transaction():
        place = _place(connection)
        for server in (_ON_TRIAL, _IN_USE):
            _run(connection, compiler, "remove", server=server)
        for login in _logins(connection, place):
            _run(connection, compiler, "drop_login", login=login)


def is_installed(conninfo: str) -> bool:
    """Tell whether there is a channel that leads back to this database."""
    with connect(conninfo) as connection, translated("looking for the durable audit channel"):
        found = connection.execute(_INSTALLED)
    return found.rowcount > 0


def _place(connection: psycopg.Connection) -> _Place:
    row = connection.execute(
        """
        SELECT pg_catalog.current_database(), pg_catalog.current_setting('port'),
               'federation_audit_' || pg_catalog.right(pg_catalog.gen_random_uuid()::text, 12),
               (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user)
        """
    ).fetchone()
    assert row is not None  # noqa: S101 - the query always gives one row
    place = _Place(*row)
    if not place.superuser:
        raise PrivilegeMissing(
            "the durable audit channel",
            "dblink asks for a superuser",
            "run it once as a superuser; the rest needs none",
        )
    return place


def _logins(connection: psycopg.Connection, place: _Place) -> list[str]:
    """Return the logins that were made for this database's channel."""
    rows = connection.execute(
        "SELECT rolname::text FROM pg_catalog.pg_roles WHERE pg_catalog.shobj_description(oid, 'pg_authid') = %s",
        (place.comment,),
    )
    return [login for (login,) in rows]


def _run(connection: psycopg.Connection, compiler: Compiler, template: str, **values: str) -> None:
    text = compiler.templates.render(f"federation/audit_channel/{template}", **values)
    batches.execute(connection, batches.Batch(_WHAT, text))


def _try(connection: psycopg.Connection) -> None:
    """Connect as the gate will: as the owner, through its user mapping."""
    home = connection.execute(
        """
        SELECT pg_catalog.quote_ident(namespace.nspname)
        FROM pg_catalog.pg_extension AS extension
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = extension.extnamespace
        WHERE extension.extname = 'dblink'
        """
    ).fetchone()
    assert home is not None  # noqa: S101 - it was installed a moment ago
    query = psycopg.sql.SQL("SELECT {}.dblink_exec({}, 'SET application_name = fedschema')")
    with connection.transaction():
        connection.execute("SET LOCAL ROLE federation_owner")
        connection.execute(query.format(psycopg.sql.SQL(home[0]), _ON_TRIAL))
