"""Encrypts a file in chunks as it is written, and reads it anywhere: AES-256-GCM, each chunk bound to its place.

A sealed file is ``magic | version (1 byte) | key id (4) | salt (32)`` and then chunks of 64 KiB of plaintext, each with
its tag of 16 bytes; only the last may be shorter. Each file has a key of its own: HKDF-SHA256 of the given key and the
salt. A chunk's nonce is its number in 11 bytes and a byte that is 1 for the last chunk and 0 for any other, as in the
STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015), so that chunks neither change places nor go missing at
the end; the header is the associated data of each. docs/reference/bundles.md has it for other languages.
"""

from __future__ import annotations

import io
import secrets
from typing import TYPE_CHECKING, BinaryIO

from fedschema.encryption import KEY_BYTES, KEY_ID_BYTES, TAG_BYTES, Key
from fedschema.errors import BundleDamaged, BundleKeyNeeded, WrongBundleKey

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"fedschema sealed bundle\n"
VERSION = 1
SALT_BYTES = 32
CHUNK_BYTES = 64 * 1024
HEADER_BYTES = len(MAGIC) + 1 + KEY_ID_BYTES + SALT_BYTES

_SEALED_BYTES = CHUNK_BYTES + TAG_BYTES
_NUMBER_BYTES = 11
_DOMAIN = b"fedschema bundle 1"


def _cipher(key: Key, salt: bytes) -> AESGCM:
    """Return the cipher of one file."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - most commands do without
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 - as above

    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt, _DOMAIN).derive(key.material))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, "big") + bytes([last])


class SealedWriter(io.RawIOBase):
    """Encrypts what is written to it; `close` writes the last chunk, and without it the file is not whole.

    Args:
        file: where it goes; it stays open.
        key: whose holder can read it.
    """

    def __init__(self, file: BinaryIO, key: Key) -> None:
        super().__init__()
        salt = secrets.token_bytes(SALT_BYTES)
        self._header = MAGIC + bytes([VERSION]) + key.id + salt
        self._cipher = _cipher(key, salt)
        self._file = file
        self._number = 0
        self._waiting = bytearray()
        file.write(self._header)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Take bytes; what fills no chunk waits."""
        taken = memoryview(data).cast("B")
        self._waiting += taken
        while len(self._waiting) > CHUNK_BYTES:  # not >=: which one is the last is known at the end
            self._put(bytes(self._waiting[:CHUNK_BYTES]), last=False)
            del self._waiting[:CHUNK_BYTES]
        return len(taken)

    def finish(self) -> None:
        """Write the last chunk."""
        self._put(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _put(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last=last), chunk, self._header))
        self._number += 1


class SealedReader(io.RawIOBase):
    """Decrypts a sealed file, from any place; its end is looked at first, so that one that was cut is refused.

    Args:
        file: where it is; it stays open.
        key: the key that was handed in, if one was.
        path: what it is called in messages.

    Raises:
        BundleKeyNeeded, WrongBundleKey, BundleDamaged
    """

    def __init__(self, file: BinaryIO, key: Key | None, path: str) -> None:
        super().__init__()
        self._file, self._path = file, path
        file.seek(0)
        self._header = file.read(HEADER_BYTES)
        if len(self._header) < HEADER_BYTES:
            raise BundleDamaged(path, "it ends in its first line")
        after_magic = self._header[len(MAGIC) :]
        if after_magic[0] != VERSION:
            raise BundleDamaged(
                path, f"it has version {after_magic[0]} of the format, and this fedschema knows {VERSION}"
            )
        needed = after_magic[1 : 1 + KEY_ID_BYTES]
        if key is None:
            raise BundleKeyNeeded(path, needed.hex())
        if key.id != needed:
            raise WrongBundleKey(path, needed.hex(), key.id.hex())
        self._cipher = _cipher(key, after_magic[1 + KEY_ID_BYTES :])
        sealed = file.seek(0, io.SEEK_END) - HEADER_BYTES
        self._chunks = max(1, -(-sealed // _SEALED_BYTES))
        self._size = sealed - self._chunks * TAG_BYTES
        self._place = 0
        self._kept = (-1, b"")
        self._chunk(self._chunks - 1)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return the place in the plaintext."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the plaintext."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read what is left of one chunk, or as much as there is room for."""
        view = memoryview(buffer).cast("B")
        if self._place >= self._size:
            return 0
        number, within = divmod(self._place, CHUNK_BYTES)
        part = self._chunk(number)[within : within + len(view)]
        view[: len(part)] = part
        self._place += len(part)
        return len(part)

    def _chunk(self, number: int) -> bytes:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - most commands do without

        if self._kept[0] != number:
            self._file.seek(HEADER_BYTES + number * _SEALED_BYTES)
            sealed = self._file.read(_SEALED_BYTES)
            nonce = _nonce(number, last=number == self._chunks - 1)
            try:
                self._kept = (number, self._cipher.decrypt(nonce, sealed, self._header))
            except (InvalidTag, ValueError):
                where = "its end is missing or changed" if number == self._chunks - 1 else "it was changed"
                raise BundleDamaged(self._path, where) from None
        return self._kept[1]
