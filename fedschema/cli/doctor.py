"""`fedschema doctor`: the server and the production checklist."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from fedschema import doctor as examining
from fedschema.checks import Check
from fedschema.cli import output
from fedschema.cli.secret_values import KEY_VARIABLE
from fedschema.cli.session import JsonOption, session_of
from fedschema.doctor import Diagnosis, Finding, Severity
from fedschema.errors import OperationError

_SHOWN = {
    Severity.FAILED: "FAILED",
    Severity.UNSEEN: "NOT LOOKED AT",
    Severity.WARNING: "WARNING",
    Severity.OK: "ok",
}
#: How many findings of a check are shown; --verbose shows them all.
_MOST = 3


def doctor(
    context: typer.Context,
    *,
    thorough: Annotated[
        bool,
        typer.Option("--thorough", help="Also guess at every password, and compare every department: takes longer."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every finding, and what is worth knowing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Go through the production checklist: server, platform, passwords, backups. Exits with 1 when a check fails."""
    session = session_of(context)
    found = examining.examine(
        session.conninfo,
        session.compiler,
        direct=session.direct,
        key=os.environ.get(KEY_VARIABLE),
        thorough=thorough,
    )
    if as_json:
        output.document(_as_json(found))
    else:
        for check in found.checks:
            _show(found, check, verbose=verbose)
        output.say(_summary(found))
    if not found.ok:
        raise typer.Exit(OperationError.exit_status)


def _show(found: Diagnosis, check: Check, *, verbose: bool) -> None:
    """Show a check: in one line when it holds, with what was found and what mends it when not."""
    output.say(f"{_SHOWN[found.severity(check)].ljust(7)} {check.name}: {check.reason}")
    told = [finding for finding in found.of(check) if verbose or finding.severity is not Severity.NOTE]
    shown = told if verbose else told[:_MOST]
    for finding in shown:
        output.say(f"  {output.printable(str(finding))}")
        if mend := _mend(finding, check):
            output.say(f"    {'to change it' if finding.severity is Severity.NOTE else 'to mend it'}: {mend}")
    if len(shown) < len(told):
        output.say(f"  and {len(told) - len(shown)} more: --verbose shows them all")


def _mend(finding: Finding, check: Check) -> str | None:
    if finding.mend is None and finding.severity is Severity.NOTE:
        return None
    return output.printable(finding.mend or check.mend)


def _summary(found: Diagnosis) -> str:
    counted = [
        (Severity.FAILED, "failed"),
        (Severity.WARNING, "with warnings"),
        (Severity.UNSEEN, "not looked at"),
        (Severity.OK, "ok"),
    ]
    parts = [f"{number} {words}" for severity, words in counted if (number := found.count(severity))]
    return f"{len(found.checks)} checks: {', '.join(parts)}; flaws of PostgreSQL as known on {found.flaws_known_as_of}"


def _as_json(found: Diagnosis) -> dict[str, object]:
    return {
        "ok": found.ok,
        "flaws_known_as_of": found.flaws_known_as_of.isoformat(),
        "checks": [
            {
                "name": check.name,
                "ok": found.severity(check) is Severity.OK,
                "status": _word(found.severity(check)),
                "reason": check.reason,
                "mend": check.mend,
                "findings": [
                    {
                        "severity": _word(finding.severity),
                        "object": finding.object,
                        "message": finding.message,
                        "mend": finding.mend,
                    }
                    for finding in found.of(check)
                ],
            }
            for check in found.checks
        ],
    }


def _word(severity: Severity) -> str:
    """Return a severity as scripts have it."""
    return severity.value.replace(" ", "_")
