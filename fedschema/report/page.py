"""Turns what was read into one HTML page that needs nothing else, and writes it.

Whatever comes from the database is text that somebody wrote: every value is escaped, and the page's own policy lets a
browser load nothing and run the one script that is in it, which the page can be read without.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from fedschema import __version__, whole_files
from fedschema.errors import FileNotWritten, ReportInTheWay
from fedschema.report import drawing
from fedschema.report.charts import Chart, bars
from fedschema.report.facts import DAYS, STEPS, Facts
from fedschema.report.matrix import matrix
from fedschema.report.revisions import rows
from fedschema.versions import TENANT

_DIRECTORY = Path(__file__).resolve().parent / "page"
#: What a report begins with, so that a later one may take its place.
_MARK = "<!doctype html>\n<!-- fedschema report -->\n"
#: How many tables are named among the largest.
_LARGEST = 15
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP = 1024


@dataclass(frozen=True, slots=True)
class Share:
    """How large something is beside the largest, in per cent."""

    name: str
    of: str
    bytes: int
    part: float


def render(facts: Facts, where: str) -> str:
    """Return the page.

    Args:
        facts: what it shows.
        where: which database it is about, as `addresses.describe` says it.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_DIRECTORY),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {"moment": _moment, "size": _size, "count": _count, "clipped": _clipped, "type": _short_type}
    style, script = (_text(name) for name in ("page.css", "page.js"))
    values = _values(facts) | {"where": where, "version": __version__, "days": DAYS, "most_steps": STEPS}
    page = environment.get_template("page.html.j2").render(
        values,
        style=Markup(style),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704 - likewise
        policy=_policy(style, script),
    )
    return _MARK + page


def refuse_other_files(path: Path, *, force: bool) -> None:
    """Refuse to write where something else than a report is; asked before anything is looked at.

    Args:
        path: the file.
        force: any file is to be replaced.

    Raises:
        ReportInTheWay, FileNotWritten
    """
    try:
        whole_files.refuse_unusual(path)
        if force or not path.exists():
            return
        with path.open("rb") as file:
            begins = file.read(len(_MARK))
    except OSError as error:
        raise FileNotWritten(str(path), error.strerror) from error
    if begins != _MARK.encode():
        raise ReportInTheWay(str(path))


def write(path: Path, page: str, *, force: bool = False, mode: int = whole_files.PRIVATE) -> None:
    """Write the page, whole or not at all. A report that is there is replaced; any other file only by force.

    Args:
        path: the file.
        page: see `render`.
        force: any file is to be replaced.
        mode: its permissions. It says who may see what: others are not to read it unless somebody decides so.

    Raises:
        ReportInTheWay, FileNotWritten
    """
    refuse_other_files(path, force=force)
    try:
        whole_files.replace(path, page, mode)
    except OSError as error:
        raise FileNotWritten(str(path), error.strerror) from error


def _text(name: str) -> str:
    return (_DIRECTORY / name).read_text(encoding="utf-8").strip()


def _policy(style: str, script: str) -> str:
    """Return the page's Content-Security-Policy: these two texts, and nothing from anywhere."""
    hashes = [b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _values(facts: Facts) -> dict[str, Any]:
    positions = facts.fleet.positions
    sizes = _by_department(facts)
    here: dict[str, list[str]] = defaultdict(list)
    for position in positions:
        for revision in (position.revision, position.branch_revision):
            if revision and not position.problem:
                here[revision].append(position.entry.department_id)
    graph = rows(facts.revisions)
    labels = list(dict.fromkeys(row.revision.label for row in graph if row.revision.label != TENANT))
    last = {record.department_id: record for record in reversed(facts.steps)}
    return {
        "facts": facts,
        "positions": positions,
        "dropped": [entry for entry in facts.fleet.entries if not entry.is_live],
        "states": Counter(_state(position) for position in positions),
        "state": _state,
        "sizes": sizes,
        "last": last,
        "graph": graph,
        "tracks": 1 + max((max(s.start, s.end) for row in graph for s in row.stretches), default=0),
        "colours": {TENANT: 0} | {label: 1 + number % 4 for number, label in enumerate(labels)},
        "here": here,
        "nowhere": [p.entry.department_id for p in positions if not p.revision and not p.problem],
        "damaged": [p for p in positions if p.problem],
        "matrix": matrix(positions, facts.grants, facts.entitlements, facts.moment),
        "names": {entry.department_id: entry.department_name for entry in facts.fleet.entries},
        "chart": _chart(facts),
        "denied": sum(facts.denied.values()),
        "slowest": max((float(r.duration_seconds or 0) for r in facts.steps), default=0.0),
        "failed": sum(not record.success for record in facts.steps),
        "picture": drawing.draw(facts.relations) if facts.relations else None,
        "drawing": drawing,
        "total": sum(sizes.values()),
        "by_size": _shares(sizes.items()),
        "by_table": _shares((f"{t.department_id}\0{t.table_name}", t.bytes) for t in facts.sizes or ()),
    }


def _state(position: Any) -> str:  # noqa: ANN401 - of the template
    if position.problem:
        return "damaged"
    return "at head" if position.at_head else "behind"


def _by_department(facts: Facts) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for table in facts.sizes or ():
        total[table.department_id] += table.bytes
    return total


def _shares(sizes: Any) -> list[Share]:  # noqa: ANN401 - pairs of a name and a size
    largest = sorted(sizes, key=lambda item: (-item[1], item[0]))[:_LARGEST]
    most = max((size for _, size in largest), default=0) or 1
    found = []
    for name, size in largest:
        of, _, table = name.partition("\0")
        found.append(Share(table or of, of, size, round(100 * size / most, 1)))
    return found


def _chart(facts: Facts) -> Chart:
    days = [facts.first_day + timedelta(days=number) for number in range(DAYS)]
    return bars([(day, facts.denied.get(day, 0)) for day in days])


def _moment(value: datetime | None) -> Markup:
    """Show a time, in UTC, so that machines read it too."""
    if value is None:
        return Markup("–")  # noqa: RUF001 - no hyphen: it stands for nothing
    utc = value.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"), utc.strftime("%Y-%m-%d %H:%M:%S")
    )


def _size(value: int) -> str:
    """Show a number of bytes in a unit that leaves it short."""
    shown, unit = float(value), 0
    while shown >= _STEP and unit < len(_UNITS) - 1:
        shown, unit = shown / _STEP, unit + 1
    return f"{shown:.0f} {_UNITS[unit]}" if unit == 0 or shown >= 100 else f"{shown:.1f} {_UNITS[unit]}"  # noqa: PLR2004


def _count(number: int, one: str, many: str | None = None) -> str:
    """Show a number of things: ``1 grant``, ``12,000 grants``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(1, most - 1)] + "…"


_SHORT = (
    ("character varying", "varchar"),
    ("timestamp with time zone", "timestamptz"),
    ("timestamp without time zone", "timestamp"),
    ("double precision", "float8"),
    ("boolean", "bool"),
    ("integer", "int"),
)


def _short_type(name: str) -> str:
    """Show a type as people write it."""
    for long, short in _SHORT:
        name = name.replace(long, short)
    return name
