"""What making a department takes, compiled once and kept on disk for the next command.

The cache is found by a fingerprint of everything that the text depends on: the project's revisions and templates,
fedschema's own code, and the libraries that compile it. One changed byte and it is compiled anew. It holds SQL that
runs as federation_owner, so a file that somebody else could have written is not believed.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fedschema.plans import Plan, PlanStep
from fedschema.policies import Wall
from fedschema.settings import Project
from fedschema.versions import ControlPlaneRevisions

#: What compiles the text besides fedschema; a new version of one may write it differently.
_COMPILERS = ("alembic", "sqlalchemy", "jinja2")
_KEPT_PROJECTS = 16


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What making a department takes.

    Attributes:
        plan: from nothing to head, for a department without a branch of its own.
        control_plane: where the control plane has to be.
        branches: the ids of the departments that have a branch, and so another plan.
    """

    plan: Plan
    control_plane: ControlPlaneRevisions
    branches: frozenset[str]


def fingerprint(project: Project) -> str:
    """Return a fingerprint of everything that a blueprint depends on."""
    digest = hashlib.sha256()
    for path in _inputs(project):
        content = path.read_bytes()
        digest.update(f"{path}\0{len(content)}\0".encode())
        digest.update(content)
    for library in _COMPILERS:
        spec = find_spec(library)
        origin = Path(spec.origin) if spec and spec.origin else None
        digest.update(f"{origin}\0{origin.stat().st_mtime_ns if origin else 0}\0".encode())
    return digest.hexdigest()


def _inputs(project: Project) -> Iterator[Path]:
    yield project.ini
    for directory, pattern in (
        (project.root / "alembic", "*.py"),
        (project.templates, "*.sql.j2"),
        (Path(__file__).resolve().parent, "*.py"),
    ):
        yield from sorted(directory.rglob(pattern))


def load(project: Project, wanted: str) -> Blueprint | None:
    """Return the blueprint that is kept for a fingerprint; None when there is none, or it cannot be believed."""
    with suppress(OSError, RuntimeError, ValueError, KeyError, TypeError):
        path = _place(project)
        if not (_is_ours(path.parent) and _is_ours(path)):
            return None
        kept = json.loads(path.read_text(encoding="utf-8"))
        return _from_json(kept) if kept["fingerprint"] == wanted else None
    return None


def save(project: Project, made_for: str, blueprint: Blueprint) -> None:
    """Keep a blueprint for the next command; without a place to keep it, the next command compiles it again."""
    with suppress(OSError, RuntimeError):  # no place to write, or no home at all
        path = _place(project)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(path.parent):
            return
        descriptor, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"fingerprint": made_for, **_as_json(blueprint)}, file)
        Path(temporary).replace(path)
        _forget_old(path.parent)


def _forget_old(directory: Path) -> None:
    """Remove all but the files that were written last: projects come and go."""
    files = sorted(directory.iterdir(), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for file in files[_KEPT_PROJECTS:]:
        file.unlink(missing_ok=True)


def _place(project: Project) -> Path:
    """Return the file for a project."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "fedschema" / f"{hashlib.sha256(str(project.ini).encode()).hexdigest()[:32]}.json"


def _is_ours(path: Path) -> bool:
    """Tell whether nobody else can have written a file or directory."""
    found = path.lstat()
    writable_by_others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return found.st_uid == os.geteuid() and not writable_by_others and not stat.S_ISLNK(found.st_mode)


def _as_json(blueprint: Blueprint) -> dict[str, Any]:
    return {
        "plan": asdict(blueprint.plan),
        "control_plane": {
            "heads": list(blueprint.control_plane.heads),
            "known": sorted(blueprint.control_plane.known),
        },
        "branches": sorted(blueprint.branches),
    }


def _from_json(kept: dict[str, Any]) -> Blueprint:
    plan = kept["plan"]
    return Blueprint(
        Plan(
            start=tuple(plan["start"]),
            end=tuple(plan["end"]),
            steps=tuple(_step(step) for step in plan["steps"]),
            walls=tuple(Wall(**wall) for wall in plan["walls"]),
            collateral=tuple(plan["collateral"]),
        ),
        ControlPlaneRevisions(tuple(kept["control_plane"]["heads"]), frozenset(kept["control_plane"]["known"])),
        frozenset(kept["branches"]),
    )


def _step(kept: dict[str, Any]) -> PlanStep:
    carried = tuple((table, leaving, staying) for table, leaving, staying in kept["carried"])
    return PlanStep(**{**kept, "end": tuple(kept["end"]), "carried": carried})
