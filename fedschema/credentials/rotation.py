"""Re-encrypts every secret of the fleet under another key: in one transaction, so all of them or none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
from psycopg import sql

from fedschema import events, registry
from fedschema.compiler import Compiler
from fedschema.credentials import tables
from fedschema.credentials.values import API_KEY_TABLE, OAUTH_TABLE, Part, SecretName
from fedschema.department import Department
from fedschema.encryption import Context, Key, decrypt, encrypt, key_id_of
from fedschema.errors import ConnectionLost, OperationError, SecretDamaged

_WHAT = "rotating the encryption key"
_WRITE = sql.SQL("UPDATE {table} SET {column} = %s WHERE id = %s")
_CLIENTS = """
    SELECT id, service_name, NULL, oauth_client_secret_encrypted, refresh_token_encrypted
    FROM federation.oauth_credentials WHERE department_id = %s
"""
_API_KEYS = sql.SQL("SELECT id, service_name, api_key_name, api_key_encrypted FROM {table}")
_PARTS = {OAUTH_TABLE: (Part.CLIENT_SECRET, Part.REFRESH_TOKEN), API_KEY_TABLE: (Part.API_KEY,)}


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did.

    Attributes:
        reencrypted: values that were under the old key.
        verified: values that were under the new key already, as after a COMMIT whose answer was lost.
        departments: how many departments these values are of.
    """

    reencrypted: int
    verified: int
    departments: int


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """One table of one department that holds secrets."""

    department: Department
    table: str


@dataclass(slots=True)
class _Keys:
    """The two keys of a rotation, and what became of the values."""

    old: Key
    new: Key
    reencrypted: int = 0
    verified: int = 0
    departments: set[Department] = field(default_factory=set)


def rotate(conninfo: str, compiler: Compiler, old: Key, new: Key) -> Rotation:
    """Re-encrypt everything; each value is decrypted before it is written and after.

    Interrupted anywhere, everything is under one of the two keys. A second run after a COMMIT whose answer was lost
    finds everything under the new key, decrypts it all to be sure, and changes nothing.

    Args:
        conninfo: the database.
        compiler: the project.
        old: the key that everything is under.
        new: another one.

    Raises:
        WrongEncryptionKey: a value is under a third key; nothing was changed.
        SecretDamaged: a value does not decrypt; nothing was changed.
        LockTimeout: somebody migrates a department or writes its keys.
        ConnectionLost: also when COMMIT failed in any way; everything is under one of the two keys.
    """
    keys = _Keys(old, new)
    committing = False
    try:
        with tables.opened(conninfo, compiler, _WHAT) as connection:
            _rotate_all(connection, keys)
            committing = True
    except OperationError as error:
        if committing:  # whatever a pooler or proxy makes of it, nobody knows whether COMMIT was heard
            raise ConnectionLost(_WHAT, error.message) from error
        raise
    return Rotation(keys.reencrypted, keys.verified, len(keys.departments))


def _rotate_all(connection: psycopg.Connection, keys: _Keys) -> None:
    """Rotate what there is, then what services wrote meanwhile into tables that had been empty and so were not locked.

    Every department is held, and then whoever would store a value under the old key is locked out (see `tables.hold`).
    In this order, as a drop does, or the two would wait for each other; for the same reason a department that is added
    meanwhile is only looked into. Rows of the registry cost no room in the lock table, tables of departments do.
    """
    connection.execute("SELECT FROM federation.departments ORDER BY department_id FOR NO KEY UPDATE")
    connection.execute("LOCK TABLE federation.oauth_credentials IN SHARE ROW EXCLUSIVE MODE")
    pending = _clients(connection) + _api_keys(connection, but=None)
    while pending:
        rows = connection.execute("SELECT department_id, id FROM federation.departments").fetchall()
        department_uuids: dict[str, UUID] = dict(rows)
        for place in pending:
            _rotate_place(connection, keys, place, department_uuids[place.department.id])
        pending = _api_keys(connection, but=keys.new)


def _clients(connection: psycopg.Connection) -> list[_Place]:
    rows = connection.execute("SELECT DISTINCT department_id FROM federation.oauth_credentials ORDER BY department_id")
    return [_Place(Department(department_id), OAUTH_TABLE) for (department_id,) in rows]


def _api_keys(connection: psycopg.Connection, *, but: Key | None) -> list[_Place]:
    live = [entry.department for entry in registry.entries(connection) if entry.is_live]
    return [_Place(sample.name.department, API_KEY_TABLE) for sample in tables.samples(connection, live, but=but)]


@dataclass(frozen=True, slots=True)
class _Value:
    """One encrypted value and where it is."""

    part: Part
    context: Context
    blob: bytes

    @property
    def key(self) -> tuple[Part, UUID]:
        """What tells it from the others of its place."""
        return self.part, self.context.row_id


def _rotate_place(connection: psycopg.Connection, keys: _Keys, place: _Place, department_uuid: UUID) -> None:
    if place.table == API_KEY_TABLE:
        # The department's own services write here without asking anybody. They wait, or what one of them stored between
        # our reading and our writing would be overwritten with what was there before.
        lock = sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE")
        connection.execute(lock.format(sql.Identifier(place.department.schema, API_KEY_TABLE)))
        with tables.as_admin(connection):
            changed = _rewrite(connection, keys, place, department_uuid)
    else:
        changed = _rewrite(connection, keys, place, department_uuid)
    keys.departments.add(place.department)
    if changed:
        details = {"from_key": keys.old.id.hex(), "to_key": keys.new.id.hex(), "values": changed}
        events.record(connection, "SECRETS_ROTATED", place.department, table=place.table, **details)


def _rewrite(connection: psycopg.Connection, keys: _Keys, place: _Place, department_uuid: UUID) -> int:
    """Re-encrypt the values of one place, read them back, and return how many were under the old key."""
    values = list(_values(connection, place, department_uuid))
    plain = {value.key: decrypt([keys.old, keys.new], value.blob, value.context) for value in values}
    stale = [value for value in values if key_id_of(value.blob) != keys.new.id]
    for part in _PARTS[place.table]:
        query = _WRITE.format(table=_identifier(place), column=sql.Identifier(part.value))
        parameters = [
            (encrypt(keys.new, plain[value.key], value.context), value.context.row_id)
            for value in stale
            if value.part is part
        ]
        with connection.cursor() as cursor:
            cursor.executemany(query, parameters)
    written = _values(connection, place, department_uuid)
    if {value.key: decrypt([keys.new], value.blob, value.context) for value in written} != plain:
        raise SecretDamaged(f"{place.table} of department {place.department}", "what was written is not there")
    keys.reencrypted += len(stale)
    keys.verified += len(values) - len(stale)
    return len(stale)


def _values(connection: psycopg.Connection, place: _Place, department_uuid: UUID) -> Iterator[_Value]:
    if place.table == API_KEY_TABLE:
        rows = connection.execute(_API_KEYS.format(table=_identifier(place))).fetchall()
    else:
        rows = connection.execute(_CLIENTS, (place.department.id,)).fetchall()
    for row_id, service, key_name, *blobs in rows:
        name = SecretName(place.department, service, key_name)
        for part, blob in zip(_PARTS[place.table], blobs, strict=True):
            if blob is not None:
                yield _Value(part, name.context(department_uuid, row_id, part), blob)


def _identifier(place: _Place) -> sql.Identifier:
    schema = place.department.schema if place.table == API_KEY_TABLE else "federation"
    return sql.Identifier(schema, place.table)
