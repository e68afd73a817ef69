"""A rotation takes every secret of the fleet to the new key, or none; whatever happens to it."""

from __future__ import annotations

import json
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from fedschema import credentials
from fedschema.credentials import Part, Rotation, SecretName
from fedschema.department import Department
from fedschema.encryption import Key, encrypt
from fedschema.errors import FedschemaError, LockTimeout, SecretDamaged, WrongEncryptionKey
from tests.conftest import Database, Run
from tests.secrets.conftest import VALUE, Spawn, audited, every_value, given_key, keep, named, private_file, read
from tests.tenancy.conftest import as_operator, eventually, sessions
from tests.tenancy.proxy import counting_proxy

FLEET = ("hr", "legal", "sales")


@pytest.fixture
def fleet(database: Database, key: Key) -> Database:
    """Three departments: one with a client and two API keys, one with an API key, one with nothing."""
    for words in (("hr", "google"), ("hr", "openai", "a"), ("hr", "openai", "b"), ("legal", "openai", "a")):
        keep(database, key, named(database, *words))
    database.add("sales")
    return database


def rotate(database: Database, old: Key, new: Key) -> Rotation:
    return credentials.rotate(as_operator(database), database.compiler, old, new)


def assert_all_under(database: Database, key: Key) -> None:
    """Check that every secret of the fleet is what it was, under this key."""
    rows = credentials.listing(database.conninfo, database.compiler)
    assert {row.key_id for row in rows} == {key.id.hex()}
    assert len(rows) == 4
    for row in rows:
        assert read(database, key, row.name) == (VALUE if row.api_key_name else "client secret 1")
    assert read(database, key, named(database, "hr", "google"), Part.REFRESH_TOKEN) == "refresh token 1"


def test_every_value_is_under_the_new_key_and_is_what_it_was(fleet: Database, key: Key, other_key: Key) -> None:
    before = credentials.listing(fleet.conninfo, fleet.compiler)

    done = rotate(fleet, key, other_key)

    assert done == Rotation(reencrypted=5, verified=0, departments=2)
    assert_all_under(fleet, other_key)
    after = credentials.listing(fleet.conninfo, fleet.compiler)
    assert [(row.id, row.created_at, row.rotated_at) for row in after] == [
        (row.id, row.created_at, row.rotated_at) for row in before
    ]


def test_every_value_gets_a_nonce_of_its_own(fleet: Database, key: Key, other_key: Key) -> None:
    rotate(fleet, key, other_key)

    blobs = [value for row in every_value(fleet, *FLEET) for value in row if isinstance(value, bytes)]
    assert len({blob[5:17] for blob in blobs}) == len(blobs) == 5


def test_second_run_verifies_everything_and_changes_nothing(fleet: Database, key: Key, other_key: Key) -> None:
    rotate(fleet, key, other_key)
    before = (every_value(fleet, *FLEET), audited(fleet))

    done = rotate(fleet, key, other_key)

    assert done == Rotation(reencrypted=0, verified=5, departments=2)
    assert (every_value(fleet, *FLEET), audited(fleet)) == before


def test_rotation_of_nothing_is_done_at_once(database: Database, key: Key, other_key: Key) -> None:
    assert rotate(database, key, other_key) == Rotation(0, 0, 0)
    database.add("hr")
    assert rotate(database, key, other_key) == Rotation(0, 0, 0)


def test_rotation_is_on_record_for_each_department(fleet: Database, key: Key, other_key: Key) -> None:
    rotate(fleet, key, other_key)

    by = fleet.server.user
    ids = {"from_key": key.id.hex(), "to_key": other_key.id.hex()}
    assert [row for row in audited(fleet) if row[0] == "SECRETS_ROTATED"] == [
        ("SECRETS_ROTATED", "hr", by, {"table": "oauth_credentials", "values": 2} | ids),
        ("SECRETS_ROTATED", "hr", by, {"table": "api_keys", "values": 2} | ids),
        ("SECRETS_ROTATED", "legal", by, {"table": "api_keys", "values": 1} | ids),
    ]


@pytest.mark.parametrize("table", ["legal_tenant.api_keys", "federation.oauth_credentials"])
def test_damaged_value_stops_all_of_it(fleet: Database, key: Key, other_key: Key, table: str) -> None:
    column = "api_key_encrypted" if "api_keys" in table else "refresh_token_encrypted"
    with fleet.connect() as connection:
        connection.execute(f"UPDATE {table} SET {column} = set_byte({column}, 20, get_byte({column}, 20) # 1)")
    before = (every_value(fleet, *FLEET), audited(fleet))

    with pytest.raises(SecretDamaged) as caught:
        rotate(fleet, key, other_key)

    assert ("legal" if "legal" in table else "hr") in caught.value.message
    assert ("openai" if "legal" in table else "google") in caught.value.message
    assert "nothing was changed" in caught.value.message
    assert (every_value(fleet, *FLEET), audited(fleet)) == before


def test_damaged_value_under_the_new_key_stops_it_too(fleet: Database, key: Key, other_key: Key) -> None:
    rotate(fleet, key, other_key)
    with fleet.connect() as connection:
        connection.execute("UPDATE legal_tenant.api_keys SET api_key_encrypted = api_key_encrypted || '\\x00'")

    with pytest.raises(SecretDamaged, match="legal"):
        rotate(fleet, key, other_key)


def test_value_under_a_third_key_stops_all_of_it_and_is_named(fleet: Database, key: Key, other_key: Key) -> None:
    third = Key.generate()
    name = named(fleet, "legal", "openai", "a")
    row = credentials.find(fleet.conninfo, fleet.compiler, name)
    blob = encrypt(third, VALUE, name.context(row.department_uuid, row.id, Part.API_KEY))
    with fleet.connect() as connection:
        connection.execute("UPDATE legal_tenant.api_keys SET api_key_encrypted = %s", (blob,))
    before = every_value(fleet, *FLEET)

    with pytest.raises(WrongEncryptionKey) as caught:
        rotate(fleet, key, other_key)

    for part in ("openai/a", "legal", third.id.hex()):
        assert part in caught.value.message
    assert every_value(fleet, *FLEET) == before


def test_failing_write_rolls_all_back(fleet: Database, key: Key, other_key: Key) -> None:
    with fleet.connect() as connection:
        connection.execute(
            """
            CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$;
            CREATE TRIGGER refuse BEFORE UPDATE ON legal_tenant.api_keys FOR EACH ROW EXECUTE FUNCTION public.refuse();
            """
        )
    before = (every_value(fleet, *FLEET), audited(fleet))

    with pytest.raises(FedschemaError, match="not today"):
        rotate(fleet, key, other_key)
    assert (every_value(fleet, *FLEET), audited(fleet)) == before


@pytest.mark.parametrize("body", ["RETURN NULL", "NEW.api_key_encrypted := OLD.api_key_encrypted; RETURN NEW"])
def test_write_that_did_not_happen_is_noticed(fleet: Database, key: Key, other_key: Key, body: str) -> None:
    with fleet.connect() as connection:
        connection.execute(
            f"""
            CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$;
            CREATE TRIGGER swallow BEFORE UPDATE ON legal_tenant.api_keys
                FOR EACH ROW EXECUTE FUNCTION public.swallow();
            """
        )

    with pytest.raises(WrongEncryptionKey, match="legal"):
        rotate(fleet, key, other_key)
    assert_all_under(fleet, key)


def test_row_that_went_missing_under_way_is_noticed(fleet: Database, key: Key, other_key: Key) -> None:
    with fleet.connect() as connection:
        connection.execute(
            """
            CREATE FUNCTION public.lose() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN DELETE FROM hr_tenant.api_keys WHERE id <> NEW.id; RETURN NEW; END $$;
            CREATE TRIGGER lose BEFORE UPDATE ON hr_tenant.api_keys FOR EACH ROW EXECUTE FUNCTION public.lose();
            """
        )

    with pytest.raises(SecretDamaged, match="api_keys of department hr"):
        rotate(fleet, key, other_key)
    assert_all_under(fleet, key)


def waiting_rotation(database: Database, spawn: Spawn, key: Key, file: Path) -> subprocess.Popen[str]:
    """Start a rotation that waits in the middle of its transaction for whoever holds a department's table."""
    process = spawn("secret", "rotate-key", "--new-key-file", str(file), OAUTH_ENCRYPTION_KEY=key.material.hex())
    with database.connect() as watcher:
        assert eventually(lambda: bool(sessions(watcher, waiting=True)))
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_rotation_leaves_everything_under_the_old_key_and_can_be_run_again(
    fleet: Database, spawn: Spawn, command: Run, key: Key, tmp_path: Path, number: signal.Signals
) -> None:
    file = tmp_path / "new.key"
    with psycopg.connect(fleet.conninfo) as holder:
        holder.execute("LOCK TABLE legal_tenant.api_keys IN SHARE MODE")
        process = waiting_rotation(fleet, spawn, key, file)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
    with fleet.connect() as watcher:
        assert eventually(lambda: not sessions(watcher))

    assert process.returncode == (-9 if number is signal.SIGKILL else 130), stderr
    assert stdout == ""
    assert_all_under(fleet, key)
    new = Key.parse(file.read_text().strip(), "the file")  # kept: nobody could know how it ended

    done = command("secret", "rotate-key", "--new-key-file", str(file))
    assert done.status == 0, done.stderr
    assert_all_under(fleet, new)


def test_lost_answer_to_commit_keeps_the_new_key_and_a_second_run_is_done(
    fleet: Database, command: Run, key: Key, tmp_path: Path
) -> None:
    server, file = fleet.server, tmp_path / "new.key"
    with counting_proxy(server.host, server.port, cut_after=b"COMMIT\0") as proxy:
        through = f"postgresql://{server.user}:{server.password}@127.0.0.1:{proxy.port}/{fleet.name}?sslmode=disable"
        lost = command("secret", "rotate-key", "--new-key-file", str(file), url=through)

    assert lost.status == 1
    assert "error: the connection was lost during rotating the encryption key" in lost.stderr
    assert f"the new key in {file} is kept" in lost.stderr
    assert_all_under(fleet, Key.parse(file.read_text().strip(), "the only copy"))

    again = command("secret", "rotate-key", "--new-key-file", str(file))
    assert again.status == 0, again.stderr
    assert "0 values re-encrypted" in again.stdout
    assert "5 were under it already" in again.stdout


def test_failure_at_commit_keeps_the_new_key(fleet: Database, command: Run, key: Key, tmp_path: Path) -> None:
    file = tmp_path / "new.key"
    with fleet.connect() as connection:
        connection.execute(
            """
            CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'at the end'; END $$;
            CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON legal_tenant.api_keys DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION public.refuse();
            """
        )

    done = command("secret", "rotate-key", "--new-key-file", str(file), "--json")

    assert json.loads(done.stdout)["error"]["code"] == "connection_lost"
    assert "at the end" in done.stdout
    assert file.exists()
    assert_all_under(fleet, key)


def test_key_that_was_made_goes_when_nothing_is_under_it(fleet: Database, command: Run, tmp_path: Path) -> None:
    file = tmp_path / "new.key"
    with fleet.connect() as connection:
        connection.execute("UPDATE legal_tenant.api_keys SET api_key_encrypted = 'garbage'")

    done = command("secret", "rotate-key", "--new-key-file", str(file))

    assert done.status == 1
    assert not file.exists()


def test_key_that_was_handed_in_stays_whatever_happens(
    fleet: Database, command: Run, other_key: Key, tmp_path: Path
) -> None:
    file = private_file(tmp_path / "new.key", f"{other_key.material.hex()}\n")
    with fleet.connect() as connection:
        connection.execute("UPDATE legal_tenant.api_keys SET api_key_encrypted = 'garbage'")

    assert command("secret", "rotate-key", "--new-key-file", str(file)).status == 1
    assert file.read_text() == f"{other_key.material.hex()}\n"


def test_command_makes_a_key_and_says_what_to_do_without_showing_it(
    fleet: Database, command: Run, key: Key, tmp_path: Path
) -> None:
    file = tmp_path / "new.key"

    done = command("secret", "rotate-key", "--new-key-file", str(file))

    new = Key.parse(file.read_text().strip(), "the file")
    assert done.status == 0, done.stderr
    assert done.stdout == f"5 values re-encrypted from key {key.id.hex()} to {new.id.hex()}\n"
    assert done.stderr == f"the new key is in {file}\ndeployments now need the new key as OAUTH_ENCRYPTION_KEY\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert_all_under(fleet, new)


def test_new_key_may_come_from_the_environment(
    fleet: Database, command: Run, other_key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_key(monkeypatch, other_key, "OAUTH_ENCRYPTION_KEY_NEW")

    assert command("secret", "rotate-key").status == 0
    assert_all_under(fleet, other_key)


@pytest.mark.parametrize("case", ["same key", "both", "no key", "open file", "no place"])
def test_wrong_usage_rotates_nothing(
    fleet: Database, command: Run, key: Key, other_key: Key, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: str
) -> None:
    file = tmp_path / "key"
    if case == "same key":
        private_file(file, key.material.hex())
    if case == "both":
        given_key(monkeypatch, other_key, "OAUTH_ENCRYPTION_KEY_NEW")
    if case == "no key":
        private_file(file, "abc")
    if case == "open file":
        private_file(file, other_key.material.hex(), 0o640)
    if case == "no place":
        file = tmp_path / "nowhere" / "key"
    there = file.exists()

    done = command("secret", "rotate-key", "--new-key-file", str(file))

    assert done.status == 2, done
    assert file.exists() == there
    assert_all_under(fleet, key)


def test_secret_stored_during_a_rotation_waits_and_is_refused_under_the_old_key(
    fleet: Database, key: Key, other_key: Key
) -> None:
    with ThreadPoolExecutor(2) as pool, fleet.connect() as watcher, psycopg.connect(fleet.conninfo) as holder:
        holder.execute("LOCK TABLE legal_tenant.api_keys IN SHARE MODE")
        rotation = pool.submit(rotate, fleet, key, other_key)
        assert eventually(lambda: len(sessions(watcher, waiting=True)) == 1)
        name = SecretName(Department("sales"), "openai", "late")  # a department that the rotation does not touch
        late = pool.submit(credentials.store, as_operator(fleet), fleet.compiler, key, name, credentials.ApiKey("late"))
        assert eventually(lambda: len(sessions(watcher, waiting=True)) == 2)
        holder.rollback()

        assert rotation.result(30).reencrypted == 5
        assert isinstance(late.exception(30), WrongEncryptionKey)
    assert_all_under(fleet, other_key)


def test_secret_of_a_department_added_during_a_rotation_waits_too(fleet: Database, key: Key, other_key: Key) -> None:
    with ThreadPoolExecutor(2) as pool, fleet.connect() as watcher, psycopg.connect(fleet.conninfo) as holder:
        holder.execute("LOCK TABLE legal_tenant.api_keys IN SHARE MODE")
        rotation = pool.submit(rotate, fleet, key, other_key)
        assert eventually(lambda: len(sessions(watcher, waiting=True)) == 1)
        fleet.add("newcomer")
        name = SecretName(Department("newcomer"), "google")
        late = pool.submit(
            credentials.store, as_operator(fleet), fleet.compiler, key, name, credentials.OAuthClient("x", "y")
        )
        assert eventually(lambda: len(sessions(watcher, waiting=True)) == 2)
        holder.rollback()

        assert rotation.result(30).reencrypted == 5
        assert isinstance(late.exception(30), WrongEncryptionKey)
    assert_all_under(fleet, other_key)


def test_value_that_a_service_writes_during_a_rotation_is_rotated_too(
    fleet: Database, key: Key, other_key: Key
) -> None:
    """The service has the old key and writes its table itself; its first value comes when the rotation has looked."""
    place = credentials.SecretName(Department("sales"), "openai", "own")
    with fleet.connect() as connection:
        (uuid,) = (
            connection.execute("SELECT id FROM federation.departments WHERE department_id = 'sales'").fetchone() or ()
        )
        (row_id,) = connection.execute("SELECT gen_random_uuid()").fetchone() or ()
    blob = encrypt(key, "own value", place.context(uuid, row_id, Part.API_KEY))
    insert = (
        "INSERT INTO sales_tenant.api_keys (id, service_name, api_key_name, api_key_encrypted) VALUES (%s, %s, %s, %s)"
    )
    with ThreadPoolExecutor(1) as pool, fleet.connect() as watcher, psycopg.connect(fleet.conninfo) as holder:
        holder.execute("LOCK TABLE legal_tenant.api_keys IN SHARE MODE")
        rotation = pool.submit(rotate, fleet, key, other_key)
        assert eventually(lambda: bool(sessions(watcher, waiting=True)))
        with fleet.login("sales_role") as service:
            service.execute(insert, (row_id, "openai", "own", blob))
        holder.rollback()

        assert rotation.result(30) == Rotation(reencrypted=6, verified=0, departments=3)
    assert read(fleet, other_key, place) == "own value"


def test_value_that_a_service_is_changing_is_not_overwritten_with_the_one_before(
    fleet: Database, key: Key, other_key: Key
) -> None:
    name = named(fleet, "hr", "openai", "a")
    row = credentials.find(fleet.conninfo, fleet.compiler, name)
    blob = encrypt(key, "changed", name.context(row.department_uuid, row.id, Part.API_KEY))
    with ThreadPoolExecutor(1) as pool, fleet.connect() as watcher, fleet.login("hr_role") as service:
        service.execute("BEGIN")
        service.execute("UPDATE hr_tenant.api_keys SET api_key_encrypted = %s WHERE id = %s", (blob, row.id))
        rotation = pool.submit(rotate, fleet, key, other_key)
        assert eventually(lambda: bool(sessions(watcher, waiting=True)))
        service.execute("COMMIT")
        assert rotation.result(30).reencrypted == 5

    assert read(fleet, other_key, name) == "changed"


def test_value_that_a_service_writes_under_the_old_key_afterwards_is_found_by_a_second_run(
    fleet: Database, key: Key, other_key: Key
) -> None:
    name = named(fleet, "hr", "openai", "a")
    row = credentials.find(fleet.conninfo, fleet.compiler, name)
    rotate(fleet, key, other_key)
    blob = encrypt(key, "changed", name.context(row.department_uuid, row.id, Part.API_KEY))
    with fleet.login("hr_role") as service:
        service.execute("UPDATE hr_tenant.api_keys SET api_key_encrypted = %s WHERE id = %s", (blob, row.id))

    assert rotate(fleet, key, other_key) == Rotation(reencrypted=1, verified=4, departments=2)
    assert read(fleet, other_key, name) == "changed"


def test_departments_without_secrets_are_not_locked(fleet: Database, key: Key, other_key: Key) -> None:
    with ThreadPoolExecutor(1) as pool, fleet.connect() as watcher, psycopg.connect(fleet.conninfo) as holder:
        holder.execute("LOCK TABLE legal_tenant.api_keys IN SHARE MODE")
        rotation = pool.submit(rotate, fleet, key, other_key)
        assert eventually(lambda: bool(sessions(watcher, waiting=True)))
        held = watcher.execute(
            """
            SELECT DISTINCT namespace.nspname FROM pg_locks AS lock
            JOIN pg_class AS class ON class.oid = lock.relation
            JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
            WHERE lock.granted AND namespace.nspname LIKE '%%_tenant' AND lock.pid = ANY(%s)
            """,
            (sessions(watcher),),
        ).fetchall()
        holder.rollback()
        rotation.result(30)

    assert held == [("hr_tenant",)]


def test_rotation_and_drop_do_not_wait_for_each_other(fleet: Database, key: Key, other_key: Key) -> None:
    with psycopg.connect(fleet.conninfo) as holder, ThreadPoolExecutor(1) as pool, fleet.connect() as watcher:
        holder.execute("SET ROLE federation_owner")
        holder.execute("CALL federation.lock_department('legal')")  # as a drop begins
        rotation = pool.submit(rotate, fleet, key, other_key)
        assert eventually(lambda: bool(sessions(watcher, waiting=True)))
        holder.execute("DELETE FROM federation.oauth_credentials WHERE department_id = 'legal'")  # as it ends
        holder.rollback()
        assert rotation.result(30).reencrypted == 5


def test_rotation_that_waits_too_long_gives_up_and_changes_nothing(fleet: Database, key: Key, other_key: Key) -> None:
    with psycopg.connect(fleet.conninfo) as holder:
        holder.execute("LOCK TABLE legal_tenant.api_keys IN SHARE MODE")
        with pytest.raises(LockTimeout):
            rotate(fleet, key, other_key)
    assert_all_under(fleet, key)


def test_operator_who_is_no_superuser_may_do_all_of_it(fleet: Database, key: Key, other_key: Key) -> None:
    fleet.create_login("secret_keeper", "federation_owner")
    conninfo = fleet.server.conninfo(fleet.name, "secret_keeper", fleet.passwords["secret_keeper"])
    name = named(fleet, "sales", "openai", "mine")

    credentials.store(conninfo, fleet.compiler, key, name, credentials.ApiKey("mine"))
    done = credentials.rotate(conninfo, fleet.compiler, key, other_key)
    assert credentials.reveal(conninfo, fleet.compiler, other_key, name) == "mine"
    credentials.remove(conninfo, fleet.compiler, name)

    assert done.reencrypted == 6
    assert {row[2] for row in audited(fleet)[-2:]} == {"secret_keeper"}
    assert_all_under(fleet, other_key)
