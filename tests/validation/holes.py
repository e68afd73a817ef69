"""What a hole is to these tests: how it is opened and closed, and what has to be named while it is open."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

#: Who gains, and whose data it opens.
Pair = tuple[str | None, str]

ALL_PAIRS = frozenset(
    (source, target) for source in ("hr", "legal", "sales") for target in ("hr", "legal", "sales") if source != target
)


@dataclass(frozen=True)
class Opening:
    """One kind of hole.

    Attributes:
        law: what must not be, as the test's name.
        opens: SQL of a superuser that opens it.
        closes: SQL that closes it again.
        named: the pairs that each check has to name; nothing else may be found.
        object: what the holes of the first check are in.
        says: words of its message.
        mend: words of the advice that closes it.
        since: the oldest PostgreSQL that has it.
        before: the first that has it no longer.
    """

    law: str
    opens: str
    closes: str
    named: Mapping[str, AbstractSet[Pair]] = field(hash=False)
    object: str = ""
    says: str = ""
    mend: str = ""
    since: int = 0
    before: int = 99
