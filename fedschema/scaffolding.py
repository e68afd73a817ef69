"""Writes the files that a new revision begins with: chained to the one before it, labelled, able to run as they are.

No database is asked. What the files say is in fedschema/scaffolds/; what can be asked for is a `Draft`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from fedschema import naming, new_files
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.errors import (
    FileInTheWay,
    InvalidRevisionId,
    OperationError,
    ProjectReadOnly,
    UnknownRevision,
    UsageError,
)
from fedschema.plans import SLOT
from fedschema.settings import Project
from fedschema.versions import FEDERATION, TENANT

if TYPE_CHECKING:
    from fedschema.lineages import Lineage  # see `fedschema.compiler`

_SKELETONS = Path(__file__).resolve().parent / "scaffolds"


@dataclass(frozen=True, slots=True)
class Draft:
    """What is asked for.

    Attributes:
        message: what the revision does, in a line: it begins the docstring, and its words make the id.
        department: whose branch it is on; None for what every department has.
        federation: it is one of the control plane.
        table: the name of a table that it makes.
        contracts: the revision that every department has to have before this one, which takes something away.
        revision: its id; None for one that goes on with the numbers.
    """

    message: str
    department: Department | None = None
    federation: bool = False
    table: str | None = None
    contracts: str | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What was written.

    Attributes:
        revision: its id.
        lineage: the label of the lineage that it is on.
        follows: the revision before it; None for the first of a branch.
        depends_on: the tenant revision that a branch begins on; None for all others.
        files: the revision last.
    """

    revision: str
    lineage: str
    follows: str | None
    depends_on: str | None
    files: tuple[Path, ...]


def scaffold(compiler: Compiler, draft: Draft) -> Scaffold:
    """Write a revision and its templates; all of them, or none. No file is ever written over.

    Raises:
        InvalidRevisionMessage, InvalidRevisionId, InvalidTableName: what was named cannot be.
        UnknownRevision: the lineage has several heads, or `Draft.contracts` names none of its revisions.
        FileInTheWay: a file of that name is there.
        ProjectReadOnly: the files cannot be written.
        UsageError: two things exclude each other.
    """
    message = naming.parse_message(draft.message)
    if draft.federation and (draft.department or draft.table):
        raise UsageError("--federation is for the control plane, which has no departments' tables", "leave one out")
    if compiler.project.is_packaged:
        raise ProjectReadOnly(str(compiler.project.root), "it is the one that comes with fedschema")
    planned, files = _plan(compiler, draft, message)
    written = _write(compiler.project, files)
    try:
        _require_head(compiler.project, draft, planned.revision)
    except BaseException:
        new_files.remove(written)
        raise
    return planned


def _plan(compiler: Compiler, draft: Draft, message: str) -> tuple[Scaffold, dict[Path, str]]:
    """Return what is to be written."""
    label = draft.department.id if draft.department else FEDERATION if draft.federation else TENANT
    lineage = compiler.lineage(None if draft.federation else draft.department or SLOT)
    heads = dict(zip(lineage.labels, lineage.heads, strict=True))
    follows = heads.get(label)
    revision = draft.revision or naming.next_id(label, naming.slug_of(message), _ids(lineage))
    _require_new(lineage, revision)
    directory = Path("departments") / label if draft.department else Path(label)
    file = compiler.project.root / "alembic" / "versions" / directory / f"{revision.removeprefix(f'{label}_')}.py"
    body, templates = _contents(compiler.project, draft, revision, label)
    depends_on = heads[TENANT] if draft.department and not follows else None
    text = _filled(
        "revision.txt",
        message=message,
        revision=_quoted(revision),
        down_revision=_quoted(follows),
        branch_labels=f"({_quoted(label)},)" if follows is None else "None",
        depends_on=_quoted(depends_on),
        contracts=f"contracts = {_quoted(_contracted(lineage, draft, label))}\n" if draft.contracts else "",
        body=body,
    )
    files = {**templates, file: f"{text.rstrip()}\n"}
    return Scaffold(revision, label, follows, depends_on, tuple(files)), files


def _contents(project: Project, draft: Draft, revision: str, label: str) -> tuple[str, dict[Path, str]]:
    """Return the functions of a revision, and the templates that they name."""
    family = _family(project, draft, revision, label)
    if draft.table is not None:
        table = naming.parse_table(draft.table)
        columns = f"{family}/{table}_columns"
        body = _filled("table.txt", table=_quoted(table), columns=_quoted(columns))
        return body, {_template(project, columns): _filled("columns.sql.txt", table=table)}
    up, down = f"{family}/upgrade", f"{family}/downgrade"
    kind = "federation_" if draft.federation else ""
    return _filled("templates.txt", up=_quoted(up), down=_quoted(down)), {
        _template(project, up): _skeleton(f"{kind}upgrade.sql.txt"),
        _template(project, down): _skeleton(f"{kind}downgrade.sql.txt"),
    }


def _family(project: Project, draft: Draft, revision: str, label: str) -> str:
    """Return the directory of a revision's templates: one of its own, also where two are about the same."""
    stem = revision.removeprefix(f"{label}_")
    slug = stem.lstrip("0123456789").strip("_") or stem
    base = f"tenant/departments/{label}" if draft.department else label
    taken = (project.templates / base / slug).exists()
    return f"{base}/{stem}" if taken else f"{base}/{slug}"


def _template(project: Project, name: str) -> Path:
    return project.templates / f"{name}.sql.j2"


def _ids(lineage: Lineage) -> set[str]:
    return {script.revision for script in lineage.script.walk_revisions()}


def _require_new(lineage: Lineage, revision: str) -> None:
    """Check that an id is one, and nobody's.

    Raises:
        InvalidRevisionId
    """
    if reason := naming.objection_to_id(revision):
        raise InvalidRevisionId(revision, reason)
    if revision in _ids(lineage) or revision in lineage.branches:
        raise InvalidRevisionId(revision, "it is there already")


def _contracted(lineage: Lineage, draft: Draft, label: str) -> str:
    """Return the full id of the revision that is contracted.

    Raises:
        UnknownRevision: it comes after none, or is another lineage's.
    """
    named = lineage.script_of(draft.contracts or "").revision
    if named not in lineage.ancestors(lineage.heads):
        raise UnknownRevision(named, f"the lineage {label!r} does not build on it")
    return named


def _write(project: Project, files: Mapping[Path, str]) -> tuple[Path, ...]:
    """Write files that are not there, all or none, and return what is new."""
    try:
        return new_files.write({path: text.encode() for path, text in files.items()})
    except FileExistsError as error:
        raise FileInTheWay(str(error.filename)) from error
    except OSError as error:
        raise ProjectReadOnly(str(project.root), f"{error.strerror}: {error.filename}") from error


def _require_head(project: Project, draft: Draft, revision: str) -> None:
    """Read the project again and check that the new revision is where the lineage ends.

    Raises:
        OperationError: somebody else wrote another one at this moment.
    """
    heads = Compiler(project).lineage(None if draft.federation else draft.department or SLOT).heads
    if revision not in heads:
        raise OperationError(f"revision {revision} is not the head of its lineage", "fedschema history --revisions")


def _skeleton(name: str) -> str:
    return (_SKELETONS / name).read_text(encoding="utf-8")


def _filled(name: str, **values: str) -> str:
    return Template(_skeleton(name)).substitute(values)


def _quoted(text: str | None) -> str:
    """Return a text as it stands in Python; ids are ASCII."""
    return "None" if text is None else json.dumps(text)
