"""Every way in which fedschema can fail, one class a failure.

    FedschemaError                      anything that the user has to act on
    ├── UsageError                      exit 2: what was typed is wrong, nothing was touched
    │   ├── InvalidDepartmentId, InvalidDepartmentName, InvalidEmail, InvalidPassword
    │   ├── InvalidDatabaseUrl, ProjectNotFound, UnknownDepartment, UnknownRevision, ForeignRevision
    │   └── …
    └── OperationError                  exit 1: the operation was tried and failed
        ├── ServerUnreachable, AuthenticationFailed, …
        └── …

A message is in lower case and says what was wrong and for whom; a hint is what to type next. Neither ever holds a
password, a key or a connection URL that contains one. Foreign exceptions become one of these at one border
(`fedschema.connections.translated`), with ``from``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class FedschemaError(Exception):
    """The base of every error that fedschema raises on purpose.

    Attributes:
        code: a stable name for scripts, in snake_case.
        exit_status: the status with which the command ends.
        message: what was wrong, in lower case.
        hint: the command or the change that helps, or None.
    """

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(FedschemaError):
    """What was typed cannot be meant; nothing was touched."""

    code = "usage"
    exit_status = 2


class OperationError(FedschemaError):
    """An operation was tried and failed; whatever it had begun was rolled back."""

    code = "operation_failed"
    exit_status = 1


# ---------------------------------------------------------------------------------------------------- what was typed


class InvalidDepartmentId(UsageError):
    """A department id breaks one of the rules of `fedschema.department`."""

    code = "invalid_department_id"

    def __init__(self, text: str, reason: str, suggestion: str | None) -> None:
        hint = f"try: {suggestion}" if suggestion else "an id looks like: legal, human_resources, sales2"
        super().__init__(f"{text!r} cannot be a department id: {reason}", hint)
        self.text = text
        self.suggestion = suggestion


class InvalidDepartmentName(UsageError):
    """A display name is empty, too long, or holds control characters."""

    code = "invalid_department_name"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the department's name {reason}", 'for example: --name "Legal Department"')


class InvalidEmail(UsageError):
    """An e-mail address cannot be one."""

    code = "invalid_email"

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is not an e-mail address", "for example: --admin-email legal@example.com")


class InvalidPassword(UsageError):
    """A password that was handed in cannot be used."""

    code = "invalid_password"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the password {reason}", "leave the option out and a strong one is generated")


class InvalidDatabaseUrl(UsageError):
    """A database URL cannot be read. The URL itself is not repeated: it may hold a password."""

    code = "invalid_database_url"

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(
            f"the database URL from {source} cannot be read: {reason}",
            "a URL looks like: postgresql://user@host:5432/database",
        )


class ProjectNotFound(UsageError):
    """No alembic.ini of a fedschema project can be found."""

    code = "project_not_found"

    def __init__(self, where: str) -> None:
        super().__init__(
            f"no fedschema project at {where}: it is missing, or has no [federation] section",
            "run the command in the directory that holds alembic.ini, or name it with --config",
        )


class UnknownDepartment(UsageError):
    """An id was named that the registry does not know, or knows as deprovisioned."""

    code = "unknown_department"

    def __init__(self, unknown: Sequence[str], known: Sequence[str]) -> None:
        plural = "s" if len(unknown) > 1 else ""
        listing = ", ".join(known) if known else "none yet"
        super().__init__(
            f"unknown department{plural} {', '.join(unknown)}; the known ones are: {listing}",
            f"fedschema tenant add {unknown[0]}",
        )


class UnknownRevision(UsageError):
    """A revision was named that no script has, or that several have."""

    code = "unknown_revision"

    def __init__(self, revision: str, reason: str, hint: str = "fedschema history --revisions") -> None:
        super().__init__(f"revision {revision!r} cannot be used: {reason}", hint)


class ForeignRevision(UsageError):
    """A revision of another lineage, or of another department's branch, was about to be applied."""

    code = "foreign_revision"

    def __init__(self, revision: str, owner: str, target: str) -> None:
        super().__init__(
            f"revision {revision} belongs to {owner} and can never be applied to {target}",
            "fedschema history --revisions",
        )


# ------------------------------------------------------------------------------------------------- reaching the server


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


# ------------------------------------------------------------------------------------------------- the control plane


class ControlPlaneMissing(OperationError):
    """The database has no schema `federation` of ours."""

    code = "control_plane_missing"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: the database has no control plane yet", "fedschema init")


class ControlPlaneBehind(OperationError):
    """The control plane is at an older revision than this fedschema needs."""

    code = "control_plane_behind"

    def __init__(self, found: str, needed: str) -> None:
        super().__init__(f"the control plane is at {found} and this fedschema needs {needed}", "fedschema init")


class ControlPlaneAhead(OperationError):
    """The control plane was migrated by a newer fedschema than this one."""

    code = "control_plane_ahead"

    def __init__(self, found: str) -> None:
        super().__init__(
            f"the control plane is at {found}, which this fedschema does not know", "upgrade fedschema itself"
        )


class NameTaken(OperationError):
    """A role or a schema of a name that we need is there already and is not ours."""

    code = "name_taken"


class RoleInUse(OperationError):
    """A department's role holds something outside its schema, and so cannot be dropped."""

    code = "role_in_use"


class DepartmentExists(OperationError):
    """The department is there already; nothing was changed."""

    code = "department_exists"


class DepartmentVanished(OperationError):
    """Another command dropped the department while this one was about to work on it."""

    code = "department_vanished"


# ------------------------------------------------------------------------------------------------------- migrations


class DepartmentMoved(OperationError):
    """A department is no longer where the plan starts: another command migrated it meanwhile."""

    code = "department_moved"


class DepartmentDamaged(OperationError):
    """A registered department has no schema or no version table."""

    code = "department_damaged"

    def __init__(self, department: str, reason: str) -> None:
        super().__init__(f"department {department}: {reason}", f"fedschema tenant show {department}")


class WallsMissing(OperationError):
    """A migration would have left a table without its walls."""

    code = "walls_missing"


class LockTimeout(OperationError):
    """Somebody else held a lock for too long."""

    code = "lock_timeout"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(
            f"{what} waited too long for a lock: {reason}; nothing was changed",
            "end the session that holds it (pg_stat_activity, pg_blocking_pids) and run the command again",
        )


class StatementFailed(OperationError):
    """A statement of a migration failed; the department's transaction was rolled back.

    Attributes:
        revision: the revision whose statement failed, or None when it was none of a revision's.
        statement: the beginning of the statement.
    """

    code = "statement_failed"

    def __init__(self, what: str, reason: str, revision: str | None = None, statement: str | None = None) -> None:
        where = f" in revision {revision}" if revision else ""
        shown = f" (in: {statement})" if statement else ""
        super().__init__(f"{what} failed{where}: {reason}{shown}; nothing was changed", None)
        self.revision = revision
        self.statement = statement


class NeedsConfirmation(OperationError):
    """A step would take away what somebody may still want, and nobody confirmed it.

    Attributes:
        owner: the department's id, or ``federation``.
        losses: what would go.
    """

    code = "needs_confirmation"

    def __init__(self, owner: str, losses: Sequence[str], hint: str) -> None:
        whose = f"department {owner}" if owner != "federation" else "the control plane"
        super().__init__(f"{whose}: this would lose {', '.join(losses)}; nothing was changed", hint)
        self.owner = owner
        self.losses = tuple(losses)


class WouldLoseRows(NeedsConfirmation):
    """A step would drop tables or columns that hold rows."""

    code = "would_lose_rows"


class BranchWouldGo(NeedsConfirmation):
    """A step down the trunk would take revisions of the department's own branch along."""

    code = "branch_would_go"


class RevisionsUnreadable(OperationError):
    """The project's revisions cannot be read: one is no Python, or names another that is not there."""

    code = "revisions_unreadable"

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(
            f"the revisions of the project cannot be read: {kind}: {reason}",
            "mend the revision below alembic/versions/",
        )


class CompilationFailed(OperationError):
    """A revision cannot be compiled into a plan: it needs a live connection and does not say so."""

    code = "compilation_failed"
