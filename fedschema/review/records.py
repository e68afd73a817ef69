"""What was released: one small file for each revision, kept with the project, by which an edit is noticed.

A file for each, so that two branches that release something never get in each other's way, and a project that takes
over a newer fedschema's revisions takes over their records too. What counts is what a revision does, which is its
compiled SQL for the department that stands for all: comments and line breaks are no part of it, but in a function's
body, which PostgreSQL keeps as it is. So whatever shapes the SQL is covered: the revision, its templates, templates
that all revisions share, and fedschema's own operations.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fedschema import statements, whole_files
from fedschema.errors import ProjectReadOnly
from fedschema.plans import PlanStep
from fedschema.settings import Project

FORMAT = "fedschema-released/1"
_SUFFIX = ".txt"
_HEAD = "# What this revision was when it was released. Written by fedschema lint --release, and never edited.\n"
_NOTHING = "-"

_SPACE = re.compile(
    rf"""(?P<space>(?:\s+|--[^\n]*|{statements.BLOCK_COMMENT})+)
    | (?P<kept>[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
      | (?P<dollar>(?<![\w$])\$(?:[A-Za-z_]\w*)?\$).*?(?P=dollar))""",
    re.VERBOSE | re.DOTALL,
)


class RecordUnreadable(Exception):
    """A record is none; the text says why."""


@dataclass(frozen=True, slots=True)
class Release:
    """What a revision was when it was released.

    Attributes:
        revision: its id.
        place: where it stands and what it is, by name: its lineage, what it follows and depends on, and so on.
        python: a fingerprint of its code.
        upgrade: a fingerprint of what it does.
        downgrade: the same for the way back.
        applied: the checksum of the upgrade as a department's history has it; None when it has none.
        templates: fingerprints of the templates that it rendered, to say which was changed.
    """

    revision: str
    place: Mapping[str, str]
    python: str
    upgrade: str
    downgrade: str
    applied: str | None
    templates: Mapping[str, str] = field(default_factory=dict)


def fingerprint(text: str) -> str:
    """Return a text's fingerprint."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def meaning_of(step: PlanStep | None) -> str:
    """Return the fingerprint of what a step does; the same for SQL that differs in nothing but comments and spaces."""
    if step is None:
        return _NOTHING
    apart = f"\n{step.nontransactional}" if step.nontransactional else ""
    return fingerprint(_SPACE.sub(lambda found: found["kept"] or " ", step.sql).strip() + apart)


def directory(project: Project) -> Path:
    """Return where a project keeps its records."""
    return project.root / "alembic" / "released"


def recorded(project: Project) -> tuple[dict[str, Release], dict[Path, str]]:
    """Return the records of a project by revision, and the files that are none with the reason."""
    found: dict[str, Release] = {}
    broken: dict[Path, str] = {}
    for file in sorted(directory(project).glob(f"*{_SUFFIX}")):
        try:
            release = _read(file)
        except RecordUnreadable as error:
            broken[file] = str(error)
        else:
            found[release.revision] = release
    return found, broken


def record(project: Project, releases: Iterable[Release]) -> list[Path]:
    """Write records, each whole or not at all, in the order given, so that what is built on is there first.

    Raises:
        ProjectReadOnly: they cannot be written.
    """
    place = directory(project)
    files = []
    try:
        place.mkdir(exist_ok=True)
        for release in releases:
            files.append(place / f"{release.revision}{_SUFFIX}")
            whole_files.replace(files[-1], _written(release), mode=None)
    except OSError as error:
        raise ProjectReadOnly(str(project.root), error.strerror or str(error)) from error
    return files


def _written(release: Release) -> str:
    lines = [f"format {FORMAT}", f"revision {release.revision}"]
    lines += [f"{name} {value}" for name, value in release.place.items()]
    lines += [f"python {release.python}", f"upgrade {release.upgrade}", f"downgrade {release.downgrade}"]
    lines += [f"applied {release.applied or _NOTHING}"]
    lines += [f"template {name} {digest}" for name, digest in sorted(release.templates.items())]
    return _HEAD + "\n".join(lines) + "\n"


def _read(file: Path) -> Release:
    try:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise RecordUnreadable(str(error)) from error
    words = [line.split(" ") for line in lines]
    templates = {line[1]: line[2] for line in words if line[0] == "template" and len(line) == 3}  # noqa: PLR2004
    values = {name: " ".join(rest) for name, *rest in words if name != "template"}
    if values.pop("format", None) != FORMAT:
        raise RecordUnreadable(f"it has not the format {FORMAT}")
    try:
        revision, applied = values.pop("revision"), values.pop("applied")
        python, upgrade, downgrade = values.pop("python"), values.pop("upgrade"), values.pop("downgrade")
    except KeyError as error:
        raise RecordUnreadable(f"its line {error} is missing") from error
    if revision != file.name.removesuffix(_SUFFIX):
        raise RecordUnreadable(f"it is about {revision}")
    return Release(revision, values, python, upgrade, downgrade, None if applied == _NOTHING else applied, templates)
