"""The scratch department that revisions are tried on."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import sql

from fedschema import batches, samples, snapshots, tenancy
from fedschema.compiler import Compiler
from fedschema.connections import owner_transaction
from fedschema.department import Department
from fedschema.errors import StatementFailed
from fedschema.fleet import scratch
from fedschema.fleet.alembic_road import OrdinaryRoad, run_with_alembic
from fedschema.fleet.apart import Manner
from fedschema.fleet.pace import Pace
from fedschema.fleet.transaction import Confirmation
from fedschema.fleet.voyage import Voyage, go
from fedschema.plans import Plan
from fedschema.reach import Reach
from fedschema.snapshots import Snapshot
from fedschema.tenancy import NewDepartment
from fedschema.versions import TENANT, Heads
from fedschema.workers import Halt

#: How far apart the numbers are that rows are made from.
_STRIDE = 10


class Ground:
    """A scratch department on the throwaway server, which is taken up and down.

    Args:
        compiler: the project.
        reach: the server.
        connection: a superuser's.
        label: whose lineage it has: ``tenant``, or the id of the department whose branch it is.
    """

    def __init__(self, compiler: Compiler, reach: Reach, connection: psycopg.Connection, label: str) -> None:
        self.compiler = compiler
        self.connection = connection
        self.stands = False
        self._reach = reach
        self._label = label
        self._number = 1
        self.department = Department("unmade")
        self.heads: Heads = ()

    def begin(self) -> None:
        """Make a new department, in place of the one that there may be."""
        self.clear()
        own = self._label != TENANT
        self.department = Department(self._label) if own else scratch.scratch_department()
        self.heads = ()
        new = NewDepartment(self.department, "Scratch")
        tenancy.create(self.connection, self.compiler, new, Plan((), (), ()), None)
        self.stands = True

    def clear(self) -> None:
        """Take the department away."""
        if self.stands:
            batch = batches.removal(self.compiler.templates, self.department)
            with owner_transaction(self.connection, batch.what):
                batches.execute(self.connection, batch)
        self.stands = False

    def way_up(self, revision: str) -> Plan:
        """Return the way to a revision."""
        return self.compiler.upgrade(self.department, self.heads, revision)

    def go(self, plan: Plan, destination: str) -> None:
        """Go along a plan as a release does.

        Raises:
            FedschemaError: the department is where it was.
        """
        if not plan.steps:
            return
        if plan.needs_connection:
            direction = plan.steps[0].direction
            ini = self.compiler.project.ini
            run_with_alembic(OrdinaryRoad(self._reach, ini, direction, destination, None), self.department)
        else:
            manner = Manner(Confirmation(given=True, hint=""), Pace(), Halt())
            go(Voyage(self._reach, self.department, plan, manner, _nowhere_else, _unheard), self.connection)
        self.heads = plan.end

    def look(self) -> Snapshot:
        """Look at the department."""
        return snapshots.take(self.connection, self.compiler.templates, self.department)

    def fill(self, wanted: Sequence[str]) -> dict[str, str]:
        """Write rows into some tables, and return those that took none, and why."""
        self._number += _STRIDE
        with self.connection.transaction():
            self.connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
            found = samples.tables(self.connection, self.department.schema)
            chosen = [table for name, table in found.items() if name in wanted]
            return samples.fill(self.connection, self.department.schema, chosen, self._number)

    def empty(self, tables: Sequence[str]) -> None:
        """Take all rows out of some tables, and of those that refer to them, past every trigger."""
        names = sql.SQL(", ").join(sql.Identifier(self.department.schema, name) for name in tables)
        with self.connection.transaction():
            self.connection.execute("SET LOCAL session_replication_role = replica")
            self.connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(names))


def _nowhere_else(heads: Heads) -> Plan:
    raise StatementFailed("a scratch department", f"somebody took it to {', '.join(heads)}")


def _unheard(heads: Heads) -> None:
    del heads
