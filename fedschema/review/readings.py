"""All that is known of a project's revisions before they are judged: their files, what they write, their tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from alembic.script import Script

from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.lineages import Lineage
from fedschema.plans import SLOT
from fedschema.review import trees
from fedschema.review.grounds import Ground, made
from fedschema.review.records import Release, fingerprint, meaning_of
from fedschema.review.sources import Source
from fedschema.review.trees import Statement
from fedschema.review.writings import Way, Writing, write
from fedschema.settings import Project
from fedschema.versions import FEDERATION, TENANT, Heads

WAYS: tuple[Way, ...] = ("upgrade", "downgrade")


@dataclass(frozen=True)
class Reading:
    """One revision.

    Attributes:
        project: where it is.
        script: Alembic's view of it.
        lineage: the label of its lineage.
        source: its file.
        writings: what it writes, up and down.
    """

    project: Project
    script: Script
    lineage: str
    source: Source
    writings: tuple[Writing, Writing]

    @property
    def revision(self) -> str:
        """Its id."""
        return self.script.revision

    @property
    def file(self) -> str:
        """Its file, below the project."""
        path = Path(self.script.path).resolve()
        return str(path.relative_to(self.project.root) if path.is_relative_to(self.project.root) else path)

    @property
    def is_online(self) -> bool:
        """It reads from the database while it runs, so that there is no SQL of it."""
        return bool(getattr(self.script.module, "online", False))

    @property
    def builds_on(self) -> Heads:
        """The revisions that come before it."""
        return tuple(self.script._all_down_revisions)  # noqa: SLF001 - those that it follows, and those it depends on

    @cached_property
    def statements(self) -> dict[Way, list[Statement]]:
        """The statements that it writes, in either direction."""
        return {one.way: trees.statements_of(one.sql) if one.sql.strip() else [] for one in self.writings}

    @cached_property
    def release(self) -> Release:
        """What would be recorded of it now."""
        up, down = self.writings
        module = self.script.module
        place = {
            "lineage": self.lineage,
            "follows": _listed(self.script._versioned_down_revisions),  # noqa: SLF001
            "depends_on": _listed(self.script.dependencies),
            "contracts": str(getattr(module, "contracts", None) or "-"),
            "online": "yes" if self.is_online else "no",
        }
        templates = {name: self._template(name) for name in up.templates | down.templates}
        applied = up.step.checksum if up.step else None
        return Release(
            self.revision, place, self.source.digest, meaning_of(up.step), meaning_of(down.step), applied, templates
        )

    def _template(self, name: str) -> str:
        return fingerprint((self.project.templates / f"{name}.sql.j2").read_text(encoding="utf-8"))


def _listed(revisions: object) -> str:
    if revisions is None or isinstance(revisions, str):
        return revisions or "-"
    return ",".join(sorted(revisions)) or "-"  # type: ignore[call-overload]  # Alembic: a tuple or a set of ids


@dataclass(frozen=True)
class Library:
    """All revisions of a project.

    Attributes:
        readings: the revisions, each after those that it builds on.
        lineages: the lineages, by their label.
    """

    readings: tuple[Reading, ...]
    lineages: dict[str, Lineage]

    def ground(self, reading: Reading, writing: Writing) -> Ground:
        """Return what statements of a revision are judged against."""
        walled = frozenset(wall.table for wall in writing.walls)
        return Ground(reading.lineage != FEDERATION, walled, **self._made)

    @cached_property
    def _made(self) -> dict[str, frozenset[str]]:
        everything = [one for reading in self.readings for one in reading.statements["upgrade"]]
        return {
            "relations": frozenset(made(everything, "CREATE_TABLE", "CREATE_VIEW", "CREATE_SEQUENCE")),
            "routines": frozenset(made(everything, "CREATE_FUNCTION", "CREATE_PROCEDURE")),
            "types": frozenset(made(everything, "CREATE_TYPE", "CREATE_DOMAIN")),
        }


def read(compiler: Compiler) -> Library:
    """Read and run, offline, all revisions of a project.

    Raises:
        RevisionsUnreadable: a file is no revision.
        InvalidDepartmentId: a branch has a label that is no department's.
    """
    with compiler.alembic:
        anyone = compiler.lineage(SLOT)
        branches = sorted(anyone.branches - {TENANT})
        lineages = {FEDERATION: compiler.lineage(None), TENANT: anyone}
        lineages |= {label: compiler.lineage(Department.parse(label)) for label in branches}
        return Library(tuple(_readings(compiler, lineages)), lineages)


def _readings(compiler: Compiler, lineages: dict[str, Lineage]) -> Iterator[Reading]:
    for first in (FEDERATION, TENANT):
        every = lineages[first]
        for script in reversed(list(every.script.walk_revisions())):
            label = every.owner_of(script)
            up, down = (write(lineages[label], compiler.project.templates, script, way) for way in WAYS)
            yield Reading(compiler.project, script, label, Source(Path(script.path)), (up, down))
