"""Locks between processes: flock, which the kernel lets go of when the last holder dies, however it dies."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fedschema.embedded.errors import ServerBusy
from fedschema.embedded.files import open_private

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POLL_SECONDS = 0.01


@contextmanager
def exclusive(path: Path, timeout: float) -> Iterator[int]:
    """Hold the lock on `path`; yield its descriptor, which a child can be given to hold the lock beyond our death.

    Raises:
        ServerBusy: someone else held it for `timeout` seconds.
    """
    descriptor = open_private(path, os.O_RDWR)
    try:
        deadline = time.monotonic() + timeout
        while not try_exclusive(descriptor):
            if time.monotonic() > deadline:
                raise ServerBusy(path, timeout)
            time.sleep(POLL_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


def try_exclusive(descriptor: int) -> bool:
    """Take the lock if it is free. It is let go of by closing every copy of the descriptor."""
    return _try(descriptor, fcntl.LOCK_EX)


def is_held(path: Path) -> bool:
    """Tell whether some process holds the lock on `path` exclusively."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _try(descriptor: int, mode: int) -> bool:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
