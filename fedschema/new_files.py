"""Writes files that were not there before: all of them, or none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path


def write(files: Mapping[Path, bytes]) -> tuple[Path, ...]:
    """Write files in order, and the directories that they need; none over one that is there, or nothing is left.

    They get the permissions that new files have.

    Returns:
        What is there now and was not before, directories too, for `remove`.

    Raises:
        OSError: FileExistsError where one is there already.
    """
    made: list[Path] = []
    try:
        for path, content in files.items():
            for above in reversed([above for above in path.parents if not above.exists()]):
                above.mkdir()
                made.append(above)
            with path.open("xb") as file:
                made.append(path)
                file.write(content)
    except BaseException:
        remove(made)
        raise
    return tuple(made)


def remove(made: Iterable[Path]) -> None:
    """Remove what `write` made, but for a directory that somebody else uses by now."""
    for path in reversed(tuple(made)):
        with suppress(OSError):
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
