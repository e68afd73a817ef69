"""The report in a real browser: it shows what it should, loads and runs nothing else, and everybody can use it.

It needs Chromium: Debian's package of that name. Accessibility is checked by axe-core, of the package axe-core-python.
With FEDSCHEMA_TEST_PICTURES, a directory, pictures and print are kept there to be looked at.
"""

from __future__ import annotations

import importlib.resources
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fedschema import federation
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.observation import Fleet, TableSize
from fedschema.report import facts, page
from fedschema.report.facts import Facts
from tests.conftest import PROJECT, Database, Server, drop_roles, janitor_of
from tests.observing.conftest import HOSTILE, fill
from tests.programs.browser import Tab, browser

#: What is looked at: light and dark, wide and narrow.
LOOKS: dict[str, dict[str, Any]] = {"light": {}, "dark": {"dark": True}, "narrow": {"width": 360, "height": 740}}


@pytest.fixture(scope="module")
def three(server: Server, control_plane: Any) -> Iterator[Facts]:
    """What there is to say of three departments."""
    name = "fedschema_browsed"
    compiler = Compiler(PROJECT)
    with janitor_of(server, name, control_plane.template_dbname):
        federation.initialise(server.conninfo(name), compiler)
        database = Database(server, name, compiler)
        with database.connect() as root:
            fill(database, root)
        yield facts.gather(database.conninfo, compiler)
    drop_roles(server, name)


def many(few: Facts, number: int) -> Facts:
    """Say the same of many departments, each of which may see data of six others."""
    names = [f"department_{each:03}" for each in range(number)]
    like = few.fleet.positions[0]
    entries = [
        replace(like.entry, department_id=name, department_name=HOSTILE, tenant_schema=Department(name).schema)
        for name in names
    ]
    like_grant = few.grants[0]
    grants = [
        replace(like_grant, source_department_id=name, target_department_id=names[(each * 7 + step * step) % number])
        for each, name in enumerate(names)
        for step in range(1, 7)
        if (each * 7 + step * step) % number != each
    ]
    denied = {few.first_day + timedelta(days=day): day * day for day in range(1, 30)}
    return replace(
        few,
        fleet=Fleet(entries, [replace(like, entry=entry) for entry in entries]),
        grants=grants,
        sizes=[TableSize(name, "contacts", 8192 * each) for each, name in enumerate(names)],
        denied=denied,
    )


@pytest.fixture(scope="module")
def pages(three: Facts, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The page of three departments and that of three hundred."""
    directory = tmp_path_factory.mktemp("pages")
    files = {}
    for number, found in ((3, three), (300, many(three, 300))):
        files[number] = directory / f"{number}.html"
        page.write(files[number], page.render(found, HOSTILE))
    return files


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with browser() as opened:
        yield opened


#: What is alike is looked at a few times, not thousands: axe would take minutes.
A_FEW_OF_EACH = """
    for (const body of document.querySelectorAll("tbody")) [...body.rows].slice(8).forEach(row => row.remove());
    for (const cell of document.querySelectorAll(".matrix tr > :nth-child(n+60)")) cell.remove();
    for (const why of [...document.querySelectorAll(".why")].slice(8)) why.remove();
"""

EACH_SIZE = pytest.mark.parametrize("number", [3, 300])


@EACH_SIZE
def test_page_loads_nothing_and_runs_nothing_that_others_wrote(tab: Tab, pages: dict[int, Path], number: int) -> None:
    tab.requested.clear()
    tab.complaints.clear()
    tab.looks()
    began = time.monotonic()
    tab.open(pages[number])

    assert time.monotonic() - began < 20, "a browser takes a second or two"
    assert tab.requested == [pages[number].as_uri()]
    assert tab.complaints == []
    assert tab.run("document.title").startswith("Federation report")
    assert tab.run("document.querySelectorAll('script').length") == 1
    assert tab.run("document.querySelector('#departments-t bdi').textContent") == HOSTILE


def test_policy_stops_what_would_be_put_into_the_page(tab: Tab, pages: dict[int, Path], tmp_path: Path) -> None:
    """So that an escape that is forgotten one day is no hole either."""
    text = pages[3].read_text().replace("<main>", "<main><script>document.title = 'taken'</script><img src=x>", 1)
    (tmp_path / "taken.html").write_text(text)
    tab.complaints.clear()
    tab.open(tmp_path / "taken.html")

    assert tab.run("document.title").startswith("Federation report")
    assert any("Content Security Policy" in complaint for complaint in tab.complaints)


@pytest.mark.parametrize(("number", "look"), [(3, "light"), (3, "dark"), (3, "narrow"), (300, "light")])
def test_everybody_can_use_it(tab: Tab, pages: dict[int, Path], number: int, look: str) -> None:
    tab.looks(**LOOKS[look])
    tab.open(pages[number])
    tab.run(A_FEW_OF_EACH)
    axe = importlib.resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    tab.run(f"{axe}; 0")
    found = tab.run(
        "axe.run(document).then(r => r.violations.map(v => `${v.id}: ${v.nodes.length} of ${v.nodes[0].html}`))"
    )

    assert found == []


@EACH_SIZE
@pytest.mark.parametrize("look", LOOKS)
def test_page_itself_never_scrolls_sideways(tab: Tab, pages: dict[int, Path], number: int, look: str) -> None:
    tab.looks(**LOOKS[look])
    tab.open(pages[number])

    assert tab.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    if kept := os.environ.get("FEDSCHEMA_TEST_PICTURES"):
        tab.picture(Path(kept) / f"{number}-{look}.png", whole=True)
        tab.paper(Path(kept) / f"{number}.pdf")


SHOWN = "[...document.querySelectorAll('.why')].filter(e => e.matches(':popover-open')).map(e => e.textContent)"


def test_reason_is_told_to_the_mouse_and_to_the_keyboard(tab: Tab, pages: dict[int, Path]) -> None:
    tab.looks()
    tab.open(pages[3])
    assert tab.run(SHOWN) == []

    tab.point(".matrix button")
    (told,) = tab.run(SHOWN)
    assert "hr may see data of sales" in " ".join(told.split())
    assert HOSTILE in told
    tab.point("h1")
    assert tab.run(SHOWN) == []

    tab.run("document.querySelector('#matrix-t').parentElement.focus()")
    tab.press("Tab")
    assert tab.run("document.activeElement.getAttribute('aria-label')") == "r: why hr may see data of sales"
    assert tab.run(SHOWN) == [told]
    tab.press("Escape")
    assert tab.run(SHOWN) == []
    tab.press("Enter")
    assert tab.run(SHOWN) == [told]
    tab.press("Tab")
    assert tab.run(SHOWN) == []


def test_page_can_be_read_without_its_script(tab: Tab, pages: dict[int, Path]) -> None:
    tab.looks()
    tab.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(pages[3])
        assert tab.run("document.querySelector('.filter').checkVisibility()") is False, (
            "what would do nothing is not shown"
        )
        tab.run("document.querySelector('#matrix-t').parentElement.focus()")
        tab.press("Tab")
        tab.press("Enter")
        assert len(tab.run(SHOWN)) == 1
    finally:
        tab.send("Emulation.setScriptExecutionDisabled", value=False)


def test_rows_can_be_found_and_sorted(tab: Tab, pages: dict[int, Path]) -> None:
    tab.looks()
    tab.open(pages[300])
    tab.run(
        "(() => { const input = document.querySelector('[data-of=departments-t]'); input.value = 'DEPARTMENT_29';"
        " input.dispatchEvent(new Event('input')); })()"
    )
    assert tab.run("[...document.querySelectorAll('#departments-t tbody tr')].filter(r => !r.hidden).length") == 10
    assert tab.run("document.querySelector('.filter output').textContent") == " 10 of 300"

    tab.run("document.querySelectorAll('#departments-t th button')[6].click()")
    tab.run("document.querySelectorAll('#departments-t th button')[6].click()")
    first = "document.querySelector('#departments-t tbody tr th').textContent"
    assert tab.run(first) == "department_299", "the largest first"
    assert tab.run("document.querySelector('#departments-t [aria-sort]').getAttribute('aria-sort')") == "descending"


def test_heads_stay_where_the_matrix_scrolls(tab: Tab, pages: dict[int, Path]) -> None:
    tab.looks()
    tab.open(pages[300])
    tab.run("(() => { const f = document.querySelector('#matrix-t').parentElement; f.scrollTo(2000, 2000); })()")

    assert tab.run(
        """(() => {
            const frame = document.querySelector('#matrix-t').parentElement.getBoundingClientRect();
            const corner = document.querySelector('#matrix-t .corner').getBoundingClientRect();
            return Math.abs(corner.left - frame.left) < 3 && Math.abs(corner.top - frame.top) < 3;
        })()"""
    )


def test_paper_has_everything_and_nothing_to_press(tab: Tab, pages: dict[int, Path], tmp_path: Path) -> None:
    tab.looks(paper=True, dark=True)
    tab.open(pages[3])

    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not tab.run("[...document.querySelectorAll('nav, .filter')].some(e => e.checkVisibility())")
    assert not tab.run("[...document.querySelectorAll('.frame')].some(e => getComputedStyle(e).overflow !== 'visible')")
    tab.paper(tmp_path / "r.pdf")
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")


def test_times_are_utc(three: Facts) -> None:
    assert three.moment.astimezone(UTC) <= datetime.now(UTC)
    assert f'datetime="{three.moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"' in page.render(three, "here")
