"""What a release knows, from the record, of the steps that it goes back over; and what it refuses for that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fedschema.compiler import Compiler
from fedschema.downgrades import Record, Verdict, WayBack
from fedschema.errors import FedschemaError, LossyStep
from fedschema.plans import SLOT, Plan


@dataclass(frozen=True, slots=True)
class GoingBack:
    """The steps down of a release.

    Attributes:
        ways: what is known of each, in the order in which they are gone back over.
        named: those of which somebody said that what they lose may go.
        fleet: it is about more than one department.
    """

    ways: Mapping[str, WayBack] = field(default_factory=dict)
    named: frozenset[str] = frozenset()
    fleet: bool = False

    @classmethod
    def of(
        cls, compiler: Compiler, plans: Iterable[Plan | FedschemaError], named: Iterable[str], *, fleet: bool
    ) -> GoingBack:
        """Look up the steps of some plans.

        Args:
            compiler: the project.
            plans: of departments.
            named: revisions, as they were typed.
            fleet: it is about more than one department.

        Raises:
            UnknownRevision: there is no such revision.
            InvalidDowngradeRecord
        """
        lineage = compiler.lineage(SLOT)
        known = frozenset(str(lineage.script_of(name).revision) for name in named)
        return cls(ways_back(compiler, plans), known, fleet)

    @property
    def accepted(self) -> frozenset[tuple[str, str | None]]:
        """The tables and columns that may go, since their step was named."""
        return frozenset(
            (loss.table, loss.column)
            for revision, way in self.ways.items()
            if revision in self.named
            for loss in way.losses
            if loss.is_counted
        )

    @property
    def unknown(self) -> tuple[str, ...]:
        """The steps of which nobody knows what they lose."""
        return tuple(revision for revision, way in self.ways.items() if way.verdict is Verdict.UNKNOWN)

    def refuse_unnamed(self) -> None:
        """Refuse to go back over a lossy step that nobody named.

        Of a single department the rows that would go with a table or a column are counted and asked about, so that the
        step has to be named only for what nobody counts: rows and values that are changed where they stand.

        Raises:
            LossyStep
        """
        unnamed = {
            revision: [str(loss) for loss in way.losses]
            for revision, way in self.ways.items()
            if way.verdict is Verdict.LOSSY
            and revision not in self.named
            and (self.fleet or not all(loss.is_counted for loss in way.losses))
        }
        if unnamed:
            raise LossyStep(unnamed)


def ways_back(compiler: Compiler, plans: Iterable[Plan | FedschemaError]) -> dict[str, WayBack]:
    """Return what is known of going back over the steps of some plans, whichever way these go.

    Raises:
        InvalidDowngradeRecord
    """
    steps = (step for plan in plans if isinstance(plan, Plan) for step in plan.steps if step.direction != "stamp")
    revisions = dict.fromkeys(step.revision for step in steps)
    record = Record.read(compiler) if revisions else Record(compiler, {})
    return {revision: record.way_back(revision) for revision in revisions}
