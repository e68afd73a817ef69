"""Starting the server of a placement so that it outlives us, whatever the last one left behind.

Who is alive is told by a lock, not by a process id. The server and all of its processes inherit a locked descriptor of
the file ``alive``: the kernel frees it when the last of them is gone, after a kill -9 or a reboot too, and it is seen
from another container, where process ids mean nothing.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fedschema.embedded import cluster, locks, placement, postmaster, processes
from fedschema.embedded.account import owner_of
from fedschema.embedded.errors import DiskFull, ServerStartFailed
from fedschema.embedded.files import open_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fedschema.embedded.account import Account
    from fedschema.embedded.binaries import Binaries
    from fedschema.embedded.placement import Placement

LOG_FILE = "server.log"

_PORT_TAKEN = "Address already in use"
_PORT_ATTEMPTS = 5
_UNREACHABLE_SECONDS = 15.0
_LARGEST_LOG = 16 * 1024 * 1024
_TAIL_BYTES = 4096
_TAIL_LINES = 10
_SPAWN_SECONDS = 30.0

# `exec` makes $! the postmaster itself. Its parent ends at once, so that init inherits it and it is no zombie of ours.
_SPAWN = 'exec "$@" >&2 & echo "$!"'


def is_accepting(place: Placement) -> bool:
    """Tell, in well under a millisecond, whether the server of `place` takes connections.

    Raises:
        OSError: its files are there and closed to us.
    """
    found = postmaster.read_pid_file(place.data)
    owner = owner_of(place.data)
    return (
        found is not None
        and found.status == postmaster.READY
        and owner is not None
        and postmaster.is_private(place.sockets, owner)
        and postmaster.listener(place.socket) is not None
    )


def is_alive(place: Placement) -> bool:
    """Tell whether any process of the server lives, be it starting, stopping, or what a killed one left.

    The process id is asked as well: a server started by hand has no lock, and NFS forgets it.
    """
    return locks.is_held(place.alive) or _has_postmaster(place)


@dataclass(frozen=True, slots=True)
class Launcher:
    """What is needed to start a server.

    Attributes:
        binaries: the programs.
        account: who runs it.
        timeout: seconds within which it has to be ready; after a crash it first has to recover.
    """

    binaries: Binaries
    account: Account
    timeout: float

    def start(self, place: Placement) -> Placement:
        """Start the server of `place` and return where it is; the caller holds the lock of the directory.

        Raises:
            ServerStartFailed: it ended, or was not ready in time.
            DiskFull: it ended for want of room.
        """
        deadline = time.monotonic() + self.timeout
        log = place.directory / LOG_FILE
        for _ in range(_PORT_ATTEMPTS):
            with _claimed(place, deadline) as alive:
                if alive is None:
                    return place
                place = replace(place, port=placement.choose_port(place.port))
                placement.save(place)  # before it runs: whoever comes after our death has to find it
                offset = _prepare_log(log)
                pid = self._spawn(place, alive, log)
            if self._wait(place, pid, deadline):
                return place
            lines = _tail(log, offset)
            if _PORT_TAKEN not in lines:
                break
            place = replace(place, port=placement.NO_PORT)
        if cluster.NO_SPACE in lines:
            raise DiskFull(place.home)
        reason = f"not ready after {self.timeout:.0f} s" if is_alive(place) else "it ended at once"
        raise ServerStartFailed(log, reason, lines)

    def _spawn(self, place: Placement, alive: int, log: Path) -> int:
        """Start the server, which inherits the lock `alive`, and return its process id."""
        arguments = cluster.command(self.binaries, place.data, place.sockets, place.port)
        descriptor = open_private(log, os.O_WRONLY | os.O_APPEND)
        try:
            result = subprocess.run(
                [processes.SHELL, "-c", _SPAWN, processes.SHELL, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=descriptor,
                cwd="/",
                env=processes.environment(),
                umask=processes.PRIVATE_UMASK,
                start_new_session=True,
                pass_fds=[alive],
                timeout=_SPAWN_SECONDS,
                check=True,
                **self.account.identity,
            )
        except subprocess.SubprocessError as error:
            raise ServerStartFailed(log, "the shell that starts it failed", "") from error
        finally:
            os.close(descriptor)
        return int(result.stdout)

    def _wait(self, place: Placement, pid: int, deadline: float) -> bool:
        def lives() -> bool:
            return locks.is_held(place.alive) or postmaster.is_postmaster(pid, place.data)

        return postmaster.wait_until_ready(place.data, lives, deadline - time.monotonic(), pid)


@contextlib.contextmanager
def _claimed(place: Placement, deadline: float) -> Iterator[int | None]:
    """Become the one that starts the server: yield the locked ``alive``, or None when it turns out to be running.

    One that starts, recovers or stops is waited for. Once nobody lives, what would stop PostgreSQL is cleared away.
    """
    descriptor = open_private(place.alive, os.O_RDWR)
    started = time.monotonic()
    try:
        while not (locks.try_exclusive(descriptor) and not _has_postmaster(place)):
            if is_accepting(place):
                yield None
                return
            _give_up_when_hopeless(place, started, deadline)
            time.sleep(locks.POLL_SECONDS)
        _clear_remnants(place)
        yield descriptor
    finally:
        os.close(descriptor)


def _clear_remnants(place: Placement) -> None:
    """Remove what a dead server left and PostgreSQL would trip over.

    PostgreSQL itself recognises a pid file whose process is gone, and then also looks for shared memory in use; so the
    file stays in that case. It is misled by an id that another process has meanwhile, and by an empty file.
    """
    found = postmaster.read_pid_file(place.data)
    if found is None or postmaster.exists(found.pid):
        (place.data / postmaster.PID_FILE).unlink(missing_ok=True)
    for remnant in place.sockets.glob(".s.PGSQL.*"):
        remnant.unlink(missing_ok=True)


def _has_postmaster(place: Placement) -> bool:
    found = postmaster.read_pid_file(place.data)
    return found is not None and postmaster.is_postmaster(found.pid, place.data)


def _give_up_when_hopeless(place: Placement, started: float, deadline: float) -> None:
    """Raise once waiting since `started` for the server that lives has no prospect: it starts and stops no more."""
    now = time.monotonic()
    found = postmaster.read_pid_file(place.data)
    settled = found is not None and found.status == postmaster.READY
    if now <= deadline and not (settled and now - started > _UNREACHABLE_SECONDS):
        return
    error = ServerStartFailed(place.directory / LOG_FILE, f"one runs already but does not answer on {place.socket}", "")
    if found is not None and postmaster.is_postmaster(found.pid, place.data):
        error.hint = f"kill -INT {found.pid}"
    else:
        error.hint = f"fuser -v {place.alive}"
    raise error


def _prepare_log(log: Path) -> int:
    """Set a log that has grown large aside, and return where the new lines will begin."""
    try:
        size = log.lstat().st_size
    except FileNotFoundError:
        return 0
    if size <= _LARGEST_LOG:
        return size
    log.replace(log.with_name(log.name + ".1"))
    return 0


def _tail(log: Path, offset: int) -> str:
    """Return the last lines that were written since `offset`."""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(offset, size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join(lines[-_TAIL_LINES:])
