"""The two kinds of table that hold secrets: how they are opened, held, and asked what they have.

FORCE hides the rows of api_keys from the owner too, so the transaction steps into federation_admin_role for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from fedschema import catalogue, registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.credentials.values import API_KEY_TABLE, SecretName, StoredSecret
from fedschema.department import Department
from fedschema.encryption import Key
from fedschema.errors import UsageError, WrongEncryptionKey

#: Departments that are asked about in one query.
_BATCH = 100

_KEY_ID = sql.SQL(
    "CASE WHEN octet_length({value}) >= 33 AND get_byte({value}, 0) = 1"
    " THEN encode(substring({value} FROM 2 FOR 4), 'hex') END"
)
_STORED_CLIENTS = sql.SQL("""
    SELECT 'oauth' AS kind, stored.department_id, department.id AS department_uuid, stored.id, stored.service_name,
           NULL AS api_key_name, stored.oauth_client_id, stored.oauth_app_name, stored.scopes, {key_id} AS key_id,
           stored.refresh_token_encrypted IS NOT NULL AS has_refresh_token, stored.token_expires_at,
           NULL AS expires_at, stored.last_refreshed_at, stored.created_at, stored.rotated_at
    FROM federation.oauth_credentials AS stored
    JOIN federation.departments AS department USING (department_id)
    WHERE stored.department_id = ANY(%(departments)s)
""").format(key_id=_KEY_ID.format(value=sql.Identifier("stored", "oauth_client_secret_encrypted")))
_STORED_API_KEYS = sql.SQL("""
    SELECT 'api_key' AS kind, stored.department AS department_id, department.id AS department_uuid, stored.id,
           stored.service_name, stored.api_key_name, NULL AS oauth_client_id, NULL AS oauth_app_name, stored.scopes,
           {key_id} AS key_id, NULL::boolean AS has_refresh_token, NULL::timestamptz AS token_expires_at,
           stored.expires_at, NULL::timestamptz AS last_refreshed_at, stored.created_at, stored.rotated_at
    FROM {table} AS stored
    JOIN federation.departments AS department ON department.department_id = stored.department
""")
_SAMPLE_API_KEY = sql.SQL("""
    (SELECT department AS department_id, service_name, api_key_name, {key_id} AS key_id
     FROM {table}
     WHERE %(but)s::text IS NULL OR {key_id} IS DISTINCT FROM %(but)s::text
     LIMIT 1)
""")
_SAMPLE_CLIENT = sql.SQL("""
    SELECT department_id, service_name, NULL AS api_key_name, {key_id} AS key_id
    FROM federation.oauth_credentials
    ORDER BY department_id = %(department)s DESC, service_name = %(service)s DESC
    LIMIT 1
""").format(key_id=_KEY_ID.format(value=sql.Identifier("oauth_client_secret_encrypted")))


@dataclass(frozen=True, slots=True)
class Sample:
    """One of the secrets that a table holds, and which key it is under."""

    department_id: str
    service_name: str
    api_key_name: str | None
    key_id: str | None

    @property
    def name(self) -> SecretName:
        """What it goes by."""
        return SecretName(Department(self.department_id), self.service_name, self.api_key_name)


@contextmanager
def opened(conninfo: str, compiler: Compiler, what: str) -> Iterator[psycopg.Connection]:
    """Run one transaction as the owner, on a control plane that is up to date, that does not wait for ever.

    Args:
        conninfo: the database.
        compiler: the project.
        what: the operation, for messages.
    """
    with connect(conninfo) as connection, owner_transaction(connection, what):
        connection.execute("SET LOCAL lock_timeout = '5s'")
        registry.require_control_plane(connection, compiler.blueprint.control_plane)
        yield connection


def require(connection: psycopg.Connection, name: SecretName) -> UUID:
    """Return departments.id of a live department that has the table.

    Raises:
        UnknownDepartment
        UsageError: the department's revision is older than the table.
    """
    department = name.department
    registry.live(connection, [department])
    if name.table == API_KEY_TABLE and not with_api_keys(connection, [department]):
        raise UsageError(
            f"department {department} has no table {API_KEY_TABLE} at its revision", f"fedschema upgrade {department}"
        )
    row = connection.execute("SELECT id FROM federation.departments WHERE department_id = %s", (department.id,))
    (found,) = row.fetchone() or (None,)
    assert isinstance(found, UUID)  # noqa: S101 - rows of the registry are never deleted, and it was there just now
    return found


def hold(connection: psycopg.Connection, name: SecretName) -> UUID:
    """Hold a department until the transaction ends, so that neither a drop nor a rotation comes between; see `require`.

    A rotation holds every department and then locks federation.oauth_credentials against writing. ROW EXCLUSIVE is
    what a write takes anyway; it is taken here for API keys too, so that whatever is stored waits for a rotation that
    is running, also in a department that was added after it began, and then finds the new key in use.
    """
    require(connection, name)
    connection.execute("CALL federation.lock_department(%s)", (name.department.id,))
    connection.execute("LOCK TABLE federation.oauth_credentials IN ROW EXCLUSIVE MODE")
    return require(connection, name)  # whoever held it before may have dropped and added it


@contextmanager
def as_admin(connection: psycopg.Connection) -> Iterator[None]:
    """Be federation_admin_role, whom a policy lets see and write a department's rows, then the owner again."""
    connection.execute("SET LOCAL ROLE federation_admin_role")
    yield
    connection.execute("SET LOCAL ROLE federation_owner")


@contextmanager
def _glance(connection: psycopg.Connection) -> Iterator[None]:
    """Look into departments' tables as the admin role and keep nothing: rolling back gives the tables' locks up."""
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL ROLE federation_admin_role")
        yield


def with_api_keys(connection: psycopg.Connection, departments: Sequence[Department]) -> list[Department]:
    """Return those of the departments that are at a revision which has the table, in their order."""
    present = catalogue.schemas_with(connection, API_KEY_TABLE, [department.schema for department in departments])
    return [department for department in departments if department.schema in present]


def stored(connection: psycopg.Connection, departments: Sequence[Department]) -> list[StoredSecret]:
    """Return what is known of the departments' secrets without a key."""
    with connection.cursor(row_factory=class_row(StoredSecret)) as cursor:
        ids = [department.id for department in departments]
        found = cursor.execute(_STORED_CLIENTS, {"departments": ids}).fetchall()
        for query in _of_each(connection, departments, _STORED_API_KEYS, " UNION ALL "):
            with _glance(connection):
                found += cursor.execute(query).fetchall()
    return sorted(
        found, key=lambda row: (row.department_id, row.kind == "api_key", row.service_name, row.api_key_name or "")
    )


def samples(
    connection: psycopg.Connection, departments: Sequence[Department], *, but: Key | None = None
) -> Iterator[Sample]:
    """Give one API key of each department that has any.

    Args:
        connection: inside a transaction as the owner.
        departments: which ones.
        but: only keys that are not under this one.
    """
    for query in _of_each(connection, departments, _SAMPLE_API_KEY, " UNION ALL "):
        with _glance(connection), connection.cursor(row_factory=class_row(Sample)) as cursor:
            found = cursor.execute(query, {"but": but.id.hex() if but else None}).fetchall()
        yield from found


def _of_each(
    connection: psycopg.Connection, departments: Sequence[Department], query: sql.SQL, between: str
) -> Iterator[sql.Composed]:
    """Put a question to the api_keys of many departments, a batch of them in one query."""
    key_id = _KEY_ID.format(value=sql.Identifier("api_key_encrypted"))
    remaining = iter(with_api_keys(connection, departments))
    while batch := list(islice(remaining, _BATCH)):
        tables = [sql.Identifier(department.schema, API_KEY_TABLE) for department in batch]
        yield sql.SQL(between).join(query.format(table=table, key_id=key_id) for table in tables)


def refuse_other_key(connection: psycopg.Connection, key: Key, name: SecretName) -> None:
    """Refuse a key that is not the one in use: a wrong letter in it would split the secrets among two keys.

    Compares with an OAuth client (the very one, if there is one) and an API key of the department; where there are
    neither, with an API key of any department.

    Raises:
        WrongEncryptionKey
    """
    with connection.cursor(row_factory=class_row(Sample)) as cursor:
        given = {"department": name.department.id, "service": name.service}
        known = cursor.execute(_SAMPLE_CLIENT, given).fetchall()
    known += samples(connection, [name.department])
    if not known:
        others = [entry.department for entry in registry.entries(connection) if entry.is_live]
        known = list(islice(samples(connection, others), 1))
    for sample in known:
        if sample.key_id and sample.key_id != key.id.hex():
            raise WrongEncryptionKey(f"{sample.name} is stored already and", sample.key_id, [key.id.hex()])
