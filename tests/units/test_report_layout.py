"""Where things go on the report's page: the graph of revisions, who may see whom, the tables, the bars."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from fedschema.department import Department
from fedschema.gateways import Entitlement
from fedschema.positions import Position
from fedschema.registry import RegistryEntry
from fedschema.report import charts, drawing
from fedschema.report.matrix import matrix
from fedschema.report.relations import Column, Link, Relations
from fedschema.report.revisions import Revision, _in_order, rows
from fedschema.sharing import Grant

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def revision(name: str, *before: str, needs: tuple[str, ...] = (), label: str = "tenant") -> Revision:
    return Revision(name, label, "", before, needs)


GRAPHS = {
    "a line": [revision("c", "b"), revision("b", "a"), revision("a")],
    "two branches": [
        revision("c", "b"),
        revision("b", "a"),
        revision("a"),
        revision("x2", "x1", label="x"),
        revision("x1", needs=("b",), label="x"),
        revision("y1", needs=("a",), label="y"),
    ],
    "a fork that is joined": [revision("m", "l", "r"), revision("l", "a"), revision("r", "a"), revision("a")],
    "a dependency on what it follows": [revision("b", "a", needs=("a",)), revision("a")],
    "nothing": [],
}


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())
def test_revision_is_above_all_that_it_follows(graph: list[Revision]) -> None:
    ordered = _in_order(graph)
    place = {each.id: number for number, each in enumerate(ordered)}

    assert sorted(place) == sorted(each.id for each in graph)
    assert all(place[each.id] < place[earlier] for each in graph for earlier in (*each.before, *each.needs))


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())
def test_lines_lead_without_a_gap_from_each_revision_to_what_it_follows(graph: list[Revision]) -> None:
    """What leaves a row at the bottom comes into the next at the top, on the same track."""
    laid = rows(_in_order(graph))
    for upper, lower in pairwise(laid):
        assert {s.end for s in upper.stretches if not s.upper} == {s.start for s in lower.stretches if s.upper}
    for row in laid:
        follows = any(row.revision.id in {*other.revision.before, *other.revision.needs} for other in laid)
        assert any(s.upper and s.end == row.track for s in row.stretches) == follows, row.revision.id
        leaving = {s.end for s in row.stretches if not s.upper and s.start == row.track}
        assert bool(leaving) == bool(row.revision.before or row.revision.needs), row.revision.id
    assert not laid or not any(not s.upper for s in laid[-1].stretches), "nothing leads below the first revision"


def test_branch_has_a_track_of_its_own_and_gives_it_back() -> None:
    laid = rows(_in_order(GRAPHS["two branches"]))

    assert [row.revision.id for row in laid] == ["x2", "x1", "y1", "c", "b", "a"]
    track = {row.revision.id: row.track for row in laid}
    assert track["x2"] == track["x1"] != track["c"]
    assert track["y1"] not in {track["x1"], track["c"]}
    assert track["c"] == track["b"] == track["a"], "the trunk is straight"
    assert max(max(s.start, s.end) for row in laid for s in row.stretches) == 2


def position(name: str, status: str = "ACTIVE") -> Position:
    entry = RegistryEntry(name, name, status, f"{name}_tenant", None, NOW, NOW, None)
    return Position(entry, "r", None, at_head=True)


def grant(source: str, target: str, kind: str = "read", resource: str = "emails", **more: object) -> Grant:
    given: dict[str, object] = {"enabled": True, "granted_by": "x", "granted_at": NOW, "expires_at": None}
    return Grant(source, target, kind, resource, **(given | more))  # type: ignore[arg-type] # as the row has it


def test_matrix_shows_what_is_in_force_and_nothing_else() -> None:
    grants = [
        grant("a", "b"),
        grant("a", "b", "search", "*"),
        grant("b", "a", enabled=False),
        grant("c", "a", expires_at=NOW),
        grant("a", "off"),
    ]
    positions = [*map(position, "abcd"), position("off", "SUSPENDED")]
    found = matrix(positions, grants, [Entitlement("gw", "a", "x", NOW), Entitlement("all", None, "x", NOW)], NOW)

    assert list(found.pairs) == [("a", "b")]
    pair = found.pairs["a", "b"]
    assert (pair.letters, pair.everything, pair.gateways) == ("rs", True, ("all", "gw"))
    assert (found.idle, found.left_out) == (1, 0)
    assert found.unshared == ("c", "d", "off")


def test_grant_that_ends_later_is_in_force() -> None:
    positions = [position("a"), position("b")]

    assert matrix(positions, [grant("a", "b", expires_at=NOW + timedelta(seconds=1))], [], NOW).pairs
    assert not matrix(positions, [grant("a", "b")], [], NOW).pairs["a", "b"].gateways


@pytest.mark.parametrize("most", [1, 4, 10, 100])
def test_matrix_that_would_be_too_large_says_what_it_leaves_out(most: int) -> None:
    names = [f"d{number:02}" for number in range(12)]
    grants = [grant(source, target) for source in names for target in names[:3] if source != target]
    found = matrix([position(name) for name in names], grants, [], NOW, most)

    assert len(found.sources) * len(found.targets) <= most
    assert len(found.pairs) + found.left_out == len(grants)
    assert found.pairs, "something is shown"


def relations_of(tables: int, links: list[tuple[int, int]]) -> Relations:
    own = {
        f"t{number}": tuple(
            Column(f"t{number}", f"c{column}", "text", required=False, in_key=column == 0, unique_alone=False)
            for column in range(3 + number % 5)
        )
        for number in range(tables)
    }
    found = tuple(Link((f"t{source}", "c1"), (f"t{target}", "c0"), held=True) for source, target in links)
    return Relations(Department("hr"), own, found, ())


RELATIONS = {
    "none": relations_of(0, []),
    "one that refers to itself": relations_of(1, [(0, 0)]),
    "unlinked": relations_of(24, []),
    "a chain": relations_of(24, [(n, n + 1) for n in range(23)]),
    "all to one": relations_of(24, [(n, 0) for n in range(24)]),
    "everywhere": relations_of(30, [(n, (n * 7) % 30) for n in range(30)] * 2),
}


@pytest.mark.parametrize("relations", RELATIONS.values(), ids=RELATIONS.keys())
def test_no_table_covers_another_and_no_line_runs_through_one(relations: Relations) -> None:
    picture = drawing.draw(relations)
    boxes = picture.boxes

    assert {box.name for box in boxes} == set(relations.tables)
    for one in boxes:
        assert one.x >= 0
        assert one.x + drawing.WIDTH <= picture.width
        assert one.y + one.height <= picture.height
        for other in boxes:
            apart = abs(one.x - other.x) >= drawing.WIDTH or one.y + one.height <= other.y
            assert one is other or apart or other.y + other.height <= one.y
    assert len(picture.wires) == len(relations.links)
    for wire in picture.wires:
        for (x1, y1), (x2, y2) in pairwise(wire.points):
            assert x1 == x2 or y1 == y2, "lines are straight"
            for box in boxes:
                inside_x = min(x1, x2) < box.x + drawing.WIDTH and max(x1, x2) > box.x
                inside_y = min(y1, y2) < box.y + box.height and max(y1, y2) > box.y
                assert not (inside_x and inside_y), f"{wire} runs through {box.name}"


def test_no_two_lines_lie_on_each_other_going_up_or_down() -> None:
    picture = drawing.draw(RELATIONS["everywhere"])
    upright = [
        (x1, min(y1, y2), max(y1, y2)) for w in picture.wires for (x1, y1), (x2, y2) in pairwise(w.points) if x1 == x2
    ]
    for number, (x, low, high) in enumerate(upright):
        assert all(x != other or high <= a or b <= low for other, a, b in upright[number + 1 :])


@pytest.mark.parametrize("most", [0, 1, 3, 99, 100, 101, 12_345_678])
def test_bars_fit_and_the_smallest_is_seen(most: int) -> None:
    chart = charts.bars([(date(2026, 1, 1), most), (date(2026, 1, 2), min(most, 1)), (date(2026, 1, 3), 0)])

    assert all(
        bar.y >= 0 and bar.y + bar.height <= chart.floor and bar.x + bar.width <= chart.width for bar in chart.bars
    )
    assert [bar.height > 0 for bar in chart.bars] == [most > 0, most > 0, False]
    assert chart.marks[-1].value >= most
    assert 2 <= len(chart.marks) <= 6
