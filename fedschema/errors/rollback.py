"""Going back: what cannot be, what would lose something, and what is on record of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fedschema.errors.kinds import OperationError, UsageError
from fedschema.errors.migrations import CompilationFailed


class NoWayBack(CompilationFailed):
    """A revision's downgrade raises on purpose: it cannot be taken back, and says why.

    Attributes:
        reason: what it says, or that it says nothing.
        said: it says why.
    """

    code = "no_way_back"

    def __init__(self, revision: str, reason: str) -> None:
        self.reason = reason or "its downgrade raises, and does not say why"
        self.said = bool(reason)
        super().__init__(
            f"revision {revision} cannot be taken back: {self.reason}",
            "go no further back than to it, or restore a backup",
        )


class LossyStep(OperationError):
    """A downgrade goes over steps that are on record as losing something, and nobody named them.

    Attributes:
        losses: what each of them loses, by its revision.
    """

    code = "lossy_step"

    def __init__(self, losses: Mapping[str, Sequence[str]]) -> None:
        told = "; ".join(f"going back over {revision} loses {', '.join(lost)}" for revision, lost in losses.items())
        named = " ".join(f"--lossy {revision}" for revision in losses)
        super().__init__(f"{told}; nothing was touched", f"if that may go, add {named}")
        self.losses = losses


class InvalidDowngradeRecord(OperationError):
    """What is on record of downgrades cannot be read or written."""

    code = "invalid_downgrade_record"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} {reason}", "write it anew: fedschema revision check --record")


class PostgresNotFound(UsageError):
    """The machine has no PostgreSQL of the version that was asked for."""

    code = "postgres_not_found"

    def __init__(self, major: int) -> None:
        super().__init__(
            f"there is no PostgreSQL {major} on this machine",
            f"install it (postgresql-{major}), or leave --postgres out for the one that fedschema brings",
        )
