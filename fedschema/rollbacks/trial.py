"""Tries one revision, up, down and up again, and says what its downgrade turned out to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fedschema import snapshots
from fedschema.downgrades import Loss, Verdict, WayBack
from fedschema.errors import FedschemaError, NoWayBack
from fedschema.plans import Plan
from fedschema.rollbacks.choosing import Subject
from fedschema.rollbacks.comparing import Broken, lost, require_same
from fedschema.rollbacks.ground import Ground
from fedschema.rollbacks.refusals import is_of_rows, says_so, to_blame, told
from fedschema.snapshots import Snapshot


@dataclass(frozen=True, slots=True)
class Proof:
    """What the downgrade of one revision turned out to be.

    Attributes:
        revision: which one.
        lineage: whose it is: ``tenant``, or a department's id.
        way: the verdict, with what is lost or why it cannot be.
        rows: how many rows each loss concerned here.
        differences: how the schema comes back different.
        said: where it is impossible, the revision says so, or the rows are the reason.
        notes: what could not be tried, and why.
        duration_seconds: how long it took.
    """

    revision: str
    lineage: str
    way: WayBack
    rows: Mapping[Loss, int] = field(default_factory=dict)
    differences: tuple[str, ...] = ()
    said: bool = True
    notes: tuple[str, ...] = ()
    duration_seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """It is what a downgrade may be."""
        return self.way.verdict is not Verdict.BROKEN and self.said


class Trial:
    """One revision, tried on a ground."""

    def __init__(self, ground: Ground, subject: Subject) -> None:
        self._ground = ground
        self._subject = subject
        self._notes: dict[str, None] = {}

    def proof(self) -> Proof:
        """Try it, and leave the ground where the revision is applied; where it cannot be, no ground is left."""
        try:
            if not self._ground.stands:
                self._ground.begin()
            self._arrive_below()
            below = self._up_first(self._filled(self._ground.look()))
        except FedschemaError as error:
            self._ground.clear()
            return self._proof(Verdict.BROKEN, f"it cannot be applied: {error.message}", said=False)
        try:
            return self._tried(below)
        except Broken as broken:
            self._renew()
            return self._proof(Verdict.BROKEN, broken.reason, differences=broken.differences, said=False)

    def _tried(self, below: Snapshot) -> Proof:
        """Take it back and apply it again, first with rows of before, then with its own."""
        ground = self._ground
        above = ground.look()
        try:
            self._down()
        except FedschemaError as error:
            return self._impossible(error)
        back = ground.look()
        require_same(below, back, "it does not come back as it was before")
        rows = snapshots.changes(below, back)
        changed = [name for name, table in above.tables.items() if below.tables.get(name) != table]
        own = self._filled(self._up_again(above), changed)
        try:
            plan = self._down()
        except FedschemaError as error:
            return self._impossible(error, rows=True)
        lower = ground.look()
        require_same(below, lower, "it does not come back as it was before, with rows of its own")
        rows |= lost(plan, own, lower, self._up_again(above))
        verdict = Verdict.LOSSY if rows else Verdict.EXACT
        return self._proof(verdict, rows=dict(sorted(rows.items(), key=lambda one: str(one[0]))))

    def _proof(
        self,
        verdict: Verdict,
        reason: str | None = None,
        *,
        rows: Mapping[Loss, int] | None = None,
        differences: tuple[str, ...] = (),
        said: bool = True,
    ) -> Proof:
        way = WayBack(verdict, tuple(rows or ()), reason)
        return Proof(
            self._subject.revision, self._subject.lineage, way, rows or {}, differences, said, tuple(self._notes)
        )

    def _impossible(self, error: FedschemaError, *, rows: bool = False) -> Proof:
        """Say why it cannot be taken back; the department is where it was."""
        if isinstance(error, NoWayBack):
            return self._proof(Verdict.IMPOSSIBLE, error.reason, said=error.said)
        reason = f"with rows of its own: {told(error)}" if rows else told(error)
        return self._proof(Verdict.IMPOSSIBLE, reason, said=says_so(error) or (rows and is_of_rows(error)))

    def _renew(self) -> None:
        """Stand on new ground where the revision is applied, so that those after it can be tried."""
        try:
            self._ground.begin()
            self._along(self._ground.way_up(self._subject.revision))
        except FedschemaError:
            self._ground.clear()

    def _arrive_below(self) -> None:
        way = self._ground.way_up(self._subject.revision)
        if before := way.steps[:-1]:
            self._along(Plan(way.start, before[-1].end, before))

    def _along(self, way: Plan) -> None:
        """Go a way at once, or step by step where one of them needs a connection."""
        if not way.needs_connection:
            self._ground.go(way, way.steps[-1].revision)
            return
        start = way.start
        for step in way.steps:
            self._ground.go(Plan(start, step.end, (step,)), step.revision)
            start = step.end

    def _filled(self, seen: Snapshot, also: Sequence[str] = ()) -> Snapshot:
        """Write rows into tables that have none, and into some others, and look."""
        wanted = [name for name in seen.tables if name in also or not seen.rows[name]]
        if not wanted:
            return seen
        refused = self._ground.fill(wanted)
        seen = self._ground.look()
        for table, reason in refused.items():
            if not seen.rows[table]:
                self._notes[f"not tried with rows in {table}, which took none that was made: {reason}"] = None
        return seen

    def _up_first(self, below: Snapshot) -> Snapshot:
        """Apply it, and return what was there before; rows that keep it from being applied are taken out."""
        for _ in below.tables:
            try:
                self._up()
            except FedschemaError as error:
                tables = to_blame(error, below)
                if not tables:
                    raise
                self._ground.empty(tables)
                below = self._ground.look()
                named = tables[0] if len(tables) == 1 else "any table"
                self._notes[f"not tried with rows of before in {named}: {told(error)}"] = None
            else:
                return below
        self._up()
        return below

    def _up(self) -> None:
        revision = self._subject.revision
        self._ground.go(self._ground.way_up(revision), revision)

    def _up_again(self, above: Snapshot) -> Snapshot:
        """Apply it again, look, and find it as it was the first time."""
        try:
            self._up()
        except FedschemaError as error:
            raise Broken(f"after its downgrade it cannot be applied again: {told(error)}") from error
        found = self._ground.look()
        require_same(above, found, "applied again it gives something else")
        return found

    def _down(self) -> Plan:
        """Take it back, and return how.

        Raises:
            FedschemaError: the department is where it was.
        """
        ground, destination = self._ground, self._subject.below
        plan = ground.compiler.downgrade(ground.department, ground.heads, destination)
        ground.go(plan, destination)
        return plan
