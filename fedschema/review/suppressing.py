"""Comments that allow a breach: in the revision, on the line of the operation; in a template, before the statement."""

from __future__ import annotations

from collections.abc import Iterator

from fedschema.review import sources
from fedschema.review.readings import Reading
from fedschema.review.rules import RULES, SUPPRESSION, Finding
from fedschema.review.sources import Suppression
from fedschema.review.trees import Statement


class Quiet:
    """The suppressions of one revision.

    Args:
        reading: the revision.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._in_file = reading.source.suppressions()
        self._complete = not any(one.error for one in reading.writings)
        self._faulty: list[tuple[str, int | None, str | None]] = []
        self._looked_at: set[str] = set()
        for statement in (one for each in reading.statements.values() for one in each):
            self._look_at(statement)

    def allows(self, finding: Finding, statement: Statement | None) -> bool:
        """Tell whether a comment with a reason allows what was found."""
        rule = RULES.get(finding.rule)
        if rule is not None and not rule.suppressible:
            return False
        allowed = False
        for one in self._in_file:
            if one.about == finding.line and finding.rule in one.rules and one.reason:
                one.used.add(finding.rule)
                allowed = True
        found = sources.SUPPRESSION.finditer(statement.text) if statement else ()
        return allowed or any(finding.rule in sources.rules_in(one) and sources.reason_in(one) for one in found)

    def complaints(self) -> Iterator[Finding]:
        """Say which comments allow nothing; to be asked when all else is known."""
        for one in self._in_file:
            for reason in self._wrong_with(one):
                yield self._complaint(reason, one.line, None)
        for reason, line, statement in self._faulty:
            yield self._complaint(reason, line, statement)

    def _look_at(self, statement: Statement) -> None:
        for found in sources.SUPPRESSION.finditer(statement.text):
            rules, reason = sources.rules_in(found), sources.reason_in(found)
            if not rules:
                self._faulty.append(("it names no rule", None, found[0].strip()))
            elif not reason:
                self._faulty.append(("it gives no reason", None, found[0].strip()))

    def _wrong_with(self, one: Suppression) -> Iterator[str]:
        if not one.rules:
            yield "it names no rule"
        elif not one.reason:
            yield f"it gives no reason for {', '.join(one.rules)}"
        elif self._complete:
            unused = [rule for rule in one.rules if rule not in one.used]
            if unused:
                yield f"there is nothing here that breaks {', '.join(unused)}"

    def _complaint(self, reason: str, line: int | None, statement: str | None) -> Finding:
        reading = self._reading
        return SUPPRESSION.broken(reason, reading.revision, reading.file, line, statement=statement)
