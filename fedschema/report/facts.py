"""What the page shows, read once; nothing here knows how it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import psycopg
from psycopg.rows import class_row

from fedschema import gateways, observation, registry, sharing
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.gateways import Entitlement
from fedschema.observation import Fleet, TableSize
from fedschema.registry import MigrationRecord
from fedschema.report import relations
from fedschema.report.relations import Relations
from fedschema.report.revisions import Revision, revisions_of
from fedschema.sharing import Grant

#: How far back refusals are shown, and how many steps of the history.
DAYS = 30
STEPS = 50
#: How many pairs of departments are named among those refused.
_PAIRS = 10

_DENIED_BY_DAY = """
    SELECT (created_at AT TIME ZONE 'UTC')::date AS day, count(*) AS denials
    FROM federation.security_audit
    WHERE event_type = 'CROSS_DEPT_ACCESS_DENIED'
      AND created_at >= (%s::date)::timestamp AT TIME ZONE 'UTC'
    GROUP BY day
    ORDER BY day
"""
_DENIED_PAIRS = """
    SELECT source_department_id AS source, target_department_id AS target, details ->> 'refusal' AS reason,
           count(*) AS denials, max(created_at) AS last_at
    FROM federation.security_audit
    WHERE event_type = 'CROSS_DEPT_ACCESS_DENIED'
      AND created_at >= (%s::date)::timestamp AT TIME ZONE 'UTC'
    GROUP BY source_department_id, target_department_id, details ->> 'refusal'
    ORDER BY denials DESC, last_at DESC
    LIMIT %s
"""
#: The logins that no wall between departments stops: administrators by design, superusers by PostgreSQL's.
_EVERYTHING = """
    SELECT login.rolname::text AS login, login.rolsuper OR login.rolbypassrls AS unbound
    FROM pg_catalog.pg_roles AS login
    WHERE login.rolcanlogin
      AND (login.rolsuper OR login.rolbypassrls
           OR pg_catalog.pg_has_role(login.oid, 'federation_admin_role'::regrole, 'MEMBER'))
    ORDER BY unbound, login
"""


@dataclass(frozen=True, slots=True)
class Denial:
    """How often one department was refused another's data, for one reason."""

    source: str | None
    target: str | None
    reason: str | None
    denials: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class SeesAll:
    """A login that sees the rows of every department.

    Attributes:
        login: its name.
        unbound: it is a superuser or passes row-level security by, rather than an administrator of the federation.
    """

    login: str
    unbound: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """A federation at one time.

    Attributes:
        moment: when.
        fleet: the departments.
        revisions: those of departments, the newest first.
        grants: who may see what of whom, in force or not.
        entitlements: who may ask in whose name.
        see_all: the logins that need no grant.
        steps: the newest rows of the history.
        first_day: since when refusals are shown.
        denied: how many there were, by day.
        pairs: whom they were about, the most frequent ones.
        sizes: of all tables; None when they could not be read.
        relations: the tables of one department.
        typical: it was chosen as one of many that are alike.
    """

    moment: datetime
    fleet: Fleet
    revisions: Sequence[Revision]
    grants: Sequence[Grant]
    entitlements: Sequence[Entitlement]
    see_all: Sequence[SeesAll]
    steps: Sequence[MigrationRecord]
    first_day: date
    denied: Mapping[date, int]
    pairs: Sequence[Denial]
    sizes: Sequence[TableSize] | None
    relations: Relations | None
    typical: bool


def gather(conninfo: str, compiler: Compiler, tables_of: Department | None = None) -> Facts:
    """Read what a page shows; nothing is changed.

    Args:
        conninfo: the database.
        compiler: the project.
        tables_of: whose tables are drawn; None for a department at the place where most are.

    Raises:
        UnknownDepartment, ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead, …
    """
    revisions = revisions_of(compiler)
    with observation.watching(conninfo, compiler, "reading the federation") as connection:
        moment = observation.now(connection)
        fleet = observation.fleet(connection, compiler)
        if tables_of is not None:
            registry.select(fleet.entries, [tables_of])
        shown = tables_of or relations.typical(fleet)
        first_day = moment.date() - timedelta(days=DAYS - 1)
        return Facts(
            moment=moment,
            fleet=fleet,
            revisions=revisions,
            grants=sharing.read_grants(connection),
            entitlements=gateways.read_entitlements(connection),
            see_all=_see_all(connection),
            steps=registry.history(connection, None, STEPS),
            first_day=first_day,
            denied=dict(connection.execute(_DENIED_BY_DAY, (first_day,)).fetchall()),
            pairs=_pairs(connection, first_day),
            sizes=observation.sizes(connection, fleet.live),
            relations=relations.read(connection, shown) if shown else None,
            typical=tables_of is None,
        )


def _see_all(connection: psycopg.Connection) -> list[SeesAll]:
    with connection.cursor(row_factory=class_row(SeesAll)) as cursor:
        return cursor.execute(_EVERYTHING).fetchall()


def _pairs(connection: psycopg.Connection, first_day: date) -> list[Denial]:
    with connection.cursor(row_factory=class_row(Denial)) as cursor:
        return cursor.execute(_DENIED_PAIRS, (first_day, _PAIRS)).fetchall()
