"""federation.search: what may be asked, how little is answered, and that a refusal looks like nothing found."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.conftest import Database
from tests.security.conftest import count, refused, undone, value
from tests.sharing.conftest import asking, grant, noticing, recorded, search

OBJECTION = "WARNING: nothing was searched: "
LONG_NAME = "Long " + "n" * 250


@pytest.fixture(scope="module", autouse=True)
def _something_to_find(root: psycopg.Connection) -> None:
    with root.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO sales_tenant.contacts (contact_id, full_name, organization, notes) VALUES (%s, %s, %s, %s)",
            [(f"n{n:03}", f"Person {n}", "Numerous", "many of them") for n in range(60)]
            + [
                ("umlaut", "Jürgen Groß", "Ökologie", "naïve 日本語 text"),
                ("short", "ab cd", "x y", "z"),
                ("long", LONG_NAME, None, None),
                ("quoted", "O'Reilly", "back\\slash", 'she "said" so; DROP TABLE x; --'),
            ],
        )
    root.execute(
        """
        INSERT INTO sales_tenant.drive_document_repository (drive_file_id, drive_folder_id, file_name, extracted_text)
        VALUES ('named', 'f', 'report.pdf', NULL), ('nameless', 'f', NULL, 'a nameless zebra was here, and is gone')
        """
    )


@pytest.fixture(autouse=True)
def _may_search(shared: Database, root: psycopg.Connection) -> None:
    for resource in ("contacts", "emails", "drive_documents"):
        grant(root, "search", resource)


# ------------------------------------------------------------------------------------------------------- what is found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("jürgen", {"umlaut"}),
        ("JÜRGEN GROSS", set()),
        ("jürgen groß", {"umlaut"}),
        ("日本語", {"umlaut"}),
        ("o'reilly", {"quoted"}),
        ("back\\slash", {"quoted"}),
        ('"she said"', {"quoted"}),
        ('"said she"', set()),
        ('jürgen or "she said"', {"umlaut", "quoted"}),
        ("secret -ada", set()),
        ("secret -numerous", {"c1"}),
        ("she '; DROP TABLE sales_tenant.contacts; --", set()),
        ("jürgen & !groß", {"umlaut"}),  # what to_tsquery takes for operators are letters like others here
        ("jürgen:*", {"umlaut"}),
        ("jür:*", set()),
        ("jür*", set()),
        ("jür%", set()),
        ("j_rgen", set()),
        ("jürge", set()),
    ],
)
def test_query_finds_whole_words_alone(gateway: psycopg.Connection, query: str, found: set[str]) -> None:
    with noticing(gateway) as told:
        assert {row[0] for row in search(gateway, query)} == found
    assert told == []


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (None, "a query has at most 500 characters"),
        ("", "a query has at least 3 characters"),
        ("  ", "a query has at least 3 characters"),
        ("a", "a query has at least 3 characters"),
        ("ab", "a query has at least 3 characters"),
        ("   ab   ", "a query has at least 3 characters"),
        ("ab cd", "a query has a word of at least 3 characters"),
        ("a or b", 'every word of an "or" has at least 3 characters'),
        ("jürgen or o'reilly", 'every word of an "or" has at least 3 characters'),
        ("a b c d", "a query has a word of at least 3 characters"),
        ("numerous or ab", 'every word of an "or" has at least 3 characters'),
        ("ab or numerous", 'every word of an "or" has at least 3 characters'),
        ("-zzz", "a query has to name a word to look for"),
        ("-zzz -yyy", "a query has to name a word to look for"),
        ("numerous or -zzz", "a query has to name a word to look for"),
        ("***", "a query has to name a word to look for"),
        ("!!!", "a query has to name a word to look for"),
        ("%%%", "a query has to name a word to look for"),
        ('""""""', "a query has to name a word to look for"),
        ("<!-- -->", "a query has to name a word to look for"),
        ("numerous " * 56, "a query has at most 500 characters"),
        ("x" * 501, "a query has at most 500 characters"),
        ("numerous" * 62_500, "a query has at most 500 characters"),
        (" ".join(f"word{n}" for n in range(17)), "a query has at most 16 words"),
    ],
)
def test_query_that_would_list_a_table_is_refused_with_a_reason(
    gateway: psycopg.Connection, root: psycopg.Connection, query: str | None, reason: str
) -> None:
    with noticing(gateway) as told, recorded(root) as record:
        assert search(gateway, query) == []
    (warning,) = (line for line in told if not line.startswith("NOTICE: "))  # PostgreSQL's own, on having no words
    assert warning.startswith(OBJECTION)
    if query:  # which of two faults is named first is not of interest
        assert warning == OBJECTION + reason
    assert record.attempt["success"] is False
    assert record.attempt["results_returned"] is None


@pytest.mark.parametrize("query", ["-" * 40 + "numerous", "- " * 40 + "numerous", "!-" * 200, "<-" * 200, "-(" * 100])
def test_query_that_postgresql_cannot_read_is_a_refusal_on_record(
    gateway: psycopg.Connection, root: psycopg.Connection, query: str
) -> None:
    """PostgreSQL gives up on nested negations with an error, which would take the rows of the attempt with it."""
    with noticing(gateway) as told, recorded(root) as record:
        assert search(gateway, query) == []
    assert told[-1].startswith(OBJECTION)
    assert record.attempt["success"] is False


@pytest.mark.parametrize(("asked", "given"), [(1, 1), (7, 7), (50, 50), (51, 50), (2**31 - 1, 50)])
def test_search_gives_fifty_at_most(
    gateway: psycopg.Connection, root: psycopg.Connection, asked: int, given: int
) -> None:
    with recorded(root) as record:
        assert len(search(gateway, "numerous", limit=asked)) == given
    assert record.attempt["results_returned"] == given
    assert value(root, "SELECT count(*) FROM sales_tenant.contacts WHERE organization = 'Numerous'") == 60


@pytest.mark.parametrize("limit", [None, 0, -1, -(2**31)])
def test_limit_that_is_none_is_refused_with_a_reason(gateway: psycopg.Connection, limit: int | None) -> None:
    with noticing(gateway) as told:
        assert search(gateway, "numerous", limit=limit) == []
    assert told == [OBJECTION + "max_results is a number from 1 to 50"]


def test_search_without_a_limit_gives_twenty(gateway: psycopg.Connection) -> None:
    found = gateway.execute("SELECT id FROM federation.search('sales', 'contacts', 'numerous')").fetchall()
    assert len(found) == 20


def test_search_answers_with_four_columns_and_never_the_text(gateway: psycopg.Connection) -> None:
    cursor = gateway.execute("SELECT * FROM federation.search('sales', 'contacts', 'jürgen')")
    assert [column.name for column in cursor.description or []] == ["id", "name", "snippet", "rank"]
    (row,) = cursor.fetchall()
    assert row[:2] == ("umlaut", "Jürgen Groß")
    assert "**Jürgen**" in row[2]


def test_name_is_cut_and_may_be_missing(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    assert search(gateway, "long")[0][1] == LONG_NAME[:255]
    assert search(gateway, "report.pdf", resource="drive_documents") == [
        ("named", "report.pdf", "", pytest.approx(0.06, abs=0.1))
    ]
    ((identifier, name, snippet, _),) = search(gateway, "zebra", resource="drive_documents")
    assert (identifier, name) == ("nameless", None)
    assert "**zebra**" in snippet
    with undone(root):
        root.execute(
            "INSERT INTO sales_tenant.email_logs (session_id, recipient_email, subject) VALUES ('s', 'x', %s)",
            ("word " * 200,),
        )
        root.execute("SET LOCAL ROLE cross_dept_query_role")
        root.execute("SET LOCAL app.source_department = 'hr'")
        assert len(search(root, "word", resource="emails")[0][1]) == 255


def test_table_name_is_an_alias_of_the_resource(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    with recorded(root) as record:
        assert len(search(gateway, "zebra", resource="drive_document_repository")) == 1
    assert record.attempt["resource_type"] == "drive_documents"


# ------------------------------------------------------------------------------------------------- what is not answered

CLOSED = {
    "no grant": "DELETE FROM federation.cross_dept_permissions",
    "a grant to read": "UPDATE federation.cross_dept_permissions SET permission_type = 'read'",
    "a grant to count": "UPDATE federation.cross_dept_permissions SET permission_type = 'aggregate'",
    "a grant on something else": "DELETE FROM federation.cross_dept_permissions WHERE resource_type = 'contacts'",
    "a disabled grant": "UPDATE federation.cross_dept_permissions SET enabled = false",
    "a grant that is over": "UPDATE federation.cross_dept_permissions SET expires_at = now()",
    "a target out of service": "UPDATE federation.departments SET status = 'SUSPENDED' WHERE department_id = 'sales'",
}


@pytest.mark.parametrize("closing", CLOSED.values(), ids=CLOSED)
@pytest.mark.parametrize("verbosity", ["notice", "log"])
def test_refusal_looks_like_nothing_found(
    gateway: psycopg.Connection, root: psycopg.Connection, closing: str, verbosity: str
) -> None:
    """Whatever the client asks to be told: nothing but the rows differs, and there are none."""
    gateway.execute("SELECT set_config('client_min_messages', %s, false)", (verbosity,))
    with noticing(gateway) as granted:
        assert search(gateway, "nobodyiscalledthis") == []
        status = gateway.execute(
            "SELECT FROM federation.search('sales', 'contacts', 'nobodyiscalledthis')"
        ).statusmessage
    root.execute(closing)
    with noticing(gateway) as denied, recorded(root) as record:
        assert search(gateway, "nobodyiscalledthis") == []
        assert (
            status
            == gateway.execute("SELECT FROM federation.search('sales', 'contacts', 'nobodyiscalledthis')").statusmessage
        )
        assert search(gateway, "secret") == []
    assert denied == granted == []
    assert {row["success"] for row in record.attempts} == {False}


@pytest.mark.parametrize("query", ["", "ab", "-zzz", "x" * 501])
def test_fault_of_a_query_is_told_to_whom_nothing_was_granted_too(
    gateway: psycopg.Connection, root: psycopg.Connection, query: str
) -> None:
    """Or a faulty query would tell who has a grant."""
    with noticing(gateway) as granted:
        assert search(gateway, query) == []
    root.execute("DELETE FROM federation.cross_dept_permissions")
    with noticing(gateway) as denied:
        assert search(gateway, query) == []
    assert denied == granted
    assert denied[-1].startswith(OBJECTION)


@pytest.mark.parametrize(
    "target",
    [
        None,
        "",
        "hr",
        "SALES",
        "sales ",
        "nobody",
        "federation",
        "pg_catalog",
        "sales_tenant",
        "sales_tenant.contacts; --",
        'sales"."x',
        "sales'",
    ],
)
def test_target_that_is_no_other_department_is_answered_with_nothing(
    gateway: psycopg.Connection, root: psycopg.Connection, target: str | None
) -> None:
    with noticing(gateway) as told, recorded(root) as record:
        assert search(gateway, "secret", target=target) == []
    assert told == []
    assert (record.attempt["success"], record.attempt["target_department_id"]) == (False, target)


@pytest.mark.parametrize(
    "resource",
    [
        None,
        "",
        "*",
        "Contacts",
        "contacts ",
        "tool_calls",
        "api_keys",
        "session_context",
        "audit_trail",
        "alembic_version",
        "pg_authid",
        "contacts; DROP TABLE x",
        "x" * 10_000,
    ],
)
def test_resource_that_cannot_be_searched_is_refused_whatever_was_granted(
    gateway: psycopg.Connection, root: psycopg.Connection, resource: str | None
) -> None:
    grant(root, "search", "*")
    with noticing(gateway) as told, recorded(root) as record:
        assert search(gateway, "secret", resource=resource) == []
    assert told == [OBJECTION + "this resource cannot be searched"]
    assert record.attempt["success"] is False
    assert record.attempt["resource_type"] == (resource and resource[:100])


@pytest.mark.parametrize(
    "query",
    [
        "secret'; DROP TABLE sales_tenant.contacts; --",
        "secret') UNION SELECT 1; --",
        "$query$ secret $query$",
        "%1$I secret %s",
        "E'\\' secret",
        "secret\\",
        "secret\u0001\u001b[31m\u202e",
        "secret & (",
        "secret <-> ! | * :",
        "'secret':A*",
        "\U0001f600 secret",
        "secret" + "\u0130" * 100,
        "secret " + "\u0345" * 400,
        "((((((((secret",
        '"secret',
    ],
)
def test_query_is_words_whatever_it_looks_like(
    gateway: psycopg.Connection, root: psycopg.Connection, query: str
) -> None:
    with recorded(root) as record:
        assert {row[0] for row in search(gateway, query)} <= {"c1"}
    assert record.attempt["success"] is True
    assert record.attempt["query_params"] == {"query": query, "max_results": 20}
    assert count(root, "sales", "contacts") == 65


def test_null_byte_is_stopped_before_it_gets_there(gateway: psycopg.Connection) -> None:
    with pytest.raises(psycopg.DataError):
        search(gateway, "secret\0")


# ---------------------------------------------------------------------------------------------------- on record


def test_each_search_is_on_record_with_what_was_asked_and_what_came_of_it(
    shared: Database, root: psycopg.Connection
) -> None:
    with asking(shared) as connection, recorded(root) as record:
        connection.execute("SET app.session_id = 'session 7'")
        assert len(search(connection, "numerous", limit=3)) == 3
        assert search(connection, "nobodyiscalledthis") == []
        assert search(connection, "secret", target="nobody") == []
    found, nothing, denied = record.attempts
    assert {
        name: found[name]
        for name in (
            "source_department_id",
            "target_department_id",
            "query_type",
            "resource_type",
            "query_params",
            "requester_login",
            "requester_session_id",
            "results_returned",
            "success",
            "error_message",
        )
    } == {
        "source_department_id": "hr",
        "target_department_id": "sales",
        "query_type": "search",
        "resource_type": "contacts",
        "query_params": {"query": "numerous", "max_results": 3},
        "requester_login": "hr_gateway",
        "requester_session_id": "session 7",
        "results_returned": 3,
        "success": True,
        "error_message": None,
    }
    assert found["latency_ms"] >= 0
    assert str(found["requester_ip"]).startswith("127.0.0.1")
    assert (nothing["results_returned"], nothing["success"]) == (0, True)
    assert (denied["results_returned"], denied["success"]) == (None, False)
    (event,) = record.events
    assert (event["event_type"], event["target_department_id"], event["user_role"]) == (
        "CROSS_DEPT_ACCESS_DENIED",
        "nobody",
        "hr_gateway",
    )


def test_long_query_is_cut_on_record(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    with recorded(root) as record:
        search(gateway, "y" * 500_000)
    assert record.attempt["query_params"]["query"] == "y" * 500


def test_search_of_a_read_only_transaction_is_answered(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    gateway.read_only = True
    with recorded(root) as record, gateway.transaction():
        assert len(search(gateway, "secret")) == 1
    assert record.attempts == []  # a documented limit without the durable channel; the server's log has a line


# ---------------------------------------------------------------------------------------------------- shadows


@pytest.fixture
def shadows(shared: Database, root: psycopg.Connection) -> Iterator[None]:
    """Names that the function uses, in a schema that the gateway looks into first; a superuser lends a hand."""
    root.execute(
        """
        CREATE SCHEMA shadow;
        GRANT USAGE, CREATE ON SCHEMA shadow TO cross_dept_query_role;
        CREATE TABLE shadow.resources AS SELECT 'contacts' AS resource_type, 'api_keys' AS table_name;
        CREATE FUNCTION shadow.char_length(text) RETURNS integer LANGUAGE sql AS 'SELECT 1000';
        CREATE FUNCTION shadow.lower(text) RETURNS text LANGUAGE sql AS $$SELECT 'numerous'$$;
        CREATE FUNCTION shadow.admit(text, text, text, OUT source text, OUT refusal text) LANGUAGE sql
            AS $$SELECT 'hr', NULL$$;
        CREATE FUNCTION shadow.websearch_to_tsquery(regconfig, text) RETURNS tsquery LANGUAGE sql
            AS $$SELECT 'numerous'::tsquery$$;
        CREATE FUNCTION shadow.ts_match(tsvector, tsquery) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE OPERATOR shadow.@@ (FUNCTION = shadow.ts_match, LEFTARG = tsvector, RIGHTARG = tsquery);
        CREATE FUNCTION shadow.texteq(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE OPERATOR shadow.= (FUNCTION = shadow.texteq, LEFTARG = text, RIGHTARG = text);
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA shadow TO PUBLIC;
        GRANT SELECT ON shadow.resources TO PUBLIC;
        """
    )
    yield
    root.execute("DROP SCHEMA shadow CASCADE")


def test_names_that_a_caller_puts_in_the_way_are_not_found(
    shared: Database, root: psycopg.Connection, shadows: None
) -> None:
    with asking(shared) as connection:
        connection.execute("SET search_path = shadow, pg_temp, pg_catalog")
        assert value(connection, "SELECT lower('X')") == "numerous"  # the shadows work
        assert [row[0] for row in search(connection, "secret")] == ["c1"]
        assert search(connection, "nobodyiscalledthis") == []
        assert search(connection, "secret", target="hr") == []
        root.execute("DELETE FROM federation.cross_dept_permissions")
        assert search(connection, "secret") == []


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TEMP TABLE resources (resource_type text)",
        "CREATE FUNCTION pg_temp.lower(text) RETURNS text LANGUAGE sql AS 'SELECT 1'",
        "CREATE OPERATOR federation.@@ (FUNCTION = ts_match_vq, LEFTARG = tsvector, RIGHTARG = tsquery)",
        "CREATE OR REPLACE FUNCTION federation.parseable(text text) RETURNS text LANGUAGE sql AS 'SELECT 1'",
        "ALTER FUNCTION federation.search(text, text, text, integer) SET search_path = shadow",
        "ALTER FUNCTION federation.search(text, text, text, integer) SECURITY INVOKER",
        "SELECT * FROM federation.resources",
        "SELECT federation.admit('search', 'sales', 'contacts')",
        "SELECT federation.passage('x', ARRAY['x'])",
        "CREATE TEXT SEARCH CONFIGURATION pg_temp.simple (COPY = pg_catalog.simple)",
    ],
)
def test_gateway_does_not_touch_what_the_search_is_made_of(gateway: psycopg.Connection, statement: str) -> None:
    refused(gateway, statement)


def test_gateway_does_not_hand_the_search_on(gateway: psycopg.Connection, root: psycopg.Connection) -> None:
    """PostgreSQL only warns where somebody without the grant option grants."""
    gateway.execute("GRANT EXECUTE ON FUNCTION federation.search(text, text, text, integer) TO hr_role")
    executable = "SELECT has_function_privilege('hr_role', 'federation.search(text, text, text, integer)', 'EXECUTE')"
    assert value(root, executable) is False


@pytest.mark.parametrize("login", ["hr_role", "sales_role"])
def test_department_does_not_search_another_by_itself(shared: Database, login: str) -> None:
    with shared.login(login) as connection:
        connection.execute("SET app.source_department = 'hr'")
        refused(connection, "SELECT * FROM federation.search('sales', 'contacts', 'secret')")
