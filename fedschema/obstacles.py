"""What stands in the way of departments that are to be made or adopted: themselves, a role or schema of their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from fedschema import registry
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.errors import DepartmentExists, NameTaken, NothingToAdopt, OperationError, ReadOnlyServer, UsageError


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands in a new department's way.

    Attributes:
        error: why it cannot be made.
        active: the department is there and in service.
    """

    error: OperationError
    active: bool = False


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What could stand in a new department's way, asked in one question."""

    department_id: str
    database: str
    control_plane: list[str]
    status: str | None
    role_comment: str | None
    schema_exists: bool
    read_only: bool


_SURROUNDINGS = sql.SQL("""
    SELECT
        wanted.department_id,
        pg_catalog.current_database()::text AS database,
        ARRAY(SELECT version_num::text FROM federation.alembic_version) AS control_plane,
        (SELECT status FROM federation.departments AS known
         WHERE known.department_id = wanted.department_id) AS status,
        (SELECT coalesce(pg_catalog.shobj_description(oid, 'pg_authid'), '')
         FROM pg_catalog.pg_roles WHERE rolname = wanted.role_name) AS role_comment,
        pg_catalog.to_regnamespace(wanted.schema_name) IS NOT NULL AS schema_exists,
        pg_catalog.current_setting('transaction_read_only')::boolean AS read_only
    FROM ROWS FROM (
        pg_catalog.unnest({ids}::text[]), pg_catalog.unnest({roles}::text[]), pg_catalog.unnest({schemas}::text[])
    ) AS wanted (department_id, role_name, schema_name)
""")


def obstacles(
    connection: psycopg.Connection, compiler: Compiler, departments: Sequence[Department], what: str
) -> dict[Department, Obstacle]:
    """Give the clear reason that PostgreSQL's own error would not; what slips past in a race, the batch refuses.

    Args:
        connection: inside `owner_transaction`.
        compiler: the project.
        departments: those that are to be made; one question for all of them.
        what: the operation, for messages.

    Returns:
        what stands in whose way; nothing for a department that can be made.

    Raises:
        ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead, ReadOnlyServer
    """
    found = _look(connection, compiler, departments, what)
    looked = ((Department(around.department_id), _obstacle(around)) for around in found)
    return {department: obstacle for department, obstacle in looked if obstacle is not None}


def _look(
    connection: psycopg.Connection, compiler: Compiler, departments: Sequence[Department], what: str
) -> list[_Surroundings]:
    """Look at what is around departments, and whether any can be made here at all; raises as `obstacles` does."""
    query = _SURROUNDINGS.format(
        ids=[department.id for department in departments],
        roles=[department.role for department in departments],
        schemas=[department.schema for department in departments],
    )
    with connection.cursor(row_factory=class_row(_Surroundings)) as cursor:
        found = cursor.execute(query).fetchall()
    for around in found[:1]:
        registry.check_control_plane(tuple(around.control_plane), compiler.blueprint.control_plane)
        if around.read_only:
            raise ReadOnlyServer(what)
    return found


def refuse_adoption(
    connection: psycopg.Connection, compiler: Compiler, department: Department, schema: str, what: str
) -> None:
    """Refuse to adopt what cannot be a department, before anything is looked at.

    Args:
        connection: inside `owner_transaction`.
        compiler: the project.
        department: what it is to become.
        schema: the schema's name until now.
        what: the operation, for messages.

    Raises:
        DepartmentExists: it is one already.
        NameTaken: its role is another database's, or the schema is another department's, or its new name is taken.
        NothingToAdopt: there is no such schema.
        UsageError: it is PostgreSQL's or the platform's.
        ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead, ReadOnlyServer
    """
    if schema in _NEVER_ADOPTED or schema.startswith("pg_"):
        raise UsageError(
            f"schema {schema} cannot become a department's", "--schema names the one that is to be adopted"
        )
    around = _look(connection, compiler, [department], what)[0]
    if around.status is not None and around.status != registry.DEPROVISIONED:
        raise _exists(department, around.status)
    ours = f"fedschema: department {department} of database {around.database}"
    if (
        around.role_comment is not None
        and around.role_comment.startswith("fedschema: ")
        and around.role_comment != ours
    ):
        raise NameTaken(*_foreign_role(department, around.role_comment))
    if connection.execute("SELECT FROM pg_catalog.pg_namespace WHERE nspname = %s", (schema,)).rowcount == 0:
        raise NothingToAdopt(department.id, schema)
    if schema == department.schema:
        return
    if around.schema_exists:
        raise NameTaken(
            f"schema {schema} would be called {department.schema}, and there is one; nothing was changed",
            f"fedschema tenant adopt {department}, if that one is meant",
        )
    if any(entry.is_live and entry.tenant_schema == schema for entry in registry.entries(connection)):
        raise NameTaken(f"schema {schema} is another department's; nothing was changed", "fedschema tenant list")


#: Schemas that are no department's, whatever is in them; those of PostgreSQL begin with pg_.
_NEVER_ADOPTED = frozenset({"public", "information_schema", "federation"})


def _exists(department: Department, status: str) -> DepartmentExists:
    return DepartmentExists(
        f"department {department} exists already ({status}); nothing was changed", f"fedschema tenant show {department}"
    )


def _obstacle(around: _Surroundings) -> Obstacle | None:
    department = Department(around.department_id)
    if around.status is not None and around.status != registry.DEPROVISIONED:
        return Obstacle(_exists(department, around.status), active=around.status == registry.ACTIVE)
    if around.role_comment is not None:
        return Obstacle(NameTaken(*_foreign_role(department, around.role_comment)))
    if around.schema_exists:
        taken = NameTaken(
            f"a schema {department.schema} exists already and is not in the registry; nothing was changed",
            f"fedschema tenant adopt {department}, if it is to become the department; else choose another id",
        )
        return Obstacle(taken)
    return None


def _foreign_role(department: Department, comment: str) -> tuple[str, str]:
    """Say whose a role is that stands in the way. Roles belong to the whole cluster, departments to one database."""
    another = "choose another id: roles are shared by all databases of a server"
    if comment.startswith("fedschema: "):
        whose = comment.removeprefix("fedschema: ")
        return f"the role {department.role} exists already ({whose}); nothing was changed", another
    return (
        f"the role {department.role} exists already and is not ours; nothing was changed",
        f"{another}; or, if nobody needs it: DROP ROLE {department.role}",
    )
