"""Encrypts values before they leave this process: AES-256-GCM, each value bound to the place that it is stored in.

A value is ``version (1 byte) | key id (4) | nonce (12) | ciphertext and tag``. The associated data names the place, so
that a value copied to another row, column, service or department does not decrypt there. docs/how-to/keep-secrets.md
has the format for other languages.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from fedschema.errors import InvalidEncryptionKey, SecretDamaged, WrongEncryptionKey

VERSION = b"\x01"
KEY_BYTES = 32
KEY_ID_BYTES = 4
NONCE_BYTES = 12
TAG_BYTES = 16

_HEADER_BYTES = len(VERSION) + KEY_ID_BYTES
_KEY_ID_DOMAIN = b"fedschema key id\0"
#: Of 32 random bytes some 30 differ; with fewer than this many somebody typed a pattern.
_DIFFERENT_BYTES = 16


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """A key of 256 bits. Only its id is ever shown.

    Attributes:
        material: the 32 bytes themselves.
    """

    material: bytes

    @classmethod
    def parse(cls, text: str, source: str) -> Key:
        """Read a key from exactly 64 hex digits.

        Args:
            text: the digits; nothing is stripped.
            source: where they come from, for messages.

        Raises:
            InvalidEncryptionKey: with the reason; the text is not repeated.
        """
        if len(text) != 2 * KEY_BYTES:
            raise InvalidEncryptionKey(source, f"has {len(text)} characters, not {2 * KEY_BYTES}")
        if not re.fullmatch(r"[0-9A-Fa-f]+", text):
            raise InvalidEncryptionKey(source, "holds something other than hex digits (0-9, a-f)")
        return cls(bytes.fromhex(text))

    @classmethod
    def generate(cls) -> Key:
        """Make a random key."""
        return cls.parse(secrets.token_hex(KEY_BYTES), "this process")

    @property
    def id(self) -> bytes:
        """Tells keys apart without telling anything about them: the beginning of a hash with a domain of its own."""
        return hashlib.sha256(_KEY_ID_DOMAIN + self.material).digest()[:KEY_ID_BYTES]

    @property
    def is_weak(self) -> bool:
        """It repeats itself, as a random key does not: somebody typed a pattern."""
        return len(set(self.material)) < _DIFFERENT_BYTES

    def __repr__(self) -> str:
        return f"Key({self.id.hex()})"


@dataclass(frozen=True, slots=True)
class Context:
    """The one place that a value can be decrypted in.

    Attributes:
        department_id: departments.id, not the slug: a department that is dropped and added again gets another one.
        table: without its schema.
        row_id: the row's id.
        column: the column's name.
        service: the row's service_name.
        label: what the value is called in messages; no part of what is authenticated.
    """

    department_id: UUID
    table: str
    row_id: UUID
    column: str
    service: str
    label: str = field(default="the value", compare=False)

    def associated_data(self) -> bytes:
        """Return the parts in order, each as UTF-8 after its length in four bytes, so that no two places are alike."""
        parts = (str(self.department_id), self.table, str(self.row_id), self.column, self.service)
        encoded = [part.encode() for part in parts]
        return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def encrypt(key: Key, plaintext: str, context: Context) -> bytes:
    """Encrypt a text for one place, under a random nonce of its own.

    Args:
        key: see `Key`.
        plaintext: what is to be kept secret.
        context: where it will be stored; its row's id has to be known by now.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - most commands do without

    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(key.material).encrypt(nonce, plaintext.encode(), context.associated_data())
    return VERSION + key.id + nonce + sealed


def key_id_of(blob: bytes) -> bytes | None:
    """Return the id of the key that a value is under; None when it is no value of this format."""
    if blob[: len(VERSION)] != VERSION or len(blob) < _HEADER_BYTES + NONCE_BYTES + TAG_BYTES:
        return None
    return blob[len(VERSION) : _HEADER_BYTES]


def decrypt(keys: Sequence[Key], blob: bytes, context: Context) -> str:
    """Decrypt what `encrypt` made for this place.

    Args:
        keys: the value may be under any of them.
        blob: the value as it is stored.
        context: where it is stored.

    Raises:
        WrongEncryptionKey: it is under a key that is not at hand.
        SecretDamaged: it was changed, or made for another place, or is no value of this format.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - most commands do without
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as above

    needed = key_id_of(blob)
    if needed is None:
        raise SecretDamaged(context.label, "it is no value that fedschema encrypted")
    key = next((key for key in keys if key.id == needed), None)
    if key is None:
        raise WrongEncryptionKey(context.label, needed.hex(), [key.id.hex() for key in keys])
    nonce, sealed = blob[_HEADER_BYTES : _HEADER_BYTES + NONCE_BYTES], blob[_HEADER_BYTES + NONCE_BYTES :]
    try:
        return AESGCM(key.material).decrypt(nonce, sealed, context.associated_data()).decode()
    except InvalidTag:
        reason = "it was changed, or copied here from another row, service or department"
    except UnicodeDecodeError:
        reason = "it is no UTF-8 text"
    # Outside of the handlers, so that no traceback leads back to the bytes.
    raise SecretDamaged(context.label, reason)
