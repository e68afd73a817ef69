"""Stopping a server, and only that one."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from fedschema.embedded import launch, locks, postmaster
from fedschema.embedded.errors import ServerStopFailed

if TYPE_CHECKING:
    from fedschema.embedded.placement import Placement

_FIND_SECONDS = 10.0


def stop(place: Placement, timeout: float) -> bool:
    """Ask the server to end its sessions and stop ("fast"), and wait until all of its processes are gone.

    Returns False when there was nothing to stop. The caller holds the lock of the directory.

    Raises:
        ServerStopFailed: it cannot be found, or does not end within `timeout` seconds.
        PermissionError: it is someone else's.
    """
    pid = _find(place)
    if pid is None:
        return False
    deadline = time.monotonic() + timeout
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
    while launch.is_alive(place):
        if time.monotonic() > deadline:
            raise ServerStopFailed(f"process {pid} still runs after {timeout:.0f} s", f"kill -QUIT {pid}")
        time.sleep(locks.POLL_SECONDS)
    return True


def _find(place: Placement) -> int | None:
    """Return the process to signal; None when none is left.

    The id in the pid file is not believed alone: it may have gone to another process, or mean another one in this
    container. The command line has to fit, or the kernel has to name the same process as the listener of the socket.
    """
    deadline = time.monotonic() + _FIND_SECONDS
    while launch.is_alive(place):
        found = postmaster.read_pid_file(place.data)
        listener = postmaster.listener(place.socket)
        if found is not None and (postmaster.is_postmaster(found.pid, place.data) or listener == found.pid):
            return found.pid
        if listener is not None or time.monotonic() > deadline:
            reason = "it runs, but not as a process that can be seen from here (in another container?)"
            raise ServerStopFailed(reason, f"fuser -v {place.alive}")
        time.sleep(locks.POLL_SECONDS)
    return None
