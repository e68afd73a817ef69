"""Files that only their owner may read, for passwords, keys, rows and bundles: whole, or refused, or not there."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

#: What a file is called until it has its name: nobody else's files are called so.
UNFINISHED = ".fedschema-*.part"

_FRESH_SECONDS = 60


class Unusable(Exception):
    """A file cannot be read, or not be trusted; it becomes an error of whoever asked.

    Attributes:
        reason: what is wrong with it: ``can be read by others (mode 644)``.
        mend: the command that mends it, or None.
    """

    def __init__(self, reason: str, mend: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.mend = mend


def read(path: Path, at_most: int) -> str:
    """Return the text of a file that nobody but its owner may read.

    Args:
        path: the file.
        at_most: how many bytes it may have.

    Raises:
        Unusable: with the reason; the content is not repeated.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise Unusable(f"can be read by others (mode {mode:o})", f"chmod 600 {path}")
            content = file.read(at_most + 1)
    except OSError as error:
        raise Unusable(f"cannot be read: {error.strerror}") from error
    return decoded(content, at_most)


def decoded(content: bytes, at_most: int) -> str:
    """Return bytes as text.

    Raises:
        Unusable: they are too many, or no text. The exception that holds the bytes does not lead here.
    """
    if len(content) > at_most:
        raise Unusable(f"has more than {at_most // 1024} KiB")
    try:
        return content.decode()
    except UnicodeDecodeError:
        pass
    raise Unusable("is no UTF-8 text")


def create(path: Path, text: str) -> None:
    """Make a file of mode 0600 that holds one line; see `making`."""
    with making(path) as file:
        file.write(f"{text}\n".encode())


@contextmanager
def making(path: Path) -> Iterator[BinaryIO]:
    """Make a file of mode 0600 of what is written inside; it has all of it from the moment that it has its name.

    It is on the disk when this ends: what is written may be the only key to what comes after. When what is done inside
    fails, nothing is left. What a killed process left is taken away by the next in the directory: whoever writes holds
    a lock.

    Raises:
        FileExistsError: something is there already.
        OSError: it cannot be written.
    """
    _sweep(path.parent)
    prefix, _, suffix = UNFINISHED.partition("*")
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=prefix, suffix=suffix) as file:
        with suppress(OSError):  # a file system without locks: then nobody takes anything away there
            fcntl.flock(file, fcntl.LOCK_EX)
        yield cast("BinaryIO", file)
        file.flush()
        os.fsync(file.fileno())
        path.hardlink_to(file.name)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _sweep(directory: Path) -> None:
    """Remove what killed processes left."""
    for left in directory.glob(UNFINISHED):
        with suppress(OSError):
            found = left.lstat()
            if not stat.S_ISREG(found.st_mode) or time.time() - found.st_mtime < _FRESH_SECONDS:
                continue  # no file of ours, or a new one, which may not be locked yet
            with left.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its writer lives
                left.unlink()
