"""The 24 tables of a department, against the interface that voice agents and workflows already use."""

from __future__ import annotations

import hashlib
import itertools
import random
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.conftest import Database
from tests.migrations.catalogue import Catalogue, describe, names
from tests.migrations.specification import CONTROL_PLANE, TABLES, Column, Table

LONGEST_TEXT = 20_000_000
LONG_TEXT = 1_500_000
SEARCHABLE = 100_000

_COUNTER = itertools.count()

#: A value of each type that a caller could write.
_VALUES: dict[str, Any] = {
    "integer": 1,
    "bigint": 1,
    "boolean": True,
    "jsonb": Jsonb({"a": [1, "é"]}),
    "timestamp with time zone": "2026-01-02T03:04:05Z",
    "bytea": b"\x00\xff",
    "inet": "192.0.2.1",
}


@pytest.fixture
def hr(database: Database) -> psycopg.Connection:
    """The services of hr, with a connection of their own."""
    database.add("hr")
    return database.login("hr_role")


@pytest.fixture(autouse=True)
def _connections_closed(request: pytest.FixtureRequest) -> Any:
    """Close hr's connection before its database goes."""
    connection = request.getfixturevalue("hr") if "hr" in request.fixturenames else None
    yield
    if connection is not None:
        connection.close()


def catalogue_of(database: Database, schema: str) -> Catalogue:
    with database.connect() as connection:
        return describe(connection, schema)


@pytest.fixture(scope="module")
def _looked_at() -> dict[str, Catalogue]:
    """What was looked at already: a new department always looks the same."""
    return {}


@pytest.fixture
def catalogue(request: pytest.FixtureRequest, _looked_at: dict[str, Catalogue]) -> Catalogue:
    """The catalogue of a new department hr."""
    if not _looked_at:
        database: Database = request.getfixturevalue("database")
        database.add("hr")
        _looked_at["hr"] = catalogue_of(database, "hr_tenant")
    return _looked_at["hr"]


def value_for(column: Column) -> Any:
    """Return a value that the column takes."""
    if column.allowed:
        return 5 if column.type == "integer" else column.allowed[0]
    if column.type.startswith("numeric"):
        return 1
    return _VALUES.get(column.type, f"{column.name} {next(_COUNTER)}")


def smallest_row(table: Table) -> dict[str, Any]:
    """Return only what a caller has to give: the required columns without a default, with values never given before."""
    generated = {"expires_at"} if table.name == "session_context" else set()
    return {
        column.name: value_for(column)
        for column in table.columns
        if column.required and column.default is None and column.name not in generated
    }


def insertion(table: str, row: Mapping[str, Any], tail: str = "") -> sql.Composed:
    return sql.SQL("INSERT INTO {} ({}) VALUES ({}) {}").format(
        sql.Identifier("hr_tenant", table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(map(sql.Placeholder, row)),
        sql.SQL(tail),
    )


def insert(connection: psycopg.Connection, table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Add a row and return it whole."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(insertion(table, row, "RETURNING *"), row).fetchone()
    assert found is not None
    return found


def without_cast(default: str | None) -> str | None:
    return re.sub(r"::[a-z ]+$", "", default) if default else default


def columns_of(found: Catalogue, table: str) -> dict[str, tuple[str, bool, str | None]]:
    """Return a live table's columns in their order: type, required, default."""
    listed = sorted(
        (attributes[0], key.partition(".")[2], attributes)
        for key, attributes in found.items()
        if key.startswith(f"column {table}.")
    )
    return {name: (a[1], a[2], without_cast(a[3]) if not a[5] else None) for _, name, a in listed}


def expected_columns(table: Table, live: Mapping[str, tuple[str, bool, str | None]]) -> dict[str, Any]:
    """Return what the interface asks for, with the live value where it leaves something open."""
    open_default = {"applied_at"}
    return {
        column.name: (
            live[column.name][0] if column.type == "any" else column.type,
            live[column.name][1] if column.type == "any" and not column.required else column.required,
            live[column.name][2] if column.type == "any" or column.name in open_default else column.default,
        )
        for column in table.columns
        if column.name in live
    }


def test_every_table_is_there(catalogue: Catalogue) -> None:
    relations = names(catalogue, "relation")

    assert len(TABLES) == 24
    assert set(TABLES) <= relations


def test_columns_have_the_names_types_and_defaults_of_the_interface(catalogue: Catalogue) -> None:
    live = {name: columns_of(catalogue, name) for name in TABLES}

    for name, table in TABLES.items():
        key, department, *_ = live[name]
        assert (key, department) == ("id", "department"), name
        given = {column: live[name][column] for column in live[name] if column in {c.name for c in table.columns}}
        assert given == expected_columns(table, live[name]), name
        assert len(given) == len(table.columns), name


def test_added_columns_ask_nothing_of_those_who_insert(catalogue: Catalogue) -> None:

    for name, table in TABLES.items():
        known = {"id", "department", *(column.name for column in table.columns)}
        for column, (_, required, default) in columns_of(catalogue, name).items():
            generated = catalogue[f"column {name}.{column}"][5]
            assert column in known or generated or default or not required, f"{name}.{column}"


def test_keys_are_uuids_or_identities_as_the_interface_says(catalogue: Catalogue) -> None:

    for name, table in TABLES.items():
        _, type_, required, default, identity, *_ = catalogue[f"column {name}.id"]
        assert catalogue[f"constraint {name}_pkey on {name}"][1] == "PRIMARY KEY (id)"
        if table.key == "uuid":
            assert (type_, required, default, identity) == ("uuid", True, "gen_random_uuid()", ""), name
        else:
            assert (type_, required, default, identity) == ("bigint", True, None, "d"), name


def test_department_column_comes_right_after_the_key_and_is_the_departments_own(catalogue: Catalogue) -> None:

    for name in TABLES:
        position, type_, required, default, *_ = catalogue[f"column {name}.department"]
        assert (position, type_, required) == (2, "character varying(100)", True), name
        assert without_cast(default) == "'hr'", name


def test_indexes_have_the_names_and_columns_of_the_interface(catalogue: Catalogue) -> None:

    for name, table in TABLES.items():
        live = {}
        for index in names(catalogue, "index"):
            index_name, _, owner = index.partition(" on ")
            if owner == name:
                definition = catalogue[f"index {index}"][0]
                live[index_name] = definition.partition(" USING ")[2]
        expected = {index: f"btree ({columns})" for index, columns in table.indexes.items()}
        assert {index: live.get(index) for index in expected} == expected, name


def test_no_index_spends_space_on_the_department_alone(catalogue: Catalogue) -> None:

    definitions = [catalogue[f"index {name}"][0] for name in names(catalogue, "index")]

    assert len(definitions) > 80
    assert not [definition for definition in definitions if definition.endswith("(department)")]


def test_full_text_search_has_its_index(catalogue: Catalogue) -> None:

    assert catalogue["column drive_document_repository.search_vector"][1] == "tsvector"
    definitions = [catalogue[f"index {name}"][0] for name in names(catalogue, "index")]
    assert [d for d in definitions if "drive_document_repository USING gin (search_vector)" in d]


def test_every_constraint_is_named_after_its_table(catalogue: Catalogue) -> None:

    named_by_the_interface = {"idx_drive_file_id"}
    for name in names(catalogue, "constraint"):
        constraint, _, table = name.partition(" on ")
        assert constraint.startswith(f"{table}_") or constraint in named_by_the_interface | {"alembic_version_pkc"}
        assert not re.search(r"_check\d+$|_key\d+$", constraint), name


def test_smallest_row_is_completed_by_the_defaults(hr: psycopg.Connection) -> None:
    for name, table in TABLES.items():
        row = insert(hr, name, smallest_row(table))

        assert row["id"] is not None, name
        assert row["department"] == "hr", name
        for column in table.columns:
            match column.default:
                case None:
                    continue
                case "now()":
                    assert abs(datetime.now(row[column.name].tzinfo) - row[column.name]) < timedelta(minutes=5)
                case "true" | "false":
                    assert row[column.name] is (column.default == "true")
                case "'{}'":
                    assert row[column.name] == {}
                case literal:
                    assert str(row[column.name]) == literal.strip("'")


def test_required_columns_are_required_and_others_are_not(hr: psycopg.Connection) -> None:
    for name, table in TABLES.items():
        for column in table.columns:
            if (name, column.name) == ("session_context", "expires_at"):
                continue
            row = smallest_row(table) | {column.name: None}
            if column.required:
                with pytest.raises(errors.NotNullViolation):
                    insert(hr, name, row)
            else:
                assert insert(hr, name, row)[column.name] is None


def test_only_the_listed_values_are_allowed(hr: psycopg.Connection) -> None:
    checked = [(table, column) for table in TABLES.values() for column in table.columns if column.allowed]

    for table, column in checked:
        if column.allowed == ("1..10",):
            allowed: list[Any] = [1, 10]
            refused: list[Any] = [0, 11, -1]
        else:
            allowed = list(column.allowed)
            refused = ["", "OTHER", allowed[0].swapcase(), f"{allowed[0]} "]
        for value in allowed:
            assert insert(hr, table.name, smallest_row(table) | {column.name: value})[column.name] == value
        for value in refused:
            with pytest.raises(errors.CheckViolation):
                insert(hr, table.name, smallest_row(table) | {column.name: value})
    assert len(checked) == 6


def test_row_of_another_department_cannot_exist_whoever_writes_it(database: Database) -> None:
    database.add("hr")
    with database.connect() as superuser:
        for name, table in TABLES.items():
            with pytest.raises(errors.CheckViolation):
                insert(superuser, name, smallest_row(table) | {"department": "sales"})
            row = insert(superuser, name, smallest_row(table))
            with pytest.raises(errors.CheckViolation):
                superuser.execute(
                    f"UPDATE hr_tenant.{name} SET department = 'sales' WHERE id = %s".encode(), (row["id"],)
                )


def test_callers_can_insert_or_update_on_conflict(hr: psycopg.Connection) -> None:
    uniques = [(table, group) for table in TABLES.values() for group in table.unique]

    for table, group in uniques:
        row = smallest_row(table)
        if table.name == "vector_store_embeddings":
            row["chunk_index"] = 3
        tail = f"ON CONFLICT ({', '.join(group)}) DO UPDATE SET created_at = '2020-01-01Z' RETURNING id, created_at"
        hr.execute(insertion(table.name, row), row)
        with pytest.raises(errors.UniqueViolation):
            hr.execute(insertion(table.name, row), row)
        found = hr.execute(insertion(table.name, row, tail), row).fetchone()
        assert found is not None
        assert found[1].year == 2020
        assert hr.execute(f"SELECT count(*) FROM hr_tenant.{table.name}".encode()).fetchone() == (1,)
    assert len(uniques) == 8


def test_unique_columns_together_do_not_make_each_unique(hr: psycopg.Connection) -> None:
    for name, first, second in (
        ("user_preferences", {"preference_key": "a"}, {"preference_key": "b"}),
        ("api_keys", {"api_key_name": "a"}, {"api_key_name": "b"}),
        ("vector_store_embeddings", {"chunk_index": 0}, {"chunk_index": 1}),
    ):
        row = smallest_row(TABLES[name])
        insert(hr, name, row | first)
        insert(hr, name, row | second)


def test_updated_at_is_kept_by_a_trigger_whatever_the_caller_says(hr: psycopg.Connection) -> None:
    updated = [table for table in TABLES.values() if table.updated]

    for table in updated:
        row = insert(hr, table.name, smallest_row(table) | {"updated_at": "2001-01-01Z", "created_at": "2001-01-01Z"})
        hr.execute(f"UPDATE hr_tenant.{table.name} SET updated_at = '2002-01-01Z' WHERE id = %s".encode(), (row["id"],))
        seen = hr.execute(
            f"SELECT now() - updated_at < '5 min', extract(year FROM created_at) FROM hr_tenant.{table.name}".encode()
        ).fetchone()
        assert row["updated_at"].year == 2001, table.name
        assert seen == (True, 2001), table.name
    assert len(updated) == 6


def test_identities_count_by_themselves_and_take_what_a_restore_gives_them(hr: psycopg.Connection) -> None:
    identities = [table for table in TABLES.values() if table.key == "big"]

    for table in identities:
        first = insert(hr, table.name, smallest_row(table))["id"]
        restored = insert(hr, table.name, smallest_row(table) | {"id": 1000})["id"]
        second = insert(hr, table.name, smallest_row(table))["id"]
        assert (first, restored, second) == (1, 1000, 2), table.name
    assert len(identities) == 3


def test_restoring_sets_the_sequences(database: Database) -> None:
    database.add("hr")
    with database.connect() as connection:
        for name in (table.name for table in TABLES.values() if table.key == "big"):
            sequence = connection.execute("SELECT pg_get_serial_sequence(%s, 'id')", (f"hr_tenant.{name}",)).fetchone()
            assert sequence == (f"hr_tenant.{name}_id_seq",)
            connection.execute("SELECT setval(%s, 41)", sequence)
            assert insert(connection, name, smallest_row(TABLES[name]))["id"] == 42


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns"])
def test_expires_at_is_always_created_at_plus_its_seconds(zone: str, hr: psycopg.Connection) -> None:
    """Also over the hour that a change of the clocks takes out of a day."""
    hr.execute("SELECT set_config('TimeZone', %s, false)", (zone,))
    for created_at, seconds in (
        ("2026-03-29T00:30:00Z", 3600),
        ("2026-10-25T00:30:00Z", 86_400),
        ("2026-02-28T23:59:59.123456Z", 1),
        ("2026-01-01T00:00:00Z", 0),
        ("2026-01-01T00:00:00Z", 2_147_483_647),
    ):
        given = {"created_at": created_at, "ttl_seconds": seconds}
        row = insert(hr, "session_context", smallest_row(TABLES["session_context"]) | given)
        # Python counts the hours on the wall clock when both times are of one zone.
        assert row["expires_at"].timestamp() - row["created_at"].timestamp() == seconds


def test_expires_at_follows_and_cannot_be_written(hr: psycopg.Connection) -> None:
    row = insert(hr, "session_context", smallest_row(TABLES["session_context"]))

    assert row["expires_at"] - row["created_at"] == timedelta(hours=1)
    hr.execute("UPDATE hr_tenant.session_context SET ttl_seconds = 60")
    changed = hr.execute("SELECT expires_at - created_at FROM hr_tenant.session_context").fetchone()
    assert changed == (timedelta(minutes=1),)
    with pytest.raises(errors.GeneratedAlways):
        hr.execute("UPDATE hr_tenant.session_context SET expires_at = now()")


def _distinct_words(alphabet: str, pattern: str, length: int) -> str:
    """Return text that begins with many different words: ``pattern`` with a letter for each ?."""
    source = random.Random(7)  # noqa: S311 - a text, not a secret
    words, size = [], 0
    while size < 2 * SEARCHABLE:
        words.append(re.sub(r"\?", lambda _: source.choice(alphabet), pattern))
        size += len(pattern) + 1
    beginning = " ".join(words)
    return beginning + " tail" * ((length - len(beginning)) // 5)


_FOUR_BYTE = "".join(map(chr, range(0x10428, 0x10450)))  # Deseret small letters
_IDEOGRAPHS = "".join(map(chr, range(0x20000, 0x2A6D0)))  # also four bytes each, and each a letter

#: Texts that a tsvector, or the parser before it, has trouble with.
HARD_TEXTS: dict[str, Callable[[int], str]] = {
    "prose": lambda n: _distinct_words("etaoinshrdlu", "????? ??? ???????", n),
    "hyphenated four-byte words": lambda n: _distinct_words(_FOUR_BYTE, "??????-??????", n),
    "hyphenated ideographs": lambda n: _distinct_words(_IDEOGRAPHS, "?-?", n),
    "long hyphenated ideographs": lambda n: _distinct_words(_IDEOGRAPHS, "?" * 200 + "-" + "?" * 200, n),
    "addresses in four-byte letters": lambda n: _distinct_words(_IDEOGRAPHS, "??.??/??", n),
    "one unbroken word": lambda n: "a" * n,
    "one unbroken word of capitals": lambda n: "A" * n,
    "unclosed comments": lambda n: "<!--" * (n // 4),
    "unclosed comments in halves": lambda n: "<!<!----" * (n // 8),
    "unclosed tags": lambda n: "<a " * (n // 3),
    "hyphens": lambda n: "a-" * (n // 2),
    "dots": lambda n: "a." * (n // 2),
    "slashes": lambda n: "a/" * (n // 2),
    "signs": lambda n: "@a." * (n // 3),
    "numbers": lambda n: "1.2e3-" * (n // 6),
    "capitals that grow": lambda n: "\u0130\u023a" * (n // 2),
    "capitals that grow in hyphenated words": lambda n: "\u0130\u0130-\u0130\u0130 " * (n // 6),
    "long words with an accent": lambda n: ("a" * 254 + "\u00e9") * (n // 255),
    "control characters": lambda n: "\x01\x02\t\r\n" * (n // 5),
    "quotes and backslashes": lambda n: "'\\\":*&|!()" * (n // 10),
}


def test_long_document_is_stored_whole_and_found_by_its_beginning(hr: psycopg.Connection) -> None:
    hr.execute("SET statement_timeout = '30s'")
    for kind, text_of in HARD_TEXTS.items():
        text = f"Quarterly Überblick {text_of(LONGEST_TEXT if kind == 'prose' else LONG_TEXT)}"

        row = smallest_row(TABLES["drive_document_repository"]) | {"file_name": "plan.pdf", "extracted_text": text}
        hr.execute(insertion("drive_document_repository", row), row)

        stored = hr.execute("SELECT md5(extracted_text) FROM hr_tenant.drive_document_repository").fetchone()
        assert stored == (hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),), kind
        for query in ("quarterly", "QUARTERLY überblick", "plan.pdf"):
            assert found_by(hr, query) == 1, f"{kind}: {query}"
        hr.execute("DELETE FROM hr_tenant.drive_document_repository")


def found_by(connection: psycopg.Connection, query: str) -> int:
    found = connection.execute(
        "SELECT count(*) FROM hr_tenant.drive_document_repository WHERE search_vector @@ plainto_tsquery('simple', %s)",
        (query,),
    ).fetchone()
    assert found is not None
    count: int = found[0]
    return count


def test_document_is_found_by_every_word_of_its_beginning(hr: psycopg.Connection) -> None:
    filler = "word " * (SEARCHABLE // 5 - 4)
    row = smallest_row(TABLES["drive_document_repository"]) | {"extracted_text": f"{filler}Lastword"}
    hr.execute(insertion("drive_document_repository", row), row)

    assert found_by(hr, "lastword") == 1
    assert found_by(hr, "word lastword") == 1
    assert found_by(hr, "absent") == 0


def test_search_follows_when_a_document_changes(hr: psycopg.Connection) -> None:
    row = insert(hr, "drive_document_repository", smallest_row(TABLES["drive_document_repository"]))
    assert found_by(hr, "budget") == 0

    hr.execute(
        "UPDATE hr_tenant.drive_document_repository SET extracted_text = 'The budget-plan' WHERE id = %s", (row["id"],)
    )
    assert (found_by(hr, "budget"), found_by(hr, "budget-plan")) == (1, 1)
    hr.execute("UPDATE hr_tenant.drive_document_repository SET extracted_text = NULL, file_name = 'Merger.docx'")
    assert (found_by(hr, "budget"), found_by(hr, "merger.docx")) == (0, 1)


CALLERS = ["hr_role", "the administrator"]


@pytest.fixture(params=CALLERS)
def caller(request: pytest.FixtureRequest, database: Database, hr: psycopg.Connection) -> Any:
    """Whoever may call the cleanup functions."""
    if request.param == "hr_role":
        yield hr
        return
    database.create_login("fedschema_test_operator", "federation_admin_role")
    with database.login("fedschema_test_operator") as connection:
        connection.execute("SET ROLE federation_admin_role")
        yield connection


def test_expired_session_context_goes_and_nothing_else(caller: psycopg.Connection, hr: psycopg.Connection) -> None:
    for session, age, ttl in (("old", 7200, 3600), ("just over", 61, 60), ("fresh", 0, 3600)):
        hr.execute(
            """
            INSERT INTO hr_tenant.session_context
                (session_id, context_type, context_key, context_value, ttl_seconds, created_at)
            VALUES (%s, 'slot', 'name', '{}', %s, now() - make_interval(secs => %s))
            """,
            (session, ttl, age),
        )

    gone = caller.execute("SELECT hr_tenant.cleanup_expired_session_context()").fetchone()
    again = caller.execute("SELECT hr_tenant.cleanup_expired_session_context()").fetchone()

    assert (gone, again) == ((2,), (0,))
    assert hr.execute("SELECT session_id FROM hr_tenant.session_context").fetchall() == [("fresh",)]


def test_old_conversation_moves_where_it_can_still_be_read(caller: psycopg.Connection, hr: psycopg.Connection) -> None:
    for number, age in enumerate(("5 years", "2 years 1 day", "1 year 364 days", "0 s")):
        hr.execute(
            f"""
            INSERT INTO hr_tenant.conversation_history
                (session_id, turn_index, speaker, message_text, audio_duration_ms, "timestamp")
            VALUES ('s', %s, 'agent', %s, 7, now() - interval '{age}')
            """.encode(),
            (number, f"said {age} ago"),
        )
    columns = 'id, department, session_id, turn_index, speaker, message_text, audio_duration_ms, "timestamp"'
    everything = f"SELECT {columns} FROM hr_tenant.conversation_history ORDER BY turn_index".encode()
    before = hr.execute(everything).fetchall()

    moved = caller.execute("SELECT hr_tenant.archive_old_conversation_history()").fetchone()
    again = caller.execute("SELECT hr_tenant.archive_old_conversation_history()").fetchone()

    kept = hr.execute(f"SELECT {columns} FROM hr_tenant.conversation_history_archive ORDER BY turn_index".encode())
    assert (moved, again) == ((2,), (0,))
    assert kept.fetchall() == before[:2]
    assert hr.execute(everything).fetchall() == before[2:]


def test_nothing_is_lost_when_an_archived_key_comes_again(hr: psycopg.Connection) -> None:
    """A restore can bring back a row that was archived already; then neither of the two may go."""
    row = smallest_row(TABLES["conversation_history"]) | {"id": 7, "timestamp": "2001-01-01Z"}
    insert(hr, "conversation_history", row | {"message_text": "first"})
    hr.execute("SELECT hr_tenant.archive_old_conversation_history()")
    insert(hr, "conversation_history", row | {"message_text": "second"})

    with pytest.raises(errors.UniqueViolation):
        hr.execute("SELECT hr_tenant.archive_old_conversation_history()")

    said = hr.execute(
        "SELECT message_text FROM hr_tenant.conversation_history "
        "UNION ALL SELECT message_text FROM hr_tenant.conversation_history_archive"
    ).fetchall()
    assert sorted(said) == [("first",), ("second",)]


def test_cleaning_up_stays_within_the_department(database: Database, hr: psycopg.Connection) -> None:
    database.add("sales")
    with database.login("sales_role") as sales:
        for connection, schema in ((hr, "hr_tenant"), (sales, "sales_tenant")):
            connection.execute(
                f"""
                INSERT INTO {schema}.conversation_history (session_id, turn_index, speaker, message_text, "timestamp")
                VALUES ('s', 1, 'user', 'hello', '2001-01-01Z')
                """.encode()
            )

        assert hr.execute("SELECT hr_tenant.archive_old_conversation_history()").fetchone() == (1,)

        assert sales.execute("SELECT count(*) FROM sales_tenant.conversation_history").fetchone() == (1,)
        for function in ("cleanup_expired_session_context", "archive_old_conversation_history"):
            with pytest.raises(errors.InsufficientPrivilege):
                hr.execute(f"SELECT sales_tenant.{function}()".encode())


def test_control_plane_has_the_columns_of_the_interface(database: Database) -> None:
    found = catalogue_of(database, "federation")

    for name, table in CONTROL_PLANE.items():
        live = columns_of(found, name)
        given = {column: live[column] for column in live if column in {c.name for c in table.columns}}
        assert given == expected_columns(table, live), name
        assert len(given) == len(table.columns), name
        if table.key == "uuid":
            assert live["id"] == ("uuid", True, "gen_random_uuid()"), name


def test_control_plane_allows_only_the_listed_values_and_unique_rows(database: Database) -> None:
    found = catalogue_of(database, "federation")
    definitions: dict[str, list[str]] = {}
    for name in names(found, "constraint"):
        definitions.setdefault(name.partition(" on ")[2], []).append(found[f"constraint {name}"][1])

    for name, table in CONTROL_PLANE.items():
        for group in table.unique:
            assert f"UNIQUE ({', '.join(group)})" in definitions[name], name
        for column in table.columns:
            if column.allowed:
                checks = [set(re.findall(r"'(\w+)'", d)) for d in definitions[name] if f"({column.name})::" in d]
                assert set(column.allowed) in checks, f"{name}.{column.name}"


@pytest.mark.parametrize(
    ("function", "table", "columns", "values"),
    [
        ("cleanup_old_audit_logs", "cross_dept_audit", "query_type, success", "'read', true"),
        ("cleanup_old_security_audit", "security_audit", "event_type", "'CROSS_DEPT_ACCESS_DENIED'"),
    ],
)
def test_audit_rows_are_kept_for_two_years(
    function: str, table: str, columns: str, values: str, database: Database
) -> None:
    with database.connect() as connection:
        for age in ("3 years", "2 years 1 day", "1 year 364 days"):
            insertion = (
                f"INSERT INTO federation.{table} ({columns}, created_at) VALUES ({values}, now() - interval '{age}')"
            )
            connection.execute(insertion.encode())

        gone = connection.execute(f"SELECT federation.{function}()".encode()).fetchone()

        assert gone == (2,)
        assert connection.execute(f"SELECT count(*) FROM federation.{table}".encode()).fetchone() == (1,)
