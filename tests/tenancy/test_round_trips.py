"""Adding a department costs a dozen round trips, however many statements that takes."""

import psycopg
from psycopg.conninfo import make_conninfo

from fedschema import passwords, tenancy
from fedschema.department import Department
from fedschema.tenancy import NewDepartment
from tests.conftest import Database
from tests.tenancy.inventory import WHOLE, traces
from tests.tenancy.proxy import counting_proxy

ALLOWED = 12


def test_adding_takes_at_most_twelve_round_trips_with_connecting(database: Database) -> None:
    new = NewDepartment(Department.parse("hr"), "Human Resources")
    with counting_proxy(database.server.host, database.server.port) as proxy:
        through = make_conninfo(database.conninfo, host="127.0.0.1", port=proxy.port)

        tenancy.add(through, database.compiler, new, passwords.generate())

    assert traces(database, "hr") == WHOLE
    assert 4 <= proxy.round_trips <= ALLOWED  # with fewer than it takes to log in the proxy would not have counted


def test_dropping_takes_no_round_trip_for_each_table(database: Database) -> None:
    department = database.add("hr")
    with counting_proxy(database.server.host, database.server.port) as proxy:
        through = make_conninfo(database.conninfo, host="127.0.0.1", port=proxy.port)

        tenancy.drop(through, database.compiler, department, lambda _: None)

    assert traces(database, "hr").schemas == 0
    assert proxy.round_trips <= 3 * ALLOWED


def test_proxy_counts_each_question_once(database: Database) -> None:
    with counting_proxy(database.server.host, database.server.port) as proxy:
        conninfo = make_conninfo(database.conninfo, host="127.0.0.1", port=proxy.port)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connecting = proxy.round_trips
            for _ in range(3):
                connection.execute("SELECT 1")
            asked = proxy.round_trips - connecting
            connection.execute("SELECT repeat('x', 1000000)")
            long_answer = proxy.round_trips - connecting - asked

    assert (asked, long_answer) == (3, 1)
