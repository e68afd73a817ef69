"""Puts a department into a bundle, as it was at one moment, while it is in use: `fedschema tenant archive`, backups."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psycopg

from fedschema import __version__, archived, batches, bundles, bundling, contents, drift, inspection, registry
from fedschema.bundles import BundleWriter, Kind, Manifest
from fedschema.bundling import Written
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.drift import Drift
from fedschema.encryption import Key
from fedschema.errors import DepartmentDrifted, DepartmentMoved
from fedschema.fleet.scratch import way_to

#: Names tell seconds.
_NEXT_NAME = 0.2

#: Who may speak for every department.
_FOR_ALL = """
    SELECT to_jsonb(entry) FROM federation.gateway_entitlements AS entry WHERE department_id IS NULL ORDER BY granted_at
"""


def archive(conninfo: str, compiler: Compiler, department: Department, directory: Path, key: Key | None) -> Written:
    """Write a department into a bundle and put on record that it was done; the department itself is only read.

    Args:
        conninfo: the database.
        compiler: the project.
        department: which one.
        directory: where the file goes; made if it is missing.
        key: what the bundle is encrypted under; None leaves it readable for whoever has the file.

    Raises:
        UnknownDepartment
        DepartmentDrifted: what is there would not come back by its revisions.
        DepartmentMoved: it was migrated meanwhile.
        BundleNotWritten, RowsOutOfSight, LockTimeout
    """
    with connect(conninfo) as connection:
        compared = drift.examine_over(connection, conninfo, compiler, [department])[0]
        if compared.problem:
            raise compared.problem
        if compared.differences:
            raise DepartmentDrifted(department.id, [str(difference) for difference in compared.differences])
        bundles.make_directory(directory)
        while (path := directory / _file_name(department, key)).exists():
            time.sleep(_NEXT_NAME)  # another was made in this very second
        written = write_department(connection, compiler, compared, path, key)
        with owner_transaction(connection, f"archiving department {department}"):
            archived.record(connection, department, written.manifest, path, written.sha256)
    return written


def _file_name(department: Department, key: Key | None) -> str:
    return bundling.file_name(f"{department}-{bundling.stamp(datetime.now(UTC))}", key)


def write_department(
    connection: psycopg.Connection, compiler: Compiler, compared: Drift, path: Path, key: Key | None
) -> Written:
    """Write a department into a bundle.

    Args:
        connection: an autocommit connection.
        compiler: the project.
        compared: how it compares with its revisions; it has to be so still.
        path: the file.
        key: as for `archive`.

    Raises:
        DepartmentMoved, BundleNotWritten, RowsOutOfSight, LockTimeout
    """
    what = f"reading department {compared.department}"
    with contents.snapshot(connection, compared.department.schema, what):
        return bundling.written(path, key, partial(_fill_department, connection, compiler, compared))


def write_control_plane(connection: psycopg.Connection, compiler: Compiler, path: Path, key: Key | None) -> Written:
    """Write the control plane's rows into a bundle: registry, grants, entitlements, secrets, audits, history, settings.

    Raises:
        ControlPlaneMissing, ControlPlaneBehind, ControlPlaneAhead, BundleNotWritten, LockTimeout
    """
    with contents.snapshot(connection, Kind.FEDERATION.value, "reading the control plane"):
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        return bundling.written(path, key, partial(_fill_control_plane, connection, compiler))


def _fill_department(
    connection: psycopg.Connection, compiler: Compiler, compared: Drift, writer: BundleWriter
) -> Manifest:
    department = compared.department
    _require_unmoved(connection, compiler, compared)
    records = archived.records(connection, department)
    entry = records["department"][0]
    tables = tuple(
        bundling.table(writer, shape, partial(contents.read_department, connection, department, shape))
        for shape in contents.department_tables(connection, department)
    )
    way = way_to(compiler, department, compared.heads)
    creation = batches.creation(
        compiler.templates, department, entry["department_name"], entry["admin_email"], way.recorded
    )
    bundling.scripts(writer, compiler)
    writer.text("schema.sql", batches.as_script(creation))
    writer.text("load.sql", bundling.load_script(connection, department.schema, tables, replacing=False))
    return Manifest(
        Kind.DEPARTMENT,
        _moment(connection),
        __version__,
        connection.info.server_version,
        connection.info.dbname,
        compared.heads,
        compared.fingerprint or "",
        tuple(str(difference) for difference in compared.differences),
        tables,
        tuple(contents.sequences(connection, department.schema)),
        entry,
        records["grants"],
        records["gateways"],
        records["credentials"],
        records["periods"],
        records["history"],
    )


def _fill_control_plane(connection: psycopg.Connection, compiler: Compiler, writer: BundleWriter) -> Manifest:
    schema = Kind.FEDERATION.value
    tables = tuple(
        bundling.table(writer, shape, partial(contents.read, connection, schema, shape))
        for shape in contents.tables(connection, schema)
    )
    bundling.scripts(writer, compiler)
    writer.text("load.sql", bundling.load_script(connection, schema, tables, replacing=True))
    return Manifest(
        Kind.FEDERATION,
        _moment(connection),
        __version__,
        connection.info.server_version,
        connection.info.dbname,
        registry.control_plane_heads(connection) or (),
        "",
        (),
        tables,
        tuple(contents.sequences(connection, schema)),
        gateways=tuple(row for (row,) in connection.execute(_FOR_ALL)),
    )


def _require_unmoved(connection: psycopg.Connection, compiler: Compiler, compared: Drift) -> None:
    department = compared.department
    heads = registry.revisions(connection, [department])[department]
    taken = inspection.fingerprints(connection, compiler.templates, [department]).get(department)
    if heads != tuple(sorted(compared.heads)) or taken != compared.fingerprint:
        raise DepartmentMoved(
            f"department {department} was changed while it was to be read; nothing was written",
            f"fedschema tenant archive {department}",
        )


def _moment(connection: psycopg.Connection) -> datetime:
    row = connection.execute("SELECT now()").fetchone()
    assert row is not None  # noqa: S101 - the query always gives one row
    found: datetime = row[0]
    return found
