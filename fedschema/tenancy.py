"""A department's coming and going: `fedschema tenant add`, `list`, `show`, `sql`, `rename` and `drop`.

What happens on `tenant add`: the revisions are compiled into a plan from base to head (`fedschema.plans`), framed with
the registry row, the role and the schema (`fedschema.batches.creation`), and sent in one message inside one
transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import psycopg

from fedschema import archived, batches, catalogue, events, logins, registry
from fedschema.archived import LastArchive
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import DepartmentVanished
from fedschema.obstacles import obstacles
from fedschema.passwords import Password
from fedschema.plans import Plan
from fedschema.policies import PolicyType, policy_script
from fedschema.registry import RegistryEntry
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
        archive: its last archive, if that was looked for and there is one.
    """

    entry: RegistryEntry
    heads: Heads | None
    rows: Mapping[str, int]
    archive: LastArchive | None = None


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
    with connect(conninfo) as connection:
        create(connection, compiler, new, plan, password)


def create(
    connection: psycopg.Connection, compiler: Compiler, new: NewDepartment, plan: Plan, password: Password | None
) -> None:
    """Make a department on a connection that is there, in a transaction of its own; several threads may at once.

    Args:
        connection: an autocommit connection, used by nobody else meanwhile.
        compiler: the project.
        new: the department.
        plan: from `Compiler.creation`, which is not for several threads.
        password: of its role; None leaves it without one, so that nobody can log in with a password.

    Raises:
        As `add` does.
    """
    batch = batches.creation(compiler.templates, new.department, new.name, new.email, plan)
    text = batch.sql
    if password is not None:
        verifier = password.verifier(connection, new.department.role)
        text += f"\n{logins.password_statement(new.department.role, verifier).as_string(connection)};\n"
    with owner_transaction(connection, batch.what):
        for obstacle in obstacles(connection, compiler, [new.department], batch.what).values():
            raise obstacle.error
        batches.execute(connection, batches.Batch(batch.what, text), plan)


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
        entry = next(iter(registry.entries(connection, [department])), None)
        if entry is None or not entry.is_live:
            entry = entry or registry.live(connection, [department])[0]
            return DepartmentDetails(entry, None, {})
        heads = registry.revisions(connection, [department])[department]
        names = catalogue.tables(connection, department.schema)
        return DepartmentDetails(entry, heads, catalogue.count_rows(connection, department.schema, names))


def drop(
    conninfo: str,
    compiler: Compiler,
    department: Department,
    confirm: Callable[[DepartmentDetails], None],
    *,
    archive_suffices: bool = False,
) -> DepartmentDetails:
    """Drop a department: schema and role together, and its grants, entitlements and secrets. Its registry row stays.

    Args:
        conninfo: the database.
        compiler: the project.
        department: which one.
        confirm: is shown what will be lost, before anything is locked, and raises if it must not be.
        archive_suffices: nobody is asked when its last archive has all that it holds. All its rows are read for that.

    Returns:
        what was lost.

    Raises:
        UnknownDepartment
        ChangedSinceArchive: somebody wrote to it after nobody was asked.
        LockTimeout: somebody still works in its tables.
    """
    found = details(conninfo, compiler, department, "dropping")
    if not found.entry.is_live:
        raise DepartmentVanished(
            f"department {department} was dropped already; nothing was changed", "fedschema tenant list"
        )
    if archive_suffices and found.heads is not None:
        found = replace(found, archive=_last_archive(conninfo, department))
    is_archived = found.archive is not None and found.archive.complete
    if not is_archived:
        confirm(found)
    batch = batches.removal(compiler.templates, department)
    with connect(conninfo) as connection, owner_transaction(connection, batch.what):
        connection.execute("SET LOCAL lock_timeout = '5s'")
        if is_archived:
            archived.require_unchanged(connection, department)
        batches.execute(connection, batch)
    return found


def _last_archive(conninfo: str, department: Department) -> LastArchive | None:
    with connect(conninfo) as connection, owner_transaction(connection, f"reading department {department}"):
        connection.execute("SET LOCAL lock_timeout = '5s'")
        return archived.last(connection, department)


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
            registry.live(connection, [department])
            logins.require_department(connection, department)
            logins.set_password(connection, department.role, verifier)
            events.record(connection, "DEPARTMENT_PASSWORD_ROTATED", department)


def rename(conninfo: str, compiler: Compiler, department: Department, name: str) -> str:
    """Give a department another display name; its id, schema and role stay.

    Args:
        conninfo: the database.
        compiler: the project.
        department: which one.
        name: see `department.parse_name`.

    Returns:
        the name that it had.

    Raises:
        UnknownDepartment
        LockTimeout: it is being migrated; nothing was changed.
    """
    with connect(conninfo) as connection, owner_transaction(connection, f"renaming department {department}"):
        connection.execute("SET LOCAL lock_timeout = '5s'")
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        registry.live(connection, [department])
        connection.execute("CALL federation.lock_department(%s)", (department.id,))
        before = registry.live(connection, [department])[0].department_name
        if before != name:
            connection.execute(
                "UPDATE federation.departments SET department_name = %s WHERE department_id = %s", (name, department.id)
            )
            events.record(connection, "DEPARTMENT_RENAMED", department, before=before, name=name)
    return before
