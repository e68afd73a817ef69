"""Migrations of departments."""

from __future__ import annotations

from collections.abc import Sequence

from fedschema.errors.kinds import OperationError, UsageError

#: How many departments a message names.
_SHOWN = 10


class DepartmentMoved(OperationError):
    """A department is no longer where the plan starts: another command migrated it meanwhile."""

    code = "department_moved"

    @classmethod
    def to(cls, department: str, heads: Sequence[str]) -> DepartmentMoved:
        """Return the error for one that is somewhere else than it was."""
        where = " + ".join(heads) or "base"
        return cls(
            f"department {department} was taken to {where} meanwhile; nothing was changed",
            f"fedschema status {department}",
        )


class DepartmentDamaged(OperationError):
    """A registered department has no schema or no version table."""

    code = "department_damaged"

    def __init__(self, department: str, reason: str) -> None:
        super().__init__(f"department {department}: {reason}", f"fedschema tenant show {department}")


class WrongStatus(OperationError):
    """A department's status in the registry admits no such command."""

    code = "wrong_status"

    def __init__(self, department: str, status: str, participle: str) -> None:
        super().__init__(
            f"department {department} is {status} and cannot be {participle}; nothing was changed",
            f"fedschema tenant show {department}",
        )


class SessionsOpen(OperationError):
    """A department is suspended, and sessions that were open could not be ended."""

    code = "sessions_open"

    def __init__(self, department: str, login: str, reason: str) -> None:
        super().__init__(
            f"department {department} is suspended, but open sessions of {login} could not be ended: {reason}",
            f"as a superuser: fedschema tenant suspend {department}, which ends what is left",
        )


class WallsMissing(OperationError):
    """A migration, or putting a department back in service, would have left a table without its walls."""

    code = "walls_missing"


class LockTimeout(OperationError):
    """Somebody else held a lock for too long."""

    code = "lock_timeout"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(
            f"{what} waited too long for a lock: {reason}; nothing was changed",
            "end the session that holds it (pg_stat_activity, pg_blocking_pids) and run the command again",
        )


class LockHeldTooLong(OperationError):
    """A department's transaction held its locks for longer than its users were to wait."""

    code = "lock_held_too_long"

    def __init__(self, department: str, seconds: float) -> None:
        super().__init__(
            f"department {department}: its transaction took longer than {seconds:g} s, and was cancelled for those who "
            "wait for its tables; nothing was changed",
            "run it at a quieter hour, or let it take longer: --max-lock-hold 60s",
        )


class StatementTimeout(OperationError):
    """A statement ran for longer than statement_timeout allows."""

    code = "statement_timeout"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}: a statement ran for longer than it may; nothing was changed",
            "let it take longer: --statement-timeout 10m",
        )


class Cancelled(OperationError):
    """What ran was cancelled, by Ctrl-C or by an administrator of the server."""

    code = "cancelled"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was cancelled; nothing was changed", "run the command again: it goes on from there")


class InvalidBudget(UsageError):
    """How many departments may fail is neither a number nor a percentage."""

    code = "invalid_budget"

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is neither a number of departments nor a part of them", "--max-failures 3, or 5%")


class NoRoom(UsageError):
    """More connections were asked for than the server has left."""

    code = "no_room"

    def __init__(self, wanted: int, left: int) -> None:
        super().__init__(f"the server has room for {left} more connections, not {wanted}", f"--jobs {left}")


class CanaryFailed(OperationError):
    """A canary was migrated and does not stand the checks, so nothing more was begun."""

    code = "canary_failed"

    def __init__(self, department: str, holes: Sequence[str]) -> None:
        super().__init__(
            f"department {department} was migrated as a canary and does not stand the checks: {'; '.join(holes)}",
            f"fedschema validate {department}",
        )


class BackfillStuck(OperationError):
    """A backfill changes rows that then still meet its condition, so that it would never end."""

    code = "backfill_stuck"

    def __init__(self, what: str, revision: str, table: str) -> None:
        super().__init__(
            f"{what}: the backfill of {table} in revision {revision} leaves rows that still meet its condition; "
            "it would never end, and was stopped before it changed anything",
            "make its where= false of a row that was done",
        )


class ContractBlocked(OperationError):
    """A contract step was about to be applied before every department has what it takes the place of.

    Attributes:
        behind: the departments that do not have it, each with where it is.
    """

    code = "contract_blocked"

    def __init__(self, revision: str, needed: str, behind: Sequence[tuple[str, str]], hint: str) -> None:
        shown = ", ".join(f"{department} ({where})" for department, where in behind[:_SHOWN])
        more = f" and {len(behind) - _SHOWN} more" if len(behind) > _SHOWN else ""
        have = "has" if len(behind) == 1 else "have"
        super().__init__(
            f"revision {revision} takes away what {needed} replaces, which has to be everywhere first, and "
            f"{shown}{more} {have} not got it; nothing was changed",
            hint,
        )
        self.behind = tuple(behind)


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
