"""Proves isolation by trying, on the live database: `fedschema validate --probe`.

Each department's role tries to read and to change rows of every other's, to write rows of another department into its
own tables, and to help itself to grants; gateways ask for everything in everybody's name. Before that a row is put into
each table, so that there is something to reach. All of it happens in transactions that are rolled back: nothing is
left behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from fedschema import checks
from fedschema.checks import Check, Hole
from fedschema.connections import owner_transaction
from fedschema.department import Department
from fedschema.rendering import Templates

PROBE_CHECKS = (
    Check(
        "probe_across",
        "a department that tries cannot reach another's rows",
        "see checks grants, policies and memberships",
    ),
    Check("probe_own", "a department cannot write rows of another into its own tables", "see check walls"),
    Check("probe_share", "a department cannot help itself to grants, gateways or secrets", "see check control_plane"),
    Check("probe_owner", "row-level security binds the owner too", "see checks walls, policies and memberships"),
    Check("probe_gate", "a gateway sees exactly what is granted", "see checks walls and policies; fedschema init"),
)

_REFUSED = "42501"  # insufficient_privilege, which a policy's WITH CHECK raises too
_MISSING = frozenset({"42P01", "3F000"})  # undefined_table, invalid_schema_name: nothing to reach
_LOCKED = "55P03"  # lock_not_available

#: The tables of each department, by its id: the columns of each that take numbers from a sequence.
Tables = Mapping[str, Mapping[str, list[str]]]
#: How many rows a statement reached, and with which SQLSTATE it was refused.
Outcome = tuple[int | None, str | None]


@dataclass(frozen=True, slots=True)
class Sight:
    """One department may see something of another, and why.

    Attributes:
        source: who may look.
        target: whose data it is.
        permission: read, search or aggregate.
        resource: the canonical name, or ``*``.
        why: the grant behind it, and who may ask for it.
    """

    source: str
    target: str
    permission: str
    resource: str
    why: str


@dataclass(slots=True)
class ProbeResult:
    """What the probe saw.

    Attributes:
        holes: what was reached and should not have been, and what could not be tried.
        remarks: tables that nothing could be tried on because no row could be put there.
        sights: what may be reached, and why.
        pairs: how many pairs of departments were tried.
    """

    holes: list[Hole] = field(default_factory=list)
    remarks: list[Hole] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    pairs: int = 0


def run(
    connection: psycopg.Connection, templates: Templates, tried: Sequence[Department], everybody: Sequence[Department]
) -> ProbeResult:
    """Let each of the departments that are tried go against everybody, and everybody against them.

    Args:
        connection: an autocommit connection.
        templates: the project's.
        tried: the departments to prove.
        everybody: those against which they are tried.
    """
    probe = _Probe(connection, templates, ProbeResult())
    probe.look_around(tried, everybody)
    against = {one: [other for other in (everybody if one in tried else tried) if other != one] for one in everybody}
    for source, targets in against.items():
        probe.as_department(source, targets)
        probe.result.pairs += len(targets)
    for target, sources in against.items():
        probe.through_the_gate(target, sources)
    probe.result.holes = list(dict.fromkeys(probe.result.holes))
    return probe.result


@dataclass(slots=True)
class _Probe:
    """One run: what it works with, and what it has seen so far."""

    connection: psycopg.Connection
    templates: Templates
    result: ProbeResult
    tables: Tables = field(default_factory=dict)
    shareable: Mapping[str, str] = field(default_factory=dict)
    readable: Mapping[tuple[str, str], set[str]] = field(default_factory=dict)

    def look_around(self, tried: Sequence[Department], everybody: Sequence[Department]) -> None:
        """Find out what there is to try, and what is granted."""
        named, known = {one.id for one in tried}, {one.id for one in everybody}
        with self._undone("looking for what to try"):
            rows = self.connection.execute(
                self.templates.render("checks/probe_tables").encode(), {"departments": sorted(known)}
            )
            self.tables = dict(rows.fetchall())
            resources = "SELECT table_name, resource_type FROM federation.resources WHERE table_name IS NOT NULL"
            self.shareable = dict(self.connection.execute(resources).fetchall())
            granted = self.connection.execute(self.templates.render("checks/probe_granted").encode()).fetchall()
        readable: dict[tuple[str, str], set[str]] = {}
        for source, target, permission, resource, granted_by, until, gateways in granted:
            if permission == "read":
                readable.setdefault((source, target), set()).add(resource)
            if {source, target} & named and {source, target} <= known:
                why = _why(granted_by, until, gateways)
                self.result.sights.append(Sight(source, target, permission, resource, why))
        self.readable = readable

    def as_department(self, source: Department, targets: list[Department]) -> None:
        """Try everything that a department could, as its role."""
        with self._undone(f"probing as department {source}"):
            if obstacle := self._let_owner_become(source.role):
                self._add("probe_across", source.id, source.id, f"role {source.role}", f"not tried: {obstacle}")
                return
            for target in self._not_closed(source, targets):
                self._table_by_table(source, target)
            self._into_its_own(source)
            self._helping_itself(source, targets[0] if targets else source)

    def _not_closed(self, source: Department, targets: list[Department]) -> list[Department]:
        """Return the departments whose schema does not already refuse the first look."""
        first = {target.id: min(self.tables[target.id]) for target in targets if self.tables.get(target.id)}
        values = {"source": source.id, "role": source.role, "targets": list(first), "tables": list(first.values())}
        rows = self.connection.execute(self.templates.render("checks/probe_closed").encode(), values)
        return [Department(target) for (target,) in rows]

    def _table_by_table(self, source: Department, target: Department) -> None:
        """Try each table of a department whose schema is open, with a row in it."""
        held = self._hold(target, "probe_across")
        tables = [table for table in sorted(self.tables[target.id]) if table not in held]
        with self.connection.transaction(force_rollback=True):
            self.connection.execute("SELECT federation.plant_probe_rows(%s)", (target.id,))
            rows = self.connection.execute(
                "SELECT table_name, attempt, reached FROM federation.try_across(%s, %s::text[], %s::text[])",
                (source.id, [target.id] * len(tables), tables),
            ).fetchall()
        for table, attempt, reached in rows:
            if reached:
                self._add("probe_across", source.id, target.id, f"table {table}", f"it could {attempt} a row")

    def _into_its_own(self, source: Department) -> None:
        """Let a department write a row of somebody else's into each of its own tables."""
        held = self._hold(source, "probe_own")
        tables = {table: numbered for table, numbered in self.tables.get(source.id, {}).items() if table not in held}
        attempts = [
            sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
                sql.Identifier(source.schema, table),
                sql.SQL(", ").join(map(sql.Identifier, ["department", *numbered])),
                sql.SQL(", ").join([sql.Literal("fedschema probe"), *[sql.NULL] * len(numbered)]),
            )
            for table, numbered in tables.items()
        ]
        for table, (_, refusal) in zip(tables, self._try(source.role, attempts), strict=True):
            if refusal == _LOCKED:
                self._add("probe_own", source.id, source.id, f"table {table}", "not tried: somebody holds a lock on it")
            elif refusal != _REFUSED and refusal not in _MISSING:
                message = "its policy lets rows of another department in" + (", its CHECK does not" if refusal else "")
                self._add("probe_own", source.id, source.id, f"table {table}", message)

    def _helping_itself(self, source: Department, target: Department) -> None:
        """Let a department try to give itself what nobody gave it."""
        values = {"source": source.id, "target": target.id, "role": source.role}
        attempts = self.connection.execute(self.templates.render("checks/probe_self_service").encode(), values)
        for attempt, refusal in attempts.fetchall():
            if refusal != _REFUSED and refusal not in _MISSING:
                self._add("probe_share", source.id, checks.EVERYBODY, f"role {source.role}", f"it could {attempt}")

    def through_the_gate(self, target: Department, sources: list[Department]) -> None:
        """Let gateways ask for each table of a department in everybody's name; and the owner, plainly."""
        with self._undone(f"probing department {target}"):
            held = self._hold(target, "probe_gate")
            planted = self._plant(target, held)
            self._as_owner(target, planted)
            if obstacle := self._let_owner_become("cross_dept_query_role"):
                gateways = "role cross_dept_query_role"
                self._add("probe_gate", "cross_dept_query_role", checks.EVERYBODY, gateways, f"not tried: {obstacle}")
                return
            for source in sources:
                self._ask_the_gate(source, target, [table for table in planted if table in self.shareable])

    def _ask_the_gate(self, source: Department, target: Department, tables: list[str]) -> None:
        """Compare what a gateway reaches in a department's name with what that department was granted."""
        row = self.connection.execute(
            "SELECT federation.try_gate(%s, %s, %s::text[])", (source.id, target.id, tables)
        ).fetchone()
        reached = set(row[0]) if row else set()
        granted = self.readable.get((source.id, target.id), set())
        expected = {table for table in tables if granted & {self.shareable[table], "*"}}
        for table in sorted(reached ^ expected):
            message = (
                "it is granted, and a gateway cannot reach it"
                if table in expected
                else "a gateway reached it without a grant"
            )
            self._add("probe_gate", source.id, target.id, f"table {table}", message)

    def _as_owner(self, target: Department, tables: list[str]) -> None:
        """Look as the owner: where row-level security is forced, it sees nothing."""
        for table, (seen, _) in zip(tables, self._look("federation_owner", target, tables), strict=True):
            if seen:
                self._add("probe_owner", "federation_owner", target.id, f"table {table}", "the owner could read a row")

    def _plant(self, target: Department, held: set[str]) -> list[str]:
        """Put a row into each table; return those that have one, and remark on those that have none."""
        row = self.connection.execute("SELECT federation.plant_probe_rows(%s)", (target.id,)).fetchone()
        planted = list(row[0]) if row else []
        others = sorted(set(self.tables.get(target.id, {})) - set(planted) - held)
        for table, (seen, _) in zip(others, self._look("federation_admin_role", target, others), strict=True):
            if seen:
                planted.append(table)  # it holds rows of its own
            else:
                message = "not tried by gateways: it is empty, and no row could be put into it"
                self.result.remarks.append(Hole("probe_gate", None, target.id, f"table {table}", message))
        return planted

    def _add(self, check: str, source: str | None, target: str, place: str, message: str) -> None:
        self.result.holes.append(Hole(check, source, target, place, message))

    @contextmanager
    def _undone(self, what: str) -> Iterator[None]:
        """Run something as the owner in a transaction that is rolled back and that no audit channel records."""
        with owner_transaction(self.connection, what):
            self.connection.execute(checks.LOCK_TIMEOUT)
            self.connection.execute(
                "INSERT INTO federation.probes (transaction_id) VALUES (pg_catalog.pg_current_xact_id())"
            )
            yield
            raise psycopg.Rollback

    def _let_owner_become(self, role: str) -> str | None:
        """Make the owner a member of a role until the transaction is rolled back; return what keeps it from that."""
        since_16 = self.connection.info.server_version >= 160000  # noqa: PLR2004
        options = sql.SQL(" WITH SET TRUE, INHERIT FALSE" if since_16 else "")
        try:
            with self.connection.transaction():
                self.connection.execute(sql.SQL("GRANT {} TO federation_owner").format(sql.Identifier(role)) + options)
        except psycopg.Error as error:
            return (error.diag.message_primary or str(error)).strip()
        return None

    def _hold(self, department: Department, name: str) -> set[str]:
        """Make sure that nothing waits for a lock on a table; return the tables that somebody else holds."""
        check = next(one for one in PROBE_CHECKS if one.name == name)
        held = checks.hold(
            self.connection, self.templates, department, sorted(self.tables.get(department.id, {})), check
        )
        self.result.holes += held
        return {hole.object.removeprefix("table ") for hole in held}

    def _look(self, role: str, target: Department, tables: list[str]) -> list[Outcome]:
        """Try to read a row of each table as a role."""
        statement = sql.SQL("SELECT FROM {} LIMIT 1")
        return self._try(role, [statement.format(sql.Identifier(target.schema, table)) for table in tables])

    def _try(self, role: str, statements: Sequence[sql.Composed]) -> list[Outcome]:
        """Try statements as a role; return for each the rows that it reached, or the SQLSTATE of the refusal."""
        texts = [statement.as_string(self.connection) for statement in statements]
        return self.connection.execute(
            """
            SELECT outcome.reached, outcome.refusal
            FROM unnest(%s::text[]) WITH ORDINALITY AS attempt (statement, position)
            CROSS JOIN LATERAL federation.try_as(%s, attempt.statement) AS outcome
            ORDER BY attempt.position
            """,
            (texts, role),
        ).fetchall()


def _why(granted_by: str, until: str | None, gateways: list[str]) -> str:
    ends = f" until {until}" if until else ""
    through = f", through {', '.join(gateways)}" if gateways else ", but no gateway speaks for it yet"
    return f"granted by {granted_by}{ends}{through}"
