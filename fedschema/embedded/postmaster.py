"""What can be learnt of a running server from outside: its pid file, its process, its sockets."""

from __future__ import annotations

import os
import socket
import stat
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fedschema.embedded import locks

if TYPE_CHECKING:
    from collections.abc import Callable

READY = "ready"
PID_FILE = "postmaster.pid"
LOOPBACK = "127.0.0.1"

_STATUS_LINE = 7
_CONNECT_SECONDS = 2.0
_LONGEST_SOCKET_PATH = 103
"""Bytes. Linux allows 107, macOS 103."""
_OTHERS = 0o077
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class PidFile:
    """What ``postmaster.pid`` says (PostgreSQL's ``miscadmin.h``, "postmaster.pid"); it may be stale."""

    pid: int
    status: str


def read_pid_file(data: Path) -> PidFile | None:
    """Read the pid file of a data directory; None when there is none, or half of one.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        lines = (data / PID_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    if not lines or not lines[0].strip().isdecimal():
        return None
    status = lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else ""
    return PidFile(int(lines[0]), status)


def exists(pid: int) -> bool:
    """Tell whether a process has this id, whatever it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_postmaster(pid: int, data: Path) -> bool:
    """Tell whether process `pid` is a server of `data`, going by its command line."""
    return f"postgres -D {data} " in f"{_command_line(pid)} "


def socket_path(sockets: Path, port: int) -> Path:
    """Name the socket that PostgreSQL makes in `sockets` for `port`."""
    return sockets / f".s.PGSQL.{port}"


def fits_socket(sockets: Path) -> bool:
    """Tell whether a socket in `sockets` can be made, and named in a URL (where a comma separates hosts)."""
    longest = os.fsencode(socket_path(sockets, 65535))
    return len(longest) <= _LONGEST_SOCKET_PATH and b"," not in longest


def is_private(directory: Path, owner: int) -> bool:
    """Tell whether `directory` is really one, of `owner`, closed to others: nobody else can have put a socket there."""
    try:
        status = directory.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == owner and not status.st_mode & _OTHERS


def listener(path: Path) -> int | None:
    """Connect to a socket and return the process id that listens there; None when nobody does.

    It is 0 where the system does not tell (macOS) or the process is in another container.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_CONNECT_SECONDS)
        try:
            connection.connect(os.fspath(path))
        except BlockingIOError:  # it listens, with a full queue
            return 0
        except (FileNotFoundError, ConnectionRefusedError, TimeoutError):
            return None
        return _peer(connection)


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def wait_until_ready(data: Path, alive: Callable[[], bool], timeout: float, pid: int | None = None) -> bool:
    """Wait until the server of `data` accepts connections; False when it ended or `timeout` seconds passed.

    Args:
        data: the data directory.
        alive: tells whether the server still runs.
        timeout: seconds to wait.
        pid: the process to wait for: a pid file that names another is left from an earlier run.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found = read_pid_file(data)
        if found is not None and found.status == READY and pid in (None, found.pid):
            return True
        if not alive():
            return False
        time.sleep(locks.POLL_SECONDS)
    return False


def _peer(connection: socket.socket) -> int:
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return 0
    pid: int = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))[0]
    return pid


def _command_line(pid: int) -> str:
    """Return a process's command line; empty for one that is gone, a zombie, or hidden."""
    proc = Path("/proc")
    if (proc / "self").exists():
        try:
            return os.fsdecode((proc / str(pid) / "cmdline").read_bytes()).replace("\0", " ")
        except OSError:
            return ""
    try:
        listing = subprocess.run(
            ["ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return listing.stdout.strip()
