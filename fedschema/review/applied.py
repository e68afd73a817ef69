"""Whether departments got the SQL that their revisions have now: asked of a database's history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from fedschema import registry
from fedschema.connections import connect, owner_transaction
from fedschema.review import records
from fedschema.review.readings import Library
from fedschema.review.rules import APPLIED_OTHERWISE, Finding
from fedschema.settings import Project

_SHOWN = 5


def applied_otherwise(conninfo: str, project: Project, library: Library) -> Iterator[Finding]:
    """Compare the checksums of the history with what there is, and with what was recorded at the release.

    Raises:
        ControlPlaneMissing and the other errors of a database that cannot be read.
    """
    with connect(conninfo) as connection, owner_transaction(connection, "reading the history"):
        rows = registry.applied_checksums(connection)
    released, _ = records.recorded(project)
    known = {reading.revision: reading for reading in library.readings}
    others: dict[str, list[str]] = defaultdict(list)
    for owner, revision, checksum in rows:
        if reading := known.get(revision):
            now, was = reading.release, released.get(revision)
            if not reading.is_online and checksum not in {now.applied, was.applied if was else None}:
                others[revision].append(owner)
    for revision, owners in others.items():
        more = f" and {len(owners) - _SHOWN} more" if len(owners) > _SHOWN else ""
        message = f"{', '.join(owners[:_SHOWN])}{more} got other SQL from {revision} than there is"
        yield APPLIED_OTHERWISE.broken(message, revision, known[revision].file)
