"""Nothing is left out in silence, nothing is widened, and a drop without a question loses nothing."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

import fedschema
from fedschema import archived, bundles, bundling, contents, restoring, suspension, tenancy
from fedschema.bundles import Table
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.errors import (
    BundleUnsuitable,
    ChangedSinceArchive,
    DepartmentDrifted,
    RestoreDiffers,
    StatementFailed,
)
from fedschema.validation import validate
from tests.archive.conftest import Archive, manifest_of
from tests.conftest import Database, Run
from tests.tenancy.conftest import Inventory
from tests.tenancy.inventory import NOTHING, traces

HR = Department("hr")
ROW = "INSERT INTO hr_tenant.error_logs (error_type, error_message) VALUES ('e', 'm')"


def _do(database: Database, *statements: str) -> None:
    with database.connect() as connection:
        for statement in statements:
            connection.execute(statement.encode())


# ------------------------------------------------------------------------------------------------------------ dropping


def test_one_that_changed_since_its_archive_is_asked_about(database: Database, command: Run, archive: Archive) -> None:
    database.add("hr")
    archive()
    _do(database, ROW)

    done = command("tenant", "drop", "hr")

    assert done.status == 2
    assert "it has changed since its archive of " in done.stderr
    assert traces(database, "hr").schemas == 1
    archive()
    assert command("tenant", "drop", "hr").status == 0


def test_grants_and_secrets_count_as_what_it_holds(database: Database, command: Run, archive: Archive) -> None:
    for department_id in ("hr", "sales"):
        database.add(department_id)
    archive()
    assert command("grant", "hr", "sales", "--type", "read", "--resource", "contacts", "--by", "a@b.c").status == 0

    assert command("tenant", "drop", "hr").status == 2


def test_archive_of_its_predecessor_does_not_count(database: Database, command: Run, archive: Archive) -> None:
    database.add("hr")
    archive()
    assert command("tenant", "drop", "hr").status == 0
    database.add("hr")

    assert command("tenant", "drop", "hr").status == 2


def test_row_that_comes_after_nobody_was_asked_stops_the_dropping(
    database: Database, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.add("hr")
    archive()
    looked = archived.last

    def last(connection: psycopg.Connection, department: Department) -> archived.LastArchive | None:
        found = looked(connection, department)
        monkeypatch.setattr(archived, "last", looked)
        _do(database, ROW)
        return found

    monkeypatch.setattr(archived, "last", last)
    with pytest.raises(ChangedSinceArchive):
        tenancy.drop(database.conninfo, database.compiler, HR, lambda _: None, archive_suffices=True)
    assert traces(database, "hr").schemas == 1


# ----------------------------------------------------------------------------------------------------------- archiving


def test_one_that_has_drifted_is_not_archived_and_a_backup_takes_it_with_all_its_rows(
    database: Database, command: Run, archive: Archive, tmp_path: Path
) -> None:
    database.add("hr")
    _do(database, ROW, "ALTER TABLE hr_tenant.error_logs ADD COLUMN mine text DEFAULT 'kept'")

    with pytest.raises(DepartmentDrifted, match=r"column error_logs.mine is not ours"):
        archive()
    done = command("backup", "hr", "--to", str(tmp_path), "--json")

    assert done.status == 0, done.stderr
    listed = {bundle["department_id"]: bundle for bundle in json.loads(done.stdout)["bundles"]}
    assert listed["hr"]["drift"] == ["column error_logs.mine is not ours"]
    file = next(tmp_path.glob("*/hr.zip"))
    assert b"kept" in zipfile.ZipFile(file).read("data/error_logs.copy")
    assert command("tenant", "drop", "hr", "--yes").status == 0
    refused = command("tenant", "restore", "hr", "--from", str(file))
    assert refused.status == 1
    assert "have no place for column error_logs.mine" in refused.stderr
    assert traces(database, "hr").schemas == 0


def test_rows_that_a_wall_hides_are_read_past_it_or_refused_and_never_left_out(
    database: Database, command: Run, tmp_path: Path
) -> None:
    """Without admin_bypass federation_admin_role sees no row, and says nothing."""
    database.add("hr")
    database.create_login("fedschema_test_ops", "federation_owner")
    _do(database, ROW, "DROP POLICY admin_bypass ON hr_tenant.error_logs")
    ops, password = "fedschema_test_ops", database.passwords["fedschema_test_ops"]
    url = f"postgresql://{ops}:{password}@{database.server.host}:{database.server.port}/{database.name}"

    refused = command("backup", "hr", "--to", str(tmp_path / "ops"), url=url)
    taken = command("backup", "hr", "--to", str(tmp_path / "super"))

    assert refused.status == 1
    assert "table error_logs of department hr cannot be read whole" in refused.stderr
    assert list(tmp_path.glob("ops/*/hr.zip")) == []
    assert taken.status == 0, taken.stderr
    rows = {table.name: table.rows for table in manifest_of(next(tmp_path.glob("super/*/hr.zip"))).tables}
    assert rows["error_logs"] == 1


def test_all_tables_are_of_one_moment_and_none_is_rewritten_meanwhile(
    database: Database, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.add("hr")
    written = bundling.table
    refused: list[Exception] = []

    def table(writer: bundles.BundleWriter, shape: contents.Shape, read: bundling.Read) -> bundles.Table:
        if shape.name == "contacts":  # error_logs comes later
            _do(database, ROW)
            try:
                _do(database, "SET lock_timeout = '50ms'; ALTER TABLE hr_tenant.error_logs ALTER COLUMN id TYPE text")
            except psycopg.Error as error:
                refused.append(error)
        return written(writer, shape, read)

    monkeypatch.setattr(bundling, "table", table)
    manifest = manifest_of(archive())

    assert {table.name: table.rows for table in manifest.tables}["error_logs"] == 0
    assert [type(error) for error in refused] == [psycopg.errors.LockNotAvailable]


def test_operator_who_is_no_superuser_archives_and_restores(database: Database, command: Run, tmp_path: Path) -> None:
    database.add("hr")
    _do(database, ROW)
    database.create_login("fedschema_test_ops", "federation_owner")
    password = database.passwords["fedschema_test_ops"]
    url = f"postgresql://fedschema_test_ops:{password}@{database.server.host}:{database.server.port}/{database.name}"

    done = command("tenant", "archive", "hr", "--to", str(tmp_path), url=url)
    assert done.status == 0, done.stderr
    restored = command("tenant", "restore", "hr", "--from", done.stdout.strip(), "--as", "copy", url=url)

    assert restored.status == 0, restored.stderr
    assert "1 rows" in restored.stdout


# ----------------------------------------------------------------------------------------------------------- restoring


def _made_up(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change what a bundle says of itself."""
    with zipfile.ZipFile(path) as true:
        members = {name: true.read(name) for name in true.namelist()}
    given = json.loads(members.pop("manifest.json"))
    change(given)
    made = path.with_name("made_up.zip")
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in [*members.items(), ("manifest.json", json.dumps(given).encode())]:
            archive.writestr(name, content)
    return made


def test_one_that_was_suspended_is_so_again(database: Database, archive: Archive) -> None:
    database.add("hr")
    suspension.suspend(database.conninfo, database.compiler, HR)
    file = archive()
    tenancy.drop(database.conninfo, database.compiler, HR, lambda _: None)

    with fedschema.open_bundle(file, None) as bundle:
        fedschema.restore_department(database.conninfo, database.compiler, bundle, HR, with_grants=True)

    assert traces(database, "hr").status == "SUSPENDED"
    assert validate(database.conninfo, database.compiler, []).ok
    resumed = suspension.resume(database.conninfo, database.compiler, HR)
    assert (resumed.changed, resumed.can_log_in) == (True, True)
    assert validate(database.conninfo, database.compiler, []).ok


def test_rows_are_kept_as_long_as_they_were_under_another_id_too(
    database: Database, command: Run, archive: Archive
) -> None:
    database.add("hr")
    archive()
    for table, period in (("conversation_history", "never"), ("email_logs", "90d")):
        assert command("retention", "set", "hr", table, period).status == 0
    asked = command("tenant", "drop", "hr")
    assert (asked.status, traces(database, "hr").schemas) == (2, 1)
    file = archive()
    assert command("tenant", "drop", "hr").status == 0

    for words in ((), ("--as", "copy")):
        done = command("tenant", "restore", "hr", "--from", str(file), *words)
        assert done.status == 0, done.stderr

    with database.connect() as connection:
        found = connection.execute("""
            SELECT department_id, table_name, kept_for::text, set_by FROM federation.retention_periods ORDER BY 1, 2
        """).fetchall()
    assert found == [
        (department_id, table, kept_for, "postgres")
        for department_id in ("copy", "hr")
        for table, kept_for in (("conversation_history", None), ("email_logs", "90 days"))
    ]

    unknown = _made_up(file, lambda m: m["periods"][0].update(table_name="nothing"))
    with bundles.opened(unknown, None) as bundle:
        restored = restoring.restore(database.conninfo, database.compiler, bundle, Department("other"))
    assert [left.what for left in restored.left_out] == ["the period of nothing"]


def test_bundle_that_was_made_up_changes_nothing(database: Database, archive: Archive, everything: Inventory) -> None:
    database.add("hr")
    _do(database, ROW)
    file = archive()
    before = everything()
    logs = [table.name for table in manifest_of(file).tables].index("error_logs")
    evil = 'x"; DROP SCHEMA federation CASCADE; --'
    cases: list[tuple[type[Exception], Callable[[dict[str, Any]], object]]] = [
        (BundleUnsuitable, lambda m: m["tables"][logs].update(name=evil)),
        (BundleUnsuitable, lambda m: m["tables"][logs]["columns"].append(evil)),
        (BundleUnsuitable, lambda m: m["tables"][logs].update(name="alembic_version")),
        (BundleUnsuitable, lambda m: m.update(revisions=["tenant_9999"])),
        (BundleUnsuitable, lambda m: m.update(revisions=["federation_0001_control_plane"])),
        (BundleUnsuitable, lambda m: m.update(revisions=["tenant_0007_retention", "tenant_0001_core"])),
        (BundleUnsuitable, lambda m: m.update(kind="federation")),
        (BundleUnsuitable, lambda m: m["department"].update(department_name="a\nb")),
        (BundleUnsuitable, lambda m: m["department"].update(admin_email="nobody")),
        (RestoreDiffers, lambda m: m["tables"][logs].update(rows=2)),
        (RestoreDiffers, lambda m: m["tables"][logs].update(digest="0" * 64)),
        (RestoreDiffers, lambda m: m["sequences"].append({"name": evil, "last_value": 1, "is_called": True})),
        (StatementFailed, lambda m: m["sequences"][0].update(last_value=-5)),
        (StatementFailed, lambda m: m["tables"][logs].update(columns=["id", "created_at"])),
        (StatementFailed, lambda m: m["department"].update(created_at="'); DROP SCHEMA federation; --")),
    ]
    for expected, change in cases:
        with pytest.raises(expected), bundles.opened(_made_up(file, change), None) as bundle:
            restoring.restore(database.conninfo, database.compiler, bundle, Department("copy"), with_grants=True)
        assert traces(database, "copy") == NOTHING
    with database.connect() as connection:  # numbers of the history are used up, its rows are not
        assert connection.execute("SELECT count(*) FROM federation.schema_migrations").fetchone() is not None
    assert everything() == before


def test_walls_triggers_and_references_stand_aside_and_come_back(database: Database) -> None:
    """Circles, a row that refers to itself, triggers of each kind, and what was never validated."""
    with connect(database.conninfo) as connection:
        connection.execute("CREATE SCHEMA odd AUTHORIZATION federation_owner")
        connection.execute("""
            SET ROLE federation_owner;
            CREATE TABLE odd.a (id int PRIMARY KEY, b int, self int CONSTRAINT own REFERENCES odd.a, seen text);
            CREATE TABLE odd.b (id int PRIMARY KEY, a int CONSTRAINT late REFERENCES odd.a DEFERRABLE, old int);
            ALTER TABLE odd.a ADD CONSTRAINT circle FOREIGN KEY (b) REFERENCES odd.b;
            ALTER TABLE odd.b ADD CONSTRAINT young CHECK (old < 10) NOT VALID;
            ALTER TABLE odd.b ADD CONSTRAINT lost FOREIGN KEY (old) REFERENCES odd.a NOT VALID;
            CREATE FUNCTION odd.touch() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN NEW.seen := TG_NAME; RETURN NEW; END $$;
            CREATE TRIGGER one BEFORE INSERT ON odd.a FOR EACH ROW EXECUTE FUNCTION odd.touch();
            CREATE TRIGGER two BEFORE INSERT ON odd.a FOR EACH ROW EXECUTE FUNCTION odd.touch();
            CREATE TRIGGER "Three" BEFORE INSERT ON odd.a FOR EACH ROW EXECUTE FUNCTION odd.touch();
            ALTER TABLE odd.a ENABLE ALWAYS TRIGGER two, DISABLE TRIGGER "Three";
            ALTER TABLE odd.a ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
            RESET ROLE;
        """)

        def state() -> list[tuple[Any, ...]]:
            return connection.execute("""
                SELECT tgname, tgenabled::text FROM pg_trigger WHERE tgrelid = 'odd.a'::regclass AND NOT tgisinternal
                UNION ALL
                SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'odd'::regnamespace
                UNION ALL
                SELECT relname, relforcerowsecurity::text FROM pg_class WHERE oid = 'odd.a'::regclass
                ORDER BY 1
            """).fetchall()

        before = state()
        with owner_transaction(connection, "loading"), contents.room(connection, "odd"):
            contents.write(connection, "odd", "a", ["id", "b", "self", "seen"], [b"1\t7\t2\tx\n2\t7\t1\ty\n"])
            contents.write(connection, "odd", "b", ["id", "a", "old"], [b"7\t1\t", b"99\n"])

        assert state() == before
        assert connection.execute("SELECT seen FROM odd.a ORDER BY id").fetchall() == [("x",), ("y",)]
        with pytest.raises(StatementFailed), owner_transaction(connection, "loading"), contents.room(connection, "odd"):
            contents.write(connection, "odd", "a", ["id", "b"], [b"3\t404\n"])
        assert state() == before


def test_rows_of_a_partitioned_table_are_read_and_compared_whatever_partition_they_are_in(database: Database) -> None:
    with connect(database.conninfo) as connection:
        connection.execute("CREATE SCHEMA odd AUTHORIZATION federation_owner")
        connection.execute("""
            SET ROLE federation_owner;
            CREATE TABLE odd.part (id int) PARTITION BY RANGE (id);
            CREATE TABLE odd.low PARTITION OF odd.part FOR VALUES FROM (0) TO (2);
            CREATE TABLE odd.high PARTITION OF odd.part FOR VALUES FROM (2) TO (9);
            RESET ROLE;
        """)
        with owner_transaction(connection, "loading"):
            there = contents.tables(connection, "odd")
            contents.write(connection, "odd", "part", ["id"], [b"1\n2\n3\n"])
            found = contents.read(connection, "odd", there[0], contents.forget)
            written = Table("part", ("id",), found.rows, found.hex, "data/part.copy")
            other = Table("part", ("id",), found.rows, "0" * 64, "data/part.copy")
            assert (len(there), found.rows) == (1, 3)
            assert restoring.differences(there, [written], partial(contents.read, connection, "odd")) == []
            assert len(restoring.differences(there, [other], partial(contents.read, connection, "odd"))) == 1
