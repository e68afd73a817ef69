"""A value is of use in its own place alone, and to nobody who only reads the database."""

from __future__ import annotations

import psycopg
import pytest

from fedschema import tenancy
from fedschema.credentials import Part
from fedschema.department import Department
from fedschema.encryption import Key
from fedschema.errors import SecretDamaged
from tests.conftest import Database
from tests.secrets.conftest import VALUE, every_value, keep, named, read


def run(database: Database, statement: str) -> None:
    with database.connect() as connection:
        assert connection.execute(statement).rowcount == 1


def refuses(database: Database, key: Key, *where: str, part: Part | None = None) -> None:
    with pytest.raises(SecretDamaged) as caught:
        read(database, key, named(database, *where), part)
    assert where[0] in caught.value.message


def test_value_copied_to_another_row_does_not_decrypt(database: Database, key: Key) -> None:
    for name in ("a", "b"):
        keep(database, key, named(database, "hr", "openai", name))

    run(
        database,
        """
        UPDATE hr_tenant.api_keys SET api_key_encrypted =
            (SELECT api_key_encrypted FROM hr_tenant.api_keys WHERE api_key_name = 'a') WHERE api_key_name = 'b'
        """,
    )

    assert read(database, key, named(database, "hr", "openai", "a")) == VALUE
    refuses(database, key, "hr", "openai", "b")


def test_whole_row_copied_to_another_department_does_not_decrypt(database: Database, key: Key) -> None:
    keep(database, key, named(database, "hr", "openai", "a"))
    sales = named(database, "sales", "openai", "a")

    run(
        database,
        """
        INSERT INTO sales_tenant.api_keys (id, service_name, api_key_name, api_key_encrypted)
        SELECT id, service_name, api_key_name, api_key_encrypted FROM hr_tenant.api_keys
        """,
    )

    refuses(database, key, sales.department.id, "openai", "a")


def test_client_given_to_another_department_does_not_decrypt(database: Database, key: Key) -> None:
    keep(database, key, named(database, "hr", "google"))
    named(database, "sales", "google")

    run(database, "UPDATE federation.oauth_credentials SET department_id = 'sales'")

    refuses(database, key, "sales", "google")
    refuses(database, key, "sales", "google", part=Part.REFRESH_TOKEN)


def test_value_copied_to_another_column_does_not_decrypt(database: Database, key: Key) -> None:
    keep(database, key, named(database, "hr", "google"))

    run(database, "UPDATE federation.oauth_credentials SET refresh_token_encrypted = oauth_client_secret_encrypted")

    assert read(database, key, named(database, "hr", "google")) == "client secret 1"
    refuses(database, key, "hr", "google", part=Part.REFRESH_TOKEN)


def test_value_moved_to_another_table_does_not_decrypt(database: Database, key: Key) -> None:
    keep(database, key, named(database, "hr", "google"))

    run(
        database,
        """
        INSERT INTO hr_tenant.api_keys (id, service_name, api_key_name, api_key_encrypted)
        SELECT id, service_name, 'a', oauth_client_secret_encrypted FROM federation.oauth_credentials
        """,
    )

    refuses(database, key, "hr", "google", "a")


def test_value_of_another_service_does_not_decrypt(database: Database, key: Key) -> None:
    keep(database, key, named(database, "hr", "openai", "a"))

    run(database, "UPDATE hr_tenant.api_keys SET service_name = 'attacker'")

    refuses(database, key, "hr", "attacker", "a")


def test_department_that_was_dropped_and_added_again_cannot_read_what_was_before(database: Database, key: Key) -> None:
    keep(database, key, named(database, "hr", "openai", "a"))
    with database.connect() as connection:
        connection.execute("CREATE TABLE public.backup AS SELECT * FROM hr_tenant.api_keys")
    tenancy.drop(database.conninfo, database.compiler, Department("hr"), lambda _: None)
    database.add("hr")

    run(database, "INSERT INTO hr_tenant.api_keys SELECT * FROM public.backup")

    refuses(database, key, "hr", "openai", "a")


def test_department_sees_its_own_api_keys_as_ciphertext_and_nothing_else(database: Database, key: Key) -> None:
    for department_id in ("hr", "sales"):
        keep(database, key, named(database, department_id, "openai", "a"))
        keep(database, key, named(database, department_id, "google"))

    with database.login("hr_role") as connection:
        rows = connection.execute("SELECT api_key_encrypted FROM hr_tenant.api_keys").fetchall()
        assert len(rows) == 1
        assert rows[0][0][1:5] == key.id
        assert VALUE.encode() not in rows[0][0]
        for table in ("sales_tenant.api_keys", "federation.oauth_credentials", "federation.security_audit"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM {table}")


def test_what_a_department_writes_into_its_own_row_is_not_taken_for_its_secret(database: Database, key: Key) -> None:
    keep(database, key, named(database, "hr", "openai", "a"))

    with database.login("hr_role") as connection:
        connection.execute("UPDATE hr_tenant.api_keys SET api_key_encrypted = 'plain text of somebody'")

    refuses(database, key, "hr", "openai", "a")


def test_no_table_holds_a_plaintext_or_a_key(database: Database, key: Key) -> None:
    keep(database, key, named(database, "hr", "openai", "a"))
    keep(database, key, named(database, "hr", "google"))
    read(database, key, named(database, "hr", "google"))

    with database.connect() as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname ~ '^(federation|hr_tenant)$'"
        ).fetchall()
        content = "".join(
            repr(connection.execute(f"SELECT t::text FROM {table} AS t").fetchall()) for (table,) in tables
        )
    raw = repr(every_value(database, "hr"))

    assert "client-1" in content, "the test would not have seen it"
    for secret in (VALUE, "client secret 1", "refresh token 1", key.material.hex()):
        for form in (secret, secret.encode().hex(), repr(secret.encode())):
            assert form not in content + raw
