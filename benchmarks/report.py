"""Shows what was found: a table for people, a document for machines."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.findings import Finding
from benchmarks.imports import PackageImports

_SHOWN_PACKAGES = 14


@dataclass(frozen=True, slots=True)
class Report:
    """All of one run.

    Attributes:
        server_version: of PostgreSQL.
        floor: what it was compared with.
        runs: pairs of each race.
        existing: departments that were there before.
        round_trip_seconds: what one takes, measured: directly, and through the slow proxy.
        findings: the lines.
        imports: by package, if asked for.
        measured: what was compared with the floor.
    """

    server_version: str
    floor: str
    runs: int
    existing: int
    round_trip_seconds: tuple[float, float]
    findings: Sequence[Finding]
    imports: Sequence[PackageImports] = ()
    measured: str = "fedschema"

    @property
    def within(self) -> bool:
        """Every promise is kept."""
        return all(finding.within for finding in self.findings)


def print_json(report: Report) -> None:
    """Print one JSON document; times are seconds."""
    lines = [asdict(finding) | {"within": finding.within} for finding in report.findings]
    document = asdict(report) | {"findings": lines, "within": report.within, "machine": _machine()}
    print(json.dumps(document, indent=2))


def print_table(report: Report) -> None:
    """Print an aligned table."""
    near, far = (f"{seconds * 1000:.2f} ms" for seconds in report.round_trip_seconds)
    print(f"PostgreSQL {report.server_version}, {report.existing} departments before, {report.runs} pairs of runs each")
    print(f"floor: {report.floor}")
    if any(report.round_trip_seconds):
        print(f"round trip: {near}, through the slow proxy {far}")
    print(" · ".join(f"{name} {text}" for name, text in _machine().items()))
    print()
    headings = ("what", "floor", report.measured, "least", "median", "most", "limit", "")
    _aligned([headings, *(_cells(finding) for finding in report.findings)])
    if report.imports:
        print("\nimports of `fedschema tenant add` (python -X importtime, itself a slow-down)")
        _aligned(_import_rows(report.imports))


def _machine() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "cpus": str(os.cpu_count()),
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def _cells(finding: Finding) -> tuple[str, ...]:
    spread = finding.compared
    compared = ("", "", "") if spread is None else (spread.least, spread.median, spread.most)
    absolute = finding.unit if spread is None else "s"
    return (
        finding.what,
        _shown(finding.floor, absolute),
        _shown(finding.ours, absolute),
        *(_shown(figure, finding.unit) for figure in compared),
        _shown(finding.limit, finding.unit),
        "" if finding.limit is None else "ok" if finding.within else "OVER",
    )


def _shown(figure: float | str | None, unit: str) -> str:
    """Show a figure by its unit; what is missing is left blank."""
    if figure is None or isinstance(figure, str):
        return ""
    return {
        "s": f"{figure:.3f} s",
        "times": f"{figure:.2f} x" if figure >= 0.1 else f"{figure:.4f} x",
        "s more": f"{figure:+.3f} s",
        "microseconds": f"{figure:.0f} us",
        "MB": f"{figure:.0f} MB",
    }.get(unit, f"{figure:g}")


def _import_rows(imports: Sequence[PackageImports]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("package", "modules", "ms")]
    rest = imports[_SHOWN_PACKAGES:]
    shown = [
        *imports[:_SHOWN_PACKAGES],
        PackageImports("others", sum(one.modules for one in rest), sum(one.seconds for one in rest)),
        PackageImports("all", sum(one.modules for one in imports), sum(one.seconds for one in imports)),
    ]
    return rows + [(one.package, str(one.modules), f"{one.seconds * 1000:.1f}") for one in shown]


def _aligned(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns: the first to the left, figures to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for first, *others in rows:
        figures = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        sys.stdout.write("  ".join([first.ljust(widths[0]), *figures]).rstrip() + "\n")
