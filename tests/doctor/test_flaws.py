"""Which releases of PostgreSQL are safe, and which passwords are not."""

from __future__ import annotations

import hashlib
from datetime import date

import pytest

from fedschema.doctor import Severity
from fedschema.doctor.flaws import AS_OF, FLAWS, examine_version
from fedschema.doctor.guesses import Secret, candidates, guess, matches

TODAY = date(2026, 6, 1)


def said(version: int, today: date = TODAY) -> dict[Severity, str]:
    return {finding.severity: f"{finding} {finding.mend}" for finding in examine_version(version, today)}


@pytest.mark.parametrize("version", [140023, 150018, 160014, 170010, 180004, 180006])
def test_patched_release_has_no_flaw(version: int) -> None:
    assert set(said(version)) == {Severity.NOTE}


@pytest.mark.parametrize(
    ("version", "flaw", "update"),
    [
        (150013, "CVE-2025-8713", "15.18"),
        (140011, "CVE-2024-4317", "14.23"),
        (150002, "CVE-2023-2455", "15.18"),
        (170000, "CVE-2024-10976", "17.10"),
        (180003, "CVE-2026-6473", "18.4"),
    ],
)
def test_flaw_is_named_with_the_release_that_closes_them_all(version: int, flaw: str, update: str) -> None:
    told = said(version)[Severity.FAILED]

    assert flaw in told
    assert f"update to {update} or newer" in told


def test_flaw_of_older_majors_is_none_of_newer_ones() -> None:
    assert "CVE-2025-8713" not in said(180000)[Severity.FAILED]


def test_last_minor_of_each_major_is_the_newest_that_is_known() -> None:
    assert FLAWS[-1].closed_in == {
        major: max(flaw.closed_in.get(major, 0) for flaw in FLAWS) for major in range(14, 19)
    }


def test_release_without_support_is_told() -> None:
    assert said(140023, date(2026, 11, 12)).keys() == {Severity.NOTE}
    assert "no fixes are made for 14" in said(140023, date(2026, 11, 13))[Severity.WARNING]
    assert "was not tried" in said(190000)[Severity.WARNING]


def test_table_says_how_old_it_is() -> None:
    assert said(180006)[Severity.NOTE].endswith(f"compared with the flaws known on {AS_OF} None")
    assert "newer ones are not in it" in said(180006, date(2026, 12, 1))[Severity.NOTE]


#: RFC 7677, section 3: user "user", password "pencil"; stored and server key computed from its salt and rounds.
PENCIL = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def test_password_is_told_by_its_verifier() -> None:
    assert matches(PENCIL, "user", "pencil")
    assert not matches(PENCIL, "user", "pen")
    assert not matches("SCRAM-SHA-256$nonsense", "user", "pencil")


def test_md5_is_salted_with_the_login() -> None:
    verifier = "md5" + hashlib.md5(b"secrethr_role", usedforsecurity=False).hexdigest()

    assert matches(verifier, "hr_role", "secret")
    assert not matches(verifier, "sales_role", "secret")


def test_guessing_ends_in_time_and_says_how_far_it_came() -> None:
    secrets = [Secret(f"d{n}_role", PENCIL, candidates(f"d{n}_role", thorough=False)) for n in range(200)]
    secrets.append(Secret("pencil_role", PENCIL, candidates("pencil_role", thorough=False)))

    assert guess(secrets[-1:], None) == (["pencil_role"], 1)
    assert 0 < guess(secrets, 0.0)[1] < len(secrets)


def test_secret_does_not_show_itself() -> None:
    assert PENCIL not in repr(Secret("hr_role", PENCIL, ("hr",)))
