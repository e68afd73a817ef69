"""Storing one secret, reading it back, listing what there is, removing it."""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from fedschema import events, registry
from fedschema.compiler import Compiler
from fedschema.credentials import tables
from fedschema.credentials.values import API_KEY_TABLE, OAUTH_TABLE, ApiKey, OAuthClient, Part, SecretName, StoredSecret
from fedschema.department import Department
from fedschema.encryption import Key, decrypt, encrypt
from fedschema.errors import InvalidSecret, UnknownSecret

_UPDATE_CLIENT = """
    UPDATE federation.oauth_credentials SET
        oauth_client_id = coalesce(%(client_id)s, oauth_client_id),
        oauth_client_secret_encrypted = coalesce(%(secret)s::bytea, oauth_client_secret_encrypted),
        oauth_app_name = coalesce(%(app_name)s, oauth_app_name),
        scopes = coalesce(%(scopes)s::jsonb, scopes),
        refresh_token_encrypted =
            CASE WHEN %(new_token)s THEN %(token)s::bytea ELSE refresh_token_encrypted END,
        token_expires_at =
            CASE WHEN %(new_token)s THEN %(until)s::timestamptz ELSE coalesce(%(until)s, token_expires_at) END,
        last_refreshed_at =
            CASE WHEN NOT %(new_token)s THEN last_refreshed_at WHEN %(token)s::bytea IS NOT NULL THEN now() END,
        rotated_at = CASE WHEN %(secret)s::bytea IS NULL THEN rotated_at ELSE now() END
    WHERE id = %(id)s
"""
_INSERT_CLIENT = """
    INSERT INTO federation.oauth_credentials
        (id, department_id, service_name, oauth_client_id, oauth_client_secret_encrypted, oauth_app_name, scopes,
         refresh_token_encrypted, token_expires_at)
    VALUES (%(id)s, %(department)s, %(service)s, %(client_id)s, %(secret)s, %(app_name)s, %(scopes)s, %(token)s,
            %(until)s)
"""
_UPDATE_API_KEY = sql.SQL("""
    UPDATE {table} SET
        api_key_encrypted = %(value)s,
        scopes = coalesce(%(scopes)s::jsonb, scopes),
        expires_at = %(until)s,
        rotated_at = now()
    WHERE id = %(id)s
""")
_INSERT_API_KEY = sql.SQL("""
    INSERT INTO {table} (id, department, service_name, api_key_name, api_key_encrypted, scopes, expires_at)
    VALUES (%(id)s, %(department)s, %(service)s, %(name)s, %(value)s, %(scopes)s, %(until)s)
""")
_FIND_CLIENT = sql.SQL("""
    SELECT id, {column}, oauth_client_id FROM federation.oauth_credentials
    WHERE department_id = %(department)s AND service_name = %(service)s
""")
_FIND_API_KEY = sql.SQL("""
    SELECT id, {column}, NULL FROM {table} WHERE service_name = %(service)s AND api_key_name = %(name)s
""")


def store(conninfo: str, compiler: Compiler, key: Key, name: SecretName, secret: OAuthClient | ApiKey) -> StoredSecret:
    """Encrypt a secret and store it, in the place of one of that name if there is one: its row stays, with its id.

    Args:
        conninfo: the database.
        compiler: the project.
        key: the one that everything else is under.
        name: an OAuth client's or an API key's.
        secret: a client or a key, as the name says.

    Returns:
        what is known of it without a key.

    Raises:
        UnknownDepartment
        WrongEncryptionKey: what is stored already is under another key.
        InvalidSecret: a first client without its id or secret; another client's id without its secret.
        LockTimeout: a rotation or a migration goes on.
    """
    with tables.opened(conninfo, compiler, f"storing {name}") as connection:
        department_uuid = tables.hold(connection, name)
        tables.refuse_other_key(connection, key, name)
        if isinstance(secret, ApiKey):
            with tables.as_admin(connection):
                _store_api_key(connection, key, department_uuid, name, secret)
        else:
            _store_client(connection, key, department_uuid, name, secret)
        events.record(connection, "SECRET_STORED", name.department, **_details(name))
        return _stored(connection, name)


def _store_api_key(
    connection: psycopg.Connection, key: Key, department_uuid: UUID, name: SecretName, secret: ApiKey
) -> None:
    found = _look(connection, name, Part.API_KEY)
    row_id = found[0] if found else uuid4()  # known before the row is: it is part of what is authenticated
    table = sql.Identifier(name.department.schema, API_KEY_TABLE)
    connection.execute(
        (_UPDATE_API_KEY if found else _INSERT_API_KEY).format(table=table),
        {
            "id": row_id,
            "department": name.department.id,
            "service": name.service,
            "name": name.key_name,
            "value": encrypt(key, secret.value, name.context(department_uuid, row_id, Part.API_KEY)),
            "scopes": _scopes(secret.scopes),
            "until": secret.expires_at,
        },
    )


def _store_client(
    connection: psycopg.Connection, key: Key, department_uuid: UUID, name: SecretName, client: OAuthClient
) -> None:
    found = _look(connection, name, Part.CLIENT_SECRET)
    row_id = found[0] if found else uuid4()
    another = found is None or client.client_id not in {None, found[2]}
    _refuse_half_a_client(name, client, another=another)

    def sealed(text: str | None, part: Part) -> bytes | None:
        return None if text is None else encrypt(key, text, name.context(department_uuid, row_id, part))

    connection.execute(
        _UPDATE_CLIENT if found else _INSERT_CLIENT,
        {
            "id": row_id,
            "department": name.department.id,
            "service": name.service,
            "client_id": client.client_id,
            "secret": sealed(client.client_secret, Part.CLIENT_SECRET),
            "app_name": client.app_name,
            "scopes": _scopes(client.scopes),
            "token": sealed(client.refresh_token, Part.REFRESH_TOKEN),
            "new_token": another or client.refresh_token is not None,  # another client's token is of no use to this one
            "until": client.token_expires_at,
        },
    )


def _refuse_half_a_client(name: SecretName, client: OAuthClient, *, another: bool) -> None:
    """An id and a secret belong together; only what is stored already may be left out."""
    if not another:
        return
    command = f"fedschema secret set {name.department} {name.service} --client-id ID --secret-stdin"
    if client.client_id is None:
        raise InvalidSecret(f"{name} is not stored yet, and the client id", "is missing", command)
    if client.client_secret is None:
        raise InvalidSecret(f"{name}: the secret of client id {client.client_id}", "is missing", command)


def _scopes(scopes: tuple[str, ...] | None) -> Jsonb | None:
    return None if scopes is None else Jsonb(list(scopes))


def _look(connection: psycopg.Connection, name: SecretName, part: Part) -> tuple[UUID, bytes | None, str | None] | None:
    """Return the row's id, one of its values as it is stored, and the client id."""
    query = (_FIND_CLIENT if name.key_name is None else _FIND_API_KEY).format(
        column=sql.Identifier(part.value), table=sql.Identifier(name.department.schema, API_KEY_TABLE)
    )
    given = {"department": name.department.id, "service": name.service, "name": name.key_name}
    return connection.execute(query, given).fetchone()


def reveal(conninfo: str, compiler: Compiler, key: Key, name: SecretName, part: Part | None = None) -> str:
    """Decrypt a secret; that it was read is on record before it is returned.

    Args:
        conninfo: the database.
        compiler: the project.
        key: the one that it is under.
        name: which one.
        part: an OAuth client's refresh token; else the secret that every row has.

    Raises:
        UnknownDepartment, UnknownSecret, WrongEncryptionKey, SecretDamaged
        ReadOnlyServer: a standby cannot record that it was read.
    """
    wanted = part or name.part
    with tables.opened(conninfo, compiler, f"reading {name}") as connection:
        department_uuid = tables.require(connection, name)
        if name.table == API_KEY_TABLE:
            with tables.as_admin(connection):
                found = _look(connection, name, wanted)
        else:
            found = _look(connection, name, wanted)
        if found is None or found[1] is None:
            raise UnknownSecret(f"refresh token of {name}" if found else str(name), name.department.id)
        events.record(connection, "SECRET_REVEALED", name.department, **_details(name), column=wanted.value)
        return decrypt([key], found[1], name.context(department_uuid, found[0], wanted))


def find(conninfo: str, compiler: Compiler, name: SecretName) -> StoredSecret:
    """Return what is known of one secret without a key.

    Raises:
        UnknownDepartment, UnknownSecret
    """
    with tables.opened(conninfo, compiler, f"looking for {name}") as connection:
        tables.require(connection, name)
        return _stored(connection, name)


def _stored(connection: psycopg.Connection, name: SecretName) -> StoredSecret:
    found = next((row for row in tables.stored(connection, [name.department]) if row.name == name), None)
    if found is None:
        raise UnknownSecret(str(name), name.department.id)
    return found


def listing(conninfo: str, compiler: Compiler, department: Department | None = None) -> list[StoredSecret]:
    """Return what is known without a key of the secrets of one department, or of all.

    Raises:
        UnknownDepartment
    """
    with tables.opened(conninfo, compiler, "listing the secrets") as connection:
        chosen = registry.live(connection, [department] if department else [])
        return tables.stored(connection, [entry.department for entry in chosen])


def remove(conninfo: str, compiler: Compiler, name: SecretName) -> None:
    """Delete a secret; an OAuth client goes with its refresh token.

    Raises:
        UnknownDepartment, UnknownSecret
    """
    given = {"department": name.department.id, "service": name.service, "name": name.key_name}
    with tables.opened(conninfo, compiler, f"removing {name}") as connection:
        tables.hold(connection, name)
        if name.table == OAUTH_TABLE:
            gone = connection.execute(
                """
                DELETE FROM federation.oauth_credentials
                WHERE department_id = %(department)s AND service_name = %(service)s
                """,
                given,
            )
        else:
            query = sql.SQL("DELETE FROM {} WHERE service_name = %(service)s AND api_key_name = %(name)s")
            with tables.as_admin(connection):
                gone = connection.execute(query.format(sql.Identifier(name.department.schema, API_KEY_TABLE)), given)
        if not gone.rowcount:
            raise UnknownSecret(str(name), name.department.id)
        events.record(connection, "SECRET_REMOVED", name.department, **_details(name))


def _details(name: SecretName) -> dict[str, object]:
    return {"table": name.table, "service": name.service, "name": name.key_name}
