"""Backups of a fleet: a bundle for each department and one for the control plane: `fedschema backup`.

A backup is a directory of its own, named by its moment. backup.json in it is written last: without it the backup was
interrupted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import psycopg

from fedschema import __version__, archiving, bundles, bundling, drift, events
from fedschema.bundles import Kind
from fedschema.bundling import Written
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.drift import Drift
from fedschema.encryption import Key
from fedschema.errors import BackupIncomplete, DepartmentMoved, FedschemaError
from fedschema.workers import Halt, Workers

LIST = "backup.json"
EVENT = "BACKUP_MADE"
FORMAT = "fedschema-backup"
VERSION = 1
DEFAULT_JOBS = 2
MAX_JOBS = 16

#: Names tell seconds.
_NEXT_NAME = 0.2
_LIST_BYTES = 64 << 20


class Outcome(StrEnum):
    """How it went for one department, or the control plane."""

    SAVED = "saved"
    FAILED = "failed"
    SKIPPED = "skipped"


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


@dataclass(frozen=True, slots=True)
class Listed:
    """A bundle as the list of a backup has it."""

    name: str
    status: str
    file: str | None
    bytes: int
    sha256: str
    rows: Mapping[str, int]
    server_version: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Backup:
    """A whole backup.

    Attributes:
        directory: where its bundles are.
        made_at: when it was begun.
        complete: it was asked to have every department.
        entries: what is in it, and what should be and is not.
    """

    directory: Path
    made_at: str
    complete: bool
    entries: tuple[Listed, ...]

    def bundle_of(self, entry: Listed) -> Path:
        """Return the file of a bundle; one that was not written has a name all the same."""
        return self.directory / (entry.file or f"{entry.name}.zip")

    @property
    def good(self) -> bool:
        """It has every department, and the control plane."""
        return self.complete and all(entry.status == Outcome.SAVED for entry in self.entries)

    @property
    def server_major(self) -> int:
        """The major version of the server that it was made from; 0 when nothing was saved."""
        return max((entry.server_version for entry in self.entries), default=0) // 10000


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


def read(directory: Path) -> Backup:
    """Read the list of a backup: of this directory, or of the newest in it.

    Raises:
        BackupIncomplete: there is none.
    """
    if not (directory / LIST).is_file():
        runs = sorted(run for run in directory.glob("*/") if (run / LIST).is_file())
        if not runs:
            raise BackupIncomplete(str(directory), f"there is no {LIST}, which is written last")
        directory = runs[-1]
    try:
        with (directory / LIST).open("rb") as file:
            given = json.loads(file.read(_LIST_BYTES))
        if given["format"] != FORMAT or given["version"] != VERSION:
            raise BackupIncomplete(str(directory), f"{LIST} is of another version of fedschema")
        entries = tuple(_listed(entry) for entry in given["bundles"])
        return Backup(directory, str(given["made_at"]), bool(given["complete"]), entries)
    except OSError as error:
        raise BackupIncomplete(str(directory), f"{LIST} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackupIncomplete(str(directory), f"{LIST} is damaged") from None


def _listed(entry: Mapping[str, Any]) -> Listed:
    file = entry.get("file")
    if file is not None and (not isinstance(file, str) or Path(file).name != file):
        raise ValueError(file)
    return Listed(
        str(entry["department_id"]),
        str(entry["status"]),
        file,
        int(entry.get("bytes", 0)),
        str(entry.get("sha256", "")),
        dict(entry.get("rows", {})),
        int(entry.get("server_version", 0)),
        entry.get("error"),
    )


def prune(parent: Path, keep: int) -> list[Path]:
    """Remove the backups of a directory that are older than the newest ones that have everything.

    Args:
        parent: what `new_directory` was given.
        keep: how many with everything stay, and what is newer than the oldest of them.

    Returns:
        what was removed.

    Raises:
        BackupIncomplete: one of them cannot be removed.
    """
    runs = sorted(run for run in parent.iterdir() if run.is_dir() and _is_stamp(run.name))
    good = [run for run in runs if (run / LIST).is_file() and read(run).good]
    gone = [run for run in runs if run.name < good[-keep].name] if len(good) > keep else []
    for run in gone:
        _remove(run)
    return gone


def _remove(run: Path) -> None:
    """Remove a backup and nothing else that somebody may have put there; the list first, so that none looks whole."""
    try:
        (run / LIST).unlink(missing_ok=True)
        for pattern in ("*.zip", "*.zip.sealed", ".*.part"):
            for path in run.glob(pattern):
                path.unlink()
        run.rmdir()
    except OSError as error:
        raise BackupIncomplete(str(run), f"it cannot be removed: {error.strerror}") from error


def _is_stamp(name: str) -> bool:
    try:
        return bundling.stamp(datetime.strptime(name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)) == name
    except ValueError:
        return False
