"""What `fedschema doctor` has to say: findings, each of one check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from fedschema.checks import Check


class Severity(StrEnum):
    """How bad it is; a check is as bad as the worst that was found."""

    FAILED = "failed"
    UNSEEN = "not looked at"
    WARNING = "warning"
    NOTE = "note"
    OK = "ok"


#: The worst first.
_ORDER = list(Severity)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, that could not be looked at, or that is worth knowing.

    Attributes:
        check: the name of the check.
        severity: how bad it is.
        object: what it is in.
        message: what is wrong with it.
        mend: the statement or command that mends it; None where the check's own advice is all there is.
    """

    check: str
    severity: Severity
    object: str
    message: str
    mend: str | None = None

    def __str__(self) -> str:
        return f"{self.object}: {self.message}"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was looked for, and what was found.

    Attributes:
        checks: what was looked for, in order.
        findings: what was found.
        flaws_known_as_of: the day of the table of known flaws; what was found in PostgreSQL since is not in it.
    """

    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]
    flaws_known_as_of: date

    @property
    def ok(self) -> bool:
        """No check failed; what could not be looked at is told, and is not a failure."""
        return not any(finding.severity is Severity.FAILED for finding in self.findings)

    def of(self, check: Check) -> Sequence[Finding]:
        """Return what was found of a check, the worst first."""
        mine = [finding for finding in self.findings if finding.check == check.name]
        return sorted(mine, key=lambda finding: _ORDER.index(finding.severity))

    def severity(self, check: Check) -> Severity:
        """Return how bad a check is: as its worst finding; what could not be looked at is never sound."""
        found = self.of(check)
        worst = found[0].severity if found else Severity.OK
        return Severity.OK if worst is Severity.NOTE else worst

    def count(self, severity: Severity) -> int:
        """Count the checks of a severity."""
        return sum(self.severity(check) is severity for check in self.checks)
