"""How long rows are kept, how they go, and where they are written to."""

from __future__ import annotations

from collections.abc import Sequence

from fedschema.errors.kinds import OperationError, UsageError


class InvalidPeriod(UsageError):
    """How long rows are to be kept cannot be read."""

    code = "invalid_period"

    def __init__(
        self,
        text: str,
        reason: str = "it is a number with d, w, mo or y behind it, or never, or default",
        hint: str = "for example: 90d, 6mo, 1y; months are mo, since m is minutes elsewhere",
    ) -> None:
        super().__init__(f"{text!r} is no period to keep rows for: {reason}", hint)


class NotExpirable(UsageError):
    """A table was named whose rows never go by age."""

    code = "not_expirable"

    def __init__(self, table: str, known: Sequence[str]) -> None:
        super().__init__(
            f"{table!r} is no table whose rows go with time; those are: {', '.join(known)}", "fedschema retention show"
        )


class TableMissing(OperationError):
    """A department has not got the table yet: its revision is to come."""

    code = "table_missing"

    def __init__(self, department: str, table: str) -> None:
        super().__init__(
            f"department {department} has no table {table} at its revision", f"fedschema upgrade {department}"
        )


class ExportFailed(OperationError):
    """A file could not be written; nothing of it is left."""

    code = "export_failed"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} could not be written: {reason}; nothing is left of it", "--to another file")


class NotSchedulable(OperationError):
    """The job could not be given to pg_cron."""

    code = "not_schedulable"

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(f"pg_cron did not take the job: {reason}", hint)
