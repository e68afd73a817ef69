"""The revisions that departments can have, as a graph: a row each, the newest first, on as many tracks as needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.versions import TENANT

#: Stands for any department where only the revisions matter.
_ANYONE = Department("any")


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision.

    Attributes:
        id: its name.
        label: whose it is: ``tenant``, or a department with a branch of its own.
        doc: the first line of what it says.
        before: what it follows.
        needs: what it depends on besides.
    """

    id: str
    label: str
    doc: str
    before: tuple[str, ...]
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A line from one edge of a row to another, or to the row's revision.

    Attributes:
        start: the track where it begins, at the top or at the revision.
        end: the track where it ends, at the bottom or at the revision.
        upper: it is in the upper half of the row.
        needed: it stands for a dependency.
        label: whose track it is.
    """

    start: int
    end: int
    upper: bool
    needed: bool
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    """A revision and what is drawn in its row.

    Attributes:
        revision: which one.
        track: where its dot is.
        stretches: the lines through the row.
    """

    revision: Revision
    track: int
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class _Track:
    """A line on its way down to a revision; dashed when it is for a dependency."""

    target: str
    needed: bool
    label: str


def revisions_of(compiler: Compiler) -> list[Revision]:
    """Return the revisions of all departments, each before what it follows; no database is asked.

    Raises:
        RevisionsUnreadable
    """
    lineage = compiler.lineage(_ANYONE)
    found = []
    for script in lineage.script.walk_revisions():
        labels = sorted(script.branch_labels)
        label = TENANT if TENANT in labels else labels[0] if labels else TENANT
        before = tuple(script._versioned_down_revisions)  # noqa: SLF001 - Alembic has no public name for all of them
        needs = tuple(script._normalized_resolved_dependencies)  # noqa: SLF001
        found.append(Revision(script.revision, label, script.doc, before, needs))
    return _in_order(found)


def _in_order(revisions: Sequence[Revision]) -> list[Revision]:
    """Put each revision above all that it follows or needs, and a branch together as far as that goes."""
    known = {revision.id: revision for revision in revisions}
    waiting = dict.fromkeys(known, 0)
    for revision in revisions:
        for earlier in {*revision.before, *revision.needs}:
            waiting[earlier] += 1
    ready = [name for name in reversed(list(known)) if not waiting[name]]
    ready.sort(key=lambda name: known[name].label != TENANT)
    ordered = []
    while ready:
        revision = known[ready.pop()]
        ordered.append(revision)
        for earlier in dict.fromkeys((*revision.needs, *revision.before)):
            waiting[earlier] -= 1
            if not waiting[earlier]:
                ready.append(earlier)
    return ordered


def rows(revisions: Sequence[Revision]) -> list[Row]:
    """Lay the graph out, as `git log --graph` does: a line for each revision that is still to come."""
    tracks: list[_Track | None] = []
    found = []
    for revision in revisions:
        track = _dot(tracks, revision)
        above = list(tracks)
        for number, line in enumerate(tracks):
            if line and line.target == revision.id:
                tracks[number] = None
        below = _follow(tracks, revision, track)
        found.append(Row(revision, track, tuple(_stretches(revision, track, above, tracks, below))))
        while tracks and tracks[-1] is None:
            tracks.pop()
    return found


def _dot(tracks: list[_Track | None], revision: Revision) -> int:
    """Return the track of a revision's dot: that of the line which leads to it, or a free one."""
    leading = [(line.needed, number) for number, line in enumerate(tracks) if line and line.target == revision.id]
    return min(leading)[1] if leading else _free(tracks)


def _free(tracks: list[_Track | None]) -> int:
    if None in tracks:
        return tracks.index(None)
    tracks.append(None)
    return len(tracks) - 1


def _follow(tracks: list[_Track | None], revision: Revision, track: int) -> dict[int, _Track]:
    """Begin the lines to what a revision follows and needs; return those that leave its dot, by their track."""
    leaving: dict[int, _Track] = {}
    wanted = [(target, False) for target in revision.before] + [(target, True) for target in revision.needs]
    for target, needed in wanted:
        line = _Track(target, needed, revision.label)
        joined = next((n for n, other in enumerate(tracks) if other and _alike(other, line)), None)
        place = joined if joined is not None else track if tracks[track] is None else _free(tracks)
        if joined is None:
            tracks[place] = line
        leaving[place] = line
    return leaving


def _alike(one: _Track, other: _Track) -> bool:
    """Two lines can be one: a full one never goes on as a dashed one."""
    return (one.target, one.needed) == (other.target, other.needed)


def _stretches(
    revision: Revision,
    track: int,
    above: Sequence[_Track | None],
    below: Sequence[_Track | None],
    leaving: Mapping[int, _Track],
) -> list[Stretch]:
    """Return the lines through a row: those that end at its dot, those that begin there, those that pass by."""
    lines = []
    for number, line in enumerate(above):
        if line is not None:
            end = track if line.target == revision.id else number
            lines.append(Stretch(number, end, upper=True, needed=line.needed, label=line.label))
    for number, line in enumerate(below):
        passes = number < len(above) and above[number] is line
        if line is not None and passes:
            lines.append(Stretch(number, number, upper=False, needed=line.needed, label=line.label))
    for number, line in leaving.items():
        lines.append(Stretch(track, number, upper=False, needed=line.needed, label=line.label))
    return lines
