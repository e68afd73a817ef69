"""What lies in directories of backups: which are whole, what is in them, and which are too old."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from fedschema import bundles, bundling, private_files
from fedschema.bundles import Bundle
from fedschema.encryption import Key
from fedschema.errors import BackupIncomplete, BundleDamaged

LIST = "backup.json"
FORMAT = "fedschema-backup"
VERSION = 1

_LIST_BYTES = 64 << 20


class Outcome(StrEnum):
    """How it went for one department, or the control plane."""

    SAVED = "saved"
    FAILED = "failed"
    SKIPPED = "skipped"


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

    @contextmanager
    def opened(self, entry: Listed, key: Key | None) -> Iterator[Bundle]:
        """Open a bundle, if it is of whom the list says: a file may have got another's name.

        Raises:
            BundleDamaged, and what `bundles.opened` raises
        """
        with bundles.opened(self.bundle_of(entry), key) as bundle:
            if bundle.manifest.department_id != entry.name:
                raise BundleDamaged(bundle.path, f"it holds {bundle.manifest.department_id}, not {entry.name}")
            yield bundle

    @property
    def good(self) -> bool:
        """It has every department, and the control plane."""
        return self.complete and all(entry.status == Outcome.SAVED for entry in self.entries)

    @property
    def server_major(self) -> int:
        """The major version of the server that it was made from; 0 when nothing was saved."""
        return max((entry.server_version for entry in self.entries), default=0) // 10000


def read(directory: Path) -> Backup:
    """Read the list of a backup: of this directory, or of the newest in it that was to have every department.

    Where there is none of every department, it is the newest of some.

    Raises:
        BackupIncomplete: there is none, or one that is newer is damaged.
    """
    if (directory / LIST).is_file():
        return _read(directory)
    newest_first = (run for run in reversed(_runs(directory)) if (run / LIST).is_file())
    of_some = None
    for run in newest_first:
        found = _read(run)
        if found.complete:
            return found
        of_some = of_some or found
    if of_some is None:
        raise BackupIncomplete(str(directory), f"there is no {LIST}, which is written last")
    return of_some


def _runs(parent: Path) -> list[Path]:
    """Return the backups of a directory, finished or not, the oldest first."""
    return sorted(run for run in parent.glob("*/") if _is_stamp(run.name))


def _read(directory: Path) -> Backup:
    try:
        with (directory / LIST).open("rb") as file:
            given = json.loads(file.read(_LIST_BYTES))
        if given["format"] != FORMAT or given["version"] != VERSION:
            raise BackupIncomplete(str(directory), f"{LIST} is of another version of fedschema")
        entries = tuple(_listed(entry) for entry in given["bundles"])
        return Backup(directory, str(given["made_at"]), bool(given["complete"]), entries)
    except OSError as error:
        raise BackupIncomplete(str(directory), f"{LIST} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
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
        parent: what `backups.new_directory` was given.
        keep: how many with everything stay, and what is newer than the oldest of them.

    Returns:
        what was removed.

    Raises:
        BackupIncomplete: one of them cannot be removed.
    """
    runs = [run for run in _runs(parent) if not run.is_symlink()]  # what a link leads to is kept elsewhere
    good = [run for run in runs if _is_good(run)]
    gone = [run for run in runs if run.name < good[-keep].name] if len(good) > keep else []
    for run in gone:
        _remove(run)
    return gone


def _is_good(run: Path) -> bool:
    try:
        return (run / LIST).is_file() and _read(run).good
    except BackupIncomplete:  # one that cannot be read is none
        return False


def _remove(run: Path) -> None:
    """Remove a backup and nothing else that somebody may have put there; the list first, so that none looks whole."""
    try:
        (run / LIST).unlink(missing_ok=True)
        for pattern in ("*.zip", "*.zip.sealed", private_files.UNFINISHED):
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
