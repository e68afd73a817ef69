"""`fedschema report`: the page as text; what a browser makes of it is in tests/programs/test_report_in_a_browser.py."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import stat
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fedschema.department import Department
from fedschema.errors import ReportInTheWay, UnknownDepartment
from fedschema.report import facts, page
from tests.conftest import Run
from tests.observing.conftest import HOSTILE, Shown

#: Attributes that load something, or run it.
FORBIDDEN = {"src", "srcset", "style", "ping", "onclick", "onload", "onerror"}


class Elements(HTMLParser):
    """What elements a page has, their attributes, and the texts of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.texts:
            self.texts[self._inside].append(data)


@pytest.fixture(scope="module")
def rendered(shown: Shown) -> str:
    return page.render(facts.gather(shown.database.conninfo, shown.database.compiler), HOSTILE)


def test_page_says_what_there_is(rendered: str) -> None:
    text = re.sub(r"<[^>]+>", "", rendered)

    assert "3 departments and the revision that each is at" in text
    assert "why hr may see data of sales" in rendered
    assert "No login may ask in the name of hr" in text
    assert "3 attempts to see another department's data were denied" in text
    assert "1 department shares nothing" in text
    assert "The 25 tables of" in text
    assert "tenant_0007_retention" in text


def test_what_others_wrote_is_text(rendered: str) -> None:
    assert HOSTILE not in rendered
    assert "&lt;script&gt;document.title" in rendered
    assert len(Elements(rendered).texts["script"]) == 1


def test_page_needs_nothing_and_its_policy_says_so(rendered: str) -> None:
    elements = Elements(rendered)
    policy = next(a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy") or ""

    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256("".join(elements.texts[kind]).encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag, attributes in elements.found:
        assert not {"src", "style", "onclick", "onload", "onerror", "srcset", "ping"} & set(attributes), (
            tag,
            attributes,
        )
        assert (attributes.get("href") or "#").startswith("#"), (tag, attributes)
        assert tag not in {"link", "iframe", "img", "object", "embed", "form", "base"}, tag


def test_every_id_is_there_once_and_what_is_referred_to_is_there(rendered: str) -> None:
    elements = Elements(rendered).found
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    wanted = {
        attributes[name]
        for _, attributes in elements
        for name in ("popovertarget", "aria-labelledby", "data-of")
        if name in attributes
    } | {(attributes["href"] or "")[1:] for tag, attributes in elements if tag == "a"}

    assert len(ids) == len(set(ids))
    assert wanted <= set(ids)


def test_every_table_has_a_caption_and_headings_with_a_scope(rendered: str) -> None:
    elements = [tag for tag, _ in Elements(rendered).found]

    assert elements.count("table") == elements.count("caption")
    assert all(attributes.get("scope") for tag, attributes in Elements(rendered).found if tag == "th")


def test_department_that_is_not_there_is_said(shown: Shown) -> None:
    with pytest.raises(UnknownDepartment):
        facts.gather(shown.database.conninfo, shown.database.compiler, Department("nosuch"))


def test_federation_without_departments_has_a_page(command: Run, tmp_path: Path) -> None:
    assert command("report", str(tmp_path / "r.html")).status == 0
    assert "There are none yet" in (tmp_path / "r.html").read_text()


def test_page_is_for_its_owner_alone_and_takes_the_place_of_an_older_one(shown: Shown, tmp_path: Path) -> None:
    file = tmp_path / "r.html"
    first = shown.command("report", str(file))
    again = shown.command("report", str(file), "--json")

    assert (first.status, first.stdout) == (0, f"report on 3 departments written to {file}\n")
    assert json.loads(again.stdout) == {"file": str(file), "departments": 3, "bytes": file.stat().st_size}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert shown.command("report", str(file), "--readable").status == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [file]


def test_other_file_is_replaced_by_force_alone(shown: Shown, tmp_path: Path) -> None:
    file = tmp_path / "thesis.html"
    file.write_text("<!doctype html>\nmy thesis")
    refused = shown.command("report", str(file))

    assert refused.status == 2
    assert "is no report; nothing was written" in refused.stderr
    assert file.read_text().endswith("my thesis")
    assert shown.command("report", str(file), "--force").status == 0
    assert "my thesis" not in file.read_text()


def test_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "r.html"
    file.write_text("mine")

    with pytest.raises(ReportInTheWay):
        page.write(file, "page")
    assert file.read_text() == "mine"


@pytest.mark.parametrize("place", ["nowhere/r.html", "link.html", ""])
def test_place_that_cannot_be_written_is_one_message(shown: Shown, tmp_path: Path, place: str) -> None:
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "link.html").symlink_to(tmp_path / "kept")
    done = shown.command("report", str(tmp_path / place), "--force")

    assert done.status == 1
    assert "cannot be written" in done.stderr
    assert (tmp_path / "kept").read_text() == "kept"
