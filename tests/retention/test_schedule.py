"""What pg_cron and cron are given: the same as a run does, as whoever may, with every word in its place."""

from __future__ import annotations

import shlex
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from fedschema.connections import connect
from fedschema.retention import Errand, TimeOfDay, url_of
from tests.conftest import Database
from tests.retention.conftest import fill, put, rows_in

ARCHIVE = "conversation_history_archive"


def _job(database: Database, batch_rows: int = 10) -> bytes:
    return database.compiler.templates.render("retention/scheduled", batch_rows=str(batch_rows)).encode()


def test_job_does_what_a_run_does(kept: Database, root: psycopg.Connection) -> None:
    fill(root, "hr", 25)
    fill(root, "sales", 25)
    put(root, "sales", "session_context", "1 second")
    root.execute("UPDATE federation.departments SET status = 'SUSPENDED' WHERE department_id = 'sales'")

    with connect(kept.conninfo) as connection:
        connection.execute(_job(kept))

    assert (rows_in(root, "hr", ARCHIVE), rows_in(root, "sales", ARCHIVE)) == (25, 0)
    assert rows_in(root, "sales", "session_context") == 1


def test_job_goes_on_after_a_failure_and_ends_as_failed(kept: Database, root: psycopg.Connection) -> None:
    fill(root, "hr", 25)
    fill(root, "sales", 25)
    root.execute("ALTER TABLE hr_tenant.conversation_history ADD COLUMN mood text")
    try:
        with connect(kept.conninfo) as connection, pytest.raises(errors.RaiseException) as caught:
            connection.execute(_job(kept))
    finally:
        root.execute("ALTER TABLE hr_tenant.conversation_history DROP COLUMN mood")

    assert "retention failed for hr.conversation_history" in str(caught.value)
    assert (rows_in(root, "hr", ARCHIVE), rows_in(root, "sales", ARCHIVE)) == (0, 25)


def test_job_is_of_no_use_to_a_department(kept: Database, root: psycopg.Connection) -> None:
    fill(root, "hr", 1)
    with kept.login("hr_role") as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(_job(kept))
    assert rows_in(root, "hr", ARCHIVE) == 0


AWKWARD = Errand(
    TimeOfDay(3, 5),
    Path("/srv/100% o'clock $HOME"),
    ["/opt/my python/bin/python", "-m", "fedschema", "--config", '/etc/a"b\\c%d', "retention", "run"],
    "postgresql://o%40ps@db:5432/fed?options=-c%20a%3Db",
    "ops",
)


def test_line_for_cron_gives_a_shell_every_word_as_it_is() -> None:
    """cron ends the command at a bare %, and takes the backslash before one away (crontab(5))."""
    line = AWKWARD.crontab()
    assert all(line[place - 1] == "\\" for place, letter in enumerate(line) if letter == "%")

    words = shlex.split(line.replace(r"\%", "%").removeprefix("5 3 * * * "))

    assert words == ["cd", str(AWKWARD.directory), "&&", f"FEDSCHEMA_DATABASE_URL={AWKWARD.url}", *AWKWARD.command]


def test_unit_for_systemd_gives_every_word_as_it_is() -> None:
    lines = AWKWARD.service().splitlines()

    assert "WorkingDirectory=/srv/100%% o'clock $HOME" in lines
    assert 'Environment="FEDSCHEMA_DATABASE_URL=postgresql://o%%40ps@db:5432/fed?options=-c%%20a%%3Db"' in lines
    assert (
        'ExecStart="/opt/my python/bin/python" "-m" "fedschema" "--config" "/etc/a\\"b\\\\c%%d" "retention" "run"'
        in lines
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"user": "ops", "host": "db.example.com", "port": "5433", "dbname": "fed", "sslmode": "require"},
        {"user": "o@p:s/", "host": "/var/run/a b", "dbname": "my fed?#"},
        {"host": "a,b", "port": "1,2", "dbname": "fed", "target_session_attrs": "read-write"},
        {"dbname": "fed", "options": "-c search_path=a%b&c"},
    ],
)
def test_url_says_the_same_as_the_parameters(parameters: dict[str, str]) -> None:
    assert conninfo_to_dict(url_of(parameters)) == parameters


def test_url_holds_no_secret() -> None:
    given = {"dbname": "fed", "password": "hunter2hunter2", "sslpassword": "hunter3", "oauth_client_secret": "hunter4"}

    assert url_of(given) == "postgresql:///fed"
