"""The persistent server of a directory ``.fedschema/``: started when needed, shared, outliving the command.

    .fedschema/
        .gitignore     keeps it out of the repository
        lock           held by who initialises, starts or stops it
        server.json    where the rest is, and on which port
        server.log     what the server says
        data/          the cluster
        alive          locked while a process of the server lives
        run/           the Unix socket

The last three are below /var/lib/fedschema/clusters/ when the server's account cannot reach root's directory, and the
socket is in /tmp when its path would be too long.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from fedschema.embedded import halt, launch, locks, placement, postmaster, provision
from fedschema.embedded.account import server_account
from fedschema.embedded.binaries import SYSTEM_HOME, binaries_for
from fedschema.embedded.errors import ServerNotRunning, UnsupportedPlatform
from fedschema.embedded.files import translated

if TYPE_CHECKING:
    from fedschema.embedded.placement import Endpoint, Placement

State: TypeAlias = Literal["absent", "stopped", "starting", "running", "stopping"]

START_SECONDS = 120.0
STOP_SECONDS = 60.0

_LOCK_SECONDS = 300.0
_LOCK_FILE = "lock"


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """How the server of a directory is.

    Attributes:
        state: "absent" when it was never made.
        directory: the ``.fedschema/``.
        log: what it says.
        data: the cluster, if there is one.
        version: the major version that wrote it.
        pid: of a running server.
        endpoint: where a running server is reached.
    """

    state: State
    directory: Path
    log: Path
    data: Path | None = None
    version: str | None = None
    pid: int | None = None
    endpoint: Endpoint | None = None


class EmbeddedServer:
    """The PostgreSQL server of one directory.

    It holds no state: every question is answered from the files and the kernel, so any number of commands can each
    have one for the same directory.

    Args:
        directory: the ``.fedschema/``, made when needed.
        bindir: use the programs there instead of the packaged ones.
        system_home: where root keeps what the server's account cannot reach in the directory.

    Raises:
        UnsupportedPlatform: on Windows.
    """

    def __init__(self, directory: Path, *, bindir: Path | None = None, system_home: Path = SYSTEM_HOME) -> None:
        if sys.platform == "win32":
            raise UnsupportedPlatform(sys.platform)
        self.directory = Path(directory).resolve()
        self.bindir = bindir
        self.system_home = system_home

    def running(self) -> Endpoint | None:
        """Return where the server is reached if it takes connections now: no lock, no process, about a millisecond.

        Raises:
            EmbeddedServerNotPermitted: it is someone else's.
        """
        with translated(self.directory):
            place = self._running_place()
        return place.endpoint if place else None

    def ensure_running(self, timeout: float = START_SECONDS) -> Endpoint:
        """Return where the server is reached, having made and started it if necessary.

        Of several commands one does it and the others wait. The first start takes about two seconds, the next 0.2.

        Raises:
            EmbeddedServerError: it cannot be had; which of its kinds says why.
        """
        endpoint = self.running()
        if endpoint is not None:
            return endpoint
        with translated(self.directory):
            provision.make_directory(self.directory)
            with locks.exclusive(self.directory / _LOCK_FILE, _LOCK_SECONDS) as lock:
                place = self._running_place() or self._start(lock, timeout)
        return place.endpoint

    def stop(self, timeout: float = STOP_SECONDS) -> bool:
        """End all sessions and stop the server; False when it was not running.

        Raises:
            ServerStopFailed: it did not end within `timeout` seconds.
            EmbeddedServerNotPermitted: it is someone else's.
        """
        with translated(self.directory):
            if placement.load(self.directory) is None:
                return False
            with locks.exclusive(self.directory / _LOCK_FILE, _LOCK_SECONDS):
                place = placement.load(self.directory)
                return place is not None and halt.stop(place, timeout)

    def status(self) -> ServerStatus:
        """Tell how the server is, without waiting for anybody.

        Raises:
            EmbeddedServerNotPermitted: it is someone else's.
        """
        log = self.directory / launch.LOG_FILE
        with translated(self.directory):
            place = placement.load(self.directory)
            version = provision.read_version(place.data) if place else None
            if place is None or version is None:
                return ServerStatus("absent", self.directory, log)
            state = _state(place)
            found = postmaster.read_pid_file(place.data) if state != "stopped" else None
        pid = found.pid if found else None
        endpoint = place.endpoint if state == "running" else None
        return ServerStatus(state, self.directory, log, place.data, version, pid, endpoint)

    def url(self, database: str | None = None) -> str:
        """Return the operator's libpq URL of the running server, for the database ``fedschema`` or another.

        Raises:
            ServerNotRunning: it is not running.
            EmbeddedServerNotPermitted: it is someone else's.
        """
        endpoint = self.running()
        if endpoint is None:
            raise ServerNotRunning(self.directory)
        return endpoint.url(database)

    def _running_place(self) -> Placement | None:
        place = placement.load(self.directory)
        return place if place is not None and launch.is_accepting(place) else None

    def _start(self, lock: int, timeout: float) -> Placement:
        previous = placement.load(self.directory)
        account = server_account([*([previous.data] if previous else []), self.directory / "data", self.directory])
        binaries = binaries_for(account, self.bindir, self.system_home)
        place = provision.settle(self.directory, account, previous, self.system_home)
        provision.ensure_cluster(place, binaries, account, lock)
        return launch.Launcher(binaries, account, timeout).start(place)


def _state(place: Placement) -> State:
    if launch.is_accepting(place):
        return "running"
    if not launch.is_alive(place):
        return "stopped"
    found = postmaster.read_pid_file(place.data)
    return "stopping" if found is not None and found.status == "stopping" else "starting"
