"""A release over a fleet: several at a time, to the end or not at all, and no further than failures allow."""

from __future__ import annotations

import json

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from fedschema.department import Department
from fedschema.errors import ServerUnreachable
from fedschema.workers import Workers
from tests.conftest import Database, Run
from tests.fleet.conftest import AFTER, BEFORE, CHECK, NEW, OLD, SCHEMA, SLOWLY, MakeFleet, Start, spoil, statuses
from tests.fleet.looking import revise
from tests.migrations.catalogue import describe_department
from tests.migrations.conftest import Command, alembic_command

__all__ = ["alembic_command"]
from tests.tenancy.proxy import counting_proxy

#: The first department takes longest.
FIRST_IS_SLOW = "op.execute(f\"SELECT pg_catalog.pg_sleep(CASE '{schema}' WHEN 'd00_tenant' THEN 0.5 ELSE 0 END)\")\n"


def test_fleet_is_upgraded_whole_and_all_look_the_same(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(24)

    results = fleet.upgrade("--jobs", "4")

    assert statuses(results) == {"upgraded": list(fleet.ids)}
    assert {(result["from"], result["to"]) for result in results.values()} == {(BEFORE, AFTER)}
    assert fleet.states() == dict.fromkeys(fleet.ids, NEW)
    assert fleet.applied() == dict.fromkeys(fleet.ids, (1, 0))
    with fleet.database.connect() as connection:
        first, *others = (describe_department(connection, Department(name)) for name in fleet.ids)
    assert all(other == first for other in others)


def test_several_departments_are_under_way_at_once(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(4, after=SLOWLY.format(0.5))

    results = fleet.upgrade("--jobs", "4")

    assert statuses(results) == {"upgraded": list(fleet.ids)}
    with fleet.database.connect() as connection:
        row = connection.execute(
            "SELECT max(applied_at) - min(applied_at) < '400 ms' FROM federation.schema_migrations "
            "WHERE migration_name = %s",
            (AFTER,),
        ).fetchone()
    assert row == (True,)


def test_results_are_in_the_order_of_the_registry_whoever_is_done_first(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(6, after=FIRST_IS_SLOW)

    assert list(fleet.upgrade("--jobs", "2")) == list(fleet.ids)


def test_lines_come_as_departments_are_done(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(6, after=FIRST_IS_SLOW)

    done = fleet.type_in("upgrade", "--jobs", "2")

    assert done.status == 0
    told = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert sorted(told) == list(fleet.ids)
    assert told[-1] == "d00"


def test_a_few_departments_go_one_after_another_in_order(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(6, after=FIRST_IS_SLOW)

    done = fleet.type_in("upgrade")

    assert [line.split(":")[0] for line in done.stdout.splitlines()] == list(fleet.ids)


def test_nothing_to_do_takes_as_many_round_trips_for_many_as_for_one(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(24)
    fleet.upgrade()
    server = fleet.database.server
    asked = []
    for wanted in (fleet.ids[:1], fleet.ids):
        with counting_proxy(server.host, server.port) as proxy:
            through = make_conninfo(fleet.database.conninfo, host="127.0.0.1", port=proxy.port)
            assert statuses(fleet.upgrade(*wanted, url=through)) == {"unchanged": list(wanted)}
        asked.append(proxy.round_trips)

    assert asked[0] == asked[1] > 4  # with fewer than it takes to log in the proxy would not have counted


def test_fleet_goes_back_as_it_came(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(6)
    fleet.upgrade("--jobs", "2")

    done = fleet.type_in("downgrade", "--all", "--to", "-1", "--jobs", "2", "--canary", "1")

    assert done.status == 0, done
    assert fleet.states() == dict.fromkeys(fleet.ids, OLD)


# ---------------------------------------------------------------------------------------------------------- failures


def test_failure_lets_what_runs_finish_and_begins_nothing_new(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(6, before=CHECK, after=SLOWLY.format(0.6))
    spoil(fleet.database, "d00")

    results = fleet.upgrade("--jobs", "2")

    assert statuses(results) == {"failed": ["d00"], "upgraded": ["d01"], "skipped": ["d02", "d03", "d04", "d05"]}
    assert results["d00"]["error"]["code"] == "statement_failed"
    assert "sober" in results["d00"]["error"]["message"]
    assert fleet.states() == {**dict.fromkeys(fleet.ids, OLD), "d01": NEW}
    assert fleet.applied() == {**dict.fromkeys(fleet.ids, (0, 0)), "d00": (0, 1), "d01": (1, 0)}


def test_all_others_are_upgraded_where_failures_do_not_matter(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(8, before=CHECK)
    spoil(fleet.database, "d00", "d03", "d07")

    results = fleet.upgrade("--jobs", "2", "--on-error", "continue")

    assert statuses(results) == {"failed": ["d00", "d03", "d07"], "upgraded": ["d01", "d02", "d04", "d05", "d06"]}
    assert [department for department, state in fleet.states().items() if state == OLD] == ["d00", "d03", "d07"]


@pytest.mark.parametrize(("budget", "count"), [("2", 6), ("10%", 20)])
def test_spent_budget_skips_the_rest(make_fleet: MakeFleet, budget: str, count: int) -> None:
    fleet = make_fleet(count, before=CHECK)
    spoil(fleet.database, "d00", "d01", "d03")

    results = fleet.upgrade("--jobs", "1", "--max-failures", budget)

    assert statuses(results) == {
        "failed": ["d00", "d01", "d03"],
        "upgraded": ["d02"],
        "skipped": list(fleet.ids[4:]),
    }


def test_budget_that_is_not_spent_stops_nothing(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(6, before=CHECK)
    spoil(fleet.database, "d00", "d01")

    results = fleet.upgrade("--jobs", "2", "--max-failures", "2")

    assert statuses(results) == {"failed": ["d00", "d01"], "upgraded": ["d02", "d03", "d04", "d05"]}


@pytest.mark.parametrize("budget", ["-1", "half", "1.5", "101%", ""])
def test_budget_that_cannot_be_meant_is_wrong_usage(fedschema_nowhere: Run, budget: str) -> None:
    done = fedschema_nowhere("upgrade", f"--max-failures={budget}", "--json")

    assert done.status == 2
    assert json.loads(done.stdout)["error"]["code"] == "invalid_budget"


def test_more_connections_than_the_server_has_are_refused_before_anything_is_touched(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)

    done = fleet.type_in("upgrade", "--jobs", "5000", "--json")

    assert done.status == 2
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "no_room"
    assert fleet.states() == dict.fromkeys(fleet.ids, OLD)
    assert fleet.type_in("upgrade", *error["hint"].split()).status == 0


def _operator_with_connections(database: Database, count: int) -> str:
    """Make a login that may migrate, over so many connections at a time, and return its URL."""
    database.create_login("limited_operator", "federation_owner")
    with database.connect() as connection:
        connection.execute(sql.SQL("ALTER ROLE limited_operator CONNECTION LIMIT {}").format(sql.Literal(count)))
    server, password = database.server, database.passwords["limited_operator"]
    return f"postgresql://limited_operator:{password}@{server.host}:{server.port}/{database.name}"


def test_fewer_connections_than_asked_for_do_the_whole_work(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(6, after=SLOWLY.format(0.1))

    results = fleet.upgrade("--jobs", "4", url=_operator_with_connections(fleet.database, 2))

    assert statuses(results) == {"upgraded": list(fleet.ids)}


def test_no_connection_at_all_says_so(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(2)
    url = _operator_with_connections(fleet.database, 1)
    with psycopg.connect(url):
        done = fleet.type_in("upgrade", "--jobs", "2", url=url)

    assert done.status == 1
    assert done.stderr.startswith("error: ")
    assert fleet.states() == dict.fromkeys(fleet.ids, OLD)


@pytest.mark.parametrize("jobs", [1, 2])
def test_server_that_lets_nobody_in_any_more_skips_the_rest_and_says_why(
    make_fleet: MakeFleet, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    fleet = make_fleet(4)
    usable, asked = Workers._usable, iter(range(99))

    def refuse(workers: Workers[object, object], connection: psycopg.Connection | None) -> psycopg.Connection:
        if next(asked) < 2:
            return usable(workers, connection)
        raise ServerUnreachable("127.0.0.1:1/none", "Connection refused")

    monkeypatch.setattr(Workers, "_usable", refuse)
    results = fleet.upgrade("--jobs", str(jobs))
    monkeypatch.undo()

    assert list(results) == list(fleet.ids)
    done = statuses(results)
    assert (len(done["upgraded"]), len(done["skipped"])) == (2, 2)
    assert {results[department]["error"]["code"] for department in done["skipped"]} == {"server_unreachable"}
    assert fleet.states() == {name: NEW if name in done["upgraded"] else OLD for name in fleet.ids}
    assert statuses(fleet.upgrade()) == {"unchanged": done["upgraded"], "upgraded": done["skipped"]}


#: Reads, so that it cannot be compiled.
COUNTED = """
op.execute("SET LOCAL ROLE federation_admin_role")
count = op.get_bind().execute(sa.text(f"SELECT count(*) FROM {schema}.contacts")).scalar_one()
op.execute("SET LOCAL ROLE federation_owner")
op.execute(f"COMMENT ON TABLE {schema}.contacts IS '{count} contacts'")
"""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_revisions_that_read_go_several_at_a_time_too(make_fleet: MakeFleet, jobs: str) -> None:
    fleet = make_fleet(4)
    fleet.project.add_revision("tenant", "tenant_9002_reads", SCHEMA + COUNTED, after=AFTER, online=True)
    spoil(fleet.database, "d01", "d03")

    results = fleet.upgrade("--jobs", jobs)

    assert statuses(results) == {"upgraded": list(fleet.ids)}
    assert {result["to"] for result in results.values()} == {"tenant_9002_reads"}
    with fleet.database.connect() as connection:
        comments = connection.execute(
            """
            SELECT obj_description(oid, 'pg_class') FROM pg_class
            WHERE relname = 'contacts' AND relkind = 'r' ORDER BY relnamespace::regnamespace::text
            """
        ).fetchall()
    assert comments == [("0 contacts",), ("1 contacts",)] * 2


# ---------------------------------------------------------------------------------------------------------- canaries

#: Lends everybody the rights of a department; assert_walls looks only into the department's schema.
PEEK = sql.SQL("CREATE FUNCTION public.peek() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'")


def _grow(database: Database, department: str, rows: int) -> None:
    contacts = sql.Identifier(f"{department}_tenant", "contacts")
    with database.connect() as connection:
        connection.execute(
            sql.SQL(
                "INSERT INTO {} (contact_id, notes) SELECT n, repeat('x', 900) FROM generate_series(1, {}) n"
            ).format(contacts, sql.Literal(rows))
        )
        connection.execute(sql.SQL("ANALYZE {}").format(contacts))


def _open_a_hole(database: Database, department: str) -> None:
    with database.connect() as connection:
        connection.execute(PEEK)
        connection.execute(
            sql.SQL("ALTER FUNCTION public.peek() OWNER TO {}").format(sql.Identifier(f"{department}_role"))
        )


def test_largest_and_smallest_departments_go_first(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(8)
    for number, department in enumerate(fleet.ids):
        _grow(fleet.database, department, {"d05": 900, "d03": 1}.get(department, 100 + 10 * number))

    done = fleet.type_in("upgrade", "--canary", "3", "--jobs", "1")

    assert done.status == 0
    told = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert told[:2] == ["d05", "d03"]
    assert told[3:] == [department for department in fleet.ids if department not in told[:3]]


@pytest.mark.parametrize("lenient", [(), ("--on-error", "continue")], ids=" ".join)
def test_canary_that_does_not_stand_the_checks_stops_everything_else(
    make_fleet: MakeFleet, lenient: tuple[str, ...]
) -> None:
    fleet = make_fleet(6)
    _grow(fleet.database, "d04", 500)
    _open_a_hole(fleet.database, "d04")

    results = fleet.upgrade("--canary", "1", *lenient)

    assert statuses(results) == {"failed": ["d04"], "skipped": ["d00", "d01", "d02", "d03", "d05"]}
    error = results["d04"]["error"]
    assert error["code"] == "canary_failed"
    assert "d04" in error["message"]
    assert "peek" in error["message"]
    assert error["hint"] == "fedschema validate d04"
    assert results["d04"]["to"] == AFTER  # it was migrated, and says so
    assert fleet.states() == {**dict.fromkeys(fleet.ids, OLD), "d04": NEW}


#: Lends everybody the rights of the owner, so that it opens no department in particular.
LEND = """
op.execute("CREATE SCHEMA IF NOT EXISTS lending")
op.execute("GRANT USAGE ON SCHEMA lending TO PUBLIC")
op.execute(
    "CREATE OR REPLACE FUNCTION lending.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER"
    " AS 'SELECT count(*) FROM federation.departments'"
)
op.execute("GRANT EXECUTE ON FUNCTION lending.peek() TO PUBLIC")
"""


def test_canary_that_opens_everybody_stops_everything_else(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(4, after=LEND)
    _grow(fleet.database, "d02", 500)

    results = fleet.upgrade("--canary", "1")

    assert statuses(results) == {"failed": ["d02"], "skipped": ["d00", "d01", "d03"]}
    assert results["d02"]["error"]["code"] == "canary_failed"
    assert "lending.peek" in results["d02"]["error"]["message"]
    assert fleet.states() == {**dict.fromkeys(fleet.ids, OLD), "d02": NEW}


def test_hole_that_was_there_before_is_no_failure_of_a_canary(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(4)
    with fleet.database.connect() as connection:
        connection.execute("GRANT CREATE ON SCHEMA federation TO PUBLIC")

    assert statuses(fleet.upgrade("--canary", "1")) == {"upgraded": list(fleet.ids)}


def test_sound_canaries_let_the_others_follow(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(6)

    assert statuses(fleet.upgrade("--canary", "2", "--jobs", "2")) == {"upgraded": list(fleet.ids)}


def test_canary_that_fails_leaves_the_others_alone(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(4, before=CHECK)
    _grow(fleet.database, "d02", 300)
    spoil_rows = sql.SQL("UPDATE d02_tenant.contacts SET notes = 'spoilt'")
    with fleet.database.connect() as connection:
        connection.execute(spoil_rows)

    results = fleet.upgrade("--canary", "1")

    assert statuses(results) == {"failed": ["d02"], "skipped": ["d00", "d01", "d03"]}
    assert fleet.states() == dict.fromkeys(fleet.ids, OLD)


def test_two_releases_of_one_revision_each_do_not_go_on_to_the_next(make_fleet: MakeFleet, start: Start) -> None:
    """`--to +1` is counted from where a department was when it was asked for, not from where the other one took it."""
    fleet = make_fleet(1, after=SLOWLY.format(3))
    fleet.project.add_revision("tenant", "tenant_9002_next", 'op.execute("SELECT 1")', after=AFTER)

    both = [start(fleet, "upgrade", "--to", "+1") for _ in range(2)]

    assert [process.wait(30) for process in both] == [0, 0], [process.communicate() for process in both]
    assert fleet.states() == {"d00": NEW}


#: A foreign key from notifications to contacts, for whose rows PostgreSQL does not look under FORCE.
REFERENCE = (
    'op.execute(f"ALTER TABLE {schema}.notifications ADD COLUMN about varchar(255)")\n'
    "op.execute(f\"UPDATE {schema}.notifications SET about = 'nobody'\")\n"
    'op.execute(f"ALTER TABLE {schema}.notifications ADD CONSTRAINT about_fkey FOREIGN KEY (about) '
    'REFERENCES {schema}.contacts (contact_id)")\n'
)


@pytest.mark.parametrize("road", ["fedschema", "alembic"])
def test_foreign_key_that_rows_do_not_meet_is_refused(
    make_fleet: MakeFleet, alembic_command: Command, road: str
) -> None:
    fleet = make_fleet(2)
    as_admin = 'op.execute("SET LOCAL ROLE federation_{}")\n'
    lines = REFERENCE.splitlines(keepends=True)
    body = SCHEMA + lines[0] + as_admin.format("admin_role") + lines[1] + as_admin.format("owner") + lines[2]
    fleet.project.add_revision("tenant", AFTER, body, after=BEFORE)
    with fleet.database.connect() as connection:
        connection.execute(
            "INSERT INTO d00_tenant.notifications (user_id, notification_type, title) VALUES ('u', 'n', 't')"
        )

    if road == "fedschema":
        results = fleet.upgrade("--on-error", "continue")
        assert statuses(results) == {"failed": ["d00"], "upgraded": ["d01"]}
        told = results["d00"]["error"]["message"]
        assert results["d00"]["error"]["code"] == "references_unmet"
    else:
        done = alembic_command("-x", "tenant=d00", "upgrade", "head", cwd=fleet.project.directory)
        assert done.status != 0
        told = done.stdout + done.stderr

    assert "about_fkey of notifications" in told
    assert "1 row of notifications" in told
    assert fleet.states()["d00"] == OLD


@pytest.mark.parametrize("together", [True, False], ids=["in one release", "in two"])
def test_foreign_key_that_is_validated_by_a_later_revision_is_looked_at_then(
    make_fleet: MakeFleet, *, together: bool
) -> None:
    """The SQL that makes it count has no word of what it refers to."""
    fleet = make_fleet(2)
    with fleet.database.connect() as connection:
        connection.execute("INSERT INTO d00_tenant.contacts (contact_id, full_name) VALUES ('people/1', 'nobody')")
    refers = "FOREIGN KEY (full_name) REFERENCES {schema}.contacts (contact_id) NOT VALID"
    revise(fleet.project, f"ALTER TABLE {{schema}}.contacts ADD CONSTRAINT knows {refers}")
    if not together:
        assert statuses(fleet.upgrade()) == {"upgraded": ["d00", "d01"]}
    validated = "tenant_9002_validated"
    revise(
        fleet.project,
        "ALTER TABLE {schema}.contacts VALIDATE CONSTRAINT knows",
        revision=validated,
        after=AFTER,
    )

    results = fleet.upgrade("--on-error", "continue")

    assert statuses(results) == {"failed": ["d00"], "upgraded": ["d01"]}
    assert results["d00"]["error"]["code"] == "references_unmet"
    assert "1 row of contacts" in results["d00"]["error"]["message"]
    assert results["d00"]["to"] == (BEFORE if together else AFTER)
    assert fleet.applied(validated) == {"d00": (0, 1 if not together else 0), "d01": (1, 0)}


def test_read_only_server_fails_every_department_and_changes_none(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(3)
    url = f"{fleet.database.url}?options=-c%20default_transaction_read_only%3Don"

    results = fleet.upgrade("--on-error", "continue", url=url)

    assert {result["error"]["code"] for result in results.values()} == {"read_only_server"}
    assert fleet.states() == dict.fromkeys(fleet.ids, OLD)
    assert statuses(fleet.upgrade()) == {"upgraded": list(fleet.ids)}
