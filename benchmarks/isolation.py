"""Measures what isolation costs: each query against the same one on a table without row-level security.

    python -m benchmarks.isolation [--runs N] [--rows N] [--documents N] [--bindir DIR | --url URL] [--json]

Both queries are asked in turn on connections that stay open, by the role that is named, over TCP; what is judged is the
median of the pairs' ratios. The table without walls has the same rows, columns and indexes.

Exit status: 0 within all limits, 1 over one, 2 nothing could be measured.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks import command, findings
from benchmarks.errors import BenchmarkFailed
from benchmarks.findings import Finding
from benchmarks.ground import Ground, new, prepared_ground
from benchmarks.pairs import Pair, seconds
from benchmarks.report import Report
from fedschema import audit_channel, gateways, passwords, sharing, tenancy
from fedschema.department import Department
from fedschema.sharing import PermissionType, Sharing

#: What is promised: times the time of the same query without row-level security.
LOOKUP_RATIO = 1.5
SCAN_RATIO = 2.2
SEARCH_RATIO = 1.5
CROSS_RATIO = 15.0
#: Of an ILIKE's time, what the search takes.
ILIKE_RATIO = 1 / 30

TARGET, SOURCE, LIBRARY = (Department(f"bench_iso_{name}") for name in ("target", "source", "library"))
GATEWAY = "bench_iso_gateway"

#: Words of documents; each document has a hundred of them and a rare one.
_FILL = """
    INSERT INTO {table} (drive_file_id, drive_folder_id, file_name, extracted_text)
    SELECT 'file-' || number, 'folder', 'file ' || number,
           (SELECT string_agg('word' || (number * 31 + place * 7919) % 5000, ' ')
            FROM generate_series(1, {words}) AS place) || ' rare' || number % {rare}
    FROM generate_series(1, {rows}) AS number
"""
_SEARCH = """
    SELECT best.id, best.drive_file_id, best.file_name,
           ts_headline('simple', left(best.extracted_text, 1000), best.wanted, 'MaxWords=24, MinWords=8'), best.rank
    FROM (
        SELECT id, drive_file_id, file_name, extracted_text, wanted, ts_rank(search_vector, wanted) AS rank
        FROM plain.documents, websearch_to_tsquery('simple', %(text)s) AS wanted
        WHERE search_vector @@ wanted
        ORDER BY rank DESC, id
        LIMIT 20
    ) AS best
"""


@dataclass(frozen=True, slots=True)
class Question:
    """A query on a connection of its own, asked so many times a run."""

    connection: psycopg.Connection
    query: str
    values: Mapping[str, object]
    times: int = 1

    def ask(self) -> None:
        """Ask it, and fetch what comes."""
        for _ in range(self.times):
            self.connection.execute(self.query, self.values).fetchall()

    def rows(self) -> int:
        """Return how many rows come."""
        return len(self.connection.execute(self.query, self.values).fetchall())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    options = command.parser("benchmarks.isolation", __doc__)
    runs, rows, documents = (15, 1_000_000, 100_000)
    options.add_argument(
        "--runs", type=command.positive, default=runs, metavar="N", help=f"pairs of each query ({runs})"
    )
    options.add_argument(
        "--rows", type=command.positive, default=rows, metavar="N", help=f"rows of each table ({rows:,})"
    )
    options.add_argument(
        "--documents",
        type=command.positive,
        default=documents,
        metavar="N",
        help=f"documents for ILIKE ({documents:,})",
    )
    return command.run(options, measure, arguments)


def measure(options: argparse.Namespace) -> Report:
    """Run everything on one server.

    Raises:
        BenchmarkFailed, FedschemaError, psycopg.Error: nothing can be said.
    """
    with prepared_ground(options.bindir, options.url) as ground, _departments(ground) as logins:
        _fill(ground, options.rows, options.documents)
        with ExitStack() as stack:
            open_as = {
                login: stack.enter_context(psycopg.connect(conninfo, autocommit=True))
                for login, conninfo in logins.items()
            }
            lines = list(_lines(ground, open_as, options.runs, options.rows, options.documents))
        return Report(
            ground.server_version, "the same query on the same rows without row-level security", options.runs, 3,
            (0.0, 0.0), lines,
        )  # fmt: skip


@contextmanager
def _departments(ground: Ground) -> Iterator[dict[str, str]]:
    """Make the departments, the grant and the gateway; yield how each logs in."""
    logins = {}
    for department in (TARGET, SOURCE, LIBRARY):
        password = passwords.generate()
        tenancy.add(ground.conninfo, ground.compiler, new(department), password)
        logins[department.role] = make_conninfo(ground.conninfo, user=department.role, password=password.text)
    sharing.grant(
        ground.conninfo, ground.compiler, Sharing(SOURCE, TARGET, PermissionType.READ, "tool_calls"), None, None
    )
    password = passwords.generate()
    gateways.add(ground.conninfo, ground.compiler, GATEWAY, [SOURCE], password)
    logins[GATEWAY] = make_conninfo(ground.conninfo, user=GATEWAY, password=password.text)
    try:
        yield logins
    finally:
        gateways.remove(ground.conninfo, ground.compiler, GATEWAY, [])


def _fill(ground: Ground, rows: int, documents: int) -> None:
    """Fill the tables, and those without walls with the same rows."""
    with psycopg.connect(ground.conninfo, autocommit=True) as root:
        root.execute("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'")
        root.execute("SET ROLE federation_admin_role")
        root.execute(
            f"""
            INSERT INTO {TARGET.schema}.tool_calls (tool_call_id, session_id, function_name, status, created_at)
            SELECT 'call-' || number, 'session-' || number % ({rows} / 10), 'function', 'COMPLETED',
                   now() - number * interval '1 second'
            FROM generate_series(1, {rows}) AS number
            """
        )
        repository = "drive_document_repository"
        root.execute(_FILL.format(table=f"{TARGET.schema}.{repository}", rows=rows, words=10, rare=rows // 20))
        root.execute(
            _FILL.format(table=f"{LIBRARY.schema}.{repository}", rows=documents, words=100, rare=documents // 20)
        )
        root.execute("RESET ROLE")
        root.execute(
            f"""
            CREATE SCHEMA plain;
            CREATE TABLE plain.tool_calls (LIKE {TARGET.schema}.tool_calls INCLUDING ALL);
            CREATE TABLE plain.documents (LIKE {TARGET.schema}.{repository} INCLUDING ALL);
            INSERT INTO plain.tool_calls SELECT * FROM {TARGET.schema}.tool_calls;
            INSERT INTO plain.documents OVERRIDING SYSTEM VALUE SELECT * FROM {TARGET.schema}.{repository};
            GRANT USAGE ON SCHEMA plain TO {TARGET.role};
            GRANT SELECT ON ALL TABLES IN SCHEMA plain TO {TARGET.role};
            """
        )
        for table in (f"{TARGET.schema}.tool_calls", f"{TARGET.schema}.{repository}", f"{LIBRARY.schema}.{repository}",
                      "plain.tool_calls", "plain.documents"):  # fmt: skip
            root.execute(f"VACUUM (FREEZE, ANALYZE) {table}")


def _lines(
    ground: Ground, open_as: dict[str, psycopg.Connection], runs: int, rows: int, documents: int
) -> Iterator[Finding]:
    """Race each query against its floor."""
    department, library, gateway = open_as[TARGET.role], open_as[LIBRARY.role], open_as[GATEWAY]
    lookup = "SELECT * FROM {}.tool_calls WHERE session_id = %(session)s"
    session = {"session": f"session-{rows // 20}"}
    plain = Question(department, lookup.format("plain"), session, times=100)
    walled = Question(department, lookup.format(TARGET.schema), session, times=100)
    yield findings.ratio("department: indexed lookup, 100 times", _race(plain, walled, runs), LOOKUP_RATIO)

    count = "SELECT count(*) FROM {}.tool_calls WHERE error_message IS NULL"  # no index answers it
    yield findings.ratio(
        "department: full scan",
        _race(
            Question(department, count.format("plain"), {}), Question(department, count.format(TARGET.schema), {}), runs
        ),
        SCAN_RATIO,
    )

    for what, text, times in (("a rare word, 20 times", "rare7", 20), ("a frequent word", "word31", 1)):
        function = Question(department, "SELECT * FROM search_documents(%(text)s, 20)", {"text": text}, times)
        yield findings.ratio(
            f"department: full-text search, {what}",
            _race(Question(department, _SEARCH, {"text": text}, times), function, runs),
            SEARCH_RATIO,
        )

    bare = _SEARCH.replace("plain.documents", f"{TARGET.schema}.drive_document_repository")
    without = _race(Question(department, _SEARCH, {"text": "rare7"}), Question(department, bare, {"text": "rare7"}), 3)
    yield findings.ratio("the same rare word without the function, under the policies", without, None)

    gateway.execute("SET ROLE cross_dept_query_role")
    gateway.execute("SELECT set_config('app.source_department', %s, false)", (SOURCE.id,))
    across = Question(gateway, lookup.format(TARGET.schema), session, times=100)
    pairs = _race(plain, across, runs)
    yield findings.ratio("gateway: indexed lookup with its audit row, 100 times", pairs, CROSS_RATIO)
    yield _microseconds("gateway: what one such lookup costs more", pairs, across.times)

    audit_channel.install(ground.conninfo, ground.compiler)
    once = replace(across, times=1)
    durable = _race(replace(plain, times=1), once, runs)
    yield _microseconds("gateway: the same with the durable audit channel", durable, once.times)
    audit_channel.remove(ground.conninfo, ground.compiler)

    rarest = f"rare{documents // 20 - 1}"
    ilike = Question(
        library,
        "SELECT id FROM drive_document_repository WHERE extracted_text ILIKE %(text)s LIMIT 20",
        {"text": f"%{rarest}%"},
    )
    search = Question(library, "SELECT * FROM search_documents(%(text)s, 20)", {"text": rarest})
    yield findings.ratio("department: search of the documents, times an ILIKE", _race(ilike, search, runs), ILIKE_RATIO)


def _microseconds(what: str, pairs: list[Pair], times: int) -> Finding:
    """Tell what one query costs more than the floor; nothing is promised of it."""
    return Finding(what, "microseconds", statistics.median(pair.excess for pair in pairs) / times * 1e6)


def _race(floor: Question, ours: Question, runs: int) -> list[Pair]:
    """Ask both in turn, `runs` times, after once that does not count; both have to find something."""
    if not floor.rows() or not ours.rows():
        raise BenchmarkFailed(f"nothing was found by {ours.query}")
    pairs = []
    for number in range(runs + 1):
        if number % 2:
            our_seconds, floor_seconds = seconds(ours.ask), seconds(floor.ask)
        else:
            floor_seconds, our_seconds = seconds(floor.ask), seconds(ours.ask)
        pairs.append(Pair(floor_seconds, our_seconds))
    return pairs[1:]


if __name__ == "__main__":
    sys.exit(main())
