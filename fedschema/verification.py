"""Tries a backup: every bundle is restored on a server made for it, and compared: `fedschema backup verify`.

Neither the database that it came from nor any other that is in use is touched, or even asked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from fedschema import batches, federation, recovery, restoring
from fedschema.backup_lists import Backup, Listed, Outcome
from fedschema.bundles import Bundle, Kind, sha256_of
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.embedded import throwaway_server
from fedschema.encryption import Key
from fedschema.errors import BundleDamaged, BundleKeyNeeded, FedschemaError, WrongBundleKey
from fedschema.lender import programs
from fedschema.workers import Halt, Workers

DEFAULT_JOBS = 2
#: Rows with their indexes and the log take some times what they take in a bundle; with so much room they are in memory.
_SPREAD = 6
_ROOM = 1 << 30


@dataclass(frozen=True, slots=True)
class Verified:
    """What the trial of one bundle showed.

    Attributes:
        name: the department's id; ``federation`` for the control plane.
        problems: what is wrong with it; nothing when it came back as it was.
        rows: how many came back.
        schema_alike: its schema has the fingerprint that it had; None where that cannot be compared.
        drift: how it had differed from its revisions, and comes back without.
        duration_seconds: how long it took.
    """

    name: str
    problems: tuple[str, ...]
    rows: int = 0
    schema_alike: bool | None = None
    drift: tuple[str, ...] = ()
    duration_seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """It came back as it was."""
        return not self.problems


def verify(
    compiler: Compiler, backup: Backup, key: Key | None, halt: Halt, *, jobs: int = DEFAULT_JOBS
) -> Iterator[Verified]:
    """Restore every bundle of a backup where it disturbs nobody, and yield what each showed.

    Args:
        compiler: the project.
        backup: from `backup_lists.read`.
        key: what its bundles are encrypted under, if under anything.
        halt: ends it early.
        jobs: how many at once.

    Raises:
        BundleKeyNeeded, WrongBundleKey: nothing was tried.
        EmbeddedServerError: there is no server to try it on.
    """
    size = jobs * _size(backup, key)
    with throwaway_server(programs(backup.server_major), room=_ROOM + _SPREAD * size) as server:
        conninfo = server.url()
        federation.initialise(conninfo, compiler)
        trial = _Trial(compiler, backup, key)
        with connect(conninfo) as connection:
            yield from (trial(connection, entry) for entry in backup.entries if entry.name == Kind.FEDERATION)
        departments = [entry for entry in backup.entries if entry.name != Kind.FEDERATION]
        for _, verified in Workers(conninfo, jobs, trial, halt).run(departments):
            yield verified


def _size(backup: Backup, key: Key | None) -> int:
    """Return how much the largest bundle holds, and refuse a key that opens none before a server is started."""
    size = 0
    for entry in backup.entries:
        if entry.file is None:
            continue
        try:
            with backup.opened(entry, key) as bundle:
                size = max(size, bundle.manifest.size)
        except (BundleKeyNeeded, WrongBundleKey):
            raise
        except FedschemaError:
            continue  # told when it is its turn
    return size


@dataclass(frozen=True, slots=True)
class _Trial:
    """Restores one bundle on the trial's server, and takes it away again."""

    compiler: Compiler
    backup: Backup
    key: Key | None

    def __call__(self, connection: psycopg.Connection, entry: Listed) -> Verified:
        began = time.monotonic()
        if entry.status != Outcome.SAVED or entry.file is None:
            return Verified(entry.name, (f"it is not in the backup: {entry.error or entry.status}",))
        try:
            with self.backup.opened(entry, self.key) as bundle:
                self._compare_file(entry)
                problems = [] if _rows(bundle) == entry.rows else ["its rows are not those of the backup's list"]
                alike = self._try(connection, bundle, entry)
                manifest = bundle.manifest
        except FedschemaError as error:
            return Verified(entry.name, (error.message,), duration_seconds=time.monotonic() - began)
        if alike is False:
            problems.append("its revisions give another schema now than the one it had")
        duration = time.monotonic() - began
        return Verified(entry.name, tuple(problems), manifest.rows, alike, manifest.drift, duration)

    def _compare_file(self, entry: Listed) -> None:
        path = self.backup.bundle_of(entry)
        with path.open("rb") as file:
            if sha256_of(file) != entry.sha256:
                raise BundleDamaged(str(path), "it is not the file that was written: its SHA-256 is another")

    def _try(self, connection: psycopg.Connection, bundle: Bundle, entry: Listed) -> bool | None:
        if entry.name == Kind.FEDERATION:
            recovery.restore_control_plane(connection, self.compiler, bundle, self.backup.made_at, with_grants=False)
            return None
        department = Department.parse(entry.name)
        restored = restoring.restore_over(connection, self.compiler, bundle, department)
        removal = batches.removal(self.compiler.templates, department)
        with owner_transaction(connection, removal.what):
            batches.execute(connection, removal)
        return restored.schema_alike


def _rows(bundle: Bundle) -> dict[str, int]:
    return {table.name: table.rows for table in bundle.manifest.tables}
