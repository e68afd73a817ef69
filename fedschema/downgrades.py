"""What is on record of downgrades: whether each is exact, loses something, or cannot be.

The record is a file of the project, beside its revisions. `fedschema revision check --record` writes what it found, and
plans tell it. Each entry has the checksum of what was tried, so that one of another text counts for nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from fedschema import whole_files
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.errors import FedschemaError, InvalidDowngradeRecord
from fedschema.plans import SLOT, PlanStep
from fedschema.settings import Project
from fedschema.versions import TENANT

FORMAT = "fedschema-downgrades/1"


class Verdict(StrEnum):
    """What a downgrade is."""

    EXACT = "exact"
    LOSSY = "lossy"
    IMPOSSIBLE = "impossible"
    BROKEN = "broken"
    UNKNOWN = "unknown"


class Lost(StrEnum):
    """What kind of thing is not as it was."""

    TABLE = "table"
    COLUMN = "column"
    ROWS = "rows"
    VALUES = "values"
    FILLED = "filled"
    LEFT = "left"


@dataclass(frozen=True, slots=True, order=True)
class Loss:
    """What does not come back, for any department.

    Attributes:
        kind: the table, the column, rows of it, or values in a column; or what stays that was not there.
        table: the table.
        column: the column, where it is about one.
    """

    kind: Lost
    table: str
    column: str | None = None

    @property
    def is_counted(self) -> bool:
        """It goes with a table or a column, whose rows every downgrade counts before it drops them."""
        return self.kind in {Lost.TABLE, Lost.COLUMN}

    def __str__(self) -> str:
        where = f"{self.table}.{self.column}" if self.column else self.table
        return {
            Lost.TABLE: f"table {where}",
            Lost.COLUMN: f"column {where}",
            Lost.ROWS: f"rows of {where}",
            Lost.VALUES: f"what was in {where}",
            Lost.FILLED: f"that {where} was empty",
            Lost.LEFT: f"that {where} had no such rows",
        }[self.kind]


@dataclass(frozen=True, slots=True)
class WayBack:
    """What the downgrade of one revision is.

    Attributes:
        verdict: never ``broken``: what is broken is mended, not put on record.
        losses: what does not come back, where it is lossy.
        reason: why it cannot be, where it is impossible; why nobody knows, where it is unknown.
        checksum: of the text that was tried.
    """

    verdict: Verdict
    losses: tuple[Loss, ...] = ()
    reason: str | None = None
    checksum: str | None = None

    def __str__(self) -> str:
        match self.verdict:
            case Verdict.LOSSY:
                return f"lossy: {', '.join(map(str, self.losses))}"
            case Verdict.IMPOSSIBLE | Verdict.UNKNOWN:
                return f"{self.verdict}: {self.reason}"
        return self.verdict.value


def path_of(project: Project) -> Path:
    """Return where a project has its record."""
    return project.root / "alembic" / "downgrades.json"


def checksum(compiler: Compiler, revision: str, label: str) -> str:
    """Return what a revision is known by, both ways: its SQL, or its file where it has none.

    Raises:
        UnknownRevision, CompilationFailed
    """
    owner = SLOT if label == TENANT else Department(label)
    up, down = compiler.both_ways(revision, owner)
    told = [_text(up), down.message if isinstance(down, FedschemaError) else _text(down)]
    if up.online or (isinstance(down, PlanStep) and down.online):
        told.append(Path(compiler.lineage(owner).script_of(revision).path).read_text(encoding="utf-8"))
    whole = json.dumps(told)
    return f"sha256:{hashlib.sha256(whole.encode()).hexdigest()}"


def _text(step: PlanStep) -> str:
    return f"{step.sql}\n{step.nontransactional or ''}"


class Record:
    """What is on record of a project's downgrades.

    Args:
        compiler: the project.
        entries: by revision.
    """

    def __init__(self, compiler: Compiler, entries: Mapping[str, WayBack]) -> None:
        self._compiler = compiler
        self.entries = dict(entries)

    @classmethod
    def read(cls, compiler: Compiler) -> Record:
        """Read a project's record; where there is none, nothing is on it.

        Raises:
            InvalidDowngradeRecord: the file is there and is none.
        """
        path = path_of(compiler.project)
        try:
            document = json.loads(path.read_bytes())
        except FileNotFoundError:
            return cls(compiler, {})
        except OSError as error:
            raise InvalidDowngradeRecord(str(path), f"cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise InvalidDowngradeRecord(str(path), "is no JSON") from error
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise InvalidDowngradeRecord(str(path), f"has not the format {FORMAT!r}")
        try:
            return cls(compiler, {revision: _read(entry) for revision, entry in document["revisions"].items()})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidDowngradeRecord(str(path), f"is incomplete: {type(error).__name__}: {error}") from error

    def write(self, found: Mapping[str, WayBack], existing: Iterable[str]) -> Path:
        """Put what was found on record beside what is, but for revisions that are gone; whole or not at all.

        Raises:
            InvalidDowngradeRecord: it cannot be written.
        """
        there = set(existing)
        kept = {name: entry for name, entry in (self.entries | dict(found)).items() if name in there}
        document = {"format": FORMAT, "revisions": {name: _written(kept[name]) for name in sorted(kept)}}
        path = path_of(self._compiler.project)
        try:
            whole_files.replace(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n", mode=None)
        except OSError as error:
            raise InvalidDowngradeRecord(str(path), f"cannot be written: {error.strerror}") from error
        self.entries = kept
        return path

    def way_back(self, revision: str) -> WayBack:
        """Return what is known of a revision's downgrade: what is on record, if that is of the same text."""
        lineage = self._compiler.lineage(SLOT)
        label = lineage.owner_of(lineage.script_of(revision))
        entry = self.entries.get(revision)
        if entry is None:
            return WayBack(Verdict.UNKNOWN, reason="it is not on record")
        if entry.checksum != checksum(self._compiler, revision, label):
            return WayBack(Verdict.UNKNOWN, reason="what is on record is of another text of it")
        return entry


def _read(entry: Mapping[str, Any]) -> WayBack:
    losses = tuple(Loss(Lost(each["kind"]), str(each["table"]), each.get("column")) for each in entry["loses"])
    verdict = Verdict(entry["downgrade"])
    if verdict not in {Verdict.EXACT, Verdict.LOSSY, Verdict.IMPOSSIBLE}:
        raise ValueError(verdict.value)
    return WayBack(verdict, losses, entry.get("reason"), str(entry["checksum"]))


def _written(entry: WayBack) -> dict[str, Any]:
    told = way_json(entry)
    losses = [{name: value for name, value in loss.items() if value and name != "message"} for loss in told["loses"]]
    return {**told, "loses": losses, "checksum": entry.checksum}


def way_json(way: WayBack) -> dict[str, Any]:
    """Return a way back as JSON has it: ``downgrade``, ``loses`` and ``reason``."""
    return {
        "downgrade": way.verdict.value,
        "loses": [
            {"kind": loss.kind.value, "table": loss.table, "column": loss.column, "message": str(loss)}
            for loss in way.losses
        ],
        "reason": way.reason,
    }
