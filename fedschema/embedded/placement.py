"""Where a server keeps what: the small file ``.fedschema/server.json`` and the decisions that it records."""

from __future__ import annotations

import json
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from fedschema.embedded import postmaster
from fedschema.embedded.cluster import DATABASE, SUPERUSER
from fedschema.embedded.files import write_private

STATE_FILE = "server.json"
NO_PORT = 0

_SHORT_PLACE = "/tmp"  # noqa: S108 -- sockets need a short path; mkdtemp makes the name, `is_private` guards its return
_LOWEST_PORT = 15432
_PORTS = 16384
"""Ports are drawn from below the range that systems use for outgoing connections, so that one stays free."""
_ATTEMPTS = 200


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a running server is reached.

    Attributes:
        sockets: the directory of its Unix socket, through which the operator logs in without a password.
        host: where it listens for TCP.
        port: of both.
        user: the superuser.
        database: the database that is there from the start.
    """

    sockets: Path
    host: str
    port: int
    user: str = SUPERUSER
    database: str = DATABASE

    def url(self, database: str | None = None) -> str:
        """Compose the operator's libpq URL, through the socket; it holds no password."""
        options = urlencode({"host": str(self.sockets), "port": self.port}, quote_via=quote, safe="/")
        return f"postgresql://{self.user}@/{quote(database or self.database, safe='')}?{options}"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the server of a directory keeps its things.

    Attributes:
        directory: the ``.fedschema/`` that it serves.
        home: what holds its data; the directory itself, unless the server's account cannot reach it.
        sockets: the directory of its socket; ``home/run`` when that is short enough.
        port: the one it used last, or `NO_PORT`.
    """

    directory: Path
    home: Path
    sockets: Path
    port: int

    @property
    def data(self) -> Path:
        """The cluster."""
        return self.home / "data"

    @property
    def alive(self) -> Path:
        """The file that the server's processes keep locked while one of them lives."""
        return self.home / "alive"

    @property
    def socket(self) -> Path:
        """The Unix socket."""
        return postmaster.socket_path(self.sockets, self.port)

    @property
    def endpoint(self) -> Endpoint:
        """Where clients find it."""
        return Endpoint(self.sockets, postmaster.LOOPBACK, self.port)


def load(directory: Path) -> Placement | None:
    """Read where the server of `directory` was placed; None when it never was, or when the record is of another.

    A directory may have been moved, and keeps all; or copied, and then shares nothing with the original.

    Raises:
        OSError: the record is there and cannot be read.
    """
    try:
        record = json.loads((directory / STATE_FILE).read_text(encoding="utf-8"))
        recorded = Path(record["directory"])
        home = Path(record["home"]) if record["home"] else directory
        sockets = Path(record["sockets"]) if record["sockets"] else home / "run"
        port = int(record["port"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    if recorded != directory and (recorded / STATE_FILE).exists():
        return None
    return Placement(directory, home, sockets, port)


def save(placement: Placement) -> None:
    """Record a placement; what lies within the directory is left out, so that it can be moved."""
    within = placement.home == placement.directory
    record = {
        "directory": str(placement.directory),
        "home": None if within else str(placement.home),
        "sockets": None if placement.sockets == placement.home / "run" else str(placement.sockets),
        "port": placement.port,
    }
    write_private(placement.directory / STATE_FILE, json.dumps(record, indent=2) + "\n")


def new_home(system_home: Path) -> Path:
    """Name a home outside of the directory. At random: a new directory of the same path must not find old data."""
    return system_home / "clusters" / secrets.token_hex(8)


def choose_sockets(home: Path, previous: Path | None, owner: int) -> Path:
    """Choose where the socket goes: in the home, else where it was, else in a new short place.

    Args:
        home: of the server.
        previous: where the socket was, if anywhere.
        owner: the user id that the directory has to belong to.
    """
    if postmaster.fits_socket(home / "run"):
        return home / "run"
    if previous is not None and postmaster.fits_socket(previous) and postmaster.is_private(previous, owner):
        return previous
    return Path(tempfile.mkdtemp(prefix="fedschema-", dir=_SHORT_PLACE))


def choose_port(previous: int = NO_PORT) -> int:
    """Choose a free port, the previous one if it still is."""
    if previous != NO_PORT and postmaster.is_free(previous):
        return previous
    for _ in range(_ATTEMPTS):
        port = _LOWEST_PORT + secrets.randbelow(_PORTS)
        if postmaster.is_free(port):
            return port
    return previous or _LOWEST_PORT
