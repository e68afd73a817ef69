"""Real servers in real directories. Every fixture works as root and as an ordinary user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from fedschema.embedded import EmbeddedServer, EmbeddedServerError, placement
from fedschema.embedded.account import Account, server_account
from fedschema.embedded.binaries import Binaries, binaries_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).parents[2]
ROOM = 1 << 30

# Root gives itself up after everything is imported: the interpreter may live where nobody else can read.
DROP_PRIVILEGES = """
import os, pwd, subprocess, sys, json, time
from pathlib import Path
from fedschema.embedded import EmbeddedServer, EmbeddedServerError, throwaway_server
if os.geteuid() == 0:
    nobody = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)
"""


class Serve(Protocol):
    """Make a server that is stopped after the test."""

    def __call__(self, directory: Path, bindir: Path | None = None) -> EmbeddedServer: ...


class RunPython(Protocol):
    """Start Python code in another process that can import fedschema."""

    def __call__(self, code: str, *arguments: str | Path) -> subprocess.Popen[str]: ...


@pytest.fixture(scope="session")
def workshop() -> Iterator[Path]:
    """A directory with a short path that everybody can enter: pytest's own are closed to other accounts.

    In memory where there is room: a disk may take seconds to delete a cluster.
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > ROOM
    directory = Path(tempfile.mkdtemp(prefix="fst-", dir=memory if roomy else "/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def system_home(workshop: Path) -> Path:
    """What stands for /var/lib/fedschema."""
    return workshop / "system"


@pytest.fixture
def project(workshop: Path) -> Iterator[Path]:
    """The working directory of a command."""
    directory = Path(tempfile.mkdtemp(prefix="p-", dir=workshop))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def account() -> Account:
    """Who runs the servers."""
    return server_account([])


@pytest.fixture(scope="session")
def packaged(account: Account, system_home: Path) -> Binaries:
    """The programs, where the account can read them."""
    return binaries_for(account, system_home=system_home)


@pytest.fixture
def serve(project: Path, system_home: Path) -> Iterator[Serve]:
    """Make servers whose directories are in `project`, which is removed after they are stopped."""
    servers: list[EmbeddedServer] = []

    def make(directory: Path, bindir: Path | None = None) -> EmbeddedServer:
        servers.append(EmbeddedServer(directory, bindir=bindir, system_home=system_home))
        return servers[-1]

    yield make
    for server in servers:
        _discard(server)


@pytest.fixture(scope="session")
def initialised(workshop: Path, system_home: Path) -> Path:
    """A ``.fedschema/`` that was started once and stopped, to copy from: initdb takes a second."""
    server = EmbeddedServer(workshop / "initialised" / ".fedschema", system_home=system_home)
    server.ensure_running()
    server.stop()
    return server.directory


@pytest.fixture
def copied(initialised: Path, project: Path) -> Path:
    """A stopped ``.fedschema/`` of one's own."""
    subprocess.run(["cp", "-Rp", initialised, project], check=True)
    return project / ".fedschema"


@pytest.fixture
def running(copied: Path, serve: Serve) -> EmbeddedServer:
    """A running server of one's own."""
    server = serve(copied)
    server.ensure_running()
    return server


@pytest.fixture
def run_python() -> Iterator[RunPython]:
    """Start Python code in another process, which is killed after the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
        paths = [str(REPOSITORY), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, cwd="/"))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def run_unprivileged(run_python: RunPython) -> RunPython:
    """Start Python code as an ordinary user: ourselves, or nobody when the tests run as root."""

    def start(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
        return run_python(DROP_PRIVILEGES + code, *arguments)

    return start


@pytest.fixture(scope="session")
def ordinary_user() -> tuple[int, int]:
    """The user and group id of `run_unprivileged`."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


@pytest.fixture(scope="session")
def packaged_for_ordinary_user(ordinary_user: tuple[int, int], workshop: Path, system_home: Path) -> Path:
    """The programs, where that user can read them."""
    theirs = workshop / "theirs"
    theirs.mkdir()
    os.chown(theirs, *ordinary_user)
    return binaries_for(server_account([theirs]), system_home=system_home).directory


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], bool]], bool]:
    """Tell whether something comes true within a few seconds."""

    def wait(condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + 10
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    return wait


def _discard(server: EmbeddedServer) -> None:
    place = placement.load(server.directory)
    try:
        server.stop()
    except EmbeddedServerError as error:
        pytest.fail(f"the server could not be stopped: {error}")
    if place is not None and not place.sockets.is_relative_to(place.home):
        shutil.rmtree(place.sockets, ignore_errors=True)
