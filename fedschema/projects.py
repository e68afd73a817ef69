"""Projects of one's own: the revisions and templates that come with fedschema, copied once and owned from then on.

A file that is there is never written over: not by `create`, which wants an empty directory, and not by `update`, which
brings what a newer fedschema has and the project lacks, and names what differs.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fedschema import new_files
from fedschema.errors import DirectoryUnsuitable, ProjectNotWritten
from fedschema.settings import INI, Project

#: What a project consists of, beside its alembic.ini.
_DIRECTORIES = ("alembic", "templates")
_CACHES = ("__pycache__",)
_REVISIONS = Path("alembic/versions")
#: What a new project gets besides: the file of `fedschema/skeleton/`, and its name there.
_SKELETON = {"README.md": "README.md", "gitignore": ".gitignore"}
#: What a project measures by itself (`fedschema revision check --record`), and so has of its own.
_RECORD = Path("alembic/downgrades.json")
_NAMED = 3
_ELSEWHERE = "fedschema new another-directory"

#: Files by their path below the project, with what is in them.
Files = dict[Path, bytes]


@dataclass(frozen=True, slots=True)
class Copy:
    """What was copied into a project.

    Attributes:
        project: the project.
        shipped: the one that it was copied from.
        written: the files that were written, by their path below the project.
        different: the files that both have and that are not the same; they were left.
    """

    project: Project
    shipped: Project
    written: tuple[Path, ...]
    different: tuple[Path, ...] = ()


def create(directory: Path) -> Copy:
    """Make a project in a directory that is not there yet, or is empty but for hidden files.

    A hidden file stays as it is, so that a repository (``.git``), its ``.gitignore`` and an embedded server
    (``.fedschema``) may be there before. It is made whole or not at all; alembic.ini, which makes it a project, is
    written last.

    Raises:
        DirectoryUnsuitable: something is there, or Alembic could not read the path.
        ProjectNotWritten: it cannot be written; nothing is left of it.
    """
    shipped = Project.shipped()
    root = directory.resolve()
    _refuse_what_alembic_cannot_read(directory, root)
    with _told(directory, _ELSEWHERE):
        _refuse_what_is_taken(directory, root)
        files = _files_of(shipped) | _skeleton(root)
        _write(root, files)
    return Copy(Project.at(root), shipped, tuple(sorted(files)))


def update(directory: Path) -> Copy:
    """Write what comes with this fedschema and the project lacks; whatever is there stays as it is.

    Raises:
        ProjectNotFound: there is no project.
        ProjectNotWritten: a file cannot be written; none is left.
    """
    shipped, project = Project.shipped(), Project.at(directory)
    with _told(directory, f"as who may write there: {update_command(directory)}"):
        files = _files_of(shipped)
        missing = {path: content for path, content in files.items() if not os.path.lexists(project.root / path)}
        both = files.keys() - missing - {_RECORD}
        different = [path for path in both if (project.root / path).read_bytes() != files[path]]
        _write(project.root, missing)
    return Copy(project, shipped, tuple(sorted(missing)), tuple(sorted(different)))


def update_command(directory: Path) -> str:
    """Return what has to be typed for `update`."""
    here = directory.resolve() == Path.cwd()
    return f"fedschema new {'.' if here else shlex.quote(str(directory))} --update"


def lacking_revisions(project: Project) -> tuple[Path, ...]:
    """Return the revisions that come with this fedschema and that a project does not have, by their path below it."""
    shipped = Project.shipped()
    files = sorted((shipped.root / _REVISIONS).rglob("*.py"))
    paths = (file.relative_to(shipped.root) for file in files)
    return tuple(path for path in paths if not (project.root / path).exists())


@contextmanager
def _told(directory: Path, hint: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProjectNotWritten(str(directory), error, hint) from error


def _refuse_what_alembic_cannot_read(directory: Path, root: Path) -> None:
    """Refuse a path that alembic.ini cannot hold: ``%`` begins an interpolation there, a line break ends a path."""
    if "%" in str(root) or not str(root).isprintable():
        reason = "Alembic cannot read a path with % or control characters in it"
        raise DirectoryUnsuitable(ascii(str(directory))[1:-1], reason, _ELSEWHERE)


def _refuse_what_is_taken(directory: Path, root: Path) -> None:
    if not os.path.lexists(root):
        return
    if not root.is_dir():
        raise DirectoryUnsuitable(str(directory), "it is a file", _ELSEWHERE)
    found = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
    if not found:
        return
    listing = ", ".join(found[:_NAMED]) + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
    hint = f"{_ELSEWHERE}; only hidden files, such as .git, may be there"
    if INI in found:
        hint = f"it is a project; for what it lacks: {update_command(directory)}"
    raise DirectoryUnsuitable(str(directory), f"it is not empty ({listing})", hint)


def _files_of(project: Project) -> Files:
    """Read the files of a project: no caches, nothing hidden."""
    files = {Path(INI): project.ini.read_bytes()}
    for top in _DIRECTORIES:
        for path in sorted((project.root / top).rglob("*")):
            below = path.relative_to(project.root)
            if path.is_file() and not any(part.startswith(".") or part in _CACHES for part in below.parts):
                files[below] = path.read_bytes()
    return files


def _skeleton(root: Path) -> Files:
    """Read what a new project gets besides, but for what is there already."""
    place = Path(__file__).resolve().parent / "skeleton"
    return {
        Path(name): (place / source).read_bytes()
        for source, name in _SKELETON.items()
        if not os.path.lexists(root / name)
    }


def _write(root: Path, files: Files) -> None:
    """Write files below a directory, alembic.ini last: it makes it a project."""
    ordered = sorted(files, key=lambda path: (path == Path(INI), path))
    new_files.write({root / path: files[path] for path in ordered})
