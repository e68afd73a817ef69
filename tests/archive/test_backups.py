"""A backup of the fleet: made, listed, tried, and brought back into an empty database."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from fedschema import backup_lists, tenancy
from fedschema.department import Department
from fedschema.errors import BackupIncomplete
from tests.archive.filling import held
from tests.conftest import Database, Finished, Run


def _document(done: Finished) -> Any:
    return json.loads(done.stdout)


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_text("0123456789abcdef" * 4)
    path.chmod(0o600)
    return str(path)


def test_backup_is_made_tried_and_brought_back_whole(
    full: Database, command: Run, blank_database: Database, key_file: str, tmp_path: Path
) -> None:
    full.add("sales")
    granted = command("grant", "sales", "hr", "--type", "read", "--resource", "contacts", "--by", "a@b.c")
    assert granted.status == 0
    before = {department_id: held(full, department_id) for department_id in ("hr", "sales")}

    made = command("backup", "--all", "--to", str(tmp_path / "to"), "--key-file", key_file, "--json")

    assert made.status == 0, made.stderr
    directory = Path(_document(made)["directory"])
    assert [bundle["status"] for bundle in _document(made)["bundles"]] == ["saved"] * 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    with full.connect() as connection:
        event = connection.execute(
            "SELECT details FROM federation.security_audit WHERE event_type = 'BACKUP_MADE'"
        ).fetchone()
        audit = connection.execute("SELECT id FROM federation.security_audit ORDER BY id").fetchall()
    assert event is not None
    assert (event[0]["complete"], event[0]["departments"], event[0]["failed"]) == (True, 2, [])

    tried = command(
        "backup", "verify", str(tmp_path / "to"), "--key-file", key_file, "--json", url="postgresql://nowhere/"
    )
    assert tried.status == 0, tried.stdout + tried.stderr
    assert [bundle["schema_alike"] for bundle in _document(tried)["bundles"]] == [None, True, True]

    for department_id in ("hr", "sales"):
        tenancy.drop(full.conninfo, full.compiler, Department(department_id), lambda _: None)
    back = ["backup", "restore", str(directory), "--with-grants", "--key-file", key_file, "--json"]
    (directory / "sales.zip.sealed").rename(directory / "away")
    shutil.copy(directory / "hr.zip.sealed", directory / "sales.zip.sealed")
    partly = command(*back, url=blank_database.url)
    (directory / "away").replace(directory / "sales.zip.sealed")
    rest = command(*back, url=blank_database.url)

    assert (partly.status, rest.status) == (1, 0), rest.stdout + rest.stderr
    assert [one["status"] for one in _document(partly)["results"]] == ["restored", "restored", "failed"]
    assert "it holds hr, not sales" in _document(partly)["results"][2]["error"]["message"]
    assert [one["status"] for one in _document(rest)["results"]] == ["unchanged", "unchanged", "restored"]
    assert {department_id: held(blank_database, department_id) for department_id in before} == before
    with blank_database.connect() as connection:
        kept = connection.execute("SELECT id FROM federation.security_audit ORDER BY id").fetchall()
        grants = connection.execute("SELECT source_department_id FROM federation.cross_dept_permissions").fetchall()
        statuses = connection.execute("SELECT DISTINCT status FROM federation.departments").fetchall()
    assert set(audit) - set(kept) == {row for row in audit if row not in kept}
    assert len(set(audit) & set(kept)) == len(audit) - 1  # but the record of the backup itself
    assert (grants, statuses) == ([("sales",)], [("ACTIVE",)])
    checked = command("validate", url=blank_database.url)
    assert checked.status == 0, checked.stdout
    assert command(*_older(directory, blank_database), url=blank_database.url).status == 1


def _older(directory: Path, database: Database) -> list[str]:
    """Return what restores another backup, which one that was restored since knows of only by what its audit says."""
    older = directory.with_name("older")
    shutil.copytree(directory, older)
    listed = json.loads((older / "backup.json").read_text())
    (older / "backup.json").write_text(json.dumps(listed | {"made_at": "2001"}))
    with database.connect() as connection:
        connection.execute(
            """
            INSERT INTO federation.security_audit (event_type, details, created_at)
            VALUES ('FEDERATION_RESTORED', '{"made_at": "2001"}', '2001-01-01')
            """
        )
    return ["backup", "restore", str(older), "--key-file", str(directory.parents[1] / "key")]


def test_one_that_fails_does_not_stop_the_others_and_is_told_again_by_verify(
    database: Database, command: Run, tmp_path: Path
) -> None:
    for department_id in ("hr", "sales"):
        database.add(department_id)
    with database.connect() as connection:
        connection.execute("DROP TABLE hr_tenant.alembic_version")

    made = command("backup", "--all", "--to", str(tmp_path), "--keep", "1")

    assert made.status == 1
    assert "2 of 3 bundles are written; not written: hr (failed)" in made.stderr
    run = backup_lists.read(tmp_path)
    assert {entry.name: entry.status for entry in run.entries} == {
        "federation": "saved",
        "hr": "failed",
        "sales": "saved",
    }
    sales = run.directory / "sales.zip"
    content = sales.read_bytes()
    sales.chmod(0o600)
    sales.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])

    tried = command("backup", "verify", str(tmp_path))

    assert tried.status == 1
    assert "hr: it is not in the backup" in tried.stderr
    assert "sales: " in tried.stderr
    assert "1 of 3 bundles of " in tried.stdout


def test_a_federation_is_not_restored_over_another(database: Database, command: Run, tmp_path: Path) -> None:
    database.add("hr")
    assert command("backup", "--all", "--to", str(tmp_path)).status == 0

    done = command("backup", "restore", str(tmp_path))

    assert done.status == 1
    assert "has 1 department in its registry; nothing was changed" in done.stderr


def test_wrong_words_touch_nothing(database: Database, command: Run, tmp_path: Path) -> None:
    for words in (["--to", "x"], ["hr", "--all", "--to", "x"], ["nobody", "--to", str(tmp_path)], ["hr"]):
        assert command("backup", *words).status == 2, words
    assert list(tmp_path.iterdir()) == []
    missing = command("backup", "verify", str(tmp_path))
    assert missing.status == 1
    assert "there is no backup.json, which is written last" in missing.stderr


def _run(parent: Path, name: str, *, status: str | None, complete: bool = True) -> None:
    run = parent / name
    run.mkdir()
    (run / "hr.zip").touch()
    if status:
        bundles = [{"department_id": "hr", "status": status, "file": "hr.zip"}]
        listed = {"format": "fedschema-backup", "version": 1, "made_at": name, "complete": complete, "bundles": bundles}
        (run / "backup.json").write_text(json.dumps(listed))


def test_pruning_keeps_the_newest_that_have_everything_and_what_is_newer(tmp_path: Path) -> None:
    _run(tmp_path, "20260101T000000Z", status="saved")
    _run(tmp_path, "20260102T000000Z", status=None)
    _run(tmp_path, "20260103T000000Z", status="saved")
    _run(tmp_path, "20260104T000000Z", status="failed")
    _run(tmp_path, "20260105T000000Z", status="saved", complete=False)
    _run(tmp_path, "20260106T000000Z", status="saved")
    _run(tmp_path, "20260107T000000Z", status=None)
    (tmp_path / "20260107T000000Z" / "backup.json").write_text("{")
    (tmp_path / "mine").mkdir()
    elsewhere = tmp_path / "mine"
    _run(elsewhere, "20250101T000000Z", status="saved")
    (tmp_path / "20250101T000000Z").symlink_to(elsewhere / "20250101T000000Z")

    assert backup_lists.prune(tmp_path, 3) == []
    gone = backup_lists.prune(tmp_path, 2)

    assert [run.name for run in gone] == ["20260101T000000Z", "20260102T000000Z"]
    assert len(list(tmp_path.iterdir())) == 7
    assert len(list((elsewhere / "20250101T000000Z").iterdir())) == 2


def test_directory_stands_for_its_newest_backup_of_every_department(tmp_path: Path) -> None:
    _run(tmp_path, "zz_kept", status="saved")
    with pytest.raises(BackupIncomplete, match=r"there is no backup\.json"):
        backup_lists.read(tmp_path)
    for name, complete in (("20260101T000000Z", False), ("20260102T000000Z", False)):
        _run(tmp_path, name, status="saved", complete=complete)
    assert backup_lists.read(tmp_path).made_at == "20260102T000000Z"
    for name, complete in (("20260103T000000Z", True), ("20260104T000000Z", True), ("20260105T000000Z", False)):
        _run(tmp_path, name, status="failed", complete=complete)
    _run(tmp_path, "20260106T000000Z", status=None)

    assert backup_lists.read(tmp_path).made_at == "20260104T000000Z"
    assert backup_lists.read(tmp_path / "20260105T000000Z").complete is False
    (tmp_path / "20260105T000000Z" / "backup.json").write_text("{")
    with pytest.raises(BackupIncomplete, match="damaged"):
        backup_lists.read(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        pytest.param("[" * 100_000, id="deep"),
        '{"format": "fedschema-backup", "version": 9}',
        '{"format": 1}',
    ],
)
def test_list_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "backup.json").write_text(content)
    with pytest.raises(BackupIncomplete):
        backup_lists.read(tmp_path)


def test_list_leads_to_no_file_elsewhere(tmp_path: Path) -> None:
    listed = {
        "format": "fedschema-backup",
        "version": 1,
        "made_at": "",
        "complete": True,
        "bundles": [{"department_id": "hr", "status": "saved", "file": "../../etc/passwd"}],
    }
    (tmp_path / "backup.json").write_text(json.dumps(listed))
    with pytest.raises(BackupIncomplete, match="damaged"):
        backup_lists.read(tmp_path)
