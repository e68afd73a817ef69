"""What the control plane gets back of a department that is restored, and what an operator has to decide anew.

Nobody sees more than before: who may look at whom is put in force again only where that was asked for, and both ends
are there.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from fedschema.bundles import Manifest, Row
from fedschema.department import Department

_OF_ANY = ("config", "enabled_tools", "created_at")
#: They name one deployment, which another department does not have.
_OF_ITSELF = ("railway_project_id", "railway_deployment_url", "n8n_workflow_ids")

_REGISTER = """
    UPDATE federation.departments AS known
    SET config = given.config, enabled_tools = given.enabled_tools,
        created_at = coalesce(given.created_at, known.created_at),
        railway_project_id = given.railway_project_id, railway_deployment_url = given.railway_deployment_url,
        n8n_workflow_ids = given.n8n_workflow_ids
    FROM jsonb_populate_record(NULL::federation.departments, %(entry)s) AS given
    WHERE known.department_id = %(id)s
"""
_IDENTIFY = """
    UPDATE federation.departments AS known SET id = %(uuid)s
    WHERE known.department_id = %(id)s
      AND NOT EXISTS (SELECT FROM federation.departments AS other WHERE other.id = %(uuid)s)
"""
_KEEP_CREDENTIAL = """
    INSERT INTO federation.oauth_credentials
    SELECT (jsonb_populate_record(NULL::federation.oauth_credentials, %(row)s)).*
"""
_KEEP_PERIOD = """
    INSERT INTO federation.retention_periods (department_id, table_name, kept_for, set_by, set_at)
    SELECT %(id)s, rule.table_name, given.kept_for, coalesce(given.set_by, session_user), coalesce(given.set_at, now())
    FROM jsonb_populate_record(NULL::federation.retention_periods, %(row)s) AS given
    JOIN federation.retention_rules AS rule ON rule.table_name = given.table_name
    ON CONFLICT (department_id, table_name) DO UPDATE SET
        kept_for = excluded.kept_for, set_by = excluded.set_by, set_at = excluded.set_at
"""
_GRANT = """
    INSERT INTO federation.cross_dept_permissions (
        source_department_id, target_department_id, permission_type, resource_type, enabled, granted_by, granted_at,
        expires_at
    )
    SELECT given.source_department_id, given.target_department_id, given.permission_type, given.resource_type,
           given.enabled, given.granted_by, given.granted_at, given.expires_at
    FROM jsonb_populate_record(NULL::federation.cross_dept_permissions, %(row)s) AS given
    WHERE given.expires_at IS NULL OR given.expires_at > clock_timestamp()
    ON CONFLICT DO NOTHING
"""
_OTHER_END = """
    SELECT EXISTS (SELECT FROM federation.departments WHERE department_id = %(other)s AND status <> 'DEPROVISIONED')
       AND EXISTS (SELECT FROM federation.resources WHERE resource_type = %(resource)s)
"""
_ENTITLE = """
    INSERT INTO federation.gateway_entitlements (login_role, department_id, granted_by, granted_at)
    SELECT login.rolname, %(id)s::varchar, given.granted_by, given.granted_at
    FROM jsonb_populate_record(NULL::federation.gateway_entitlements, %(row)s) AS given
    JOIN pg_catalog.pg_roles AS login ON login.rolname = given.login_role
    WHERE pg_catalog.pg_has_role(login.oid, 'cross_dept_query_role', 'MEMBER')
    ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A grant, an entitlement or a period that was not brought back.

    Attributes:
        what: which one.
        reason: why not.
        command: what to type for it to be there again.
    """

    what: str
    reason: str
    command: str


def registration(connection: psycopg.Connection, department: Department, manifest: Manifest) -> None:
    """Give the registry row back what it had besides name and e-mail."""
    kept = _OF_ANY if manifest.department_id != department.id else (*_OF_ANY, *_OF_ITSELF)
    entry = {name: manifest.department.get(name) for name in kept}
    connection.execute(_REGISTER, {"entry": Jsonb(entry), "id": department.id})


def identity(connection: psycopg.Connection, department: Department, manifest: Manifest) -> bool:
    """Give a department back the uuid that its secrets are bound to, and its OAuth clients, of no use without it.

    Another department may have it: the original, of which this is a copy, or the registry row of it that stayed.

    Returns:
        whether it has that uuid.
    """
    given = {"uuid": manifest.department_uuid, "id": department.id}
    if connection.execute(_IDENTIFY, given).rowcount == 0:
        return False
    for row in manifest.credentials:
        connection.execute(_KEEP_CREDENTIAL, {"row": Jsonb({**row, "department_id": department.id})})
    return True


def periods(connection: psycopg.Connection, department: Department, manifest: Manifest) -> tuple[LeftOut, ...]:
    """Let a department keep its rows as long as it did; return for which tables there is no rule here."""
    return tuple(
        LeftOut(f"the period of {row.get('table_name')}", "retention knows no such table", "fedschema retention show")
        for row in manifest.periods
        if connection.execute(_KEEP_PERIOD, {"id": department.id, "row": Jsonb(dict(row))}).rowcount == 0
    )


def grants(
    connection: psycopg.Connection, department: Department, manifest: Manifest, *, wanted: bool
) -> tuple[int, tuple[LeftOut, ...]]:
    """Put grants and entitlements in force again, if that is wanted; return how many, and what is left to decide."""
    reinstated = 0
    left: list[LeftOut] = []
    for row in manifest.grants:
        renamed = _renamed(row, manifest.department_id, department)
        why = _grant(connection, department, renamed) if wanted else _UNASKED
        reinstated += why is None
        left += [_left_grant(renamed, why)] if why else []
    entitled, without = gateways(connection, department, manifest, wanted=wanted)
    return reinstated + entitled, (*left, *without)


def gateways(
    connection: psycopg.Connection, department: Department | None, manifest: Manifest, *, wanted: bool
) -> tuple[int, tuple[LeftOut, ...]]:
    """Do as `grants` does for those who spoke for a department, or (None) for all of them."""
    given = {"id": department.id if department else None}
    left = tuple(
        _left_gateway(row, department, _NO_GATEWAY if wanted else _UNASKED)
        for row in manifest.gateways
        if not wanted or connection.execute(_ENTITLE, {**given, "row": Jsonb(dict(row))}).rowcount == 0
    )
    return len(manifest.gateways) - len(left), left


_UNASKED = "--with-grants was not given"
_NO_GATEWAY = "there is no such gateway here"


def _renamed(row: Row, was: str, department: Department) -> Mapping[str, Any]:
    ends = ("source_department_id", "target_department_id")
    return {**row, **{end: department.id for end in ends if row.get(end) == was}}


def _grant(connection: psycopg.Connection, department: Department, row: Mapping[str, Any]) -> str | None:
    """Put a grant in force again; return why not, if not."""
    source, target = row.get("source_department_id"), row.get("target_department_id")
    if department.id not in {source, target}:
        return "it is between others"
    other = target if source == department.id else source
    found = connection.execute(_OTHER_END, {"other": other, "resource": row.get("resource_type")}).fetchone()
    if found != (True,):
        return f"department {other} or the resource is not there"
    return (
        None
        if connection.execute(_GRANT, {"row": Jsonb(dict(row))}).rowcount
        else "it has expired, or is there already"
    )


def _left_grant(row: Mapping[str, Any], why: str) -> LeftOut:
    source, target = row.get("source_department_id"), row.get("target_department_id")
    kind, resource = row.get("permission_type"), row.get("resource_type")
    words = ["fedschema", "grant", source, target, "--type", kind, "--resource", resource]
    if row.get("expires_at"):
        words += ["--expires", row["expires_at"]]
    return LeftOut(f"{kind} of {resource} of {target} by {source}", why, shlex.join(map(str, words)))


def _left_gateway(row: Row, department: Department | None, why: str) -> LeftOut:
    login = str(row.get("login_role"))
    scope = ("--department", department.id) if department else ("--all",)
    command = shlex.join(("fedschema", "gateway", "add", login, *scope))
    return LeftOut(f"gateway {login}, which spoke for {department or 'all'}", why, command)
