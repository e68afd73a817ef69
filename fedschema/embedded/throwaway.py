"""A server for tests and benchmarks: fresh, fast, not durable, and gone without a trace however its user dies."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from fedschema.embedded import cluster, placement, postmaster, processes
from fedschema.embedded.account import operators, server_account
from fedschema.embedded.binaries import SYSTEM_HOME, binaries_for
from fedschema.embedded.errors import (
    DiskFull,
    EmbeddedServerNotPermitted,
    ServerStartFailed,
    ServerStopFailed,
    UnsupportedPlatform,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fedschema.embedded.account import Account
    from fedschema.embedded.binaries import Binaries

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "max_locks_per_transaction": "256",
    "password_encryption": "scram-sha-256",
    "jit": "off",
}
"""Without any promise for a power cut, which is what makes it fast."""

START_SECONDS = 60.0
STOP_SECONDS = 30.0

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- memory; what is made there has a random name
_FALLBACK = Path("/tmp")  # noqa: S108 -- as above
_ROOM_IN_MEMORY = 1 << 30
_PORT_ATTEMPTS = 3
_PORT_TAKEN = "Address already in use"
_SUPERVISE = Path(__file__).with_name("supervise.sh")


@dataclass(frozen=True, slots=True)
class ThrowawayServer:
    """A running throwaway server.

    Attributes:
        host, port, user, password: the superuser's login over TCP.
        sockets: the directory of its Unix socket, where whoever runs the test logs in without a password.
        directory: what holds it all and disappears with it.
        bindir: its programs, psql among them.
        version: such as ``18.6``.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    sockets: Path
    directory: Path
    bindir: Path
    version: str

    def url(self, database: str = "postgres") -> str:
        """Compose a libpq URL of the superuser over TCP, password included."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{quote(database, safe='')}"


@contextlib.contextmanager
def throwaway_server(
    bindir: Path | None = None,
    settings: Mapping[str, str] | None = None,
    system_home: Path = SYSTEM_HOME,
    room: int = _ROOM_IN_MEMORY,
) -> Iterator[ThrowawayServer]:
    """Run a fresh server as long as the block lasts, in memory if there is room.

    A supervising shell holds the reading end of a pipe from us. When the pipe closes, because the block ended or
    because this process was killed, the shell ends the server and removes the directory.

    Args:
        bindir: the programs of another PostgreSQL, such as ``/usr/lib/postgresql/15/bin``.
        settings: what to set besides, or instead.
        system_home: where root keeps copies of programs that the server's account cannot read.
        room: how many bytes have to be free in memory for it to be there.

    Raises:
        EmbeddedServerError: it cannot be had.
    """
    if sys.platform == "win32":
        raise UnsupportedPlatform(sys.platform)
    account = server_account([])
    binaries = binaries_for(account, bindir, system_home)
    with contextlib.ExitStack() as stack:
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            supervisor = stack.enter_context(_supervisor(account, room))
            try:
                server = supervisor.serve(binaries, {**SETTINGS, **(settings or {})})
                break
            except ServerStartFailed as error:
                if attempt == _PORT_ATTEMPTS or _PORT_TAKEN not in error.lines:
                    raise
        yield server


@dataclass(frozen=True, slots=True)
class _Supervisor:
    """The shell that serves and cleans up.

    Attributes:
        account: who it is.
        directory: what it made, and will remove.
        requests: the writing end of its standard input.
        life: the reading end of its standard output, which ends when the server does.
    """

    account: Account
    directory: Path
    requests: int
    life: int

    def serve(self, binaries: Binaries, settings: Mapping[str, str]) -> ThrowawayServer:
        """Make the cluster and start it.

        Raises:
            EmbeddedServerError: PostgreSQL refused.
        """
        data, sockets, password_file = (self.directory / name for name in ("data", "run", "password"))
        password = secrets.token_urlsafe(24)
        processes.write_as(self.account, password_file, password + "\n")
        blueprint = cluster.Blueprint(settings=settings, operators=operators(self.account), password_file=password_file)
        # The programs inherit the pipe: the shell clears up only when the last of them is gone.
        cluster.create(binaries, self.account, data, blueprint, keep=[self.requests])
        port = placement.choose_port()
        words = cluster.command(binaries, data, sockets, port)
        os.write(self.requests, "\n".join([*words, "", ""]).encode())
        if not postmaster.wait_until_ready(data, self._lives, START_SECONDS):
            raise self._failure()
        return ThrowawayServer(
            host=postmaster.LOOPBACK,
            port=port,
            user=cluster.SUPERUSER,
            password=password,
            sockets=sockets,
            directory=self.directory,
            bindir=binaries.directory,
            version=binaries.version,
        )

    def _lives(self) -> bool:
        try:
            return os.read(self.life, 1) != b""
        except BlockingIOError:
            return True

    def _failure(self) -> ServerStartFailed | DiskFull:
        log = self.directory / "log"
        lines = log.read_text(encoding="utf-8", errors="replace")
        if cluster.NO_SPACE in lines:
            return DiskFull(self.directory.parent)
        reason = "not ready in time" if self._lives() else "it ended at once"
        return ServerStartFailed(log, reason, "\n".join(lines.splitlines()[-10:]))


@contextlib.contextmanager
def _supervisor(account: Account, room: int) -> Iterator[_Supervisor]:
    """Run the supervising shell as `account`, in a session of its own: Ctrl-C is for us to handle, not for it."""
    name = f"fedschema-{secrets.token_hex(8)}"
    parents = [parent for parent in _parents(room) if postmaster.fits_socket(parent / name / "run")]
    script = _SUPERVISE.read_text(encoding="utf-8")
    its_input, requests = os.pipe()
    life, its_output = os.pipe()
    try:
        try:
            shell = subprocess.Popen(
                [processes.SHELL, "-c", script, processes.SHELL, name, *parents],
                stdin=its_input,
                stdout=its_output,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=processes.environment(),
                start_new_session=True,
                **account.identity,
            )
        finally:
            os.close(its_input)
            os.close(its_output)
        try:
            yield _Supervisor(account, _first_line(life, parents), requests, life)
        finally:
            _dismiss(shell, requests)
    finally:
        os.close(life)
        os.close(requests)


def _parents(room: int) -> list[Path]:
    """List where the directory may go, best first; the shell takes the first that its account can write to."""
    parents = [Path(tempfile.gettempdir()), _FALLBACK]
    if _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free >= room:
        parents.insert(0, _SHARED_MEMORY)
    return parents


def _first_line(life: int, parents: list[Path]) -> Path:
    """Read where the shell made the directory, and make later reads return at once."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(life, 4096)
        if not part:
            raise EmbeddedServerNotPermitted(parents[-1], "no directory can be made there for a server")
        line += part
    os.set_blocking(life, False)
    return Path(os.fsdecode(line[:-1]))


def _dismiss(shell: subprocess.Popen[bytes], requests: int) -> None:
    """Tell the shell to end the server and remove the directory, and wait for it.

    Said in words too: a process forked from us may hold another copy of the pipe, which would then never end.
    """
    with contextlib.suppress(BrokenPipeError):
        os.write(requests, b"\n")
    try:
        shell.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired as error:
        reason = f"its supervisor still runs after {STOP_SECONDS:.0f} s"
        raise ServerStopFailed(reason, f"ps -f -p {shell.pid}") from error
