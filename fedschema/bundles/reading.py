"""Reads bundles, which somebody else may have written: nothing is unpacked, and nothing believed unchecked."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from fedschema.bundles import manifest as manifests
from fedschema.bundles.cipher import MAGIC, SealedReader
from fedschema.bundles.manifest import File, Manifest, Unlike
from fedschema.encryption import Key
from fedschema.errors import BundleDamaged, UsageError

#: A fleet's history and grants are kilobytes; a manifest of more is no manifest.
_MANIFEST_BYTES = 64 << 20
_BLOCK = 1 << 20
#: How members may be packed: what `writing` does, and what it did not need to.
_METHODS = frozenset({zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED})
#: What zipfile raises over a file that is none; OSError where an offset leads before the beginning.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


class Bundle:
    """A bundle that is open.

    Attributes:
        path: what it is called in messages.
        manifest: what it says of itself.
        encrypted: it is under a key.
    """

    def __init__(self, archive: zipfile.ZipFile, path: str, *, encrypted: bool) -> None:
        self._archive = archive
        self.path = path
        self.encrypted = encrypted
        self.manifest = self._read_manifest()

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a member, and no more than the manifest says that there are.

        Raises:
            BundleDamaged: there are more or fewer, or others.
        """
        listed = self.manifest.files[name]
        found, left = hashlib.sha256(), listed.bytes
        with self._refusing_damage(), self._archive.open(name) as stream:
            while block := stream.read(_BLOCK):
                found.update(block)
                left -= len(block)
                if left < 0:
                    break
                yield block
        if File(listed.bytes - left, found.hexdigest()) != listed:
            raise BundleDamaged(self.path, f"{name} in it is not what was written")

    def check(self) -> None:
        """Read it all and compare each member with its checksum.

        Raises:
            BundleDamaged
        """
        for name in self.manifest.files:
            for _ in self.blocks(name):
                pass

    def _read_manifest(self) -> Manifest:
        with self._refusing_damage():
            names = self._archive.namelist()
            if len(set(names)) < len(names) or manifests.NAME not in names:
                raise BundleDamaged(self.path, "it has no manifest, or a member twice")
            if any(member.compress_type not in _METHODS for member in self._archive.infolist()):
                raise BundleDamaged(self.path, "it is packed in another way than bundles are")
            with self._archive.open(manifests.NAME) as stream:
                text = _limited(stream)
        if text is None:
            raise BundleDamaged(self.path, "its manifest is too large to be one")
        try:
            found = manifests.parse(text)
        except Unlike as error:
            raise BundleDamaged(self.path, str(error)) from None
        if {*found.files, manifests.NAME} != set(names):
            raise BundleDamaged(self.path, "what is in it is not what its manifest lists")
        return found

    @contextmanager
    def _refusing_damage(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGE:
            raise BundleDamaged(self.path, "it is damaged") from None


def _limited(stream: IO[bytes]) -> str | None:
    content = stream.read(_MANIFEST_BYTES + 1)
    return content.decode() if len(content) <= _MANIFEST_BYTES else None


@contextmanager
def opened(path: Path, key: Key | None) -> Iterator[Bundle]:
    """Open a bundle for reading.

    Args:
        path: the file.
        key: what it may be encrypted under; one that is not encrypted is read all the same.

    Raises:
        UsageError: the file cannot be read.
        BundleKeyNeeded, WrongBundleKey, BundleDamaged
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "name a bundle that is there") from error
    with file, opened_file(file, key, str(path)) as bundle:
        yield bundle


@contextmanager
def opened_file(file: BinaryIO, key: Key | None, path: str) -> Iterator[Bundle]:
    """Open a bundle in a file that is open; arguments and errors as `opened`."""
    try:
        file.seek(0)
        encrypted = file.read(len(MAGIC)) == MAGIC
        content = io.BufferedReader(SealedReader(file, key, path)) if encrypted else file
        archive = zipfile.ZipFile(content)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError):
        raise BundleDamaged(path, "it is no bundle, or its end is missing") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "name a bundle that is there") from error
    with archive:
        yield Bundle(archive, path, encrypted=encrypted)
