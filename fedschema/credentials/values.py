"""What is stored: secrets, the names that they go by, and what is known of them without a key."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from fedschema.department import Department
from fedschema.encryption import Context
from fedschema.errors import InvalidSecret

MAX_VALUE_BYTES = 64 * 1024

OAUTH_TABLE = "oauth_credentials"
API_KEY_TABLE = "api_keys"

_NAME_LENGTH = 255
_SERVICE_LENGTHS = {OAUTH_TABLE: 50, API_KEY_TABLE: 100}


class Part(StrEnum):
    """The secrets that a row holds, by their columns."""

    CLIENT_SECRET = "oauth_client_secret_encrypted"  # noqa: S105 - a column
    REFRESH_TOKEN = "refresh_token_encrypted"  # noqa: S105 - a column
    API_KEY = "api_key_encrypted"


_WORDS = {Part.CLIENT_SECRET: "secret", Part.REFRESH_TOKEN: "refresh token", Part.API_KEY: "value"}


@dataclass(frozen=True, slots=True)
class SecretName:
    """What a secret goes by.

    Attributes:
        department: whose it is.
        service: of which service.
        key_name: which of the service's API keys; None for the service's OAuth client.
    """

    department: Department
    service: str
    key_name: str | None = None

    @classmethod
    def parse(cls, department: Department, service: str, key_name: str | None = None) -> SecretName:
        """Check the names that were typed.

        Raises:
            InvalidSecret: one is empty, too long for its column, or holds control characters.
        """
        name = cls(department, service, key_name)
        parse_name(service, "the service's name", _SERVICE_LENGTHS[name.table])
        if key_name is not None:
            parse_name(key_name, "the API key's name")
        return name

    @property
    def table(self) -> str:
        """The table that it is in, without its schema."""
        return OAUTH_TABLE if self.key_name is None else API_KEY_TABLE

    @property
    def part(self) -> Part:
        """The secret that the row always has."""
        return Part.CLIENT_SECRET if self.key_name is None else Part.API_KEY

    def context(self, department_uuid: UUID, row_id: UUID, part: Part) -> Context:
        """Return the place that a part is encrypted for."""
        label = f"the {_WORDS[part]} of {self}"
        return Context(department_uuid, self.table, row_id, part.value, self.service, label)

    def __str__(self) -> str:
        what = f"OAuth client {self.service}" if self.key_name is None else f"API key {self.service}/{self.key_name}"
        return f"{what} of department {self.department}"


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """What is to be stored of an OAuth client; over an existing one, None leaves what is there.

    Attributes:
        client_id, client_secret: as the service gave them; both are needed the first time.
        refresh_token: may be stored anew by itself.
        app_name, scopes: for people.
        token_expires_at: when the token ends; with a new token it is replaced, also by None.
    """

    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    app_name: str | None = None
    scopes: tuple[str, ...] | None = None
    token_expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is to be stored of an API key; the end belongs to the value and is replaced with it.

    Attributes:
        value: the key itself.
        scopes: for people; None leaves what is there.
        expires_at: when it ends, or None for never.
    """

    value: str = field(repr=False)
    scopes: tuple[str, ...] | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """What is known of a stored secret without a key, by the columns' own names; None where its table has none such.

    Attributes:
        kind: ``oauth`` or ``api_key``.
        department_uuid: departments.id, which is part of the associated data, as ``id`` is.
        key_id: of the key that it is under, as hex digits; None when it is no value that fedschema encrypted.
        has_refresh_token: None for an API key.
    """

    kind: str
    department_id: str
    department_uuid: UUID
    id: UUID
    service_name: str
    api_key_name: str | None
    oauth_client_id: str | None
    oauth_app_name: str | None
    scopes: list[str] | None
    key_id: str | None
    has_refresh_token: bool | None
    token_expires_at: datetime | None
    expires_at: datetime | None
    last_refreshed_at: datetime | None
    created_at: datetime
    rotated_at: datetime | None

    @property
    def name(self) -> SecretName:
        """What it goes by."""
        return SecretName(Department(self.department_id), self.service_name, self.api_key_name)

    @property
    def ends_at(self) -> datetime | None:
        """When the API key, or the OAuth client's token, ends."""
        return self.expires_at or self.token_expires_at


def parse_name(text: str, what: str, limit: int = _NAME_LENGTH) -> str:
    """Check a name that is stored in the clear and return it.

    Raises:
        InvalidSecret: it is empty, too long for its column, or holds control characters.
    """
    if not text.strip():
        raise InvalidSecret(what, "is empty")
    if len(text) > limit:
        raise InvalidSecret(what, f"has {len(text)} characters, at most {limit} fit")
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in text):
        raise InvalidSecret(what, "holds a line break or another control character")
    return text


def parse_value(text: str, what: str) -> str:
    """Check a secret and return it without the one line break that an editor or `echo` adds.

    Raises:
        InvalidSecret: it is empty, longer than 64 KiB, or holds a NUL. It is not repeated.
    """
    value = text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")
    if not value:
        raise InvalidSecret(what, "is empty")
    if "\0" in value:
        raise InvalidSecret(what, "holds a NUL character")
    if any(unicodedata.category(character) == "Cs" for character in value):
        raise InvalidSecret(what, "is no UTF-8 text")
    if len(value.encode()) > MAX_VALUE_BYTES:
        raise InvalidSecret(what, f"has more than {MAX_VALUE_BYTES // 1024} KiB")
    return value
