"""What docs/how-to/keep-secrets.md says of the format is what is stored."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from fedschema import credentials
from fedschema.encryption import Key
from tests.conftest import ROOT, Database
from tests.secrets.conftest import VALUE, keep, named

PAGE = ROOT / "docs/how-to/keep-secrets.md"


@pytest.fixture
def example() -> dict[str, Any]:
    """The names that the page's example defines."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(program.splitlines()) <= 15
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102 - the page is ours
    return names


def test_service_decrypts_its_api_key_as_the_page_shows(database: Database, key: Key, example: dict[str, Any]) -> None:
    name = named(database, "hr", "openai", "default")
    keep(database, key, name)
    known = credentials.find(database.conninfo, database.compiler, name)

    with database.login("hr_role") as connection:
        row = connection.execute("SELECT api_key_encrypted, id::text, service_name FROM hr_tenant.api_keys").fetchone()
    assert row is not None
    value, row_id, service = row

    assert example["decrypt"](key.material.hex(), value, str(known.department_uuid), row_id, service) == VALUE
    with pytest.raises(InvalidTag):
        example["decrypt"](key.material.hex(), value, str(known.department_uuid), row_id, "another")


def test_key_id_is_what_the_page_says(key: Key) -> None:
    assert hashlib.sha256(b"fedschema key id" + b"\0" + key.material).digest()[:4] == key.id


def test_client_is_where_the_page_says(database: Database, key: Key, example: dict[str, Any]) -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    keep(database, key, named(database, "hr", "google"))
    with database.connect() as connection:
        row = connection.execute(
            """
            SELECT department.id::text, stored.id::text, oauth_client_secret_encrypted, refresh_token_encrypted
            FROM federation.oauth_credentials AS stored JOIN federation.departments AS department USING (department_id)
            """
        ).fetchone()
    assert row is not None

    columns = {"oauth_client_secret_encrypted": "client secret 1", "refresh_token_encrypted": "refresh token 1"}
    for (column, plain), value in zip(columns.items(), row[2:], strict=True):
        place = example["associated_data"](row[0], "oauth_credentials", row[1], column, "google")
        assert AESGCM(key.material).decrypt(value[5:17], value[17:], place).decode() == plain
