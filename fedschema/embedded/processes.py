"""Running PostgreSQL's programs as the right account, in a clean environment, never without an end."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fedschema.embedded.errors import InitializationFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fedschema.embedded.account import Account

Completed: TypeAlias = "subprocess.CompletedProcess[str]"

SHELL = "/bin/sh"
PRIVATE_UMASK = 0o077
TIMEOUT_SECONDS = 300.0

_KEPT_VARIABLES = ("PATH", "TZ", "LD_LIBRARY_PATH")
_READABLE = 'for path do [ -r "$path" ] || exit 1; done'
_ENTERABLE = 'cd -- "$1"'
_APPEND = 'cat >> "$1"'
_REPLACE = 'cat > "$1"'


def environment() -> dict[str, str]:
    """Return what the server may see of our environment.

    A list of what is kept rather than of what is dropped: libpq's PG* variables would redirect it, and the secrets of
    the command (OAUTH_ENCRYPTION_KEY, DATABASE_URL) are none of its business. Messages are in English so that the
    few that matter can be recognised.
    """
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, "LC_ALL": "C"}


def run(
    arguments: Sequence[str | Path],
    account: Account,
    *,
    text: str = "",
    keep: Sequence[int] = (),
    timeout: float = TIMEOUT_SECONDS,
) -> Completed:
    """Run a program to its end as `account` and capture what it says.

    It starts in ``/``, for the account may be unable to enter our working directory.

    Args:
        arguments: the program and its arguments.
        account: who runs it.
        text: its standard input.
        keep: file descriptors that it inherits, so that whoever waits for their release waits for it as well.
        timeout: seconds after which it is killed.

    Raises:
        InitializationFailed: it cannot be run at all, or takes too long.
    """
    program = Path(arguments[0]).name
    try:
        return subprocess.run(
            arguments,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",
            env=environment(),
            umask=PRIVATE_UMASK,
            pass_fds=keep,
            timeout=timeout,
            check=False,
            **account.identity,
        )
    except subprocess.TimeoutExpired as error:
        raise InitializationFailed(program, f"it took more than {timeout:.0f} s") from error
    except OSError as error:
        raise InitializationFailed(program, f"it cannot be run as {account.name}: {error.strerror}") from error


def can_read(account: Account, paths: Sequence[Path]) -> bool:
    """Tell whether `account` can read every path. Asked of the kernel: permission bits do not tell of ACLs."""
    return run([SHELL, "-c", _READABLE, SHELL, *paths], account).returncode == 0


def can_enter(account: Account, directory: Path) -> bool:
    """Tell whether `account` can reach what is below `directory`."""
    return run([SHELL, "-c", _ENTERABLE, SHELL, directory], account).returncode == 0


def write_as(account: Account, path: Path, text: str, *, append: bool = False) -> None:
    """Write a file in a directory of `account` as that account.

    Root must not follow a path through a directory that someone else can rearrange.

    Raises:
        InitializationFailed: the file cannot be written.
    """
    result = run([SHELL, "-c", _APPEND if append else _REPLACE, SHELL, path], account, text=text)
    if result.returncode:
        raise InitializationFailed(path.name, result.stderr.strip())
