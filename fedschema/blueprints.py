"""What making a department takes, compiled once and kept on disk for the next command.

The cache is found by a fingerprint of everything that the text depends on: the project's revisions and templates,
fedschema's own code, and the libraries that compile it. One changed byte and it is compiled anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fedschema.cache import Shelf
from fedschema.plans import Plan, PlanStep
from fedschema.policies import Wall
from fedschema.settings import Project
from fedschema.versions import ControlPlaneRevisions

#: What compiles the text besides fedschema; a new version of one may write it differently.
_COMPILERS = ("alembic", "sqlalchemy", "jinja2")
_SHELF = Shelf("", holds=16)


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
    kept = _SHELF.load(str(project.ini), wanted)
    with suppress(ValueError, KeyError, TypeError):
        return _from_json(kept) if kept else None
    return None


def save(project: Project, made_for: str, blueprint: Blueprint) -> None:
    """Keep a blueprint for the next command."""
    _SHELF.save(str(project.ini), made_for, _as_json(blueprint))


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
