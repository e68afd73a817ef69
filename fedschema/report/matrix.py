"""Who may see whose data, as a square: one row for each department that may, one column for each whose data it is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fedschema.gateways import Entitlement
from fedschema.positions import Position
from fedschema.registry import ACTIVE
from fedschema.sharing import Grant, GrantState, PermissionType

#: More squares than this a browser is slow to show, and nobody reads.
MOST_SQUARES = 100_000


@dataclass(frozen=True, slots=True)
class Pair:
    """What one department may see of another, and why.

    Attributes:
        source: who may.
        target: whose data it is.
        grants: in force.
        gateways: the logins that may ask in the source's name; without one nobody can.
    """

    source: str
    target: str
    grants: tuple[Grant, ...]
    gateways: tuple[str, ...]

    @property
    def letters(self) -> str:
        """The kinds of access: r, s and a."""
        held = {grant.permission_type for grant in self.grants}
        return "".join(kind[0] for kind in PermissionType if kind in held)

    @property
    def everything(self) -> bool:
        """One of the grants is on all that can be shared."""
        return any(grant.resource_type == "*" for grant in self.grants)


@dataclass(frozen=True, slots=True)
class Matrix:
    """The square.

    Attributes:
        sources: the rows.
        targets: the columns.
        pairs: what is in them; where there is none, nothing may be seen.
        unshared: departments that may see nothing of others and of which others may see nothing.
        left_out: pairs that have grants in force and are not shown.
        idle: grants that admit nothing, since one of the two departments is not active.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    pairs: dict[tuple[str, str], Pair]
    unshared: tuple[str, ...]
    left_out: int
    idle: int


def matrix(
    positions: Sequence[Position],
    grants: Sequence[Grant],
    entitlements: Sequence[Entitlement],
    moment: datetime,
    most: int = MOST_SQUARES,
) -> Matrix:
    """Put grants in force into a square of at most so many places, the departments with most of them first kept."""
    active = {p.entry.department_id for p in positions if p.entry.status == ACTIVE}
    in_force = [grant for grant in grants if grant.state(moment) is GrantState.IN_FORCE]
    held: dict[tuple[str, str], list[Grant]] = defaultdict(list)
    for grant in in_force:
        if {grant.source_department_id, grant.target_department_id} <= active:
            held[grant.source_department_id, grant.target_department_id].append(grant)
    speakers = _speakers(entitlements)
    pairs = {
        pair: Pair(*pair, tuple(own), tuple(sorted({*speakers[pair[0]], *speakers[None]})))
        for pair, own in sorted(held.items())
    }
    sources, targets = _that_fit(pairs, most)
    shown = {pair: why for pair, why in pairs.items() if pair[0] in sources and pair[1] in targets}
    involved = {department for pair in pairs for department in pair}
    return Matrix(
        tuple(sorted({source for source, _ in shown})),
        tuple(sorted({target for _, target in shown})),
        shown,
        tuple(sorted({p.entry.department_id for p in positions} - involved)),
        left_out=len(pairs) - len(shown),
        idle=len(in_force) - sum(map(len, held.values())),
    )


def _speakers(entitlements: Sequence[Entitlement]) -> dict[str | None, set[str]]:
    found: dict[str | None, set[str]] = defaultdict(set)
    for entitlement in entitlements:
        found[entitlement.department_id].add(entitlement.login_role)
    return found


def _that_fit(pairs: dict[tuple[str, str], Pair], most: int) -> tuple[set[str], set[str]]:
    """Return the sources and targets that are shown: all, or as many of those with most pairs as there is room for."""
    sources = Counter(source for source, _ in pairs)
    targets = Counter(target for _, target in pairs)
    if len(sources) * len(targets) <= most:
        return set(sources), set(targets)
    side = int(most**0.5)
    rows = min(len(sources), max(side, most // max(1, len(targets))))
    return {name for name, _ in sources.most_common(rows)}, {n for n, _ in targets.most_common(most // rows)}
