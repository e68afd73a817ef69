"""A PostgreSQL of this machine, on loan: for what may not be committed in a customer's database.

Programs of the server's own version are taken where Debian and Red Hat put them, else those that fedschema brings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from fedschema import federation
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.embedded import throwaway_server
from fedschema.errors import FedschemaError
from fedschema.fleet import scratch
from fedschema.fleet.findings import Rehearsal
from fedschema.fleet.rehearsal import Trial
from fedschema.plans import Plan

_PLACES = ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin")


class Lender:
    """Lends a PostgreSQL, started when it is first asked for, where scratch departments are committed.

    Args:
        compiler: the project.
        major: the version that is wanted, such as 18.
        stack: ends it.
    """

    def __init__(self, compiler: Compiler, major: int, stack: ExitStack) -> None:
        self._compiler = compiler
        self._major = major
        self._stack = stack
        self._connection: psycopg.Connection | FedschemaError | None = None
        self.version = ""

    @property
    def is_alike(self) -> bool:
        """It has the version that was wanted."""
        return self.version.partition(".")[0] == str(self._major)

    def tried(self, way: Plan, plan: Plan) -> Rehearsal | FedschemaError:
        """Try a plan there; what goes wrong is no failure of the plan's."""
        try:
            connection = self._ready()
            department = scratch.scratch_department()
            with owner_transaction(connection, "making a scratch department"):
                scratch.make(connection, self._compiler, department, way)
            trial = Trial(connection, department, plan, scratch.REHEARSING)
            for number, _ in enumerate(plan.legs, 1):  # each commits, as in a release, so that it lets its locks go
                with owner_transaction(connection, scratch.REHEARSING):
                    if not trial.go(number):
                        raise psycopg.Rollback
                if trial.error:
                    break
        except FedschemaError as error:
            return error
        return trial.rehearsal

    def _ready(self) -> psycopg.Connection:
        if self._connection is None:
            try:
                self._connection = self._stack.enter_context(self._served())
            except FedschemaError as error:
                self._connection = error
        if isinstance(self._connection, FedschemaError):
            raise self._connection
        return self._connection

    @contextmanager
    def _served(self) -> Iterator[psycopg.Connection]:
        with throwaway_server(programs(self._major)) as server:
            self.version = server.version
            federation.initialise(server.url(), self._compiler)
            with connect(server.url()) as connection:
                yield connection


def programs(major: int) -> Path | None:
    """Return where this machine has the programs of a version, such as 15; None for where it has none."""
    places = (Path(place.format(major)) for place in _PLACES)
    return next((place for place in places if (place / "initdb").is_file()), None)
