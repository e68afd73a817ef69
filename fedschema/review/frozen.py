"""Whether released revisions are still what they were when they were released."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fedschema.review.readings import Reading
from fedschema.review.records import Release
from fedschema.review.rules import (
    RELEASED_EDITED,
    RELEASED_MISSING,
    RELEASED_REWORDED,
    RELEASED_UNREADABLE,
    Finding,
)


def frozen(
    readings: Sequence[Reading], records: Mapping[str, Release], broken: Mapping[Path, str]
) -> Iterator[Finding]:
    """Compare revisions with the records of their releases."""
    present = {reading.revision for reading in readings}
    for file, reason in broken.items():
        where = f"alembic/released/{file.name}"
        yield RELEASED_UNREADABLE.broken(reason, file=where)
    for gone in sorted(records.keys() - present):
        yield RELEASED_MISSING.broken(f"{gone} was released and is not there any more", gone)
    for reading in readings:
        if was := records.get(reading.revision):
            yield from _compared(reading, was, reading.release)
            yield from _above_unreleased(reading, records, broken)


def _above_unreleased(
    reading: Reading, records: Mapping[str, Release], broken: Mapping[Path, str]
) -> Iterator[Finding]:
    known = records.keys() | {file.stem for file in broken}
    for below in reading.builds_on:
        if below not in known:
            message = f"{reading.revision} is released, and {below}, on which it builds, is not"
            yield RELEASED_MISSING.broken(message, reading.revision, reading.file)


def _compared(reading: Reading, was: Release, now: Release) -> Iterator[Finding]:
    moved = [
        f"its {name.replace('_', ' ')} was {was.place.get(name, '-')} and is {value}"
        for name, value in now.place.items()
        if was.place.get(name, "-") != value
    ]
    ways = [way for way in ("upgrade", "downgrade") if getattr(was, way) != getattr(now, way)]
    if ways or (reading.is_online and was.python != now.python):
        does = (
            f"its {' and '.join(ways)} {'do' if len(ways) > 1 else 'does'} something else"
            if ways
            else "its code is another"
        )
        moved.append(f"{does}, since {_culprit(was, now)}")
    if moved:
        yield RELEASED_EDITED.broken(f"released {reading.revision}: {'; '.join(moved)}", reading.revision, reading.file)
    elif was.python != now.python:
        message = f"released {reading.revision}: its code is another, with the same SQL"
        yield RELEASED_REWORDED.broken(message, reading.revision, reading.file)


def _culprit(was: Release, now: Release) -> str:
    """Say what was edited: templates by their names, the revision itself, or neither."""
    edited = [name for name, digest in now.templates.items() if was.templates.get(name) not in {None, digest}]
    new = sorted(now.templates.keys() - was.templates.keys())
    gone = sorted(was.templates.keys() - now.templates.keys())
    reasons = []
    if edited:
        reasons.append(f"{_templates(sorted(edited))} edited")
    if was.python != now.python:
        reasons.append("the revision's code was edited")
    if not reasons and (new or gone):
        reasons.append(f"{_templates(new or gone)} {'rendered now' if new else 'not rendered any more'}")
    return " and ".join(reasons) or "fedschema or a library writes it in another way"


def _templates(names: Sequence[str]) -> str:
    return f"{'template' if len(names) == 1 else 'templates'} {', '.join(names)} {'was' if len(names) == 1 else 'were'}"
