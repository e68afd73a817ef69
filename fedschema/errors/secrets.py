"""Secrets of departments and the keys that they are encrypted under. Neither is ever part of a message."""

from __future__ import annotations

from collections.abc import Sequence

from fedschema.errors.kinds import OperationError, UsageError

_MAKE_ONE = "openssl rand -hex 32"


class InvalidEncryptionKey(UsageError):
    """A key that was handed in cannot be used. It is not repeated."""

    code = "invalid_encryption_key"

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"the key in {source} {reason}", f"a key is 64 hex digits; a new one: {_MAKE_ONE}")


class MissingEncryptionKey(UsageError):
    """The variable that holds a key is not set."""

    code = "missing_encryption_key"

    def __init__(self, variable: str) -> None:
        super().__init__(
            f"{variable} is not set, and secrets are encrypted before they leave this process",
            f"export {variable} with the deployments' key; if there is none yet: {_MAKE_ONE}",
        )


class InvalidSecret(UsageError):
    """A secret that was handed in, or the name that it is to have, cannot be used. The secret is not repeated."""

    code = "invalid_secret"

    def __init__(self, what: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"{what} {reason}", hint or "fedschema secret set --help")


class UnknownSecret(UsageError):
    """A secret was named that is not stored."""

    code = "unknown_secret"

    def __init__(self, what: str, department: str) -> None:
        super().__init__(f"there is no {what}", f"fedschema secret list {department}")


class WrongEncryptionKey(OperationError):
    """A value is under another key than the one that was given.

    Attributes:
        needed: the id of the key that the value is under, as hex digits.
        given: the ids of the keys at hand.
    """

    code = "wrong_encryption_key"

    def __init__(self, what: str, needed: str, given: Sequence[str]) -> None:
        super().__init__(
            f"{what} is under key {needed}, and the key given is {' or '.join(given)}; nothing was changed",
            f"set OAUTH_ENCRYPTION_KEY to key {needed}; fedschema secret list shows which key each value is under",
        )
        self.needed = needed
        self.given = tuple(given)


class SecretDamaged(OperationError):
    """A value does not decrypt under its own key: it was changed, or comes from another row or department."""

    code = "secret_damaged"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(
            f"{what} cannot be decrypted: {reason}; nothing was changed", "store it anew: fedschema secret set"
        )
