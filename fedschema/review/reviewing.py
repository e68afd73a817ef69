"""Reviews the revisions of a project: everything that `fedschema lint` finds, without a database."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from fedschema.compiler import Compiler
from fedschema.errors import LinterUnavailable, NotReleasable, ProjectReadOnly, UnknownRevision
from fedschema.linting import NotLinted
from fedschema.review import records, trees
from fedschema.review.applied import applied_otherwise
from fedschema.review.frozen import frozen
from fedschema.review.judging import judged
from fedschema.review.readings import Library, Reading, read
from fedschema.review.rules import SEVERAL_HEADS, TEMPLATE_UNUSED, Finding, Level
from fedschema.settings import Project

#: Whose server is meant when nobody says: the newest that fedschema is tested on, as libpq has it.
NEWEST_SERVER = 180000
#: Templates that are fedschema's own, and not a revision's.
_SHARED_TEMPLATES = ("tenant/department/", "tenant/policies/")
_REVISIONS_TEMPLATES = ("tenant/", "federation/control_plane/")


@dataclass(frozen=True, slots=True)
class Review:
    """What was found.

    Attributes:
        library: all revisions of the project.
        looked_at: those that were asked for.
        released: the ids of those that are released.
        findings: what was found, by revision.
    """

    library: Library
    looked_at: tuple[str, ...]
    released: frozenset[str]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Nothing is an error."""
        return all(one.level is not Level.ERROR for one in self.findings)


def review(
    compiler: Compiler,
    named: Sequence[str] = (),
    *,
    every: bool = False,
    server: int = NEWEST_SERVER,
    database: str | None = None,
) -> Review:
    """Review revisions: those that are named, or all, or those that are not released yet.

    That released ones are what they were is looked at in any case.

    Args:
        compiler: of the project.
        named: ids of revisions, or what they begin with.
        every: all revisions.
        server: the PostgreSQL that squawk judges for, as libpq has its version.
        database: a connection string: also look whether its departments got what there is.

    Raises:
        UnknownRevision: a named one is not there.
        RevisionsUnreadable, InvalidDepartmentId: see `readings.read`.
        LinterUnavailable: squawk cannot be run, or is another than the rules were written for.
    """
    try:
        trees.require_understanding()
        library = read(compiler)
        released, broken = records.recorded(compiler.project)
        chosen = _chosen(library, named, every=every, released=released)
        findings = [
            *(one for reading in chosen for one in judged(library, reading, server)),
            *_of_lineages(library),
            *frozen(library.readings, released, broken),
            *(_unused_templates(compiler.project, library) if not named else ()),
            *(applied_otherwise(database, compiler.project, library) if database is not None else ()),
        ]
    except NotLinted as error:
        raise LinterUnavailable(str(error)) from error
    looked_at = tuple(reading.revision for reading in chosen)
    return Review(library, looked_at, frozenset(released), tuple(dict.fromkeys(findings)))


def release(compiler: Compiler, seen: Review) -> tuple[str, ...]:
    """Record what was reviewed as released, and return which revisions that are; those that are, stay as they were.

    Raises:
        NotReleasable: an error was found, or a revision builds on one that is not released.
        ProjectReadOnly: the project cannot be written.
    """
    if compiler.project.is_packaged:
        raise ProjectReadOnly(str(compiler.project.root), "it is the one that comes with fedschema")
    unreleased = set(seen.looked_at) - seen.released
    new = [one for one in seen.library.readings if one.revision in unreleased]
    known = seen.released | {one.revision for one in new}
    reasons = [f"{one.revision or one.file}: {one.rule}" for one in seen.findings if one.level is Level.ERROR]
    reasons += [
        f"{one.revision} builds on {below}, which is not released"
        for one in new
        for below in one.builds_on
        if below not in known
    ]
    if reasons:
        raise NotReleasable(reasons)
    records.record(compiler.project, (one.release for one in new))
    return tuple(one.revision for one in new)


def _chosen(library: Library, named: Sequence[str], *, every: bool, released: Container[str]) -> tuple[Reading, ...]:
    if not named:
        return tuple(one for one in library.readings if every or one.revision not in released)
    wanted = {_full(library, name) for name in named}
    return tuple(one for one in library.readings if one.revision in wanted)


def _full(library: Library, name: str) -> str:
    exact = [one.revision for one in library.readings if one.revision == name]
    found = exact or [one.revision for one in library.readings if name and one.revision.startswith(name)]
    if len(found) != 1:
        reason = f"several begin with it: {', '.join(found)}" if found else "no revision has this id"
        raise UnknownRevision(name, reason)
    return found[0]


def _of_lineages(library: Library) -> Iterator[Finding]:
    for lineage in library.lineages.values():
        try:
            _ = lineage.heads
        except UnknownRevision as error:
            yield SEVERAL_HEADS.broken(error.message)


def _unused_templates(project: Project, library: Library) -> Iterator[Finding]:
    """Say which templates no revision renders; nothing can be said while one cannot be run."""
    if any(writing.error or reading.is_online for reading in library.readings for writing in reading.writings):
        return
    rendered = {name for reading in library.readings for writing in reading.writings for name in writing.templates}
    for file in sorted(project.templates.rglob("*.sql.j2")):
        name = file.relative_to(project.templates).as_posix().removesuffix(".sql.j2")
        if name.startswith(_REVISIONS_TEMPLATES) and not name.startswith(_SHARED_TEMPLATES) and name not in rendered:
            where = f"templates/{name}.sql.j2"
            yield TEMPLATE_UNUSED.broken(f"no revision renders {name}", file=where)
