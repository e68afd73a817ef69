"""Spans of time and moments as people type them: ``30d``, ``24h``, ``2026-12-31``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from fedschema.errors import InvalidMoment, InvalidPeriod

_SPAN = re.compile(r"(\d{1,5})\s*([mhdwy])", re.ASCII)
#: Python knows no later year, and PostgreSQL's answer could not be read.
_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
_PERIOD = re.compile(r"0*([1-9]\d{0,5})\s*(d|w|mo|y)", re.ASCII)
#: What PostgreSQL calls a unit of a period, and how many of it there may be at most: a hundred years.
_PERIOD_UNITS = {"d": ("days", 36525), "w": ("weeks", 5217), "mo": ("months", 1200), "y": ("years", 100)}
_LENGTH = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(ms|s|m|h)?", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_SECONDS = 86400.0
_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}


def parse_span(text: str) -> timedelta:
    """Read a span: a number and m(inutes), h(ours), d(ays), w(eeks) or y(ears of 365 days).

    Raises:
        InvalidMoment
    """
    found = _SPAN.fullmatch(text.strip().lower())
    if not found or not int(found[1]):
        raise InvalidMoment(text, "a span of time")
    return int(found[1]) * _UNITS[found[2]]


def parse_seconds(text: str) -> float:
    """Read how long something may take: a number of seconds, or one with ms, s, m or h behind it.

    Raises:
        InvalidMoment
    """
    found = _LENGTH.fullmatch(text.strip().lower())
    seconds = float(found[1]) * _SECONDS[found[2] or "s"] if found else 0.0
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise InvalidMoment(text, "a length of time up to a day, such as 500ms, 5s or 2m", "for example: 5s")
    return seconds


def parse_period(text: str) -> str | None:
    """Read how long rows are kept: a number and d(ays), w(eeks), mo(nths) or y(ears), or ``never`` for ever.

    Months and years are the calendar's. An ``m`` is refused: minutes elsewhere, it would be meant as months here.

    Returns:
        an interval as PostgreSQL reads it; None when rows are never to go.

    Raises:
        InvalidPeriod
    """
    typed = text.strip().lower()
    if typed == "never":
        return None
    found = _PERIOD.fullmatch(typed)
    if not found:
        raise InvalidPeriod(text)
    unit, most = _PERIOD_UNITS[found[2]]
    if int(found[1]) > most:
        raise InvalidPeriod(text, "a period is at most 100 years", "to keep rows for good: never")
    return f"{found[1]} {unit}"


def parse_past(text: str, now: datetime) -> datetime:
    """Read since when: a span back from now, or a date or moment in ISO 8601 (UTC where it names no zone).

    Raises:
        InvalidMoment: also for one that is yet to come.
    """
    moment = _moment(text)
    if moment is None:
        try:
            return now - parse_span(text)
        except (InvalidMoment, OverflowError):
            raise InvalidMoment(text, "a span of time or a moment in the past") from None
    if moment > now:
        raise InvalidMoment(text, "a span of time or a moment in the past")
    return moment


def parse_future(text: str, now: datetime) -> datetime:
    """Read when something ends: a span from now, or a date or moment in ISO 8601 (UTC where it names no zone).

    Raises:
        InvalidMoment: also for one that has passed.
    """
    moment = _moment(text)
    if moment is None:
        try:
            return now + parse_span(text)
        except (InvalidMoment, OverflowError):
            raise InvalidMoment(text) from None
    if not now < moment < _END_OF_TIME:
        raise InvalidMoment(text)
    return moment


def _moment(text: str) -> datetime | None:
    """Read a date or a moment in ISO 8601; None for anything else."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
