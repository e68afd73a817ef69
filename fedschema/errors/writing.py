"""Writing a revision."""

from __future__ import annotations

from fedschema.errors.kinds import OperationError, UsageError


class InvalidRevisionMessage(UsageError):
    """What a revision is said to do cannot begin its docstring, or make its id."""

    code = "invalid_revision_message"

    def __init__(self, reason: str, hint: str = 'for example: -m "add case files"') -> None:
        super().__init__(f"the message {reason}", hint)


class InvalidRevisionId(UsageError):
    """A revision cannot be called that."""

    code = "invalid_revision_id"

    def __init__(self, revision: str, reason: str) -> None:
        super().__init__(
            f"{revision!r} cannot be a revision's id: {reason}", "leave --rev-id out, and one is made of the message"
        )


class InvalidTableName(UsageError):
    """A new table cannot be called that."""

    code = "invalid_table_name"

    def __init__(self, table: str, reason: str) -> None:
        super().__init__(f"{table!r} cannot be a table's name: {reason}", "for example: --table case_files")


class FileInTheWay(UsageError):
    """A file that would be written is there already; nothing is written over."""

    code = "file_in_the_way"

    def __init__(self, path: str, hint: str = "say it in other words, or name it: --rev-id") -> None:
        super().__init__(f"{path} is there already; nothing was written", hint)


class ProjectReadOnly(OperationError):
    """The project's files cannot be written."""

    code = "project_read_only"

    def __init__(self, root: str, reason: str) -> None:
        super().__init__(
            f"nothing can be written into the project at {root}: {reason}",
            "run the command in a checkout of your own, or name its alembic.ini with --config",
        )
