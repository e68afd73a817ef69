"""Which revisions are proven, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alembic.script import Script

from fedschema.compiler import Compiler
from fedschema.errors import UnknownRevision
from fedschema.lineages import Lineage
from fedschema.plans import SLOT
from fedschema.versions import TENANT


@dataclass(frozen=True, slots=True)
class Subject:
    """A revision that is to be proven, and whose it is."""

    script: Script
    lineage: str

    @property
    def revision(self) -> str:
        """Its id."""
        return str(self.script.revision)

    @property
    def below(self) -> str:
        """Where its downgrade goes to."""
        return str(self.script.down_revision or f"{self.lineage}@base")


def subjects(compiler: Compiler, named: Sequence[str] = (), since: str | None = None) -> list[Subject]:
    """Return the revisions that are meant, each lineage from its first to its last.

    Args:
        compiler: the project.
        named: those alone; empty for all.
        since: those that come after it alone, in its own lineage; other lineages are left out.

    Raises:
        UnknownRevision
    """
    lineage = compiler.lineage(SLOT)
    everything = [one for label in (TENANT, *sorted(lineage.branches - {TENANT})) for one in _of_label(lineage, label)]
    found = everything
    if named:
        wanted = {_revision(lineage, name, everything) for name in named}
        found = [one for one in found if one.revision in wanted]
    if since is not None:
        first = _revision(lineage, since, everything)
        label = next(one.lineage for one in everything if one.revision == first)
        below = lineage.ancestors((first,))
        found = [one for one in found if one.lineage == label and one.revision not in below]
    return found


def _of_label(lineage: Lineage, label: str) -> list[Subject]:
    walked = lineage.script.iterate_revisions(f"{label}@head", f"{label}@base")
    return [Subject(script, label) for script in reversed(list(walked)) if label in script.branch_labels]


def _revision(lineage: Lineage, name: str, known: Sequence[Subject]) -> str:
    revision = str(lineage.script_of(name).revision)
    if revision not in {one.revision for one in known}:
        raise UnknownRevision(name, "it is none of the departments' revisions")
    return revision
