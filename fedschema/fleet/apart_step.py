"""One step that a department takes outside its transaction: what it is, when it begins, how it is put on record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import psycopg
from psycopg import sql

from fedschema import batches
from fedschema.connections import translate
from fedschema.department import Department
from fedschema.errors import Cancelled, FedschemaError
from fedschema.fleet.pace import Pace
from fedschema.nontransactional import Nontransactional
from fedschema.plans import Plan

Work = TypeVar("Work", bound=Nontransactional)


@dataclass(frozen=True, slots=True)
class ApartStep(Generic[Work]):
    """What one department is to do.

    Attributes:
        department: whose tables they are.
        leg: the step, by itself.
        work: what it does, filled in.
        pace: how hard it may press.
        wait: waits so many seconds; true when that is cut short and all ends.
    """

    department: Department
    leg: Plan
    work: Work
    pace: Pace
    wait: Callable[[float], bool]

    @property
    def what(self) -> str:
        """The operation, for messages."""
        return f"{self.leg.steps[0].direction} of department {self.department}"

    @property
    def revision(self) -> str:
        """Whose step it is."""
        return self.leg.steps[0].revision

    @property
    def table(self) -> sql.Identifier:
        """The table, qualified."""
        return sql.Identifier(self.department.schema, self.work.table)

    def begin(self, connection: psycopg.Connection) -> str:
        """Hold the department, inside an owner's transaction, and return the server's time, as it writes it.

        Raises:
            DepartmentMoved: it is not where the step starts; another command did it.
        """
        self.pace.apply(connection)
        connection.execute(
            "CALL federation.begin_migration(%s, %s::text[])", (self.department.id, list(self.leg.start))
        )
        row = connection.execute("SELECT pg_catalog.clock_timestamp()::text").fetchone()
        assert row is not None  # noqa: S101 - it always gives one
        return str(row[0])

    def complete(self, connection: psycopg.Connection, began: str) -> None:
        """Say in the version table and the history that it is done, in a transaction in which it was begun again."""
        batches.execute(connection, batches.completion(self.department, self.leg.steps[0], began), self.leg)

    def pause(self, seconds: float) -> None:
        """Leave the server alone for a while.

        Raises:
            Cancelled: somebody wants it to end.
        """
        if self.wait(seconds):
            raise Cancelled(self.what)

    def failed(self, error: psycopg.Error, statement: str) -> FedschemaError:
        """Return our error for one of the driver's, with the revision and the statement."""
        return translate(error, self.what, self.revision, statement)
