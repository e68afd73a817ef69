"""Which revisions there are, whose they are, and what ``head``, ``base``, ``+1`` or an id mean for whom.

There are three kinds of revision, told apart by their branch label: the control plane's (``federation``), every
department's (``tenant``), and those of one department's own branch (the department's id). A revision of one kind can
never be applied to another, whatever is typed: `Lineage.steps` refuses before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

from alembic.config import Config
from alembic.runtime.migration import RevisionStep, StampStep
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from fedschema.department import Department
from fedschema.errors import ForeignRevision, RevisionsUnreadable, UnknownRevision
from fedschema.settings import FEDERATION_SECTION, Project
from fedschema.versions import FEDERATION, TENANT, ControlPlaneRevisions, Heads

_Answer = TypeVar("_Answer")

_ALL_LABELS = "all labels"
_RELATIVE = re.compile(r"[+-]\d+")


class Lineage:
    """The revisions of one section of alembic.ini, for one department or for the control plane.

    Args:
        script: Alembic's map of the revisions.
        department: whose revisions these are, or None for the control plane.
        known: what was worked out for others of the same script.
    """

    def __init__(
        self, script: ScriptDirectory, department: Department | None = None, known: dict[Any, Any] | None = None
    ) -> None:
        self.script = script
        self.department = department
        self._known = {} if known is None else known

    @classmethod
    def load(cls, project: Project, department: Department | None = None) -> Lineage:
        """Read the revisions of a department (its tenant lineage and branch), or of the control plane."""
        section = "alembic" if department else FEDERATION_SECTION
        script = ScriptDirectory.from_config(Config(str(project.ini), ini_section=section))
        try:
            list(script.walk_revisions())
        except Exception as error:  # revisions are Python, and can fail in any way
            raise RevisionsUnreadable(type(error).__name__, " ".join(str(error).split())) from error
        return cls(script, department)

    def of(self, department: Department) -> Lineage:
        """Return the same revisions as another department sees them."""
        return Lineage(self.script, department, self._known)

    def _once(self, work: Callable[..., _Answer], *asked: object) -> _Answer:
        """Work something out once for all departments that have the same labels; a failure is each one's own.

        Alembic walks all revisions for each answer, which for a thousand departments is most of a second.
        """
        key = (work.__name__, self.labels, asked)
        if key not in self._known:
            self._known[key] = work(*asked)
        answer: _Answer = self._known[key]
        return answer

    @property
    def trunk(self) -> str:
        """The label of the lineage that steps without a label act on."""
        return TENANT if self.department else FEDERATION

    @property
    def owner(self) -> str:
        """Under whose id the history has it: the department's, or ``federation``."""
        return self.department.id if self.department else FEDERATION

    @property
    def name(self) -> str:
        """Whose lineage it is, for messages."""
        return f"department {self.department}" if self.department else "the control plane"

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels of the revisions that may be applied: the trunk's, and the department's own if it has a branch."""
        own = self.department.id if self.department else None
        return (self.trunk, own) if own and own in self._all_labels else (self.trunk,)

    @cached_property
    def _all_labels(self) -> frozenset[str]:
        if _ALL_LABELS not in self._known:
            walked = self.script.walk_revisions()
            self._known[_ALL_LABELS] = frozenset(label for script in walked for label in script.branch_labels)
        found: frozenset[str] = self._known[_ALL_LABELS]
        return found

    @cached_property
    def trunk_revisions(self) -> tuple[str, ...]:
        """The revisions of the trunk from the first to the last."""
        walked = self.script.iterate_revisions(f"{self.trunk}@head", f"{self.trunk}@base")
        return tuple(reversed([script.revision for script in walked if self.trunk in script.branch_labels]))

    @property
    def heads(self) -> Heads:
        """The newest revision of each label: what ``head`` means here.

        Raises:
            UnknownRevision: when a lineage has several, since two revisions were written after the same one.
        """
        newest = []
        for label in self.labels:
            found = [s for s in self.script.walk_revisions() if label in s.branch_labels and not s.nextrev]
            if len(found) != 1:
                names = ", ".join(sorted(script.revision for script in found))
                reason = f"the lineage {label!r} has multiple heads: {names}"
                raise UnknownRevision("head", reason, "let one of them follow the other: change its down_revision")
            newest.append(found[0].revision)
        return tuple(newest)

    def _telling_heads(self) -> Heads:
        """Return the heads without those that another one builds on: Alembic implies them, and takes no doublets."""
        implied = {revision for head in self.heads for revision in self.applied((head,)) - {head}}
        return tuple(head for head in self.heads if head not in implied)

    @property
    def branches(self) -> frozenset[str]:
        """The labels of all lineages that there are, whoever may have them."""
        return self._all_labels

    def as_control_plane(self) -> ControlPlaneRevisions:
        """Return what one has to know of the control plane's lineage to check a database."""
        return ControlPlaneRevisions(self.heads, frozenset(self.trunk_revisions))

    def is_at_head(self, current: Heads) -> bool:
        """Tell whether a version table that holds `current` is at every head, also where one head implies another."""
        return self._once(self._is_at_head, current)

    def _is_at_head(self, current: Heads) -> bool:
        return set(self.heads) <= self.applied(current)

    def applied(self, current: Heads) -> set[str]:
        """Return every revision that a version table stands for: those it holds, and all that they build on.

        Raises:
            UnknownRevision: when it holds one that no script has.
            ForeignRevision: when it holds one of another lineage.
        """
        try:
            held = self.script.get_revisions(current)
            applied = self.ancestors(current)
        except CommandError as error:
            reason = f"the version table of {self.name} holds it, and no revision has that id"
            mend = f"see fedschema history {self.owner}, then: alembic -x tenant={self.owner} stamp --purge REVISION"
            raise UnknownRevision(", ".join(current), reason, mend) from error
        for script in held:
            self._refuse_foreign(script)
        return applied

    def ancestors(self, revisions: Heads) -> set[str]:
        """Return revisions and all that they build on, whoever may have them."""
        held = self.script.get_revisions(revisions)
        scripts = self.script.revision_map._get_ancestor_nodes(  # noqa: SLF001 - Alembic has no public name for it
            held, include_dependencies=True
        )
        return {script.revision for script in scripts}

    def revision_of(self, current: Heads, label: str) -> str | None:
        """Return the newest applied revision under a label, or None when there is none."""
        return self._once(self._newest, current, label)

    def _newest(self, current: Heads, label: str) -> str | None:
        applied = self.applied(current)
        walked = self.script.iterate_revisions(f"{label}@head", f"{label}@base")
        return next((s.revision for s in walked if s.revision in applied and label in s.branch_labels), None)

    def resolve(self, revision: str) -> Heads:
        """Return the version rows of a department that is at `revision`, given in full, short or as a label.

        Raises:
            UnknownRevision, ForeignRevision
        """
        target = self._target((), revision)
        heads = target if isinstance(target, tuple) else (self.script_of(target).revision,)
        for head in heads:
            self._refuse_foreign(self.script_of(head))
        return heads

    def owner_of(self, script: Script) -> str:
        """Return the label that says whose a revision is.

        Raises:
            ForeignRevision: when it has none or several, so that nobody could tell.
        """
        owners = set(script.branch_labels)
        if len(owners) != 1:
            raise ForeignRevision(script.revision, "no single lineage (check its branch labels)", self.name)
        return owners.pop()

    def upgrade_steps(self, current: Heads, destination: str) -> list[RevisionStep]:
        """Return the steps from `current` up to what `destination` means here.

        Raises:
            UnknownRevision, ForeignRevision
        """
        return list(self._once(self._upgrade_steps, current, destination))

    def _upgrade_steps(self, current: Heads, destination: str) -> list[RevisionStep]:
        self.applied(current)
        if destination.rpartition("@")[2].startswith("-"):
            raise UnknownRevision(destination, "an upgrade goes to a revision, to +N or to head")
        target = self._target(current, destination)
        with _alembic_reasons(destination):
            steps = self.script._upgrade_revs(target, current)  # type: ignore[arg-type]  # noqa: SLF001
        return self._guard(steps)

    def downgrade_steps(self, current: Heads, destination: str) -> list[RevisionStep]:
        """Return the steps from `current` down to what `destination` means here.

        Raises:
            UnknownRevision, ForeignRevision
        """
        return list(self._once(self._downgrade_steps, current, destination))

    def _downgrade_steps(self, current: Heads, destination: str) -> list[RevisionStep]:
        self.applied(current)
        if destination.rpartition("@")[2].startswith("+"):
            raise UnknownRevision(destination, "a downgrade goes to one revision, to -N or to base")
        target = self._target(current, destination)
        if isinstance(target, tuple):
            raise UnknownRevision(destination, "a downgrade goes to one revision, to -N or to base")
        with _alembic_reasons(destination):
            steps = self.script._downgrade_revs(target, current)  # type: ignore[arg-type]  # noqa: SLF001
        return self._guard(steps)

    def collateral(self, steps: Sequence[RevisionStep], destination: str) -> tuple[str, ...]:
        """Return the branch's revisions among the steps of a downgrade that was asked of the trunk alone."""
        if destination == "base" or self._label_of(destination) != self.trunk:
            return ()
        return tuple(s.revision.revision for s in steps if self.owner_of(s.revision) != self.trunk)

    def _label_of(self, destination: str) -> str:
        """Return the label that a destination acts on."""
        label, at, _ = destination.rpartition("@")
        if at:
            return label
        return self.trunk if _RELATIVE.fullmatch(destination) else self.owner_of(self.script_of(destination))

    def stamp_steps(self, current: Heads, destinations: tuple[str, ...]) -> list[StampStep]:
        """Return the steps that write `destinations` into a version table without running anything.

        Raises:
            UnknownRevision, ForeignRevision
        """
        targets: list[str] = []
        for destination in destinations:
            target = self._target(current, destination)
            targets += [target] if isinstance(target, str) else target
        with _alembic_reasons(", ".join(destinations)):
            steps = self.script._stamp_revs(tuple(targets), current)  # noqa: SLF001
        for step in steps:
            for revision in (*step.from_revisions, *step.to_revisions):
                self._refuse_foreign(self.script_of(revision))
        return steps

    def _guard(self, steps: list[RevisionStep]) -> list[RevisionStep]:
        """Return the steps if all of them are of this lineage, before any of them has run."""
        for step in steps:
            self._refuse_foreign(step.revision)
        return steps

    def _refuse_foreign(self, script: Script) -> None:
        owner = self.owner_of(script)
        if owner not in self.labels:
            raise ForeignRevision(script.revision, f"the lineage {owner!r}", self.name)

    def _target(self, current: Heads, destination: str) -> str | Heads:
        """Turn a destination as typed into one that Alembic reads without doubt."""
        if not destination.strip() or destination.endswith("@"):
            raise UnknownRevision(destination, "nothing was named")
        if destination in {"head", "heads"}:
            return self._telling_heads()
        if destination == "base":
            return "base"
        if _RELATIVE.fullmatch(destination):
            return self._relative(current, int(destination))
        label, at, _ = destination.rpartition("@")
        if at and label not in self.labels:
            if label in self._all_labels:
                raise ForeignRevision(destination, f"the lineage {label!r}", self.name)
            raise UnknownRevision(destination, f"no lineage is labelled {label!r}")
        return destination if at else self.script_of(destination).revision

    def _relative(self, current: Heads, distance: int) -> str:
        """Count `distance` revisions from where the trunk is, up or down."""
        at = self.revision_of(current, self.trunk)
        position = self.trunk_revisions.index(at) if at else -1
        wanted = position + distance
        if not -1 <= wanted < len(self.trunk_revisions):
            raise UnknownRevision(f"{distance:+d}", f"{self.name} is at {at or 'base'}, which has no such neighbour")
        return self.trunk_revisions[wanted] if wanted >= 0 else f"{self.trunk}@base"

    def script_of(self, revision: str) -> Script:
        """Return the script of a revision.

        Raises:
            UnknownRevision
        """
        try:
            script = self.script.get_revision(revision)
        except CommandError as error:
            raise UnknownRevision(revision, _reason(error)) from error
        if script is None:
            raise UnknownRevision(revision, "no script has it")
        return script


@contextmanager
def _alembic_reasons(destination: str) -> Iterator[None]:
    """Turn Alembic's refusal of a destination into ours."""
    try:
        yield
    except CommandError as error:
        raise UnknownRevision(destination, _reason(error)) from error


def _reason(error: CommandError) -> str:
    """Return Alembic's reason as one line."""
    return str(error).splitlines()[0]
