"""Brings a whole federation back out of a backup, into a database that has none: `fedschema backup restore`.

The control plane's rows come first, with every department as one that was dropped; then each department by its own
bundle, in a transaction of its own. Interrupted anywhere, the same command goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg import sql

from fedschema import contents, events, federation, registry, reinstating, restoring
from fedschema.backup_lists import Backup, Listed
from fedschema.bundles import Bundle, Kind, Table
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.contents import Shape
from fedschema.department import Department
from fedschema.encryption import Key
from fedschema.errors import BundleUnsuitable, FederationInTheWay, FedschemaError, RestoreDiffers
from fedschema.reinstating import LeftOut
from fedschema.restoring import Restored

EVENT = "FEDERATION_RESTORED"

#: Their rows come with the revisions, or with the departments that they are about.
_NOT_LOADED = frozenset({"resources", "probes", "cross_dept_permissions", "gateway_entitlements", "oauth_credentials"})
_RETIRE = """
    UPDATE federation.departments SET status = 'DEPROVISIONED', deprovisioned_at = coalesce(deprovisioned_at, now())
    WHERE status <> 'DEPROVISIONED'
"""
#: Only the last counts: rows of the audit come with a backup, also those of restorations before it.
_RESTORED_LAST = """
    SELECT details ->> 'made_at' FROM federation.security_audit WHERE event_type = %s ORDER BY created_at DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of one bundle of a backup.

    Attributes:
        name: the department's id; ``federation`` for the control plane.
        restored: what came out of a department's bundle.
        unchanged: it was there already, from an earlier run.
        left_out: what of the control plane was not brought back.
        error: why it is not there.
    """

    name: str
    restored: Restored | None = None
    unchanged: bool = False
    left_out: tuple[LeftOut, ...] = ()
    error: FedschemaError | None = None


def recover(
    conninfo: str, compiler: Compiler, backup: Backup, key: Key | None, *, with_grants: bool
) -> Iterator[Recovered]:
    """Bring back the control plane and every department of a backup, and yield each as it is there.

    Args:
        conninfo: a database without departments; the control plane is made if it is missing.
        compiler: the project.
        backup: from `backup_lists.read`.
        key: what its bundles are encrypted under, if under anything.
        with_grants: grants and entitlements are put in force again, where both ends are there.

    Raises:
        FederationInTheWay: there are departments that did not come from this backup.
        BundleUnsuitable, BundleDamaged, RestoreDiffers: of the control plane's bundle.
    """
    federation.initialise(conninfo, compiler)
    with connect(conninfo) as connection:
        control_plane = next((entry for entry in backup.entries if entry.name == Kind.FEDERATION), None)
        yield _control_plane(connection, compiler, backup, control_plane, key, with_grants=with_grants)
        with owner_transaction(connection, "reading the registry"):
            live = {entry.department_id for entry in registry.entries(connection) if entry.is_live}
        for entry in backup.entries:
            if entry.name in live:
                yield Recovered(entry.name, unchanged=True)
            elif entry.name != Kind.FEDERATION:
                yield _department(connection, compiler, backup, entry, key, with_grants=with_grants)


def _control_plane(  # noqa: PLR0913 - what it is made of
    connection: psycopg.Connection,
    compiler: Compiler,
    backup: Backup,
    entry: Listed | None,
    key: Key | None,
    *,
    with_grants: bool,
) -> Recovered:
    with owner_transaction(connection, "restoring the control plane"):
        departments = len(registry.entries(connection))
        begun = connection.execute(_RESTORED_LAST, (EVENT,)).fetchone() == (backup.made_at,)
    if begun:
        return Recovered(Kind.FEDERATION, unchanged=True)
    if departments:
        raise FederationInTheWay(connection.info.dbname, departments)
    if entry is None or entry.file is None:
        raise BundleUnsuitable(str(backup.directory), "the control plane is not in it", None)
    with backup.opened(entry, key) as bundle:
        left_out = restore_control_plane(connection, compiler, bundle, backup.made_at, with_grants=with_grants)
    return Recovered(Kind.FEDERATION, left_out=left_out)


def restore_control_plane(
    connection: psycopg.Connection, compiler: Compiler, bundle: Bundle, made_at: str, *, with_grants: bool
) -> tuple[LeftOut, ...]:
    """Load the control plane's rows in the place of those that `fedschema init` made, in one transaction.

    Args:
        connection: an autocommit connection; the registry is empty.
        compiler: the project.
        bundle: it is read and checked whole before anything is touched.
        made_at: of the backup, by which a second run knows the first.
        with_grants: logins that may speak for all departments may so again.

    Raises:
        BundleUnsuitable, BundleDamaged, RestoreDiffers
    """
    manifest, schema = bundle.manifest, Kind.FEDERATION.value
    if manifest.kind is not Kind.FEDERATION:
        raise BundleUnsuitable(bundle.path, "it holds a department, not a control plane", None)
    if not compiler.blueprint.control_plane.known.issuperset(manifest.revisions):
        raise BundleUnsuitable(bundle.path, "a newer fedschema wrote it", "pip install --upgrade fedschema")
    bundle.check()
    with owner_transaction(connection, "restoring the control plane"):
        contents.untimed(connection)
        connection.execute(contents.PORTABLE)
        there = contents.tables(connection, schema)
        loaded = _loaded(there, bundle)
        with contents.room(connection, schema):
            for table in loaded:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(schema, table.name)))
            for table in loaded:
                contents.write(connection, schema, table.name, table.columns, bundle.blocks(table.file))
            if different := restoring.differences(there, loaded, partial(contents.read, connection, schema)):
                raise RestoreDiffers("the control plane", different)
            connection.execute(_RETIRE)
        contents.set_sequences(connection, schema, manifest.sequences)
        _, left_out = reinstating.gateways(connection, None, manifest, wanted=with_grants)
        events.record(connection, EVENT, None, file=bundle.path, made_at=made_at, rows=manifest.rows)
    return left_out


def _loaded(there: Sequence[Shape], bundle: Bundle) -> list[Table]:
    known = {shape.name: set(shape.columns) for shape in there}
    wanted = [table for table in bundle.manifest.tables if table.name not in _NOT_LOADED]
    homeless = [
        table.name for table in wanted if table.rows and not known.get(table.name, set()).issuperset(table.columns)
    ]
    if homeless:
        raise BundleUnsuitable(bundle.path, f"this control plane has no place for {', '.join(homeless)}", None)
    return [table for table in wanted if table.name in known]


def _department(  # noqa: PLR0913 - what it is made of
    connection: psycopg.Connection,
    compiler: Compiler,
    backup: Backup,
    entry: Listed,
    key: Key | None,
    *,
    with_grants: bool,
) -> Recovered:
    """Restore one department; what is wrong with it does not stop the others."""
    try:
        department = Department.parse(entry.name)
        with backup.opened(entry, key) as bundle:
            restored = restoring.restore_over(connection, compiler, bundle, department, with_grants=with_grants)
    except FedschemaError as error:
        return Recovered(entry.name, error=error)
    return Recovered(entry.name, restored=restored)
