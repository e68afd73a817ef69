"""Has pg_cron run retention every day, where the server has it: `fedschema retention schedule`.

pg_cron lives in one database of a server, as a rule `postgres`, and runs jobs in any. A job runs as the login that
made it, which is a member of federation_owner, and does not call this program: it runs templates/retention/scheduled.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import psycopg
from psycopg.conninfo import make_conninfo

from fedschema import registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction, translated
from fedschema.errors import FedschemaError, NotSchedulable
from fedschema.retention.clock import TimeOfDay

_WHAT = "scheduling retention"
#: The database that pg_cron is in unless its settings name another (its README, "Setting up pg_cron").
_USUAL_DATABASE = "postgres"
#: What makes a job for another database, which pg_cron lets nobody call who was not granted it.
_ELSEWHERE = "cron.schedule_in_database(text, text, text, text, text, boolean)"


class Change(StrEnum):
    """What became of a job."""

    SCHEDULED = "scheduled"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job of pg_cron.

    Attributes:
        name: the job's name, which tells it from those of other databases.
        schedule: when, as crontab has it.
        timezone: of which clock.
        database: where it works.
        cron_database: where pg_cron keeps it.
        username: as whom.
        command: what it runs.
        change: what became of it.
    """

    name: str
    schedule: str
    timezone: str
    database: str
    cron_database: str
    username: str
    command: str
    change: Change


@dataclass(frozen=True, slots=True)
class _Cron:
    """Where pg_cron is, and the database that jobs are for."""

    connection: psycopg.Connection
    database: str

    @property
    def name(self) -> str:
        return f"fedschema retention of {self.database}"

    @property
    def home(self) -> str:
        return self.connection.info.dbname


def scheduled(conninfo: str, compiler: Compiler, at: TimeOfDay, batch_rows: int) -> Schedule | None:
    """Have retention run every day; a second time changes the job that is there.

    Args:
        conninfo: the database.
        compiler: the project.
        at: when, by pg_cron's clock.
        batch_rows: how many rows go in one transaction at most.

    Returns:
        the job; None where there is no pg_cron that can be reached.

    Raises:
        NotSchedulable: pg_cron is there and refuses.
    """
    command = compiler.templates.render("retention/scheduled", batch_rows=str(batch_rows)).strip()
    with _cron(conninfo, compiler) as cron:
        if cron is None:
            return None
        with _refusals(cron):
            before = cron.connection.execute(
                "SELECT schedule, command, active FROM cron.job"
                " WHERE jobname = %s AND database = %s AND username = session_user",
                (cron.name, cron.database),
            ).fetchone()
            change = Change.SCHEDULED if before is None else Change.CHANGED
            if before == (at.crontab, command, True):
                change = Change.UNCHANGED
            else:
                _schedule(cron, at.crontab, command)
        row = cron.connection.execute(
            "SELECT coalesce(nullif(current_setting('cron.timezone', true), ''), 'GMT')"
        ).fetchone()
        return Schedule(
            cron.name,
            at.crontab,
            row[0] if row else "GMT",
            cron.database,
            cron.home,
            cron.connection.info.user,
            command,
            change,
        )


def unscheduled(conninfo: str, compiler: Compiler) -> int | None:
    """Take the jobs of this database back, and return how many there were; None where there is no pg_cron.

    Raises:
        NotSchedulable: one is there and cannot be taken back.
    """
    with _cron(conninfo, compiler) as cron:
        if cron is None:
            return None
        with _refusals(cron):
            done = cron.connection.execute(
                "SELECT cron.unschedule(jobid) FROM cron.job WHERE jobname = %s AND database = %s",
                (cron.name, cron.database),
            )
            return done.rowcount


def _schedule(cron: _Cron, when: str, command: str) -> None:
    if cron.home == cron.database:
        cron.connection.execute("SELECT cron.schedule(%s, %s, %s)", (cron.name, when, command))
    else:
        cron.connection.execute(
            "SELECT cron.schedule_in_database(%s, %s, %s, %s)", (cron.name, when, command, cron.database)
        )


@contextmanager
def _cron(conninfo: str, compiler: Compiler) -> Iterator[_Cron | None]:
    """Connect to the database that pg_cron is in, as the login; None where it cannot be found."""
    with connect(conninfo) as connection:
        with owner_transaction(connection, _WHAT):
            registry.require_control_plane(connection, compiler.blueprint.control_plane)
        database = connection.info.dbname
        if _is_here(connection):
            yield _Cron(connection, database)
            return
        home = _home(connection)
    if home is None or home == database:
        yield None
        return
    try:
        elsewhere = connect(make_conninfo(conninfo, dbname=home))
    except FedschemaError:
        yield None
        return
    with elsewhere:
        yield _Cron(elsewhere, database) if _is_here(elsewhere) else None


def _is_here(connection: psycopg.Connection) -> bool:
    with translated(_WHAT):
        return connection.execute("SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_cron'").rowcount > 0


def _home(connection: psycopg.Connection) -> str | None:
    """Return the database that pg_cron is in; None where the server has not loaded it."""
    try:
        row = connection.execute("SELECT pg_catalog.current_setting('cron.database_name', true)").fetchone()
    except psycopg.errors.InsufficientPrivilege:  # it is loaded, and its settings are not for everybody
        return _USUAL_DATABASE
    return row[0] if row else None


@contextmanager
def _refusals(cron: _Cron) -> Iterator[None]:
    """Turn what pg_cron refuses into an error that says what to do."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        login = cron.connection.info.user
        more = "" if cron.home == cron.database else f"; GRANT EXECUTE ON FUNCTION {_ELSEWHERE} TO {login}"
        raise NotSchedulable(
            str(error).splitlines()[0],
            f"as a superuser, in database {cron.home}: GRANT USAGE ON SCHEMA cron TO {login}{more}",
        ) from error
    except psycopg.errors.UndefinedFunction as error:
        raise NotSchedulable(
            "it is older than 1.4, and keeps its jobs in another database",
            f"as a superuser, in database {cron.home}: ALTER EXTENSION pg_cron UPDATE",
        ) from error
    except psycopg.Error as error:
        raise NotSchedulable(str(error).splitlines()[0], f"look at table cron.job in database {cron.home}") from error
