"""Files that the state of a federation is written to."""

from __future__ import annotations

from fedschema.errors.kinds import OperationError, UsageError


class ReportInTheWay(UsageError):
    """A file is there that is no report, so that it is not replaced."""

    code = "report_in_the_way"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} is there already and is no report; nothing was written", "choose another name, or add --force"
        )


class FileNotWritten(OperationError):
    """A report or the metrics cannot be written; what was there is as it was."""

    code = "file_not_written"

    def __init__(self, path: str, reason: str | None) -> None:
        super().__init__(f"{path} cannot be written: {reason or 'unknown reason'}", "choose another place")
