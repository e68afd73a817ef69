"""A bundle that somebody cut, changed or made up is refused, and so is one under another key; no server is needed."""

from __future__ import annotations

import errno
import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from fedschema import bundles, bundling
from fedschema.bundles import BundleWriter, Kind, Manifest, Table
from fedschema.bundles.cipher import CHUNK_BYTES, HEADER_BYTES, SealedReader, SealedWriter
from fedschema.bundles.manifest import File
from fedschema.encryption import Key
from fedschema.errors import BundleDamaged, BundleKeyNeeded, BundleNotWritten, WrongBundleKey

KEY = Key.generate()
ROWS = os.urandom(3 * CHUNK_BYTES)
ENTRY = {
    "department_id": "hr",
    "id": "0b9d6f4e-7d0e-4b5e-9a8e-000000000001",
    "department_name": "Hr",
    "admin_email": None,
}


def _fill(writer: BundleWriter) -> Manifest:
    with writer.member("data/t.copy") as member:
        member.write(ROWS)
    table = Table("t", ("id",), 1, "0" * 64, "data/t.copy")
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    return Manifest(Kind.DEPARTMENT, moment, "0", 180000, "db", ("r",), "f", (), (table,), (), ENTRY)


def _made(path: Path, key: Key | None = None) -> Path:
    return bundling.written(path, key, _fill).path


def _read(path: Path, key: Key | None) -> bytes:
    with bundles.opened(path, key) as bundle:
        bundle.check()
        return b"".join(bundle.blocks("data/t.copy"))


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "sealed"])
def test_what_was_written_is_read(tmp_path: Path, key: Key | None) -> None:
    assert _read(_made(tmp_path / "b.zip", key), KEY) == ROWS


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES])
def test_every_length_is_sealed_and_read_from_anywhere(size: int) -> None:
    content, file = os.urandom(size), io.BytesIO()
    writer = SealedWriter(file, KEY)
    writer.write(content)
    writer.finish()

    reader = SealedReader(file, KEY, "b")

    assert io.BufferedReader(reader).read() == content
    assert reader.seek(-1, io.SEEK_END) == max(0, size - 1)
    assert reader.read() == content[-1:]


def test_sealed_chunks_neither_change_places_nor_come_from_another_file(tmp_path: Path) -> None:
    sealed = CHUNK_BYTES + 16
    one, two = (_made(tmp_path / name, KEY).read_bytes() for name in ("1", "2"))
    swapped = one[:HEADER_BYTES] + one[HEADER_BYTES + sealed :][:sealed] + one[HEADER_BYTES:][:sealed]
    swapped += one[HEADER_BYTES + 2 * sealed :]
    foreign = one[:HEADER_BYTES] + two[HEADER_BYTES : HEADER_BYTES + sealed] + one[HEADER_BYTES + sealed :]
    for content in (swapped, foreign):
        (tmp_path / "b").write_bytes(content)
        with pytest.raises(BundleDamaged):
            _read(tmp_path / "b", KEY)


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "sealed"])
def test_cut_or_changed_anywhere_it_is_refused(tmp_path: Path, key: Key | None) -> None:
    whole = _made(tmp_path / "whole", key).read_bytes()
    step = len(whole) // 37
    cut = [whole[:end] for end in range(0, len(whole), step)] + [whole[:-1], whole[: HEADER_BYTES + CHUNK_BYTES + 16]]
    changed = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(40, len(whole), step)]
    for content in (*cut, *changed):
        (tmp_path / "b").write_bytes(content)
        assert _outcome(tmp_path / "b", key) in {"refused", "harmless" if key is None else "refused"}


def _outcome(path: Path, key: Key | None) -> str:
    """Tell what reading a changed file comes to; what a plain zip keeps beside its content may do no harm."""
    try:
        return "harmless" if _read(path, key) == ROWS else "believed"
    except BundleDamaged:
        return "refused"


def test_key_is_asked_for_by_its_id_and_a_wrong_one_named(tmp_path: Path) -> None:
    sealed, other = _made(tmp_path / "b", KEY), Key.generate()
    with pytest.raises(BundleKeyNeeded, match=KEY.id.hex()):
        _read(sealed, None)
    with pytest.raises(WrongBundleKey, match=f"{KEY.id.hex()}.*{other.id.hex()}"):
        _read(sealed, other)


def _made_up(path: Path, change: Callable[[dict[str, Any]], object], *more: tuple[str, bytes]) -> Path:
    """Make a bundle whose manifest says something else, with its checksums right."""
    with zipfile.ZipFile(_made(path.with_suffix(".true"))) as true:
        members = {name: true.read(name) for name in true.namelist()}
    given = json.loads(members.pop("manifest.json"))
    change(given)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [*members.items(), *more, ("manifest.json", json.dumps(given).encode())]:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(format="zip"),
        lambda m: m.update(version=2),
        lambda m: m.update(kind="database"),
        lambda m: m.update(made_at="2026-01-02T00:00:00"),
        lambda m: m.update(server_version=True),
        lambda m: m.update(revisions=["'; DROP SCHEMA federation; --"]),
        lambda m: m["tables"][0].update(rows=-1),
        lambda m: m["tables"][0].update(digest="x"),
        lambda m: m["tables"][0].update(columns=[1]),
        lambda m: m["tables"][0].update(name="a\0b"),
        lambda m: m["tables"][0].update(file="../../etc/passwd"),
        lambda m: m["tables"].append(m["tables"][0]),
        lambda m: m["files"].update({"../x.copy": m["files"]["data/t.copy"]}),
        lambda m: m["files"].update({"/etc/x.copy": m["files"]["data/t.copy"]}),
        lambda m: m["files"]["data/t.copy"].update(bytes=1 << 70),
        lambda m: m.update(sequences=[{"name": "s", "last_value": "1; DROP", "is_called": True}]),
        lambda m: m["department"].update(id="not a uuid"),
        lambda m: m.update(department=[]),
        lambda m: m.pop("tables"),
        lambda m: m.update(grants="all"),
    ],
)
def test_manifest_that_was_made_up_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(BundleDamaged):
        _read(_made_up(tmp_path / "b.zip", change), None)


def test_member_that_is_not_listed_or_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleDamaged, match="not what its manifest lists"):
        _read(_made_up(tmp_path / "b.zip", lambda m: None, ("../../evil.sql", b"DROP")), None)
    with pytest.warns(UserWarning, match="Duplicate"), pytest.raises(BundleDamaged, match="twice"):
        _read(_made_up(tmp_path / "c.zip", lambda m: None, ("data/t.copy", b"DROP")), None)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_member_that_is_packed_in_another_way_is_refused(tmp_path: Path, method: int) -> None:
    other = tmp_path / "b.zip"
    with zipfile.ZipFile(_made(tmp_path / "true")) as true, zipfile.ZipFile(other, "w", method) as archive:
        for name in true.namelist():
            archive.writestr(name, true.read(name))
    with pytest.raises(BundleDamaged, match="packed in another way"):
        _read(other, None)


def test_member_that_is_said_to_begin_elsewhere_is_refused(tmp_path: Path) -> None:
    """The end of the directory lies: all offsets in it lead before the beginning of the file."""
    whole = _made(tmp_path / "b.zip").read_bytes()
    place = whole.rindex(b"PK\x05\x06") + 16
    for offset in (b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x00\xff\xff\x00"):
        (tmp_path / "b").write_bytes(whole[:place] + offset + whole[place + 4 :])
        with pytest.raises(BundleDamaged):
            _read(tmp_path / "b", None)


def test_member_that_unpacks_to_more_than_it_says_is_not_read_on(tmp_path: Path) -> None:
    """A zip bomb: what is listed as a kilobyte, or as nothing, is a gigabyte."""
    bomb = tmp_path / "b.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("data/t.copy", "w") as stream:
            for _ in range(64):
                stream.write(bytes(1 << 20))
        manifest = _fill(BundleWriter(zipfile.ZipFile(io.BytesIO(), "w")))
        manifest = replace(manifest, files={"data/t.copy": File(1024, "0" * 64)})
        archive.writestr("manifest.json", manifest.text())
    taken = 0
    with bundles.opened(bomb, None) as bundle, pytest.raises(BundleDamaged):
        for block in bundle.blocks("data/t.copy"):
            taken += len(block)
    assert taken == 0


def test_no_bundle_at_all_is_said_to_be_none(tmp_path: Path) -> None:
    for content in (
        b"",
        b"PK",
        b"fedschema sealed bundle\n",
        b"fedschema sealed bundle\n\x02" + bytes(40),
        b"x" * 1000,
    ):
        (tmp_path / "b").write_bytes(content)
        with pytest.raises(BundleDamaged):
            _read(tmp_path / "b", KEY)


def test_disk_that_is_full_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BundleNotWritten, match="No space left"):
        _made(tmp_path / "b.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_text("mine")
    with pytest.raises(BundleNotWritten, match="File exists"):
        _made(tmp_path / "b.zip")
    assert (tmp_path / "b.zip").read_text() == "mine"


def test_what_a_killed_process_left_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    left, somebodys = tmp_path / ".fedschema-left.part", tmp_path / ".somebodys.part"
    for path in (left, somebodys):
        path.touch()
        os.utime(path, (0, 0))
    with bundles.whole_file(tmp_path / "one") as one:
        os.utime(one.name, (0, 0))
        _made(tmp_path / "two")
        cast("Any", one).write(b"1")
    assert sorted(path.name for path in tmp_path.iterdir()) == [somebodys.name, "one", "two"]


def test_documented_reader_reads_a_sealed_bundle(tmp_path: Path) -> None:
    """The page's own few lines, in the place of a fedschema that nobody has any more."""
    page = (Path(__file__).parents[2] / "docs/reference/bundles.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own page
    with _made(tmp_path / "b", KEY).open("rb") as source, (tmp_path / "b.zip").open("wb") as target:
        names["unseal"](KEY.material.hex(), source, target)
    assert _read(tmp_path / "b.zip", None) == ROWS
