"""Reaching the server, and what it refuses."""

from __future__ import annotations

from fedschema.errors.kinds import OperationError


class ServerUnreachable(OperationError):
    """No server answers at the address."""

    code = "server_unreachable"

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(
            f"cannot reach PostgreSQL at {where}: {reason}",
            "check host and port of the database URL, or leave it out to use the embedded server",
        )


class AuthenticationFailed(OperationError):
    """The server answers and does not let this login in."""

    code = "authentication_failed"

    def __init__(self, where: str, reason: str, hint: str | None = None) -> None:
        super().__init__(
            f"PostgreSQL at {where} refused the login: {reason}",
            hint or "check user and password: in the URL, in ~/.pgpass (passfile=…) or in PGPASSWORD",
        )


class DatabaseMissing(OperationError):
    """The server answers and has no database of that name."""

    code = "database_missing"

    def __init__(self, where: str, reason: str, database: str) -> None:
        super().__init__(f"PostgreSQL at {where}: {reason}", f"createdb {database}, or correct the database URL")


class ConnectionLost(OperationError):
    """The connection broke while something ran; the server rolls back what was not committed."""

    code = "connection_lost"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(
            f"the connection was lost during {what}: {reason}",
            "fedschema status shows what is there; run the command again",
        )


class ReadOnlyServer(OperationError):
    """The server takes no writes: a standby, or default_transaction_read_only."""

    code = "read_only_server"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} needs to write, and this server is read-only",
            "connect to the primary, for example with ?target_session_attrs=read-write in the URL",
        )


class SessionNeeded(OperationError):
    """Something needs a session of its own on the server, and a pooler stands in between."""

    code = "session_needed"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} needs a session of its own, for an index that is made or dropped concurrently, and this "
            "connection goes through a pooler; nothing was changed",
            "name the server itself: --direct-url postgresql://… or FEDSCHEMA_DIRECT_URL",
        )


class DirectUrlElsewhere(OperationError):
    """The direct URL leads to another server or database than the URL."""

    code = "direct_url_elsewhere"

    def __init__(self) -> None:
        super().__init__(
            "the direct URL leads to another database than the database URL; nothing was changed",
            "--direct-url and FEDSCHEMA_DIRECT_URL name the server behind the pooler, with the same database",
        )


class ServerTooOld(OperationError):
    """The server is older than any version that fedschema supports."""

    code = "server_too_old"

    def __init__(self, version: str) -> None:
        super().__init__(f"PostgreSQL {version} is too old: 14 or newer is needed", "upgrade the server")


class PrivilegeMissing(OperationError):
    """The login may not do what was asked."""

    code = "privilege_missing"

    def __init__(self, what: str, reason: str, hint: str | None = None) -> None:
        super().__init__(
            f"too few privileges for {what}: {reason}",
            hint or "log in as a member of federation_owner; a superuser makes one by: GRANT federation_owner TO login",
        )
