"""Connections to the database that was chosen, and the one border where the driver's exceptions become ours.

A transaction that changes anything begins with `owner_transaction`: everything is done as federation_owner, never as
the login, so that objects have one owner whoever typed the command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import psycopg.sql
from psycopg.conninfo import conninfo_to_dict

from fedschema import errors
from fedschema.addresses import describe

if TYPE_CHECKING:
    import sqlalchemy as sa

OLDEST_SERVER = 140000
_CANCEL_SECONDS = 5.0

#: Begins every transaction. With row_security off, as a login may have it, PostgreSQL refuses what policies filter. A
#: name that nobody qualified is looked up where nobody can put another; in the login's search_path somebody could.
BECOME_OWNER = (
    "SET LOCAL ROLE federation_owner; SET LOCAL row_security = on; SET LOCAL search_path = pg_catalog, pg_temp"
)

#: SQLSTATEs that our own SQL raises (class Z is free for users, manual appendix "PostgreSQL Error Codes").
DEPARTMENT_EXISTS = "ZD001"
DEPARTMENT_MOVED = "ZD002"
WALLS_MISSING = "ZD003"
NAME_TAKEN = "ZD004"
DEPARTMENT_UNKNOWN = "ZD005"
PRIVILEGE_MISSING = "ZD006"
ROLE_IN_USE = "ZD007"


def connect(conninfo: str, *, autocommit: bool = True) -> psycopg.Connection:
    """Connect.

    Args:
        conninfo: see `fedschema.addresses.conninfo_of`.
        autocommit: True (the default) leaves beginning and ending transactions to the caller.

    Raises:
        ServerUnreachable, AuthenticationFailed, DatabaseMissing, ServerTooOld
    """
    try:
        # Nothing is prepared on the server: behind a pool the next transaction may be on another connection.
        connection = psycopg.connect(conninfo, autocommit=autocommit, client_encoding="utf8", prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise _refused(conninfo, error) from None
    # Whatever the database's default: what a transaction checks under its lock has to be what others have committed.
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    if connection.info.server_version < OLDEST_SERVER:
        version = connection.info.parameter_status("server_version") or "?"
        connection.close()
        raise errors.ServerTooOld(version)
    return connection


def _refused(conninfo: str, error: psycopg.OperationalError) -> errors.FedschemaError:
    """Tell a server that is not there from one that does not let us in.

    libpq gives no SQLSTATE for a failed connection, so its English text is all there is; any other text counts as
    unreachable, with the text shown.
    """
    where = describe(conninfo)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # With several hosts each has a line; what a server says counts more than one that is not there.
    telling = next((line for line in reversed(lines) if "FATAL:" in line), lines[0])
    reason = telling.rpartition("FATAL:")[2].strip() or telling
    reason = reason.rpartition(" failed: ")[2].strip() or reason
    if "database" in reason and "does not exist" in reason:
        return errors.DatabaseMissing(where, reason, str(conninfo_to_dict(conninfo).get("dbname") or "NAME"))
    if "permission denied for database" in reason:
        given = conninfo_to_dict(conninfo)
        names = [psycopg.sql.Identifier(str(given.get(word))).as_string() for word in ("dbname", "user")]
        hint = "as the database's owner: GRANT CONNECT ON DATABASE {} TO {}".format(*names)
        return errors.AuthenticationFailed(where, reason, hint)
    signs = (
        "password",
        "authentication",
        "pg_hba.conf",
        "role",
        "not permitted to log in",
    )
    if any(sign in reason for sign in signs):
        return errors.AuthenticationFailed(where, reason)
    return errors.ServerUnreachable(where, reason)


def engine(conninfo: str, *, as_owner: bool = True) -> sa.Engine:
    """Return a SQLAlchemy engine over `connect`, for Alembic. Its pool keeps nothing open.

    Args:
        conninfo: see `fedschema.addresses.conninfo_of`.
        as_owner: each transaction runs as federation_owner, also the ones that Alembic begins by itself. False for
            the control plane, whose first transaction makes that role.
    """
    import sqlalchemy as sa  # noqa: PLC0415 - a third of a second that most commands do without

    made = sa.create_engine(
        "postgresql+psycopg://", creator=lambda: connect(conninfo, autocommit=False), poolclass=sa.pool.NullPool
    )

    def become_owner(connection: sa.Connection) -> None:
        connection.exec_driver_sql(BECOME_OWNER, execution_options={"no_parameters": True})

    if as_owner:
        sa.event.listen(made, "begin", become_owner)
    return made


def driver_of(connection: sa.Connection) -> psycopg.Connection:
    """Return the driver's connection under SQLAlchemy's, in the same transaction."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)  # noqa: S101 - `engine` makes no other
    return raw


def cancel(connection: psycopg.Connection) -> bool:
    """Ask the server to end what runs on a connection, from whichever thread; tell whether it heard.

    Whatever keeps it from hearing is no reason to fail: it is asked again, or the connection is given up.
    """
    try:
        connection.cancel_safe(timeout=_CANCEL_SECONDS)
    except Exception:  # noqa: BLE001 - not only psycopg's: the socket may go away in between
        return False
    return True


@contextmanager
def owner_transaction(
    connection: psycopg.Connection, what: str, *, rollback: bool = False
) -> Iterator[psycopg.Connection]:
    """Run a transaction as federation_owner at READ COMMITTED and translate what goes wrong.

    Args:
        connection: an autocommit connection.
        what: the operation, for messages: ``adding department legal``.
        rollback: nothing of it is to stay, however it ends.
    """
    with translated(what), connection.transaction(force_rollback=rollback):
        connection.execute(BECOME_OWNER)
        yield connection


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn what the driver raises into one of our errors.

    Args:
        what: the operation, for messages.
    """
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, what) from error


def translate(
    error: psycopg.Error, what: str, revision: str | None = None, statement: str | None = None
) -> errors.FedschemaError:
    """Return our error for one of the driver's.

    Args:
        error: what psycopg raised.
        what: the operation, for messages.
        revision: the revision whose SQL was running, where that is known.
        statement: the beginning of the statement, where that is known.
    """
    reason = (error.diag.message_primary or str(error)).strip()
    state = error.sqlstate
    lost = state is None or state.startswith("08")  # class 08: connection exceptions, as a pooler reports them too
    if lost and isinstance(error, psycopg.OperationalError):
        return errors.ConnectionLost(what, reason.splitlines()[0])
    if state in _MISSING_OBJECT and ("federation" in reason):
        return errors.ControlPlaneMissing(what)
    if state in _BY_STATE:
        return _BY_STATE[state](what, reason, error.diag.message_hint)
    return errors.StatementFailed(what, _with_detail(error, reason), revision, statement)


#: A missing role, object, schema or table; of ours it can only be the control plane.
_MISSING_OBJECT = frozenset({"22023", "42704", "3F000", "42P01"})

#: What a SQLSTATE means here, from the operation, the server's reason and its hint.
_BY_STATE: dict[str, Callable[[str, str, str | None], errors.FedschemaError]] = {
    "57P01": lambda what, reason, _: errors.ConnectionLost(what, reason),
    "57P02": lambda what, reason, _: errors.ConnectionLost(what, reason),
    "57P03": lambda what, reason, _: errors.ConnectionLost(what, reason),
    "25006": lambda what, _, __: errors.ReadOnlyServer(what),
    "55P03": lambda what, reason, _: errors.LockTimeout(what, reason),
    "57014": lambda what, reason, _: (
        errors.StatementTimeout(what) if "statement timeout" in reason else errors.Cancelled(what)
    ),
    "40P01": lambda what, reason, _: errors.LockTimeout(what, reason),
    "42501": lambda what, reason, _: errors.PrivilegeMissing(what, reason),  # PostgreSQL's hint may say to drop a wall
    PRIVILEGE_MISSING: errors.PrivilegeMissing,
    WALLS_MISSING: lambda _, reason, hint: errors.WallsMissing(f"{reason}; nothing was changed", hint),
    ROLE_IN_USE: lambda _, reason, hint: errors.RoleInUse(f"{reason}; nothing was changed", hint),
    NAME_TAKEN: lambda _, reason, hint: errors.NameTaken(f"{reason}; nothing was changed", hint),
    DEPARTMENT_MOVED: lambda _, reason, hint: errors.DepartmentMoved(f"{reason}; nothing was changed", hint),
    DEPARTMENT_EXISTS: lambda _, reason, hint: errors.DepartmentExists(f"{reason}; nothing was changed", hint),
    DEPARTMENT_UNKNOWN: lambda _, reason, hint: errors.DepartmentVanished(f"{reason}; nothing was changed", hint),
}


def _with_detail(error: psycopg.Error, reason: str) -> str:
    """Add the server's detail line, which names the offending object or row count."""
    detail = error.diag.message_detail
    return f"{reason} ({detail.splitlines()[0]})" if detail else reason


def database_identity(connection: psycopg.Connection) -> str | None:
    """Return what names a database whatever it is called, on a standby too; None where the server does not tell."""
    row = connection.execute(
        """
        SELECT CASE WHEN pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
                    THEN (SELECT system_identifier::text FROM pg_catalog.pg_control_system()) END,
               pg_catalog.current_database()
        """
    ).fetchone()
    return f"{row[0]}/{row[1]}" if row and row[0] else None
