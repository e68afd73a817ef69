"""A small fleet that things are done to, and what is believed of it: where each department is and which rows it has."""

from __future__ import annotations

from dataclasses import dataclass, field

import psycopg

from fedschema import drift, passwords, releases, tenancy
from fedschema.department import Department
from fedschema.errors import DepartmentExists, DepartmentVanished, UnknownDepartment
from fedschema.fleet.release import Direction, Release
from fedschema.tenancy import NewDepartment
from tests.conftest import Database
from tests.tenancy.conftest import as_operator

IDS = ("ash", "birch", "cedar", "elm")
REVISIONS = (
    "tenant_0001_core",
    "tenant_0002_documents",
    "tenant_0003_communication",
    "tenant_0004_analytics",
    "tenant_0005_workflows",
    "tenant_0006_configuration",
    "tenant_0007_retention",
)
#: How many of the revisions a department has; None for one that is not there.
Place = int | None
HEAD = len(REVISIONS)


@dataclass(frozen=True)
class Action:
    """Something that an operator does.

    Attributes:
        kind: ``add``, ``drop``, ``move``, or to all departments ``upgrade`` and ``downgrade``.
        department_id: to which; of no account for the last two.
        target: how many revisions it is to have, for ``move``.
    """

    kind: str
    department_id: str = ""
    target: int = 0

    def after(self, department_id: str, place: Place) -> Place:
        """Return where a department is after it."""
        if self.kind in {"upgrade", "downgrade"}:
            return None if place is None else (HEAD if self.kind == "upgrade" else 0)
        if department_id != self.department_id:
            return place
        if self.kind == "add":
            return HEAD if place is None else place
        return None if self.kind == "drop" or place is None else self.target

    def words(self, place: Place) -> tuple[str, ...]:
        """Return what is typed for it, for a department at a place."""
        match self.kind:
            case "add":
                return "tenant", "add", self.department_id
            case "drop":
                return "tenant", "drop", self.department_id, "--yes"
            case "upgrade":
                return ("upgrade",)
            case "downgrade":
                return "downgrade", "--all", "--to", "base", "--yes"
        direction, destination = self._way(place)
        return direction.value, self.department_id, "--to", destination, *_CONFIRMED[direction]

    def _way(self, place: Place) -> tuple[Direction, str]:
        direction = Direction.DOWNGRADE if self.target < (place or 0) else Direction.UPGRADE
        return direction, REVISIONS[self.target - 1] if self.target else "base"

    def run(self, database: Database, place: Place) -> None:
        """Do it in this process, for a department at a place.

        Raises:
            FedschemaError: it cannot be done, or was ended.
        """
        conninfo, compiler = as_operator(database), database.compiler
        wanted = [Department(self.department_id)] if self.department_id else []
        match self.kind:
            case "add":
                tenancy.add(conninfo, compiler, NewDepartment(wanted[0], "Some trees"), passwords.generate())
                return
            case "drop":
                tenancy.drop(conninfo, compiler, wanted[0], lambda _: None)
                return
            case "upgrade":
                direction, destination = Direction.UPGRADE, "head"
            case "downgrade":
                direction, destination = Direction.DOWNGRADE, "base"
            case _:
                direction, destination = self._way(place)
        release = Release(direction, destination, all_confirmed=True)
        for result in releases.migrate(conninfo, compiler, wanted, release):
            if result.error is not None:
                raise result.error

    def refusal(self, place: Place) -> tuple[type[Exception], ...]:
        """Return how it is refused for a department at a place; nothing when it is done."""
        if self.kind == "add":
            return (DepartmentExists,) if place is not None else ()
        return (UnknownDepartment, DepartmentVanished) if self.department_id and place is None else ()


_CONFIRMED = {Direction.DOWNGRADE: ("--yes",), Direction.UPGRADE: ()}


@dataclass
class Fleet:
    """What is there and what is believed of it.

    Attributes:
        database: where it is.
        places: where each department is believed to be.
        rows: how many rows each one's tool_calls are believed to hold.
        born: the newest row of history when a department was last seen not to be there.
        ended: how many actions were ended on the server, so that they may have left a failure in the history.
    """

    database: Database
    places: dict[str, Place] = field(default_factory=lambda: dict.fromkeys(IDS))
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(IDS, 0))
    born: dict[str, int] = field(default_factory=lambda: dict.fromkeys(IDS, 0))
    ended: int = 0

    def believe(self, places: dict[str, Place]) -> None:
        """Take note of where departments are now; one without its first tables, or a new one, has no rows."""
        for department_id, place in places.items():
            if not place or self.places[department_id] is None:
                self.rows[department_id] = 0
        self.places |= places

    def seen(self, connection: psycopg.Connection) -> dict[str, Place]:
        """Look where departments are: at the registry, and at the version tables of those that are live."""
        live = {
            department_id
            for (department_id,) in connection.execute(
                "SELECT department_id FROM federation.departments WHERE status <> 'DEPROVISIONED'"
            )
        }
        assert live <= set(IDS)
        return {
            department_id: _place(connection, department_id) if department_id in live else None for department_id in IDS
        }

    def write(self, department_id: str) -> None:
        """Add a row to a department, as whoever works in it does."""
        with self.database.connect() as connection:
            connection.execute(
                f"INSERT INTO {department_id}_tenant.tool_calls (tool_call_id, session_id, function_name) "
                "VALUES (gen_random_uuid(), 's', 'f')".encode()
            )
        self.rows[department_id] += 1

    def check(self, connection: psycopg.Connection) -> None:
        """Hold what is there against what is believed."""
        assert self.seen(connection) == self.places
        self._nothing_is_orphaned(connection)
        self._schemas_are_what_their_revisions_give()
        newest = connection.execute("SELECT coalesce(max(id), 0) FROM federation.schema_migrations").fetchone()
        assert newest is not None
        for department_id, place in self.places.items():
            if place is None:
                self.born[department_id] = newest[0]
            else:
                self._history_leads_here(connection, department_id, place)
                if place:
                    table = f"SELECT count(*) FROM {department_id}_tenant.tool_calls"
                    assert connection.execute(table.encode()).fetchone() == (self.rows[department_id],)
        failures = "SELECT count(*) FROM federation.schema_migrations WHERE NOT success"
        found = connection.execute(failures).fetchone()
        assert found is not None
        assert found[0] <= self.ended

    def _nothing_is_orphaned(self, connection: psycopg.Connection) -> None:
        """Schemas and roles are those of the departments that are there, and no others."""
        live = sorted(department_id for department_id, place in self.places.items() if place is not None)
        schemas = connection.execute(r"SELECT nspname FROM pg_namespace WHERE nspname LIKE '%\_tenant' ORDER BY 1")
        assert [name for (name,) in schemas.fetchall()] == [f"{department_id}_tenant" for department_id in live]
        roles = connection.execute(
            "SELECT rolname, shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = ANY (%s) ORDER BY 1",
            ([f"{department_id}_role" for department_id in IDS],),
        )
        assert roles.fetchall() == [
            (f"{department_id}_role", f"fedschema: department {department_id} of database {self.database.name}")
            for department_id in live
        ]

    def _schemas_are_what_their_revisions_give(self) -> None:
        found = drift.examine(self.database.conninfo, self.database.compiler, [])
        assert [(one.department.id, [*map(str, one.differences)], one.problem) for one in found if not one.ok] == []
        fingerprinted = {one.department.id for one in found if one.fingerprint}
        assert fingerprinted == {department_id for department_id, place in self.places.items() if place is not None}

    def _history_leads_here(self, connection: psycopg.Connection, department_id: str, place: int) -> None:
        """Each step of a department's life is there, in its order, and none that was not made."""
        at = 0
        steps = connection.execute(
            "SELECT migration_name, direction FROM federation.schema_migrations "
            "WHERE department_id = %s AND id > %s AND success ORDER BY id",
            (department_id, self.born[department_id]),
        ).fetchall()
        for revision, direction in steps:
            if direction == "upgrade":
                assert revision == REVISIONS[at]
                at += 1
            else:
                assert (direction, revision) == ("downgrade", REVISIONS[at - 1])
                at -= 1
        assert at == place


def _place(connection: psycopg.Connection, department_id: str) -> int:
    found = connection.execute(f"SELECT version_num FROM {department_id}_tenant.alembic_version".encode()).fetchall()
    assert len(found) <= 1
    return REVISIONS.index(found[0][0]) + 1 if found else 0
