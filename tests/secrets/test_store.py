"""A secret is stored whole or not at all, in the place of the one before, under the key of all the others."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from fedschema import credentials
from fedschema.credentials import MAX_VALUE_BYTES, ApiKey, OAuthClient, Part, SecretName, StoredSecret, parse_value
from fedschema.department import Department
from fedschema.encryption import Key
from fedschema.errors import (
    DepartmentVanished,
    InvalidSecret,
    LockTimeout,
    UnknownDepartment,
    UnknownSecret,
    UsageError,
    WrongEncryptionKey,
)
from tests.conftest import Database
from tests.secrets.conftest import CLIENT, VALUE, audited, every_value, keep, named, read

LATER = datetime(2031, 1, 31, tzinfo=UTC)


def known(database: Database, name: SecretName) -> StoredSecret:
    return credentials.find(database.conninfo, database.compiler, name)


def test_api_key_comes_back_as_it_was_stored(database: Database, key: Key) -> None:
    name = named(database, "hr", "openai", "default")

    keep(database, key, name, ApiKey(VALUE, ("chat",), LATER))

    assert read(database, key, name) == VALUE
    row = known(database, name)
    assert (row.kind, row.key_id, row.scopes, row.expires_at) == ("api_key", key.id.hex(), ["chat"], LATER)
    assert row.rotated_at is None


def test_oauth_client_comes_back_as_it_was_stored(database: Database, key: Key) -> None:
    name = named(database, "hr", "google")

    keep(database, key, name)

    assert read(database, key, name) == "client secret 1"
    assert read(database, key, name, Part.REFRESH_TOKEN) == "refresh token 1"
    row = known(database, name)
    assert (row.kind, row.oauth_client_id, row.oauth_app_name) == ("oauth", "client-1", "Mail")
    assert row.scopes == ["mail.read", "mail.send"]
    assert row.has_refresh_token is True


@pytest.mark.parametrize("text", ["a" * MAX_VALUE_BYTES, "-----BEGIN\nline\r\nEND-----", "%s %(x)s {} \\x00 '; --"])
def test_any_text_can_be_a_secret(database: Database, key: Key, text: str) -> None:
    name = named(database, "hr", "openai", "default")

    keep(database, key, name, ApiKey(text))

    assert read(database, key, name) == text


def test_new_api_key_takes_the_place_of_the_old_one(database: Database, key: Key) -> None:
    name = named(database, "hr", "openai", "default")
    keep(database, key, name, ApiKey("old", ("chat",), LATER))
    before = known(database, name)

    keep(database, key, name, ApiKey("new"))

    after = known(database, name)
    assert read(database, key, name) == "new"
    assert (after.id, after.created_at) == (before.id, before.created_at)
    assert after.rotated_at is not None
    assert after.scopes == ["chat"]
    assert after.expires_at is None  # the end was the old value's
    assert len(every_value(database, "hr")) == 1


def test_new_client_secret_takes_the_place_of_the_old_one_and_keeps_the_token(database: Database, key: Key) -> None:
    name = named(database, "hr", "google")
    keep(database, key, name)
    before = known(database, name)

    keep(database, key, name, OAuthClient("client-1", "client secret 2"))

    after = known(database, name)
    assert read(database, key, name) == "client secret 2"
    assert read(database, key, name, Part.REFRESH_TOKEN) == "refresh token 1"
    assert (after.id, after.created_at, after.oauth_app_name) == (before.id, before.created_at, "Mail")
    assert after.rotated_at is not None
    assert after.last_refreshed_at is None


def test_refresh_token_can_be_stored_by_itself(database: Database, key: Key) -> None:
    name = named(database, "hr", "google")
    keep(database, key, name)

    keep(database, key, name, OAuthClient(refresh_token="refresh token 2", token_expires_at=LATER))

    row = known(database, name)
    assert read(database, key, name) == "client secret 1"
    assert read(database, key, name, Part.REFRESH_TOKEN) == "refresh token 2"
    assert row.last_refreshed_at is not None
    assert row.token_expires_at == LATER
    assert row.rotated_at is None  # the secret is the one that it was


def test_token_of_one_client_is_not_kept_for_another(database: Database, key: Key) -> None:
    name = named(database, "hr", "google")
    keep(database, key, name)

    keep(database, key, name, OAuthClient("client-2", "client secret 2"))

    assert known(database, name).has_refresh_token is False
    with pytest.raises(UnknownSecret, match="refresh token of OAuth client google of department hr"):
        read(database, key, name, Part.REFRESH_TOKEN)


@pytest.mark.parametrize(
    ("first", "then", "missing"),
    [
        (None, OAuthClient("client-1"), "secret of client id client-1"),
        (None, OAuthClient(client_secret="s"), "client id"),
        (None, OAuthClient(refresh_token="t"), "client id"),
        (CLIENT, OAuthClient("client-2", refresh_token="t"), "secret of client id client-2"),
    ],
)
def test_half_a_client_is_refused(
    database: Database, key: Key, first: OAuthClient | None, then: OAuthClient, missing: str
) -> None:
    name = named(database, "hr", "google")
    if first:
        keep(database, key, name, first)
    before = every_value(database, "hr")

    with pytest.raises(InvalidSecret, match=missing):
        keep(database, key, name, then)
    assert every_value(database, "hr") == before


@pytest.mark.parametrize(
    ("text", "value"),
    [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("\na", "\na"), (" a ", " a "), ("a\r", "a\r")],
)
def test_exactly_one_line_break_at_the_end_is_no_part_of_a_secret(text: str, value: str) -> None:
    assert parse_value(text, "it") == value


@pytest.mark.parametrize(
    "text", ["", "\n", "a\0b", "x" * (MAX_VALUE_BYTES + 1), "ü" * (MAX_VALUE_BYTES // 2 + 1), "\udcff"]
)
def test_what_cannot_be_a_secret_is_refused(text: str) -> None:
    with pytest.raises(InvalidSecret):
        parse_value(text, "it")


@pytest.mark.parametrize(
    ("service", "key_name"),
    [
        ("", None),
        ("x" * 51, None),
        ("x" * 101, "k"),
        ("ok", ""),
        ("ok", "k" * 256),
        ("a\nb", None),
        ("ok", "\x1b[31m"),
        ("\udc80", None),
    ],
)
def test_name_that_its_column_cannot_hold_is_refused(service: str, key_name: str | None) -> None:
    with pytest.raises(InvalidSecret):
        SecretName.parse(Department("hr"), service, key_name)


@pytest.mark.parametrize("first", ["openai/default", "google"])
@pytest.mark.parametrize("second", ["openai/second", "github", "openai/default", "google"])
def test_second_key_is_refused_in_the_same_department(
    database: Database, key: Key, other_key: Key, first: str, second: str
) -> None:
    one, two = (named(database, "hr", *text.split("/")) for text in (first, second))
    keep(database, key, one)
    before = every_value(database, "hr")

    with pytest.raises(WrongEncryptionKey) as caught:
        keep(database, other_key, two)
    assert key.id.hex() in caught.value.message
    assert str(one) in caught.value.message
    assert every_value(database, "hr") == before


@pytest.mark.parametrize("first", ["openai/default", "google"])
def test_second_key_is_refused_in_another_department(database: Database, key: Key, other_key: Key, first: str) -> None:
    keep(database, key, named(database, "hr", *first.split("/")))

    with pytest.raises(WrongEncryptionKey):
        keep(database, other_key, named(database, "sales", "openai", "default"))
    assert len(every_value(database, "hr", "sales")) == 1


def test_removed_secret_is_gone_and_the_others_stay(database: Database, key: Key) -> None:
    names = [named(database, "hr", *text.split("/")) for text in ("openai/a", "openai/b", "google", "github")]
    for name in names:
        keep(database, key, name)

    for name in names[::2]:
        credentials.remove(database.conninfo, database.compiler, name)

    assert [row.name for row in credentials.listing(database.conninfo, database.compiler)] == [names[3], names[1]]
    for name in names[::2]:
        with pytest.raises(UnknownSecret):
            read(database, key, name)
        with pytest.raises(UnknownSecret):
            credentials.remove(database.conninfo, database.compiler, name)


def test_another_key_may_be_used_when_nothing_is_stored_any_more(database: Database, key: Key, other_key: Key) -> None:
    name = named(database, "hr", "openai", "default")
    keep(database, key, name)
    credentials.remove(database.conninfo, database.compiler, name)

    keep(database, other_key, name)

    assert read(database, other_key, name) == VALUE


def test_listing_needs_no_key_and_shows_no_value(database: Database, key: Key) -> None:
    for department_id in ("hr", "sales"):
        keep(database, key, named(database, department_id, "google"))
        keep(database, key, named(database, department_id, "openai", "default"))

    everything = credentials.listing(database.conninfo, database.compiler)
    of_sales = credentials.listing(database.conninfo, database.compiler, Department("sales"))

    assert [(row.department_id, row.kind) for row in everything] == [
        ("hr", "oauth"), ("hr", "api_key"), ("sales", "oauth"), ("sales", "api_key"),
    ]  # fmt: skip
    assert of_sales == everything[2:]
    for secret in (VALUE, "client secret 1", "refresh token 1", key.material.hex()):
        assert secret not in repr([asdict(row) for row in everything])


def test_department_below_the_table_has_no_api_keys_and_says_what_to_do(database: Database, key: Key) -> None:
    keep(database, key, named(database, "hr", "openai", "default"))
    name = named(database, "sales", "openai", "default")
    with database.connect() as connection:  # as at a revision before the table
        connection.execute("DROP TABLE sales_tenant.api_keys")

    with pytest.raises(UsageError) as caught:
        keep(database, key, name)

    assert caught.value.hint == "fedschema upgrade sales"
    assert len(credentials.listing(database.conninfo, database.compiler)) == 1
    keep(database, key, named(database, "sales", "google"))


def test_unknown_and_dropped_departments_are_refused(database: Database, key: Key) -> None:
    from fedschema import tenancy

    name = named(database, "hr", "openai", "default")
    tenancy.drop(database.conninfo, database.compiler, Department("hr"), lambda _: None)

    for lost in (name, SecretName(Department("nobody"), "openai", "default")):
        with pytest.raises(UnknownDepartment):
            keep(database, key, lost)
        with pytest.raises(UnknownDepartment):
            read(database, key, lost)


def test_storing_waits_for_whoever_drops_the_department(database: Database, key: Key) -> None:
    name = named(database, "hr", "openai", "default")
    with psycopg.connect(database.conninfo) as other:
        other.execute("CALL federation.lock_department('hr')")

        with pytest.raises((LockTimeout, DepartmentVanished)):
            keep(database, key, name)
    assert every_value(database, "hr") == []


def test_everything_that_is_done_with_a_secret_is_on_record_without_it(database: Database, key: Key) -> None:
    api_key, client = named(database, "hr", "openai", "default"), named(database, "hr", "google")
    keep(database, key, api_key)
    read(database, key, api_key)
    keep(database, key, client)
    read(database, key, client, Part.REFRESH_TOKEN)
    credentials.remove(database.conninfo, database.compiler, client)

    rows = audited(database)

    by = database.server.user
    of_key = {"table": "api_keys", "service": "openai", "name": "default"}
    of_client = {"table": "oauth_credentials", "service": "google", "name": None}
    assert rows == [
        ("SECRET_STORED", "hr", by, of_key),
        ("SECRET_REVEALED", "hr", by, of_key | {"column": "api_key_encrypted"}),
        ("SECRET_STORED", "hr", by, of_client),
        ("SECRET_REVEALED", "hr", by, of_client | {"column": "refresh_token_encrypted"}),
        ("SECRET_REMOVED", "hr", by, of_client),
    ]


def test_what_was_not_done_is_not_on_record(database: Database, key: Key, other_key: Key) -> None:
    name = named(database, "hr", "openai", "default")
    keep(database, key, name)
    before = audited(database)

    with pytest.raises(WrongEncryptionKey):
        keep(database, other_key, name)
    with pytest.raises(WrongEncryptionKey):
        read(database, other_key, name)
    with pytest.raises(UnknownSecret):
        read(database, key, SecretName(name.department, "openai", "another"))

    assert audited(database) == before


def test_reprs_of_what_is_to_be_stored_show_no_secret() -> None:
    shown = repr([CLIENT, ApiKey(VALUE, ("chat",), datetime.now(UTC) + timedelta(1))])

    assert "client-1" in shown
    for secret in (VALUE, "client secret 1", "refresh token 1"):
        assert secret not in shown
