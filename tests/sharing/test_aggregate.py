"""federation.aggregate: a fixed list of questions, and no number that gives a group of fewer than 5 sessions away."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import pytest

from tests.conftest import Database
from tests.security.conftest import PRIVATE, SHARED, count, value
from tests.sharing.conftest import aggregate, asking, grant, noticing, recorded

OBJECTION = "WARNING: nothing was counted: "
STATUSES = ("EXECUTING", "COMPLETED", "FAILED", "CANCELLED")
LABELS = ("f", "(other)", "(none)", "(all)", "", "x" * 100)
MONTHS = ("2025-12-31 23:30Z", "2026-01-01 00:30Z", "2026-02-01 00:00Z")
ASKED = [(measure, key) for measure in ("count", "sessions") for key in (None, "status", "function_name", "month")]


@dataclass(frozen=True)
class Call:
    """A row of tool_calls, as far as it can be counted."""

    session: str
    status: str
    function_name: str
    created_at: str

    def label(self, key: str | None) -> str:
        """Return the group that it belongs to."""
        if key is None:
            return "(all)"
        return self.created_at[:7] if key == "month" else str(getattr(self, key))


def fill(root: psycopg.Connection, calls: list[Call]) -> None:
    """Let sales have these calls and no others."""
    with root.transaction(), root.cursor() as cursor:
        cursor.execute("DELETE FROM sales_tenant.tool_calls")
        cursor.executemany(
            """
            INSERT INTO sales_tenant.tool_calls (tool_call_id, session_id, status, function_name, created_at)
            VALUES (%s, %s, %s, %s, %s)
            """,
            [(f"{n}", call.session, call.status, call.function_name, call.created_at) for n, call in enumerate(calls)],
        )


def calls_of(groups: dict[str, int], key: Callable[[str, str], Call]) -> list[Call]:
    """Return one call each of so many sessions of their own in each group."""
    return [key(label, f"{label} {n}") for label, sessions in groups.items() for n in range(sessions)]


def named(label: str, session: str) -> Call:
    return Call(session, "COMPLETED", label, MONTHS[1])


def sessions_of(calls: list[Call]) -> int:
    return len({call.session for call in calls})


def rounded(number: int) -> int:
    return (2 * number + 5) // 10 * 5


def truth(calls: list[Call], measure: str) -> int:
    return rounded(len(calls) if measure == "count" else sessions_of(calls))


@pytest.fixture(autouse=True)
def _may_count(shared: Database, root: psycopg.Connection) -> None:
    grant(root, "aggregate", "tool_calls")


# ------------------------------------------------------------------------------------------------------ what is shown


def test_groups_are_counted_and_rounded(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    fill(root, [*calls_of({"a": 12, "b": 8, "c": 5}, named), *[named("a", "a 0")] * 30])
    assert aggregate(gateway) == [("(all)", 55)]
    assert aggregate(gateway, measure="sessions") == [("(all)", 25)]
    assert aggregate(gateway, "function_name") == [("a", 40), ("b", 10), ("c", 5)]
    assert aggregate(gateway, "function_name", measure="sessions") == [("a", 10), ("b", 10), ("c", 5)]
    assert aggregate(gateway, "") == aggregate(gateway)


@pytest.mark.parametrize(
    ("groups", "shown"),
    [
        ({}, []),
        ({"a": 4}, []),
        ({"a": 2, "b": 2}, []),
        ({"a": 5}, [("a", 5)]),
        ({"a": 2, "b": 3}, [("(other)", 5)]),
        ({"a": 4, "b": 4}, [("(other)", 10)]),
        ({"a": 20, "b": 1}, [("(other)", 20)]),  # b alone would be all minus a
        ({"a": 20, "b": 10, "c": 1}, [("a", 20), ("(other)", 10)]),  # b covers for c
        ({"a": 20, "b": 10, "c": 2, "d": 3}, [("a", 20), ("b", 10), ("(other)", 5)]),
        ({"a": 20, "(other)": 10, "c": 5}, [("a", 20), ("(other)", 10), ("c", 5)]),
        ({"a": 20, "(other)": 2, "c": 3}, [("a", 20), ("(other)", 5)]),
        ({"a": 20, "(other)": 10, "c": 2, "d": 3}, [("a", 20), ("(other)", 10), ("(other)", 5)]),
    ],
)
def test_small_group_is_shown_only_among_others(
    gateway: psycopg.Connection, root: psycopg.Connection, groups: dict[str, int], shown: list[tuple[str, int]]
) -> None:
    fill(root, calls_of(groups, named))
    assert aggregate(gateway, "function_name", measure="sessions") == shown
    assert aggregate(gateway, "function_name") == shown


def test_many_rows_of_few_sessions_are_a_small_group(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    """The smallest thing to protect is a session and not a row."""
    fill(root, [named("chatty", f"{n % 4}") for n in range(400)])
    assert aggregate(gateway) == aggregate(gateway, "function_name") == aggregate(gateway, "status") == []
    fill(root, [named("chatty", f"{n % 5}") for n in range(400)])
    assert aggregate(gateway) == [("(all)", 400)]


def test_rows_without_a_session_are_in_nobodys_group(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    """error_logs may have rows without one: they count as rows, and make no group any larger."""
    grant(root, "aggregate", "error_logs")
    root.execute("DELETE FROM sales_tenant.error_logs")
    insert = "INSERT INTO sales_tenant.error_logs (session_id, error_type, error_message) VALUES (%s, 'e', 'm')"
    with root.cursor() as cursor:
        cursor.executemany(insert, [(None,)] * 50 + [(f"s{n}",) for n in range(4)])
    assert aggregate(gateway, resource="error_logs") == []
    root.execute(insert, ("s4",))
    assert aggregate(gateway, resource="error_logs") == [("(all)", 55)]
    assert aggregate(gateway, resource="error_logs", measure="sessions") == [("(all)", 5)]


def test_missing_key_is_a_group_like_another(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    grant(root, "aggregate", "llm_usage_logs")
    grant(root, "aggregate", "user_session_analytics")
    root.execute("DELETE FROM sales_tenant.user_session_analytics")
    with root.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO sales_tenant.user_session_analytics (session_id, session_start, satisfaction_score)
            VALUES (%s, now(), %s)
            """,
            [(f"s{n}", None if n < 7 else 5) for n in range(20)],
        )
    shown = aggregate(gateway, "satisfaction_score", resource="user_session_analytics")
    assert shown == [("5", 15), ("(none)", 5)]


def test_hostile_label_is_text_and_nothing_more(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    labels = ["'; DROP TABLE sales_tenant.tool_calls; --", "%1$I", "$query$", 'a"b\\c', "\u202e\u001b[31m"]
    fill(root, calls_of(dict.fromkeys(labels, 6), named))
    assert {label for label, _ in aggregate(gateway, "function_name")} == set(labels)


# ------------------------------------------------------------------------------------------- what never follows from it


def _calls(seed: int) -> list[Call]:
    """Return some calls of some sessions; sessions are in several groups, and some groups are small."""
    chosen = random.Random(seed)  # noqa: S311 - the same each time
    sessions = [f"s{n}" for n in range(chosen.choice((3, 5, 6, 9, 14, 40)))]
    weights = [chosen.choice((0.0, 0.2, 1.0, 5.0)) for _ in STATUSES]
    weights[chosen.randrange(4)] = 1.0
    return [
        Call(
            chosen.choice(sessions),
            chosen.choices(STATUSES, weights)[0],
            chosen.choices(LABELS, [8, 4, 2, 1, 1, 1])[0],
            chosen.choices(MONTHS, [5, 1, 1])[0],
        )
        for _ in range(chosen.choice((2, 6, 12, 30, 60)))
    ]


@pytest.mark.parametrize("seed", range(40))
def test_published_numbers_are_about_five_sessions_each_and_leave_nothing_over(
    gateway: psycopg.Connection, root: psycopg.Connection, seed: int
) -> None:
    """Each number is that of a set of rows with at least 5 sessions; the sets of one answer do not overlap; and
    together they are all rows. So total minus cells is a rounding error, whichever cells are taken away, and no
    sum or difference of them is about a smaller group.
    """
    calls = _calls(seed)
    fill(root, calls)
    for measure, key in ASKED:
        shown = aggregate(gateway, key, measure=measure)
        groups: dict[str, list[Call]] = {}
        for call in calls:
            groups.setdefault(call.label(key), []).append(call)
        hidden = list(calls)
        expected: Counter[tuple[str, int]] = Counter()
        for label, group in groups.items():
            # A label counts as shown by itself when it is there with its own number and large enough.
            if (label, truth(group, measure)) in shown and sessions_of(group) >= 5 and label != "(other)":
                expected[label, truth(group, measure)] += 1
                hidden = [call for call in hidden if call.label(key) != label]
        others = Counter(shown) - expected
        if "(other)" in groups and sessions_of(groups["(other)"]) >= 5 and sum(others.values()) == 2:
            own = ("(other)", truth(groups["(other)"], measure))
            assert own in others
            others -= Counter([own])
            hidden = [call for call in hidden if call.label(key) != "(other)"]
        if hidden and shown:
            assert sessions_of(hidden) >= 5
            assert others == Counter([("(other)", truth(hidden, measure))])
        else:
            assert not others
        if not shown:
            assert sessions_of(calls) < 5
        assert all(number % 5 == 0 and number >= 5 for _, number in shown)


def test_one_more_session_changes_no_number_by_less_than_five(
    gateway: psycopg.Connection, root: psycopg.Connection
) -> None:
    """Asking before and after somebody called tells at most that some five calls came together."""
    numbers = []
    for sessions in range(5, 21):
        fill(root, calls_of({"a": sessions}, named))
        ((_, number),) = aggregate(gateway, "function_name")
        numbers.append(number)
    assert set(numbers) == {5, 10, 15, 20}
    assert numbers == sorted(numbers)


# ------------------------------------------------------------------------------------------------- what is not answered


@pytest.mark.parametrize(
    "key",
    [
        "session_id",
        "id",
        "tool_call_id",
        "parameters",
        "result",
        "error_message",
        "department",
        "created_at",
        "Status",
        " status",
        "status, session_id",
        "status || session_id",
        "1",
        "'x'",
        "(SELECT 1)",
        'status", "session_id',
        "ctid",
        "tool_calls",
        "*",
        "speaker",
        "month; SELECT 1",
        "x" * 1000,
    ],
)
def test_key_outside_the_list_is_refused(gateway: psycopg.Connection, root: psycopg.Connection, key: str) -> None:
    fill(root, calls_of({"a": 9}, named))
    with noticing(gateway) as told, recorded(root) as record:
        assert aggregate(gateway, key) == []
    assert told == [OBJECTION + "the key is one of status, function_name, month"]
    assert (record.attempt["success"], record.attempt["query_params"]) == (
        False,
        {"measure": "count", "key": key[:100]},
    )


@pytest.mark.parametrize(
    "measure",
    [
        None,
        "",
        "COUNT",
        "sum",
        "count ",
        "string_agg",
        "string_agg(session_id, ',')",
        "count(*) FROM x; --",
        "max(parameters)",
        "array_agg",
        "rows",
        "value",
    ],
)
def test_measure_outside_the_list_is_refused(
    gateway: psycopg.Connection, root: psycopg.Connection, measure: str | None
) -> None:
    fill(root, calls_of({"a": 9}, named))
    with noticing(gateway) as told:
        assert aggregate(gateway, measure=measure) == []
    assert told == [OBJECTION + "the measure is count or sessions"]


@pytest.mark.parametrize(
    "resource", [*PRIVATE, "alembic_version", "*", "contacts", "drive_documents", "pg_authid", "", None]
)
def test_resource_without_a_list_of_keys_is_not_counted(
    gateway: psycopg.Connection, root: psycopg.Connection, resource: str | None
) -> None:
    grant(root, "aggregate", "*")
    with noticing(gateway) as told:
        assert aggregate(gateway, resource=resource) == []
    assert told == [OBJECTION + "this resource cannot be counted"]


COUNTABLE = """
    SELECT resource_type, key FROM federation.resources, unnest(aggregate_keys || NULL::text) AS key
    WHERE aggregate_keys <> '{}' ORDER BY 1, 2
"""


def test_every_question_of_the_list_is_answered(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    """In tables with enough in them: a key that no table had would fail there, as the only one who was told."""
    grant(root, "aggregate", "*")
    asked = root.execute(COUNTABLE).fetchall()
    tables = {resource: table for table, resource in SHARED.items()}
    with root.transaction():
        for resource in {resource for resource, _ in asked}:
            _multiply(root, tables[resource])
    with noticing(gateway) as told:
        for resource, key in asked:
            for measure in ("count", "sessions"):
                assert aggregate(gateway, key, resource=resource, measure=measure), (resource, key, measure)
    assert told == []
    assert len(asked) > 30


def _multiply(root: psycopg.Connection, table: str) -> None:
    """Let a table of sales have rows of five sessions, like the one that it has."""
    columns = [
        name
        for (name,) in root.execute(
            """
            SELECT attname::text FROM pg_attribute
            WHERE attrelid = %s::regclass AND attnum > 0 AND attgenerated = '' AND attname NOT IN ('id', 'session_id')
              AND attname NOT IN ('tool_call_id', 'turn_index')
            """,
            (f"sales_tenant.{table}",),
        ).fetchall()
    ]
    extra = {"tool_calls": ("tool_call_id", "gen_random_uuid()"), "conversation_history": ("turn_index", "n")}.get(
        table
    )
    names = [*columns, "session_id", *([extra[0]] if extra else [])]
    values = [*(f"old.{name}" for name in columns), "'m' || n", *([extra[1]] if extra else [])]
    root.execute(
        f"INSERT INTO sales_tenant.{table} ({', '.join(names)}) SELECT {', '.join(values)}"
        f" FROM (SELECT * FROM sales_tenant.{table} LIMIT 1) AS old, generate_series(1, 5) AS n"
    )


CLOSED = {
    "no grant": "DELETE FROM federation.cross_dept_permissions",
    "a grant to read": "UPDATE federation.cross_dept_permissions SET permission_type = 'read'",
    "a grant to search": "UPDATE federation.cross_dept_permissions SET permission_type = 'search'",
    "a grant on something else": "UPDATE federation.cross_dept_permissions SET resource_type = 'emails'",
    "a grant that is over": "UPDATE federation.cross_dept_permissions SET expires_at = now()",
}


@pytest.mark.parametrize("closing", CLOSED.values(), ids=CLOSED)
def test_refusal_looks_like_too_few(gateway: psycopg.Connection, root: psycopg.Connection, closing: str) -> None:
    fill(root, calls_of({"a": 4}, named))
    gateway.execute("SET client_min_messages = log")
    with noticing(gateway) as granted:
        assert aggregate(gateway, "status") == []
    root.execute(closing)
    fill(root, calls_of({"a": 50}, named))
    with noticing(gateway) as denied, recorded(root) as record:
        assert aggregate(gateway, "status") == []
    assert denied == granted == []
    assert record.attempt["success"] is False


def test_caller_adds_no_condition(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    """Around the function there are only labels and numbers to filter by, and inside there is no place for it."""
    fill(root, [*calls_of({"a": 20, "b": 10}, named), Call("victim", "FAILED", "a", MONTHS[1])])
    whole = aggregate(gateway, "function_name")
    filtered = gateway.execute(
        "SELECT * FROM federation.aggregate('sales', 'tool_calls', 'count', 'function_name') WHERE label = 'a'"
    ).fetchall()
    assert filtered == [row for row in whole if row[0] == "a"]
    with pytest.raises(psycopg.errors.UndefinedColumn):
        gateway.execute(
            "SELECT * FROM federation.aggregate('sales', 'tool_calls', 'count') WHERE session_id = 'victim'"
        )


def test_each_count_is_on_record_with_what_was_asked_and_what_came_of_it(
    shared: Database, root: psycopg.Connection
) -> None:
    fill(root, calls_of({"a": 20, "b": 10}, named))
    with asking(shared) as connection, recorded(root) as record:
        assert len(aggregate(connection, "function_name")) == 2
        assert count(root, "sales", "tool_calls") == 30
        root.execute("DELETE FROM federation.cross_dept_permissions")
        assert aggregate(connection) == []
    counted, denied = record.attempts
    assert (counted["query_type"], counted["results_returned"], counted["success"]) == ("aggregate", 2, True)
    assert counted["query_params"] == {"measure": "count", "key": "function_name"}
    assert counted["latency_ms"] >= 0
    assert (denied["results_returned"], denied["error_message"]) == (None, "there is no grant")
    assert [row["event_type"] for row in record.events if row["event_type"].endswith("DENIED")] == [
        "CROSS_DEPT_ACCESS_DENIED"
    ]


def test_without_the_floor_a_single_session_would_show(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    """What the tests above rest on: with the floor at one session, the same question gives one away."""
    fill(root, calls_of({"a": 20, "b": 10, "c": 1}, named))
    body = value(root, "SELECT pg_get_functiondef('federation.aggregate(text,text,text,text)'::regprocedure)")
    open_body = (
        body.replace("sessions < 5", "sessions < 1").replace("sessions >= 5", "sessions >= 1").replace(") < 5", ") < 1")
    )
    assert aggregate(gateway, "function_name") == [("a", 20), ("(other)", 10)]
    root.execute(open_body)
    try:
        assert len(aggregate(gateway, "function_name")) == 3
    finally:
        root.execute(body)
    assert aggregate(gateway, "function_name") == [("a", 20), ("(other)", 10)]
