"""How long rows are kept, as people type it."""

import pytest

from fedschema.durations import parse_period
from fedschema.errors import InvalidPeriod


@pytest.mark.parametrize(
    ("typed", "interval"),
    [
        ("1y", "1 years"),
        ("90d", "90 days"),
        ("2 W", "2 weeks"),
        ("6mo", "6 months"),
        ("0090d", "90 days"),
        ("100y", "100 years"),
        (" Never ", None),
    ],
)
def test_period_is_an_interval_of_the_calendar(typed: str, interval: str | None) -> None:
    assert parse_period(typed) == interval


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "1",
        "y",
        "0d",
        "-1d",
        "1.5y",
        "6m",
        "24h",
        "30s",
        "1y6mo",
        "101y",
        "99999999d",
        "1 year",
        "\u0661d",
        "1d;",
        "infinity",
    ],
)
def test_what_could_be_meant_otherwise_is_no_period(typed: str) -> None:
    with pytest.raises(InvalidPeriod):
        parse_period(typed)
