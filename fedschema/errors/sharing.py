"""Grants, and the logins of gateways and administrators."""

from __future__ import annotations

from collections.abc import Sequence

from fedschema.errors.kinds import OperationError, UsageError


class InvalidMoment(UsageError):
    """A span or a moment cannot be read, or lies in the past where a future one is needed."""

    code = "invalid_moment"

    def __init__(
        self,
        text: str,
        wanted: str = "a span of time or a future moment",
        hint: str = "for example: 30d, 24h, 2w or 2027-01-31",
    ) -> None:
        super().__init__(f"{text!r} is not {wanted}", hint)


class InvalidLogin(UsageError):
    """A name cannot be that of a gateway's or an administrator's login."""

    code = "invalid_login"

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"{text!r} cannot be a login: {reason}", "for example: api_gateway")


class InvalidText(UsageError):
    """A text for the record is empty, too long, or holds control characters."""

    code = "invalid_text"

    def __init__(self, option: str, reason: str, example: str = "admin@example.com") -> None:
        super().__init__(f"the text of {option} {reason}", f"for example: {option} {example}")


class SameDepartment(UsageError):
    """A department was to be given access to itself."""

    code = "same_department"

    def __init__(self, department: str) -> None:
        super().__init__(
            f"{department} needs no grant on its own data", "fedschema grant SOURCE TARGET, of two departments"
        )


class NotShareable(UsageError):
    """A resource was named that there is not, or that is never shared."""

    code = "not_shareable"

    def __init__(self, resource: str, known: Sequence[str]) -> None:
        super().__init__(f"{resource!r} cannot be shared; what can: {', '.join(known)}", "--resource drive_documents")


class GrantMissing(OperationError):
    """What was to be revoked was never granted."""

    code = "grant_missing"

    def __init__(self, what: str, still: Sequence[str]) -> None:
        also = "; but a grant on * admits it" if still else ""
        super().__init__(f"{what}: there is no such grant{also}; nothing was changed", "fedschema grants")


class SessionsRemain(OperationError):
    """A grant was revoked, and the sessions that may still use it could not be ended."""

    code = "sessions_remain"

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(
            f"the grant is revoked, but open sessions of the gateways of {source} could not be ended: {reason}",
            "as a superuser: GRANT pg_signal_backend TO the login that runs fedschema; or restart the gateways",
        )


class UnknownEntitlement(UsageError):
    """A gateway's login was named that has no such entitlement."""

    code = "unknown_entitlement"

    def __init__(self, login: str, departments: Sequence[str]) -> None:
        whom = ", ".join(departments) if departments else "any department"
        super().__init__(f"{login} is not entitled to speak for {whom}; nothing was changed", "fedschema gateway list")


class UnknownLogin(UsageError):
    """A login was named that is no gateway's or no administrator's."""

    code = "unknown_login"

    def __init__(self, login: str, kind: str) -> None:
        command = "admin" if kind == "administrator" else kind
        super().__init__(f"there is no {kind} {login}; nothing was changed", f"fedschema {command} list")


class LoginExists(OperationError):
    """A login of that name is there already."""

    code = "login_exists"

    def __init__(self, login: str) -> None:
        super().__init__(
            f"a role {login} exists already; nothing was changed",
            f"choose another name; if it is an administrator: fedschema admin rotate {login}",
        )


class LoginUnsuitable(OperationError):
    """A role of that name is there, and must not become a gateway or an administrator."""

    code = "login_unsuitable"

    def __init__(self, login: str, reason: str, kind: str) -> None:
        article = "an" if kind.startswith("a") else "a"
        super().__init__(
            f"{login} cannot be {article} {kind}: {reason}; nothing was changed", "choose another name for the login"
        )


class LoginStays(OperationError):
    """A role that somebody else gave to a login cannot be taken back by the one who asks."""

    code = "login_stays"

    def __init__(self, login: str, role: str, grantor: str, statement: str) -> None:
        super().__init__(
            f"{login} was given {role} by {grantor}, and only {grantor} or a superuser can take that back; "
            "nothing was changed",
            f"as {grantor} or a superuser: {statement}",
        )
