"""pg_cron takes the job, runs it, and gives it back; Debian's postgresql-15-cron, and FEDSCHEMA_TEST_BINDIR."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import psycopg
import pytest

from fedschema.embedded import throwaway_server
from tests.cli.typing_in import type_in
from tests.conftest import ROOT, Database, Finished, Overheard, overheard_on, programs
from tests.retention.conftest import fill, rows_in

#: Jobs need no password when they are workers of the server.
CRON = {"shared_preload_libraries": "pg_cron", "cron.use_background_workers": "on", "cron.timezone": "GMT"}


@pytest.fixture(scope="module")
def found() -> Iterator[Overheard]:
    with throwaway_server(programs(), CRON) as running:
        made = overheard_on(running, "scheduled")
        with made.database.server.connect() as connection:
            connection.execute("CREATE EXTENSION pg_cron")
        made.database.add("hr")
        yield made


def _typed(database: Database, *words: str) -> Finished:
    return type_in("retention", "schedule", *words, url=database.url, cwd=ROOT)


def test_job_is_made_changed_run_and_taken_back(found: Overheard) -> None:
    database = found.database
    changes = [json.loads(_typed(database, *words, "--json").stdout)["change"] for words in ([], [], ["--at", "4:00"])]
    assert changes == ["scheduled", "unchanged", "changed"]

    with database.server.connect() as cron, database.connect() as root:
        assert cron.execute("SELECT jobname, schedule, database FROM cron.job").fetchall() == [
            ("fedschema retention of scheduled", "0 4 * * *", "scheduled")
        ]
        fill(root, "hr", 25000)
        cron.execute("UPDATE cron.job SET schedule = '* * * * *'")
        assert _ended(cron) == "succeeded", cron.execute("SELECT * FROM cron.job_run_details").fetchall()
        assert rows_in(root, "hr", "conversation_history_archive") == 25000

        assert _typed(database, "--remove").stdout == "pg_cron does not run retention any more\n"
        assert cron.execute("SELECT FROM cron.job").rowcount == 0
    assert "nothing of ours" in _typed(database, "--remove").stderr


def _ended(cron: psycopg.Connection) -> str | None:
    """Wait for the job that begins with the next minute."""
    for _ in range(900):
        row = cron.execute("SELECT status FROM cron.job_run_details WHERE end_time IS NOT NULL LIMIT 1").fetchone()
        if row:
            return str(row[0])
        time.sleep(0.1)
    return None


def test_login_that_may_not_is_told_what_a_superuser_has_to_grant(found: Overheard) -> None:
    database = found.database
    database.create_login("scheduler", "federation_owner")
    url = database.url.replace(f"postgres:{database.server.password}", f"scheduler:{database.passwords['scheduler']}")

    refused = type_in("retention", "schedule", url=url, cwd=ROOT)
    with database.server.connect() as cron:
        for statement in refused.stderr.partition("in database postgres: ")[2].strip().split("; "):
            cron.execute(statement.encode())
    allowed = type_in("retention", "schedule", url=url, cwd=ROOT)

    assert (refused.status, allowed.status) == (1, 0), (refused, allowed)
    assert allowed.stdout.endswith("as scheduler\n")
