"""What a bundle says of itself: manifest.json, and how one that somebody else may have written is read.

Nothing of it becomes SQL: names are looked up in the catalogue, values go as parameters, and what is not of its kind is
refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

FORMAT = "fedschema-bundle"
VERSION = 1
NAME = "manifest.json"

#: A row, by the columns' own names, as JSON has it.
Row: TypeAlias = Mapping[str, Any]

_DIGEST = re.compile(r"[0-9a-f]{64}")
_MEMBER = re.compile(r"[A-Za-z0-9_]+(/[a-z0-9_]+)?\.(copy|sql|txt)")
_REVISION = re.compile(r"[A-Za-z0-9_.-]{1,128}")


class Unlike(Exception):
    """A manifest is not what a manifest is; the message says in what."""


class Kind(StrEnum):
    """What a bundle holds."""

    DEPARTMENT = "department"
    FEDERATION = "federation"


@dataclass(frozen=True, slots=True)
class File:
    """A file in the bundle: its size and the SHA-256 of its bytes."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one table.

    Attributes:
        name: its name.
        columns: the columns that are in the file, in order; the others come by themselves.
        rows: how many there are.
        digest: of all of them, whatever their order; see `fedschema.contents.rows`.
        file: the member that holds them.
    """

    name: str
    columns: tuple[str, ...]
    rows: int
    digest: str
    file: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """Where a sequence stands."""

    name: str
    last_value: int
    is_called: bool


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says of itself.

    Attributes:
        kind: what it holds.
        made_at: the moment whose rows it has.
        fedschema: the version that wrote it.
        server_version: of the server it comes from, as libpq has it: 180006.
        database: its name there.
        revisions: the rows of the version table.
        fingerprint: of the schema; see `fedschema.inspection`.
        drift: how the schema differed from what the revisions give; nothing when it did not.
        tables, sequences: what there is of rows.
        department: its row of the registry; empty for the control plane.
        grants, gateways, credentials: what the control plane had of the department.
        periods: how long it keeps rows, where that is another time than the rule's.
        history: what had been applied to it; for reading only.
        files: every member but the manifest.
    """

    kind: Kind
    made_at: datetime
    fedschema: str
    server_version: int
    database: str
    revisions: tuple[str, ...]
    fingerprint: str
    drift: tuple[str, ...]
    tables: tuple[Table, ...]
    sequences: tuple[Sequence, ...]
    department: Row = field(default_factory=dict)
    grants: tuple[Row, ...] = ()
    gateways: tuple[Row, ...] = ()
    credentials: tuple[Row, ...] = ()
    periods: tuple[Row, ...] = ()
    history: tuple[Row, ...] = ()
    files: Mapping[str, File] = field(default_factory=dict)

    @property
    def department_id(self) -> str:
        """Whose it is; ``federation`` for the control plane."""
        return str(self.department["department_id"]) if self.kind is Kind.DEPARTMENT else Kind.FEDERATION.value

    @property
    def department_uuid(self) -> UUID:
        """The department's uuid, which its secrets are bound to."""
        return UUID(str(self.department["id"]))

    @property
    def has_secrets(self) -> bool:
        """There are values in it that are bound to the department's uuid."""
        return bool(self.credentials) or any(table.rows for table in self.tables if table.name == "api_keys")

    @property
    def rows(self) -> int:
        """How many rows it has in all."""
        return sum(table.rows for table in self.tables)

    @property
    def size(self) -> int:
        """How many bytes its members have when they are unpacked."""
        return sum(file.bytes for file in self.files.values())

    @property
    def major(self) -> int:
        """The major version of the server it comes from."""
        return self.server_version // 10000

    def text(self) -> str:
        """Return it as it is written."""
        written = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return json.dumps(written, default=_plain, indent=1, ensure_ascii=False) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def parse(text: str) -> Manifest:
    """Read a manifest.

    Raises:
        Unlike: with what is wrong.
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise Unlike("its manifest is no JSON") from None
    if not isinstance(given, dict) or given.get("format") != FORMAT:
        raise Unlike("its manifest is not that of a bundle")
    if given.get("version") != VERSION:
        raise Unlike(f"it has version {given.get('version')!r} of the format, and this fedschema knows {VERSION}")
    try:
        return _manifest(given)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise Unlike("its manifest is not as it should be") from None


def _manifest(given: Mapping[str, Any]) -> Manifest:
    kind = Kind(given["kind"])
    manifest = Manifest(
        kind=kind,
        made_at=_moment(given["made_at"]),
        fedschema=_text(given["fedschema"]),
        server_version=_count(given["server_version"]),
        database=_text(given["database"]),
        revisions=tuple(_matching(_REVISION, revision) for revision in given["revisions"]),
        fingerprint=_text(given["fingerprint"]),
        drift=tuple(_text(difference) for difference in given["drift"]),
        tables=tuple(_table(table) for table in given["tables"]),
        sequences=tuple(_sequence(sequence) for sequence in given["sequences"]),
        department=_row(given["department"]),
        grants=_rows(given["grants"]),
        gateways=_rows(given["gateways"]),
        credentials=_rows(given["credentials"]),
        periods=_rows(given.get("periods", [])),  # earlier ones have none
        history=_rows(given["history"]),
        files={_matching(_MEMBER, name): _file(file) for name, file in given["files"].items()},
    )
    names = [table.name for table in manifest.tables]
    if len(set(names)) < len(names) or any(table.file not in manifest.files for table in manifest.tables):
        raise Unlike("its manifest names a table twice, or a file that is not listed")
    if kind is Kind.DEPARTMENT:
        _text(manifest.department["department_id"]), manifest.department_uuid
    return manifest


def _table(given: Mapping[str, Any]) -> Table:
    columns = tuple(_text(column) for column in given["columns"])
    return Table(
        _text(given["name"]), columns, _count(given["rows"]), _matching(_DIGEST, given["digest"]), given["file"]
    )


def _sequence(given: Mapping[str, Any]) -> Sequence:
    value, called = given["last_value"], given["is_called"]
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63 or type(called) is not bool:
        raise TypeError(value)
    return Sequence(_text(given["name"]), value, called)


def _file(given: Mapping[str, Any]) -> File:
    return File(_count(given["bytes"]), _matching(_DIGEST, given["sha256"]))


def _rows(given: object) -> tuple[Row, ...]:
    if not isinstance(given, list):
        raise TypeError(given)
    return tuple(_row(row) for row in given)


def _row(given: object) -> Row:
    if not isinstance(given, dict):
        raise TypeError(given)
    return given


def _moment(given: object) -> datetime:
    found = datetime.fromisoformat(_text(given))
    if found.tzinfo is None:
        raise ValueError(given)
    return found


def _text(given: object) -> str:
    if not isinstance(given, str) or "\0" in given:
        raise TypeError(given)
    return given


def _matching(pattern: re.Pattern[str], given: object) -> str:
    if not pattern.fullmatch(_text(given)):
        raise ValueError(given)
    return str(given)


def _count(given: object) -> int:
    if type(given) is not int or not 0 <= given < 1 << 63:
        raise TypeError(given)
    return given
