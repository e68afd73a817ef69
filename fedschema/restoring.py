"""Brings a department back out of a bundle: `fedschema tenant restore`.

The department is made by the project's own revisions, at the place that the bundle names, and its rows are loaded into
it; no SQL is taken from the bundle. So it can have another id, and be on another version of PostgreSQL. All of it is
one transaction: row by row what was written, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from functools import partial

import psycopg

from fedschema import batches, contents, events, inspection, logins, registry, reinstating
from fedschema.bundles import Bundle, Kind, Manifest, Table
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.contents import Digest, Line, Shape
from fedschema.department import Department, parse_email, parse_name
from fedschema.errors import (
    BundleUnsuitable,
    FedschemaError,
    ForeignRevision,
    NotRehearsable,
    RestoreDiffers,
    UnknownRevision,
    UsageError,
)
from fedschema.fleet.scratch import way_to
from fedschema.obstacles import obstacles
from fedschema.passwords import Password
from fedschema.plans import Plan
from fedschema.reinstating import LeftOut
from fedschema.suspension import suspend_within


@dataclass(frozen=True, slots=True)
class Restored:
    """What came out of a bundle.

    Attributes:
        department: what it is now.
        manifest: what the bundle said.
        schema_alike: the schema has the fingerprint that it had; None where that cannot be compared: under another id,
            on another major version, or when it had drifted.
        secrets_bound: its stored secrets decrypt, as it has the uuid that they are bound to.
        reinstated: grants and entitlements that are in force again.
        left_out: those that are not, with the reason.
    """

    department: Department
    manifest: Manifest
    schema_alike: bool | None
    secrets_bound: bool
    reinstated: int
    left_out: tuple[LeftOut, ...]


def restore(  # noqa: PLR0913 - what a restoration is made of
    conninfo: str,
    compiler: Compiler,
    bundle: Bundle,
    department: Department,
    *,
    password: Password | None = None,
    with_grants: bool = False,
) -> Restored:
    """Make a department of what is in a bundle, at the revision at which it was.

    Args:
        conninfo: the database; its control plane has to be there and up to date.
        compiler: the project.
        bundle: it is read and checked whole before anything is touched.
        department: what it is to be, the one that it was or another.
        password: of its role; None leaves it without one, so that nobody can log in.
        with_grants: grants and entitlements are put in force again, where both ends are there.

    Raises:
        BundleDamaged, BundleUnsuitable: nothing was touched.
        DepartmentExists, NameTaken, ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead, ReadOnlyServer
        RestoreDiffers, StatementFailed: nothing was changed.
    """
    with connect(conninfo) as connection:
        return restore_over(connection, compiler, bundle, department, password=password, with_grants=with_grants)


def restore_over(  # noqa: PLR0913 - as above
    connection: psycopg.Connection,
    compiler: Compiler,
    bundle: Bundle,
    department: Department,
    *,
    password: Password | None = None,
    with_grants: bool = False,
) -> Restored:
    """Do as `restore` does, on an autocommit connection that is there."""
    manifest = bundle.manifest
    plan = _plan(compiler, bundle, department)
    name, email = _names(bundle)
    bundle.check()
    verifier = password.verifier(connection, department.role) if password else None
    what = f"restoring department {department}"
    with owner_transaction(connection, what):
        contents.untimed(connection)
        connection.execute(contents.PORTABLE)
        for obstacle in obstacles(connection, compiler, [department], what).values():
            raise obstacle.error
        batches.execute(connection, batches.foundation(compiler.templates, department, name, email, plan), plan)
        schema_alike = _fill(connection, compiler, bundle, department)
        reinstating.registration(connection, department, manifest)
        without = reinstating.periods(connection, department, manifest)
        secrets_bound = reinstating.identity(connection, department, manifest)
        reinstated, left_out = reinstating.grants(connection, department, manifest, wanted=with_grants)
        if verifier:
            logins.set_password(connection, department.role, verifier)
        batches.execute(connection, batches.opening(compiler.templates, department))
        if manifest.department.get("status") == registry.SUSPENDED:  # nobody sees more of it because it was restored
            suspend_within(connection, department, "it was when it was archived")
        _record(connection, bundle, department)
    return Restored(department, manifest, schema_alike, secrets_bound, reinstated, (*without, *left_out))


def _plan(compiler: Compiler, bundle: Bundle, department: Department) -> Plan:
    """Compile what makes the department where it was."""
    manifest = bundle.manifest
    if manifest.kind is not Kind.DEPARTMENT:
        raise BundleUnsuitable(
            bundle.path, "it holds a control plane, not a department", "fedschema backup restore --help"
        )
    try:
        return way_to(compiler, department, manifest.revisions).recorded
    except UnknownRevision:
        place = " + ".join(manifest.revisions)
        raise BundleUnsuitable(
            bundle.path,
            f"it is at {place}, which this project does not have",
            "name the project that has it: --config path/to/alembic.ini",
        ) from None
    except ForeignRevision as error:
        raise BundleUnsuitable(
            bundle.path, f"it has revisions of its own branch: {error.message}", "restore it under its own id"
        ) from None
    except NotRehearsable as error:
        reason = error.message.rpartition(": ")[2]
        raise BundleUnsuitable(bundle.path, f"its revisions cannot be applied at once: {reason}", None) from None


def _names(bundle: Bundle) -> tuple[str, str | None]:
    entry = bundle.manifest.department
    try:
        email = entry.get("admin_email")
        return parse_name(str(entry["department_name"])), parse_email(str(email)) if email is not None else None
    except (UsageError, KeyError) as error:
        reason = error.message if isinstance(error, FedschemaError) else "it does not say what the department is called"
        raise BundleUnsuitable(bundle.path, reason, None) from None


def _fill(connection: psycopg.Connection, compiler: Compiler, bundle: Bundle, department: Department) -> bool | None:
    """Load the rows and compare them with what was written; return whether the schema is what it was, if known."""
    manifest = bundle.manifest
    empty = inspection.fingerprints(connection, compiler.templates, [department])[department]
    there = contents.tables(connection, department.schema)
    fitting = _fitting(there, bundle)
    with contents.room(connection, department.schema):
        for table in fitting:
            contents.write(connection, department.schema, table.name, table.columns, bundle.blocks(table.file))
    missing = contents.set_sequences(connection, department.schema, manifest.sequences)
    different = [f"there is no sequence {name}" for name in missing if not manifest.drift]
    different += differences(there, fitting, partial(contents.read_department, connection, department))
    filled = inspection.fingerprints(connection, compiler.templates, [department])[department]
    if filled != empty:
        different.append("loading changed the schema")
    if different:
        raise RestoreDiffers(f"department {department}", different)
    comparable = (manifest.department_id, manifest.major) == (department.id, connection.info.server_version // 10000)
    return filled == manifest.fingerprint if comparable and not manifest.drift else None


def differences(
    there: Sequence[Shape], loaded: Sequence[Table], read: Callable[[Shape, Callable[[Line], object]], Digest]
) -> list[str]:
    """Return which tables have other rows than were written into the bundle.

    Args:
        there: the tables of the schema.
        loaded: those of them that were loaded.
        read: reads a table's rows, each of which is handed over.
    """
    shapes = {shape.name: shape for shape in there}
    different = []
    for table in loaded:
        found = read(replace(shapes[table.name], columns=table.columns), contents.forget)
        if (found.rows, found.hex) != (table.rows, table.digest):
            different.append(f"table {table.name} has {found.rows} rows that are not the {table.rows} written")
    return different


def _fitting(there: Sequence[Shape], bundle: Bundle) -> list[Table]:
    """Return the tables of a bundle that have rows, all of which the revisions have a place for.

    Raises:
        BundleUnsuitable: naming what they have none for: somebody had made it by hand.
    """
    known = {shape.name: set(shape.columns) for shape in there}
    filled = [table for table in bundle.manifest.tables if table.rows]
    homeless = [f"table {table.name}" for table in filled if table.name not in known]
    homeless += [
        f"column {table.name}.{column}"
        for table in filled
        for column in table.columns
        if table.name in known and column not in known[table.name]
    ]
    if homeless:
        raise BundleUnsuitable(
            bundle.path,
            f"its revisions have no place for {', '.join(homeless)}, which somebody had made by hand",
            "write a revision that makes it, or take the bundle apart: README.txt in it says how",
        )
    return filled


def _record(connection: psycopg.Connection, bundle: Bundle, department: Department) -> None:
    manifest = bundle.manifest
    events.record(
        connection,
        "DEPARTMENT_RESTORED",
        department,
        file=bundle.path,
        **{"from": manifest.department_id},
        made_at=manifest.made_at.astimezone(UTC).isoformat(),
        rows=manifest.rows,
    )
