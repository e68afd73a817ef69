"""Known flaws of PostgreSQL that matter here, and the minor release of each major that closes them.

Source: https://www.postgresql.org/support/security/ and the announcements of the minor releases. A table like this
ages: what was found after `AS_OF` is not in it, and `fedschema doctor` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from fedschema.doctor.findings import Finding, Severity

#: The day of the newest announcement that is in the table.
AS_OF = date(2026, 5, 14)
#: PostgreSQL has a minor release every three months: after so long there is one that the table does not know.
_FRESH = timedelta(days=100)
_CHECK = "server_version"
_POLICY = "https://www.postgresql.org/support/versioning/"
#: Of the server's number: 180006 is 18.6.
_MAJOR = 10000

#: The last day on which a major release is supported (postgresql.org/support/versioning).
_END_OF_LIFE = {
    14: date(2026, 11, 12),
    15: date(2027, 11, 11),
    16: date(2028, 11, 9),
    17: date(2029, 11, 8),
    18: date(2030, 11, 14),
}


@dataclass(frozen=True, slots=True)
class Flaw:
    """One flaw, or some that were closed together.

    Attributes:
        names: as they are known.
        what: what an attacker gets by it.
        closed_in: by major release, the first minor without it; a major that is not named never had it.
    """

    names: str
    what: str
    closed_in: Mapping[int, int]


FLAWS = (
    Flaw("CVE-2023-2455", "row policies of the wrong role", {14: 8, 15: 3}),
    Flaw("CVE-2023-39418", "MERGE passes policies for UPDATE and SELECT", {15: 4}),
    Flaw("CVE-2024-4317", "statistics of other users' tables are readable", {14: 12, 15: 7, 16: 3}),
    Flaw("CVE-2024-7348", "code runs as whoever runs pg_dump", {14: 13, 15: 8, 16: 4}),
    Flaw("CVE-2024-10976", "row policies of the wrong role, below subqueries", {14: 14, 15: 9, 16: 5, 17: 1}),
    Flaw("CVE-2024-10978", "SET ROLE leads to the wrong role", {14: 14, 15: 9, 16: 5, 17: 1}),
    Flaw("CVE-2025-1094", "quoting functions let SQL through", {14: 16, 15: 11, 16: 7, 17: 3}),
    Flaw("CVE-2025-8713", "statistics give away rows behind policies", {14: 19, 15: 14, 16: 10, 17: 6}),
    Flaw("CVE-2025-8714, CVE-2025-8715", "a dump runs code where it is restored", {14: 19, 15: 14, 16: 10, 17: 6}),
    Flaw("CVE-2025-12818", "overflow in libpq", {14: 20, 15: 15, 16: 11, 17: 7, 18: 1}),
    Flaw("CVE-2026-2006", "any login runs code on the server", {14: 21, 15: 16, 16: 12, 17: 8, 18: 2}),
    Flaw(
        "CVE-2026-6473 and ten more of the same day",
        "any login overwrites the server's memory",
        {14: 23, 15: 18, 16: 14, 17: 10, 18: 4},
    ),
)


def examine_version(server_version: int, today: date) -> Iterator[Finding]:
    """Yield what is wrong with a version, and what is worth knowing of it.

    Args:
        server_version: as libpq has it: 150018 for 15.18.
        today: until when releases are supported, and how old the table is, depends on it.
    """
    major, minor = divmod(server_version, _MAJOR)
    name = f"PostgreSQL {major}.{minor}"
    open_flaws = [flaw for flaw in FLAWS if minor < flaw.closed_in.get(major, 0)]
    if open_flaws:
        newest = max(flaw.closed_in[major] for flaw in open_flaws)
        told = "; ".join(f"{flaw.names} ({flaw.what})" for flaw in open_flaws)
        yield Finding(
            _CHECK,
            Severity.FAILED,
            name,
            f"it has known flaws: {told}",
            f"update to {major}.{newest} or newer, and restart",
        )
    if today > _END_OF_LIFE.get(major, date.max):
        message = f"no fixes are made for {major} any more since {_END_OF_LIFE[major]}"
        yield Finding(_CHECK, Severity.WARNING, name, message, f"move to a supported release: {_POLICY}")
    if major not in _END_OF_LIFE:
        yield Finding(_CHECK, Severity.WARNING, name, "this fedschema was not tried with it", "update fedschema")
    age = (
        ", and newer ones are not in it: compare with postgresql.org/support/security" if today > AS_OF + _FRESH else ""
    )
    yield Finding(_CHECK, Severity.NOTE, name, f"compared with the flaws known on {AS_OF}{age}")
