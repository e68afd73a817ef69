"""A department's coming and going: `fedschema tenant add`, `list`, `show`, `sql` and `drop`.

What happens on `tenant add`: the revisions are compiled into a plan from base to head (`fedschema.plans`), framed with
the registry row, the role and the schema (`fedschema.batches.creation`), and sent in one message inside one
transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from fedschema import batches, catalogue, logins, registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import DepartmentDamaged, DepartmentExists, DepartmentVanished, NameTaken, ReadOnlyServer
from fedschema.passwords import Password
from fedschema.policies import PolicyType, policy_script
from fedschema.registry import RegistryEntry
from fedschema.rendering import quote_identifier, quote_literal
from fedschema.versions import Heads


@dataclass(frozen=True, slots=True)
class NewDepartment:
    """What is known of a department before it is made.

    Attributes:
        department: its id, schema and role.
        name: its display name.
        email: whom to write to, or None.
    """

    department: Department
    name: str
    email: str | None = None


@dataclass(frozen=True, slots=True)
class DepartmentDetails:
    """A registered department and what is there of it.

    Attributes:
        entry: its row of the registry.
        heads: the rows of its version table; None when it has no such table.
        rows: how many rows each of its tables holds, if they were counted.
    """

    entry: RegistryEntry
    heads: Heads | None
    rows: Mapping[str, int]


def creation_script(compiler: Compiler, new: NewDepartment) -> str:
    """Return everything that `add` does but the password, as a script for psql; no database is asked."""
    plan = compiler.creation(new.department)
    batch = batches.creation(compiler.templates, new.department, new.name, new.email, plan)
    return batches.as_script(batch)


def rls_script(compiler: Compiler, department: Department, policy_type: PolicyType = PolicyType.ALL) -> str:
    """Return a department's policies as a script that can be applied again over what is there; no database is asked."""
    plan = compiler.creation(department)
    policies = policy_script(compiler.templates, department, plan.walls, policy_type)
    return batches.as_script(batches.Batch(f"policies of department {department}", policies))


def add(conninfo: str, compiler: Compiler, new: NewDepartment, password: Password) -> None:
    """Make a department: registry row, schema, role, tables with their walls, version and history, or nothing.

    Args:
        conninfo: the database; its control plane has to be there and up to date.
        compiler: the project.
        new: the department.
        password: of its role. Only a verifier reaches the server.

    Raises:
        DepartmentExists: it is there already, or another command made it at the same moment.
        NameTaken: a role or schema of its name is there and is not ours.
        ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead, ReadOnlyServer, PrivilegeMissing
    """
    plan = compiler.creation(new.department)
    batch = batches.creation(compiler.templates, new.department, new.name, new.email, plan)
    with connect(conninfo) as connection:
        verifier = password.verifier(connection, new.department.role)
        secret = f"ALTER ROLE {quote_identifier(new.department.role)} PASSWORD {quote_literal(verifier)};\n"
        with owner_transaction(connection, batch.what):
            _refuse_what_is_taken(connection, compiler, new.department)
            batches.execute(connection, batches.Batch(batch.what, f"{batch.sql}\n{secret}"), plan)


@dataclass(frozen=True, slots=True)
class _Obstacles:
    """What could stand in a new department's way, asked in one question."""

    control_plane: list[str]
    status: str | None
    role_comment: str | None
    schema_exists: bool
    read_only: bool
    database: str


_OBSTACLES = sql.SQL("""
    SELECT
        ARRAY(SELECT version_num::text FROM federation.alembic_version) AS control_plane,
        (SELECT status FROM federation.departments WHERE department_id = {id}) AS status,
        (SELECT coalesce(pg_catalog.shobj_description(oid, 'pg_authid'), '')
         FROM pg_catalog.pg_roles WHERE rolname = {role}) AS role_comment,
        pg_catalog.to_regnamespace({schema}) IS NOT NULL AS schema_exists,
        pg_catalog.current_setting('transaction_read_only')::boolean AS read_only,
        pg_catalog.current_database() AS database
""")


def _refuse_what_is_taken(connection: psycopg.Connection, compiler: Compiler, department: Department) -> None:
    """Give the clear reason that PostgreSQL's own error would not; what slips past in a race, the batch refuses."""
    query = _OBSTACLES.format(id=department.id, role=department.role, schema=department.schema)
    with connection.cursor(row_factory=class_row(_Obstacles)) as cursor:
        found = cursor.execute(query).fetchone()
    assert found is not None  # noqa: S101 - the query always gives one row
    registry.check_control_plane(tuple(found.control_plane), compiler.blueprint.control_plane)
    if found.read_only:
        raise ReadOnlyServer(f"adding department {department}")
    if found.status is not None and found.status != registry.DEPROVISIONED:
        raise DepartmentExists(
            f"department {department} exists already ({found.status}); nothing was changed",
            f"fedschema tenant show {department}",
        )
    if found.role_comment is not None:
        raise NameTaken(*_foreign_role(department, found.role_comment))
    if found.schema_exists:
        raise NameTaken(
            f"a schema {department.schema} exists already and is not in the registry; nothing was changed",
            f"rename it (ALTER SCHEMA {department.schema} RENAME TO …) or choose another id",
        )


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


def details(conninfo: str, compiler: Compiler, department: Department, what: str = "looking at") -> DepartmentDetails:
    """Return what the registry has of a department, dropped ones too, and what is there of it.

    Args:
        conninfo: the database.
        compiler: the project.
        department: which one.
        what: what it is wanted for, for messages.

    Raises:
        UnknownDepartment
    """
    with connect(conninfo) as connection, owner_transaction(connection, f"{what} department {department}"):
        connection.execute("SET LOCAL lock_timeout = '5s'")  # counting rows waits for whoever rewrites a table
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        known = registry.entries(connection)
        entry = next((entry for entry in known if entry.department == department), None)
        if entry is None or not entry.is_live:
            entry = entry or registry.select(known, [department])[0]
            return DepartmentDetails(entry, None, {})
        heads = registry.revisions(connection, [department])[department]
        names = catalogue.tables(connection, department.schema)
        return DepartmentDetails(entry, heads, catalogue.count_rows(connection, department.schema, names))


def drop(
    conninfo: str, compiler: Compiler, department: Department, confirm: Callable[[DepartmentDetails], None]
) -> DepartmentDetails:
    """Drop a department: schema and role together, and its grants, entitlements and secrets. Its registry row stays.

    Args:
        conninfo: the database.
        compiler: the project.
        department: which one.
        confirm: is shown what will be lost, before anything is locked, and raises if it must not be.

    Returns:
        what was lost.

    Raises:
        UnknownDepartment
        LockTimeout: somebody still works in its tables.
    """
    found = details(conninfo, compiler, department, "dropping")
    if not found.entry.is_live:
        raise DepartmentVanished(
            f"department {department} was dropped already; nothing was changed", "fedschema tenant list"
        )
    confirm(found)
    sql_text = f"CALL federation.lock_department({quote_literal(department.id)});\n" + compiler.templates.render(
        "tenant/department/drop", department=department
    )
    what = f"dropping department {department}"
    with connect(conninfo) as connection, owner_transaction(connection, what):
        connection.execute("SET LOCAL lock_timeout = '5s'")
        batches.execute(connection, batches.Batch(what, sql_text))
    return found


def rotate_password(conninfo: str, compiler: Compiler, department: Department, password: Password) -> None:
    """Give a department's role another password; sessions that are open go on.

    Args:
        conninfo: the database.
        compiler: the project.
        department: which one.
        password: the new one. Only a verifier reaches the server.

    Raises:
        UnknownDepartment
        DepartmentDamaged: the role is not there, or not this department's.
    """
    with connect(conninfo) as connection:
        verifier = password.verifier(connection, department.role)
        with owner_transaction(connection, f"rotating the password of department {department}"):
            registry.require_control_plane(connection, compiler.blueprint.control_plane)
            registry.select(registry.entries(connection), [department])
            found = logins.look(connection, department.role)
            expected = f"fedschema: department {department} of database {connection.info.dbname}"
            if found is None or found.comment != expected:
                raise DepartmentDamaged(department.id, f"its role {department.role} is missing or is somebody else's")
            logins.set_password(connection, department.role, verifier)
            connection.execute(
                """
                INSERT INTO federation.security_audit (event_type, source_department_id, user_role, created_at)
                VALUES ('DEPARTMENT_PASSWORD_ROTATED', %s, session_user, clock_timestamp())
                """,
                (department.id,),
            )
