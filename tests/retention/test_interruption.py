"""A run may end anywhere: what a batch took is archived and on record, the rest is where it was; the next goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from fedschema import retention
from fedschema.retention import Expiry, Outcome
from fedschema.workers import Halt
from tests.cli.conftest import document
from tests.cli.typing_in import type_in
from tests.conftest import ROOT, Database, Finished
from tests.retention.conftest import fill, rows_in
from tests.security.conftest import value
from tests.tenancy.conftest import eventually

ARCHIVE = "conversation_history_archive"
ROWS = 4000
ON_RECORD = """
    SELECT coalesce(sum((details ->> 'rows')::int), 0) FROM federation.security_audit
    WHERE event_type = 'RETENTION_ARCHIVED' AND source_department_id = 'hr' AND created_at > %s
"""


@pytest.fixture
def begun(root: psycopg.Connection) -> Iterator[str]:
    """Since when; and each batch takes so long that it can be met."""
    fill(root, "hr", ROWS)
    root.execute(
        """
        CREATE FUNCTION hr_tenant.slow() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END';
        CREATE TRIGGER slow AFTER INSERT ON hr_tenant.conversation_history_archive
        FOR EACH STATEMENT EXECUTE FUNCTION hr_tenant.slow();
        GRANT EXECUTE ON FUNCTION hr_tenant.slow() TO PUBLIC
        """
    )
    yield str(value(root, "SELECT clock_timestamp()"))
    root.execute("DROP FUNCTION hr_tenant.slow() CASCADE")


def _start(database: Database) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fedschema", "retention", "run", "hr", "--batch-rows", "50", "--json"],
        env={**os.environ, "FEDSCHEMA_DATABASE_URL": database.url},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _met(root: psycopg.Connection) -> bool:
    return eventually(lambda: rows_in(root, "hr", ARCHIVE) > 0)


def _nothing_is_lost(root: psycopg.Connection, since: str) -> None:
    archived = rows_in(root, "hr", ARCHIVE)
    assert archived + rows_in(root, "hr", "conversation_history") == ROWS
    assert value(root, "SELECT count(DISTINCT turn_index) FROM hr_tenant.conversation_history_archive") == archived
    assert value(root, ON_RECORD, since) == archived
    assert archived % 50 == 0


def test_killed_in_the_middle_it_has_lost_nothing_and_the_next_finishes(
    kept: Database, root: psycopg.Connection, begun: str
) -> None:
    process = _start(kept)
    assert _met(root)
    process.kill()
    process.communicate(timeout=10)
    assert eventually(
        lambda: value(root, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fedschema'") == 0
    )
    assert 0 < rows_in(root, "hr", ARCHIVE) < ROWS
    _nothing_is_lost(root, begun)

    assert type_in("retention", "run", "hr", url=kept.url, cwd=ROOT).status == 0
    assert rows_in(root, "hr", ARCHIVE) == ROWS
    _nothing_is_lost(root, begun)


def test_ctrl_c_ends_it_after_the_batch_and_says_how_far_it_was(
    kept: Database, root: psycopg.Connection, begun: str
) -> None:
    process = _start(kept)
    assert _met(root)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)

    result = document(Finished(process.returncode, stdout, stderr))["results"][0]
    assert (process.returncode, result["status"]) == (1, "stopped")
    assert 0 < result["rows"] == rows_in(root, "hr", ARCHIVE) < ROWS
    _nothing_is_lost(root, begun)


def test_two_runs_at_once_take_every_row_once(kept: Database, root: psycopg.Connection, begun: str) -> None:
    def take(_: int) -> int:
        expiry = Expiry(batch_rows=200)
        whose = retention.chosen(kept.conninfo, kept.compiler, [], expiry)
        results = list(retention.run(kept.conninfo, whose, expiry))
        assert {result.outcome for result in results} == {Outcome.DONE}
        return sum(result.rows for result in results)

    with ThreadPoolExecutor(2) as pool:
        taken = list(pool.map(take, range(2)))

    assert sum(taken) == rows_in(root, "hr", ARCHIVE) == ROWS
    assert all(taken)
    _nothing_is_lost(root, begun)


def test_halted_before_it_begins_it_says_who_was_not_begun(kept: Database, root: psycopg.Connection) -> None:
    fill(root, "hr", 3)
    halt = Halt()
    halt.stop()
    whose = retention.chosen(kept.conninfo, kept.compiler, [], Expiry())

    results = list(retention.run(kept.conninfo, whose, Expiry(), halt))

    assert [(str(result.department), result.outcome, result.reason) for result in results] == [
        (name, Outcome.STOPPED, "not begun") for name in ("hr", "sales", "None")
    ]
    assert rows_in(root, "hr", "conversation_history") == 3
