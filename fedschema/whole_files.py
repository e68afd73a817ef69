"""Files that are replaced whole: whoever reads one sees what was there before, or all of what comes after."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

#: For what others may not read.
PRIVATE = 0o600
#: For what a program of somebody else's collects.
PUBLIC = 0o644


def replace(path: Path, text: str, mode: int | None = PRIVATE) -> None:
    """Write a file beside the one that it replaces, and give it that one's name; nothing is left when that fails.

    Args:
        path: the file.
        text: all that it is to hold.
        mode: its permissions, whatever the umask; None leaves them to the umask.

    Raises:
        OSError: it cannot be written, or what is there is a device, a directory or a link, which are not replaced; what
            was there is as it was.
    """
    refuse_unusual(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else PRIVATE)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def refuse_unusual(path: Path) -> None:
    """Refuse what `replace` would not replace; asked before anything is looked at.

    Raises:
        OSError: a device, a directory or a link is there, or there is no directory to write into.
    """
    if not path.parent.is_dir():
        raise OSError(errno.ENOENT, "its directory is not there", str(path))
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(errno.EEXIST, "what is there is no ordinary file", str(path))
