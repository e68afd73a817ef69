"""Measures what short transactions cost: a retention run in batches against one statement that does the same.

    python -m benchmarks.retention [--runs N] [--rows N] [--bindir DIR | --url URL]

Rows of email_logs are deleted, and rows of conversation_history moved to their archive, by each in turn; the table is
as it was before each run. What is in the tables' other half stays.

Exit status: 0 within the limit, 1 over it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from benchmarks.ground import Ground, new, prepared_ground
from fedschema import passwords, retention, tenancy
from fedschema.department import Department
from fedschema.retention import Expiry

#: What is promised: times the time of one statement.
LIMIT = 3.0

HR = Department("bench_ret_hr")

_FILL = {
    "email_logs": """
        INSERT INTO {schema}.email_logs (session_id, recipient_email, subject, body, created_at)
        SELECT 's' || n % 1000, 'a@example.com', 'subject ' || n, repeat('text ', 20),
               now() - CASE WHEN n % 2 = 0 THEN interval '3 years' ELSE interval '1 day' END - n * interval '1 second'
        FROM generate_series(1, {rows} * 2) AS n
    """,
    "conversation_history": """
        INSERT INTO {schema}.conversation_history (session_id, turn_index, speaker, message_text, "timestamp")
        SELECT 's' || n % 1000, n, 'user', repeat('text ', 20),
               now() - CASE WHEN n % 2 = 0 THEN interval '3 years' ELSE interval '1 day' END - n * interval '1 second'
        FROM generate_series(1, {rows} * 2) AS n
    """,
}
_AT_ONCE = {
    "email_logs": "DELETE FROM {schema}.email_logs WHERE created_at < now() - interval '1 year'",
    "conversation_history": "SELECT {schema}.archive_old_conversation_history()",
}


def main() -> int:
    """Measure and print; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--bindir", type=Path)
    parser.add_argument("--url")
    given = parser.parse_args()
    within = True
    with prepared_ground(given.bindir, given.url) as ground:
        tenancy.add(ground.conninfo, ground.compiler, new(HR), passwords.generate())
        retention.set_period(ground.conninfo, ground.compiler, HR, "email_logs", "1 year")
        for table in _FILL:
            pairs = [_pair(ground, table, given.rows) for _ in range(given.runs)]
            ratio = statistics.median(ours / once for once, ours, _ in pairs)
            once, ours, batch = (statistics.median(each) for each in zip(*pairs, strict=True))
            print(
                f"{table}: one statement {once:.2f} s, batches {ours:.2f} s, one of them {batch:.3f} s,"
                f" {ratio:.2f} times"
            )
            within = within and ratio <= LIMIT
    return 0 if within else 1


def _pair(ground: Ground, table: str, rows: int) -> tuple[float, float, float]:
    """Run each once, and return how long they took, and how long a batch did."""
    with psycopg.connect(ground.conninfo, autocommit=True) as connection:
        _fill(connection, table, rows)
        once = _seconds(lambda: _in_one(connection, table))
        _fill(connection, table, rows)
    expiry = Expiry()
    whose = retention.chosen(ground.conninfo, ground.compiler, [HR], expiry)
    results: list[retention.Result] = []
    ours = _seconds(lambda: results.extend(retention.run(ground.conninfo, whose, expiry)))
    if results[0].rows != rows:
        raise SystemExit(f"{results[0].rows} rows went, not {rows}: {results[0].error}")
    batches = -(-rows // expiry.batch_rows)
    return once, ours, ours / batches


def _fill(connection: psycopg.Connection, table: str, rows: int) -> None:
    for each in (*_FILL, "conversation_history_archive"):
        connection.execute(f"TRUNCATE {HR.schema}.{each}".encode())
    connection.execute(_FILL[table].format(schema=HR.schema, rows=rows).encode())
    connection.execute(f"VACUUM (ANALYZE) {HR.schema}.{table}".encode())
    connection.execute("CHECKPOINT")


def _in_one(connection: psycopg.Connection, table: str) -> None:
    with connection.transaction():
        connection.execute("SET LOCAL ROLE federation_admin_role")
        connection.execute(_AT_ONCE[table].format(schema=HR.schema).encode())


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
