"""Archive, drop, restore, upgrade: the department is what it was, row by row; under another id as well."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import psycopg
import pytest

from fedschema import credentials, drift, validation
from fedschema.credentials import ApiKey, SecretName
from fedschema.department import Department
from fedschema.encryption import Key
from tests.archive.conftest import Archive, manifest_of
from tests.archive.filling import BINARY, held
from tests.conftest import Database, Run
from tests.tenancy.conftest import Inventory
from tests.tenancy.inventory import traces

HR = Department("hr")


def _fine(database: Database) -> None:
    assert validation.validate(database.conninfo, database.compiler, []).ok
    assert all(compared.ok for compared in drift.examine(database.conninfo, database.compiler, []))


def test_what_is_restored_is_what_was_archived_row_by_row(full: Database, command: Run, tmp_path: Path) -> None:
    with full.connect() as connection:
        connection.execute(
            "UPDATE federation.departments SET admin_email = 'hr@example.com', config = '{\"a\": [1]}', "
            "railway_project_id = 'r' WHERE department_id = 'hr'"
        )
    before = held(full, "hr")
    assert all(before.values())

    done = command("tenant", "archive", "hr", "--to", str(tmp_path / "to"))
    assert done.status == 0, done.stderr
    file = done.stdout.strip()
    dropped = command("tenant", "drop", "hr")
    assert dropped.status == 0, dropped.stderr
    assert "its archive, of " in dropped.stderr
    restored = command("tenant", "restore", "hr", "--from", file)

    assert restored.status == 0, restored.stderr
    assert held(full, "hr") == before
    assert "its role has no password" in restored.stderr
    with full.connect() as connection:
        entry = connection.execute(
            "SELECT department_name, status, admin_email, config, railway_project_id FROM federation.departments"
        ).fetchall()
        without = connection.execute("SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'hr_role'").fetchone()
        events = connection.execute(
            "SELECT event_type FROM federation.security_audit WHERE event_type LIKE 'DEPARTMENT%' ORDER BY created_at"
        ).fetchall()
    assert entry == [("Human Resources", "ACTIVE", "hr@example.com", {"a": [1]}, "r")]
    assert without == (True,)
    assert events == [("DEPARTMENT_ARCHIVED",), ("DEPARTMENT_RESTORED",)]
    assert (stat.S_IMODE(Path(file).stat().st_mode), stat.S_IMODE((tmp_path / "to").stat().st_mode)) == (0o600, 0o700)
    _fine(full)


def test_restored_under_another_id_it_is_beside_the_original_and_walled_off(
    full: Database, command: Run, archive: Archive, tmp_path: Path
) -> None:
    before = held(full, "hr")
    file = archive()

    done = command(
        "tenant",
        "restore",
        "hr",
        "--from",
        str(file),
        "--as",
        "copy",
        "--password-file",
        str(tmp_path / "pw"),
        "--json",
    )

    assert done.status == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["department_id"], document["from"], document["secrets_bound"]) == ("copy", "hr", False)
    assert held(full, "copy") == before == held(full, "hr")
    full.passwords["copy_role"] = (tmp_path / "pw").read_text().strip()
    with full.login("copy_role") as connection:
        seen = connection.execute("SELECT DISTINCT department FROM conversation_history").fetchall()
        assert seen == [("copy",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT FROM hr_tenant.contacts")
        # Its sequence goes on after the last id.
        connection.execute(
            "INSERT INTO conversation_history (session_id, turn_index, speaker, message_text)"
            " VALUES ('n', 1, 'user', '')"
        )
    _fine(full)


def test_one_at_an_older_revision_comes_back_there_and_is_brought_to_head(
    database: Database, command: Run, archive: Archive
) -> None:
    database.add("hr")
    assert command("downgrade", "hr", "--to", "tenant_0005_workflows").status == 0
    file = archive()
    assert manifest_of(file).revisions == ("tenant_0005_workflows",)
    assert command("tenant", "drop", "hr").status == 0

    stays = command("tenant", "restore", "hr", "--from", str(file), "--as", "old", "--no-upgrade")
    goes = command("tenant", "restore", "hr", "--from", str(file.parent))

    assert (stays.status, goes.status) == (0, 0), goes.stderr
    assert "upgraded to tenant_0007_retention" in goes.stdout
    assert traces(database, "old").versions == ("tenant_0005_workflows",)
    assert traces(database, "hr").versions == ("tenant_0007_retention",)
    _fine(database)


def test_secrets_decrypt_again_where_the_department_is_itself(
    database: Database, command: Run, archive: Archive
) -> None:
    database.add("hr")
    key, name = Key.generate(), SecretName.parse(HR, "openai", "default")
    client = SecretName.parse(HR, "google", None)
    credentials.store(database.conninfo, database.compiler, key, name, ApiKey("sk-1"))
    credentials.store(
        database.conninfo, database.compiler, key, client, credentials.OAuthClient("c", "s", None, None, None)
    )
    file = archive()
    assert command("tenant", "drop", "hr").status == 0

    assert command("tenant", "restore", "hr", "--from", str(file)).status == 0
    copied = command("tenant", "restore", "hr", "--from", str(file), "--as", "copy")

    assert credentials.reveal(database.conninfo, database.compiler, key, name, None) == "sk-1"
    assert credentials.reveal(database.conninfo, database.compiler, key, client, None) == "s"
    assert "are bound to department hr and do not decrypt here" in copied.stderr


def test_encrypted_bundle_tells_nothing_and_opens_only_under_its_key(
    full: Database,
    command: Run,
    everything: Inventory,
    tmp_path: Path,
) -> None:
    key, other = tmp_path / "key", tmp_path / "other"
    for path in (key, other):
        path.write_text(Key.generate().material.hex() + "\n")
        path.chmod(0o600)
    done = command("tenant", "archive", "hr", "--to", str(tmp_path), "--key-file", str(key), "--json")
    assert done.status == 0, done.stderr
    document = json.loads(done.stdout)
    file = Path(document["file"])
    content = file.read_bytes()
    assert document["encrypted"]
    assert not any(word in content for word in (b"manifest", b"hr_tenant", b"PK\x03\x04", BINARY[:16]))
    before = everything()

    without = command("tenant", "restore", "hr", "--from", str(file), "--as", "copy")
    wrong = command("tenant", "restore", "hr", "--from", str(file), "--as", "copy", "--key-file", str(other))
    open_to_all = command("tenant", "restore", "hr", "--from", str(file), "--as", "copy", "--key-file", str(_open(key)))

    assert (without.status, wrong.status, open_to_all.status) == (2, 1, 2)
    assert "no key was given" in without.stderr
    assert "and the key given is" in wrong.stderr
    assert everything() == before
    key.chmod(0o600)
    stdin = key.read_text()
    right = command("tenant", "restore", "hr", "--from", str(file), "--as", "copy", "--key-file", "-", stdin=stdin)
    assert right.status == 0, right.stderr
    assert held(full, "copy") == held(full, "hr")


def _open(path: Path) -> Path:
    path.chmod(0o644)
    return path


def test_grants_are_listed_and_put_in_force_only_when_that_is_asked_for(
    database: Database, command: Run, archive: Archive
) -> None:
    for department_id in ("hr", "sales", "legal"):
        database.add(department_id)
    for source, target, *more in (("hr", "sales"), ("sales", "hr", "--expires", "30d"), ("legal", "hr")):
        granted = command("grant", source, target, "--type", "read", "--resource", "contacts", "--by", "a@b.c", *more)
        assert granted.status == 0, granted.stderr
    file = archive()
    assert command("tenant", "drop", "hr").status == 0
    assert command("tenant", "drop", "legal", "--yes").status == 0

    def granted_pairs() -> list[tuple[str, str]]:
        with database.connect() as connection:
            return connection.execute(
                "SELECT source_department_id, target_department_id FROM federation.cross_dept_permissions ORDER BY 1"
            ).fetchall()

    listed = command("tenant", "restore", "hr", "--from", str(file))
    assert granted_pairs() == []
    assert "fedschema grant hr sales --type read --resource contacts" in listed.stderr
    assert command("tenant", "drop", "hr", "--yes").status == 0
    forced = command("tenant", "restore", "hr", "--from", str(file), "--with-grants", "--json")

    assert granted_pairs() == [("hr", "sales"), ("sales", "hr")]
    document = json.loads(forced.stdout)
    assert document["reinstated"] == 2
    assert [left["reason"] for left in document["left_out"]] == ["department legal or the resource is not there"]


def test_what_is_there_is_never_written_over(
    full: Database, command: Run, archive: Archive, everything: Inventory
) -> None:
    file = archive()
    before = everything()

    again = command("tenant", "restore", "hr", "--from", str(file))
    other = command("tenant", "restore", "sales", "--from", str(file))

    assert (again.status, other.status) == (1, 2)
    assert "department hr exists already (ACTIVE)" in again.stderr
    assert "holds hr, not sales" in other.stderr
    assert everything() == before
