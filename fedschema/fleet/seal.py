"""A plan as a file: what was looked at is what runs, or nothing does.

The file says which departments there were, where each began, and the checksum of every step's SQL. It holds no SQL:
that is compiled anew from the project, and has to be the same. A checksum over the whole notices an edit; it keeps out
accidents, not somebody who can write the file and run a program.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedschema import whole_files
from fedschema.department import Department
from fedschema.downgrades import WayBack, way_json
from fedschema.errors import InvalidDepartmentId, InvalidPlanFile
from fedschema.fleet.groups import Step
from fedschema.versions import Heads

FORMAT = "fedschema-plan/1"
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class SealedGroup:
    """What departments with the same plan have before them."""

    start: Heads
    end: Heads
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class SealedPlan:
    """What was looked at.

    Attributes:
        created_at: when, ISO 8601 in UTC.
        fedschema: the version that wrote it.
        database: which one, for people; never a user or a password.
        identity: the same for the server and its standbys, whatever they are called; None where it is not told.
        target: what the departments were to be brought to.
        every: all departments were meant, so that one more is something new.
        departments: the group of each.
        ways_back: what was known of going back over each of the steps, for whoever reads the file.
    """

    created_at: str
    fedschema: str
    database: str
    identity: str | None
    target: str
    every: bool
    departments: Mapping[Department, SealedGroup]
    ways_back: Mapping[str, WayBack] = field(default_factory=dict)


def write(path: Path, plan: SealedPlan) -> None:
    """Write a plan, whole or not at all. One that is there is replaced; any other file is not.

    Raises:
        InvalidPlanFile: something else is there, or the file cannot be written.
    """
    refuse_other_files(path)
    text = json.dumps(_sealed(_document(plan)), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    try:
        whole_files.replace(path, text, mode=None)
    except OSError as error:
        raise InvalidPlanFile(
            str(path), f"cannot be written: {error.strerror}", "choose another place: --out"
        ) from error


def refuse_other_files(path: Path) -> None:
    """Refuse to write over a file that is no plan, or where none can be; asked before anything is looked at.

    Raises:
        InvalidPlanFile
    """
    if not path.parent.is_dir():
        raise InvalidPlanFile(str(path), "cannot be written: its directory is not there", "choose another place: --out")
    if not os.path.lexists(path):
        return
    try:
        there = json.loads(_text(path))
    except (InvalidPlanFile, ValueError, RecursionError):
        there = None
    if not isinstance(there, dict) or not str(there.get("format")).startswith("fedschema-plan/"):
        reason = "is there already and is no plan, so it is not replaced"
        raise InvalidPlanFile(str(path), reason, "choose another place: --out")


def read(path: Path) -> SealedPlan:
    """Read a plan that was written here or elsewhere.

    Raises:
        InvalidPlanFile: it cannot be read, is none, or was changed since it was written.
    """
    text = _text(path)
    try:
        return _read(path, text)
    except RecursionError as error:
        raise InvalidPlanFile(str(path), "is no plan: it is nested too deeply") from error


def _read(path: Path, text: str) -> SealedPlan:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidPlanFile(str(path), "is no plan: it is no JSON") from error
    if not isinstance(document, dict) or "format" not in document:
        raise InvalidPlanFile(str(path), "is no plan of fedschema")
    if document["format"] != FORMAT:
        raise InvalidPlanFile(str(path), f"has the format {document['format']!r}, and this fedschema reads {FORMAT!r}")
    if document != _sealed({name: value for name, value in document.items() if name != "seal"}):
        raise InvalidPlanFile(str(path), "was changed after it was sealed")
    try:
        return _plan(document)
    except (KeyError, TypeError, IndexError, AttributeError, InvalidDepartmentId) as error:
        raise InvalidPlanFile(str(path), f"is incomplete: {type(error).__name__}: {error}") from error


def _text(path: Path) -> str:
    try:
        # A pipe would be waited for, when it is opened and when it is read.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InvalidPlanFile(str(path), "is no file that holds a plan")
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidPlanFile(str(path), f"cannot be read: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise InvalidPlanFile(str(path), "is too large to be a plan")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidPlanFile(str(path), "is no plan: it is no UTF-8 text") from error


def _sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Add the checksum over everything else, in one spelling."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return {**document, "seal": f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"}


def _document(plan: SealedPlan) -> dict[str, Any]:
    groups = list(dict.fromkeys(plan.departments.values()))
    return {
        "format": FORMAT,
        "created_at": plan.created_at,
        "fedschema": plan.fedschema,
        "database": plan.database,
        "identity": plan.identity,
        "direction": "upgrade",
        "target": plan.target,
        "wanted": "all" if plan.every else "named",
        "ways_back": [{"revision": revision, **way_json(way)} for revision, way in plan.ways_back.items()],
        "departments": [
            {"department_id": department.id, "start": list(group.start), "group": groups.index(group) + 1}
            for department, group in plan.departments.items()
        ],
        "groups": [
            {
                "group": number,
                "start": list(group.start),
                "end": list(group.end),
                "steps": [
                    {"revision": step.revision, "direction": step.direction, "checksum": step.checksum}
                    for step in group.steps
                ],
            }
            for number, group in enumerate(groups, 1)
        ],
    }


def _plan(document: Mapping[str, Any]) -> SealedPlan:
    groups = {
        each["group"]: SealedGroup(
            tuple(each["start"]),
            tuple(each["end"]),
            tuple(Step(step["revision"], step["direction"], step["checksum"]) for step in each["steps"]),
        )
        for each in document["groups"]
    }
    return SealedPlan(
        document["created_at"],
        document["fedschema"],
        document["database"],
        document["identity"],
        document["target"],
        document["wanted"] == "all",
        {Department.parse(each["department_id"]): groups[each["group"]] for each in document["departments"]},
    )
