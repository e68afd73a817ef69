"""The base of every error, and the two kinds that decide the exit status."""

from __future__ import annotations

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
