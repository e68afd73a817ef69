"""The files of the directory ``.fedschema/``: private, written whole or not at all, never through a link."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fedschema.embedded.account import ROOT, name_of, owner_of
from fedschema.embedded.errors import DiskFull, EmbeddedServerNotPermitted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fedschema.embedded.account import Account

_PRIVATE_FILE = 0o600
_PRIVATE_DIRECTORY = 0o700
_OTHERS_MAY_WRITE = 0o022
_FULL = (errno.ENOSPC, errno.EDQUOT)


def open_private(path: Path, flags: int, mode: int = _PRIVATE_FILE) -> int:
    """Open a file, by default for its owner alone, creating it when missing, and return the descriptor.

    A link in its place is refused: root may be working in a directory of an ordinary user. For the same reason a new
    file is given to the owner of its directory, who could otherwise not use their own server after a ``sudo``.
    """
    descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        owner = owner_of(path.parent)
        if os.geteuid() == ROOT and owner is not None:
            os.fchown(descriptor, owner, -1)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def write_private(path: Path, text: str) -> None:
    """Replace a small file atomically; a reader sees the old text or the new one. One writer at a time."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = open_private(temporary, os.O_WRONLY | os.O_EXCL)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def make_root_directory(directory: Path, mode: int) -> None:
    """Make a directory of root's that others pass through but never write to; one that is there already must be so.

    Raises:
        EmbeddedServerNotPermitted: it belongs to someone else, or others can write to it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != ROOT or status.st_mode & _OTHERS_MAY_WRITE:
        raise EmbeddedServerNotPermitted(directory, "it must belong to root and be writable by nobody else")
    directory.chmod(mode)


def make_private_directory(directory: Path, account: Account) -> None:
    """Make a directory of `account`, closed to others, or make an existing one so."""
    directory.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if account.borrowed:
            os.fchown(descriptor, account.uid, account.gid)
        os.fchmod(descriptor, _PRIVATE_DIRECTORY)
    finally:
        os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def translated(directory: Path) -> Iterator[None]:
    """Turn the operating system's refusals into errors of ours; the border for everything below `directory`.

    Raises:
        DiskFull: there is no room.
        EmbeddedServerNotPermitted: whatever else it said; most often that this is another user's.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(directory) from error
        reason = error.strerror or str(error)
        raise EmbeddedServerNotPermitted(directory, reason, _foreign_owner(directory)) from error


def _foreign_owner(directory: Path) -> str | None:
    """Name the owner of `directory` when it is someone else."""
    try:
        owner = owner_of(directory)
    except OSError:
        return None
    return None if owner in (None, os.geteuid()) else name_of(owner)
