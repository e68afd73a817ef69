"""What was typed cannot be meant: nothing was touched."""

from __future__ import annotations

from collections.abc import Sequence

from fedschema.errors.kinds import UsageError


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

    def __init__(self, where: str, hint: str | None = None) -> None:
        super().__init__(
            f"no fedschema project at {where}: it is missing, or has no [federation] section",
            hint or "run the command in the directory that holds alembic.ini, or name it with --config",
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


class InvalidRoster(UsageError):
    """A list of departments cannot be used; every problem of every line is named.

    Attributes:
        source: the file.
        problems: one for each thing that is wrong, by line.
    """

    code = "invalid_roster"

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        listing = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(
            f"{source} cannot be used; nothing was changed:{listing}",
            "its first line is: department_id,name,admin_email (only the first is needed); then a line a department",
        )
        self.source = source
        self.problems = tuple(problems)
