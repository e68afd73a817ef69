"""Files that one command keeps for the next of the same user, in ``~/.cache/fedschema`` (XDG_CACHE_HOME).

What is kept is SQL that runs as federation_owner, or says what is right, so a file that somebody else could have
written is not believed. Without a place to keep it, whatever it is is made anew each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedschema import whole_files


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where files of one kind are kept.

    Attributes:
        directory: below the cache's own; empty for that one itself.
        holds: how many files; those that were written last stay.
    """

    directory: str
    holds: int

    def load(self, key: str, made_for: str) -> dict[str, Any] | None:
        """Return what is kept under a key; None when nothing is, or not for that, or it cannot be believed.

        Args:
            key: what it is of, in any words.
            made_for: a fingerprint of everything that it depends on.
        """
        with suppress(OSError, RuntimeError, ValueError, KeyError, TypeError):
            path = self._path(key)
            if _is_ours(path.parent) and _is_ours(path):
                kept = json.loads(path.read_text(encoding="utf-8"))
                return dict(kept) if kept["fingerprint"] == made_for else None
        return None

    def save(self, key: str, made_for: str, content: dict[str, Any]) -> None:
        """Keep something that JSON can hold."""
        with suppress(OSError, RuntimeError):  # no place to write, or no home at all
            path = self._path(key)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_ours(path.parent):
                return
            whole_files.replace(path, json.dumps({"fingerprint": made_for, **content}))
            self._forget_old(path.parent)

    def _forget_old(self, directory: Path) -> None:
        """Remove all but the files that were written last: projects and databases come and go."""
        files = [file for file in directory.iterdir() if not file.is_dir()]
        for file in sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True)[self.holds :]:
            file.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return base / "fedschema" / self.directory / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _is_ours(path: Path) -> bool:
    """Tell whether nobody else can have written a file or directory."""
    found = path.lstat()
    writable_by_others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return found.st_uid == os.geteuid() and not writable_by_others and not stat.S_ISLNK(found.st_mode)
