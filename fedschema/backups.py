"""Backups of a fleet: a bundle for each department and one for the control plane: `fedschema backup`.

A backup is a directory of its own, named by its moment. backup.json in it is written last: without it the backup was
interrupted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from fedschema import __version__, archiving, bundles, bundling, drift, events
from fedschema.backup_lists import FORMAT, LIST, VERSION, Outcome
from fedschema.bundles import Kind
from fedschema.bundling import Written
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.drift import Drift
from fedschema.encryption import Key
from fedschema.errors import DepartmentMoved, FedschemaError
from fedschema.workers import Halt, Workers

EVENT = "BACKUP_MADE"
DEFAULT_JOBS = 2
MAX_JOBS = 16

#: Names tell seconds.
_NEXT_NAME = 0.2


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of one bundle.

    Attributes:
        name: the department's id; ``federation`` for the control plane.
        outcome: how it went.
        duration_seconds: how long it took.
        written: the bundle.
        error: why there is none.
    """

    name: str
    outcome: Outcome
    duration_seconds: float = 0.0
    written: Written | None = None
    error: FedschemaError | None = None

    def listed(self) -> dict[str, Any]:
        """Return its entry in the list of the backup."""
        entry: dict[str, Any] = {
            "department_id": self.name,
            "status": self.outcome.value,
            "duration_seconds": round(self.duration_seconds, 3),
            "error": self.error.message if self.error else None,
        }
        if self.written:
            manifest = self.written.manifest
            entry |= {
                "file": self.written.path.name,
                "bytes": self.written.bytes,
                "sha256": self.written.sha256,
                "encrypted": self.written.encrypted,
                "made_at": _utc(manifest.made_at),
                "server_version": manifest.server_version,
                "revisions": list(manifest.revisions),
                "fingerprint": manifest.fingerprint,
                "drift": list(manifest.drift),
                "rows": {table.name: table.rows for table in manifest.tables},
            }
        return entry


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def new_directory(parent: Path) -> Path:
    """Make the directory of a new backup.

    Raises:
        BundleNotWritten
    """
    while not bundles.make_new_directory(directory := parent / bundling.stamp(datetime.now(UTC))):
        time.sleep(_NEXT_NAME)  # another backup began in this very second
    return directory


def survey(conninfo: str, compiler: Compiler, wanted: Sequence[Department]) -> list[Drift]:
    """Look at the departments that are to be backed up (none: all), before anything is written.

    Raises:
        UnknownDepartment, ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead
    """
    return drift.examine(conninfo, compiler, wanted)


def back_up(  # noqa: PLR0913, PLR0917 - what a run is made of
    conninfo: str,
    compiler: Compiler,
    compared: Sequence[Drift],
    directory: Path,
    key: Key | None,
    halt: Halt,
    *,
    complete: bool,
    jobs: int = DEFAULT_JOBS,
) -> Iterator[Saved]:
    """Write a bundle for the control plane and for each department, and yield each as it is there; then the list.

    One that fails does not stop the others. Departments are only read, and can be used meanwhile.

    Args:
        conninfo: the database.
        compiler: the project.
        compared: from `survey`.
        directory: from `new_directory`.
        key: what the bundles are encrypted under, if under anything.
        halt: ends it early; what was not begun is skipped.
        complete: they are all that there are.
        jobs: how many connections.

    Raises:
        ServerUnreachable, ConnectionLost: no connection could be opened any more.
        BundleNotWritten: the list could not be written.
    """
    began = datetime.now(UTC)
    work = _Work(conninfo, compiler, directory, key)
    items: list[Drift | None] = [None, *compared]
    done: list[Saved] = []
    for _, saved in Workers(conninfo, jobs, work, halt).run(items):
        done.append(saved)
        yield saved
    names = {saved.name for saved in done}
    for item in items:
        if _name(item) not in names:
            done.append(Saved(_name(item), Outcome.SKIPPED))
            yield done[-1]
    _write_list(directory, began, done, complete=complete)
    _record(conninfo, directory, done, complete=complete)


def _name(item: Drift | None) -> str:
    return item.department.id if item else Kind.FEDERATION.value


@dataclass(frozen=True, slots=True)
class _Work:
    """Writes one bundle, on a worker's connection."""

    conninfo: str
    compiler: Compiler
    directory: Path
    key: Key | None

    def __call__(self, connection: psycopg.Connection, item: Drift | None) -> Saved:
        began = time.monotonic()
        path = self.directory / bundling.file_name(_name(item), self.key)
        try:
            written = self._write(connection, item, path)
        except FedschemaError as error:
            return Saved(_name(item), Outcome.FAILED, time.monotonic() - began, error=error)
        return Saved(_name(item), Outcome.SAVED, time.monotonic() - began, written)

    def _write(self, connection: psycopg.Connection, item: Drift | None, path: Path) -> Written:
        if item is None:
            return archiving.write_control_plane(connection, self.compiler, path, self.key)
        if item.problem:
            raise item.problem
        try:
            return archiving.write_department(connection, self.compiler, item, path, self.key)
        except DepartmentMoved:  # migrated since all were compared
            with self.compiler.alembic:
                again = drift.examine_over(connection, self.conninfo, self.compiler, [item.department])[0]
            if again.problem:
                raise again.problem from None
            return archiving.write_department(connection, self.compiler, again, path, self.key)


def _write_list(directory: Path, began: datetime, done: Sequence[Saved], *, complete: bool) -> None:
    content = {
        "format": FORMAT,
        "version": VERSION,
        "fedschema": __version__,
        "made_at": _utc(began),
        "duration_seconds": round((datetime.now(UTC) - began).total_seconds(), 3),
        "complete": complete,
        "bundles": [saved.listed() for saved in sorted(done, key=lambda saved: saved.name)],
    }
    with bundles.whole_file(directory / LIST) as file:
        file.write(json.dumps(content, indent=1).encode() + b"\n")


def _record(conninfo: str, directory: Path, done: Sequence[Saved], *, complete: bool) -> None:
    """Put on record that there is a backup, and of what; `doctor` reads it."""
    failed = [saved.name for saved in done if saved.outcome is not Outcome.SAVED]
    only = None if complete else sorted(saved.name for saved in done if saved.name != Kind.FEDERATION)
    with connect(conninfo) as connection, owner_transaction(connection, "recording a backup"):
        events.record(
            connection,
            EVENT,
            None,
            directory=str(directory.absolute()),
            complete=complete,
            departments=sum(saved.outcome is Outcome.SAVED and saved.name != Kind.FEDERATION for saved in done),
            failed=failed,
            bytes=sum(saved.written.bytes for saved in done if saved.written),
            encrypted=all(saved.written.encrypted for saved in done if saved.written),
            only=only,
        )
