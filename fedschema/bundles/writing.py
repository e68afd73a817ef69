"""Writes a file that others rely on: whole under its name, or not there; and bundles, member by member."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, cast

from fedschema import private_files
from fedschema.bundles.cipher import SealedWriter
from fedschema.bundles.manifest import NAME, File, Manifest
from fedschema.encryption import Key
from fedschema.errors import BundleNotWritten

#: Rows of text shrink to a third at any level; the higher ones take several times as long for a little more.
_LEVEL = 3
_PRIVATE_DIRECTORY = 0o700


def make_directory(path: Path) -> None:
    """Make a directory that only its owner may enter, if there is none.

    Raises:
        BundleNotWritten
    """
    with _translated(path):
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        path.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)


def make_new_directory(path: Path) -> bool:
    """Make a directory that only its owner may enter; tell whether it was made, or there already.

    Raises:
        BundleNotWritten
    """
    make_directory(path.parent)
    with _translated(path):
        try:
            path.mkdir(mode=_PRIVATE_DIRECTORY)
        except FileExistsError:
            return False
    return True


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Make a file as `private_files.making` does.

    Raises:
        BundleNotWritten: there is no room, or no right, or something is there already.
    """
    with _translated(path), private_files.making(path) as file:
        yield file


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BundleNotWritten(str(path), error.strerror or str(error)) from error


@dataclass
class Member:
    """A member that is being written; what goes in is counted and hashed."""

    stream: IO[bytes]
    size: int = 0
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes."""
        self.stream.write(data)
        self._hash.update(data)
        self.size += len(data)

    @property
    def file(self) -> File:
        """What has been written so far."""
        return File(self.size, self._hash.hexdigest())


class BundleWriter:
    """Writes the members of a bundle one after another, as they come.

    Args:
        archive: the zip file.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        #: The members so far.
        self.files: dict[str, File] = {}

    @contextmanager
    def member(self, name: str) -> Iterator[Member]:
        """Give the next member to write."""
        with self._archive.open(name, "w", force_zip64=True) as stream:
            member = Member(stream)
            yield member
        self.files[name] = member.file

    def text(self, name: str, content: str) -> None:
        """Add a member that is a text."""
        with self.member(name) as member:
            member.write(content.encode())

    def end(self, manifest: Manifest) -> None:
        """Add the manifest, which is the last."""
        with self._archive.open(NAME, "w") as stream:
            stream.write(manifest.text().encode())


@contextmanager
def writing(file: BinaryIO, key: Key | None) -> Iterator[BundleWriter]:
    """Give what writes a bundle into a file, encrypted when there is a key."""
    sealed = SealedWriter(file, key) if key else None
    with zipfile.ZipFile(
        cast("BinaryIO", sealed) if sealed else file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL
    ) as archive:
        yield BundleWriter(archive)
    if sealed:
        sealed.finish()


def sha256_of(file: BinaryIO) -> str:
    """Return the SHA-256 of a file that is open for reading, from its beginning."""
    file.seek(0)
    return hashlib.file_digest(cast("io.BufferedReader", file), "sha256").hexdigest()
