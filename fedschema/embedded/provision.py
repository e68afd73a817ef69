"""Making what a server needs before it can start: the directory, a place for the data, the cluster."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fedschema.embedded import cluster, placement, processes
from fedschema.embedded.account import ROOT, operators
from fedschema.embedded.errors import DataVersionMismatch, InitializationFailed
from fedschema.embedded.files import make_private_directory, make_root_directory, open_private, sync_directory
from fedschema.embedded.placement import Placement

if TYPE_CHECKING:
    from fedschema.embedded.account import Account
    from fedschema.embedded.binaries import Binaries

SETTINGS = {
    "max_connections": "100",
    "max_locks_per_transaction": "256",
    "password_encryption": "scram-sha-256",
    "jit": "off",
    "dynamic_shared_memory_type": "mmap",
}
"""What the server decides itself.

A fleet has thousands of tables, and pg_dump holds a lock on each. Shared memory is in files of the cluster, for systemd
removes a user's from /dev/shm at logout and breaks the server (PostgreSQL manual, "systemd RemoveIPC"); containers give
/dev/shm 64 MB.
"""

_UNFINISHED = "data.new-"
_PUBLIC = 0o755
_CLOSED = 0o700
_PUBLIC_FILE = 0o644


def make_directory(directory: Path) -> None:
    """Make ``.fedschema/`` with a .gitignore; one that is there stays as it is.

    Others can look into root's, for the server runs as one of them, and git as another; what matters in it is private.
    """
    if not directory.is_dir():
        directory.mkdir(parents=True)
        directory.chmod(_PUBLIC if os.geteuid() == ROOT else _CLOSED)
    ignore = directory / ".gitignore"
    if not ignore.exists():
        with os.fdopen(open_private(ignore, os.O_WRONLY, _PUBLIC_FILE), "w", encoding="utf-8") as file:
            file.write("*\n")


def settle(directory: Path, account: Account, previous: Placement | None, system_home: Path) -> Placement:
    """Decide where the server of `directory` keeps its things, make those places, and record them.

    Args:
        directory: the ``.fedschema/``, which exists.
        account: who runs the server.
        previous: what was decided the last time.
        system_home: where data go that `account` could not reach in the directory.
    """
    home = previous.home if previous else _choose_home(directory, account, system_home)
    if home != directory:
        for root_directory in (system_home, home.parent, home):
            make_root_directory(root_directory, _PUBLIC)
    sockets = placement.choose_sockets(home, previous.sockets if previous else None, account.uid)
    make_private_directory(sockets, account)
    place = Placement(directory, home, sockets, previous.port if previous else placement.NO_PORT)
    placement.save(place)
    return place


def ensure_cluster(place: Placement, binaries: Binaries, account: Account, lock: int) -> None:
    """Make the cluster unless it is there; the caller holds the lock of the directory.

    It is made under another name and renamed, so that it is there whole or not at all. Should we be killed, the
    programs still running hold the lock by the descriptor `lock`: the next command waits and clears up after them.

    Raises:
        DataVersionMismatch: it is there, of another major version.
        InitializationFailed, DiskFull: it cannot be made.
    """
    for leftover in place.home.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(leftover)
    if not place.data.exists():
        _make_cluster(place, binaries, account, lock)
    written_by = read_version(place.data)
    if written_by is None:
        raise InitializationFailed("initdb", f"{place.data} exists and is not a cluster")
    if written_by != str(binaries.major):
        raise DataVersionMismatch(place.data, written_by, binaries.version)


def read_version(data: Path) -> str | None:
    """Read the major version that wrote a cluster; None when it is not one."""
    try:
        return (data / "PG_VERSION").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def _choose_home(directory: Path, account: Account, system_home: Path) -> Path:
    if (directory / "data").exists() or not account.borrowed or processes.can_enter(account, directory):
        return directory
    return placement.new_home(system_home)


def _make_cluster(place: Placement, binaries: Binaries, account: Account, lock: int) -> None:
    blueprint = cluster.Blueprint(settings=SETTINGS, operators=operators(account), database=True, durable=True)
    unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=place.home))
    try:
        make_private_directory(unfinished, account)
        cluster.create(binaries, account, unfinished, blueprint, keep=[lock])
        unfinished.rename(place.data)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    sync_directory(place.home)
