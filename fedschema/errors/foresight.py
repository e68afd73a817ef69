"""What is looked at, tried or sealed before it is done."""

from __future__ import annotations

from collections.abc import Sequence

from fedschema.errors.kinds import OperationError, UsageError


class InvalidPlanFile(UsageError):
    """A file is no sealed plan of this fedschema, or not the one that was written."""

    code = "invalid_plan_file"

    def __init__(self, path: str, reason: str, hint: str | None = None) -> None:
        super().__init__(
            f"{path} {reason}; nothing was touched", hint or "make one with: fedschema upgrade --plan --out plan.json"
        )


class PlanMoved(OperationError):
    """What a sealed plan was made for is not what there is now.

    Attributes:
        moved: one for each thing that is not as it was.
    """

    code = "plan_moved"

    def __init__(self, moved: Sequence[str]) -> None:
        listing = "".join(f"\n  {thing}" for thing in moved)
        super().__init__(
            f"this is not what was planned; nothing was touched:{listing}",
            "look again and seal it anew: fedschema upgrade --plan --out plan.json",
        )
        self.moved = tuple(moved)


class PlanUnsealable(OperationError):
    """A plan cannot be sealed: not all of what would run is known."""

    code = "plan_unsealable"

    def __init__(self, reasons: Sequence[str]) -> None:
        listing = "".join(f"\n  {reason}" for reason in reasons)
        super().__init__(
            f"this cannot be sealed:{listing}",
            "mend that, or name the departments that can be: fedschema upgrade hr --plan --out plan.json",
        )


class ReferencesUnmet(OperationError):
    """PostgreSQL would take a foreign key for valid that rows do not meet: FORCE hides them from the owner."""

    code = "references_unmet"

    def __init__(self, what: str, name: str, rows: str) -> None:
        super().__init__(
            f"{what}: the foreign key {name} would be taken for valid, and is not met by {rows}; PostgreSQL looks for "
            "such rows as federation_owner, which row-level security keeps from seeing them; nothing was changed",
            "mend the rows before the revision, or in it",
        )


class NotRehearsable(OperationError):
    """A plan cannot be rehearsed, or no scratch department be brought to where departments are."""

    code = "not_rehearsable"

    def __init__(self, wanted: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"{wanted}: {reason}", hint)


class LinterUnavailable(OperationError):
    """Revisions cannot be linted: squawk cannot be run, or is another than the rules were written for."""

    code = "linter_unavailable"

    def __init__(self, reason: str) -> None:
        super().__init__(f"nothing was linted: {reason}", "pip install --force-reinstall fedschema brings its own")


class NotReleasable(OperationError):
    """Revisions cannot be recorded as released: an error was found in them, or what they build on is not released.

    Attributes:
        reasons: one for each thing that is in the way.
    """

    code = "not_releasable"

    def __init__(self, reasons: Sequence[str]) -> None:
        listing = "".join(f"\n  {reason}" for reason in reasons)
        super().__init__(f"nothing was recorded as released:{listing}", "fedschema lint")
        self.reasons = tuple(reasons)
