"""A TCP proxy that makes a server farther away and counts how often a client waits for it.

It runs in a process of its own: in ours it would fight the measured code for the interpreter.
"""

from __future__ import annotations

import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from benchmarks.errors import BenchmarkFailed

LOOPBACK = "127.0.0.1"
_CHUNK = 1 << 16
_START_SECONDS = 30.0
_TAKE = "take"


@dataclass(frozen=True, slots=True)
class Upstream:
    """The server behind a proxy.

    Attributes:
        host: its address, or the directory of its Unix socket.
        port: its port.
    """

    host: str
    port: int

    def connect(self) -> socket.socket:
        """Connect to it."""
        if self.host.startswith("/"):
            unix = socket.socket(socket.AF_UNIX)
            unix.connect(str(Path(self.host, f".s.PGSQL.{self.port}")))
            return unix
        connected = socket.create_connection((self.host, self.port))
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected


@dataclass(slots=True)
class RoundTrips:
    """Counts the times that a client has asked and got an answer, however many packets either took.

    Attributes:
        count: so far; connecting is one, as TCP's own handshake is.
    """

    count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def connection(self) -> tuple[Callable[[], None], Callable[[], None]]:
        """Begin a connection; return what to call when the client, and when the server, has said something."""
        waiting = False

        def asked() -> None:
            nonlocal waiting
            waiting = True

        def answered() -> None:
            nonlocal waiting
            if waiting:
                waiting = False
                self._add()

        self._add()
        return asked, answered

    def take(self) -> int:
        """Return the count and begin anew."""
        with self._lock:
            taken, self.count = self.count, 0
        return taken

    def _add(self) -> None:
        with self._lock:
            self.count += 1


@dataclass(slots=True)
class _Direction:
    """One direction of a connection: each piece is passed on `delay` seconds after it came, by threads of its own.

    Reading never waits for writing: a piece carries the moment when it is due, so that many can be under way at once,
    as on a long line.

    Attributes:
        source, sink: where pieces come from and go to.
        delay: seconds that a piece is under way.
        seen: is called for each piece that came.
        late: how much later still the first piece is.
    """

    source: socket.socket
    sink: socket.socket
    delay: float
    seen: Callable[[], None]
    late: float = 0.0
    _pieces: SimpleQueue[tuple[float, bytes]] = field(default_factory=SimpleQueue)

    def start(self) -> None:
        """Pass on from now on, until the source has ended."""
        for work in (self._read, self._write):
            threading.Thread(target=work, daemon=True).start()

    def _read(self) -> None:
        delay = self.delay + self.late
        while piece := self._receive():
            due = time.monotonic() + delay
            self.seen()  # before it is passed on: what answers it must not be seen first
            self._pieces.put((due, piece))
            delay = self.delay
        self._pieces.put((time.monotonic() + delay, b""))

    def _receive(self) -> bytes:
        """Wait for a piece; an empty one is the end."""
        try:
            return self.source.recv(_CHUNK)
        except OSError:
            return b""

    def _write(self) -> None:
        with suppress(OSError):  # the other side has gone; whoever reads it notices by itself
            while True:
                due, piece = self._pieces.get()
                if (left := due - time.monotonic()) > 0:
                    time.sleep(left)
                if not piece:
                    self.sink.shutdown(socket.SHUT_WR)
                    return
                self.sink.sendall(piece)


def _accept(listener: socket.socket, upstream: Upstream, delay: float, trips: RoundTrips) -> None:
    """Serve every client that connects."""
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            server = upstream.connect()
        except OSError:
            client.close()  # which is what the client shall see, too
            continue
        asked, answered = trips.connection()
        # The client connected at once, because we are near; over the line that would have been a round trip.
        _Direction(client, server, delay, asked, late=2 * delay).start()
        _Direction(server, client, delay, answered).start()


def _serve(upstream: Upstream, delay: float, control: Connection[Any, Any]) -> None:
    """Run a proxy until the other end of `control` closes; tell the port first, then a count whenever asked."""
    trips = RoundTrips()
    with socket.create_server((LOOPBACK, 0)) as listener:
        threading.Thread(target=_accept, args=(listener, upstream, delay, trips), daemon=True).start()
        control.send(listener.getsockname()[1])
        try:
            while control.recv() == _TAKE:
                control.send(trips.take())
        except (EOFError, KeyboardInterrupt):
            return


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy.

    Attributes:
        port: where it listens, on the loopback.
        control: the line to its process.
    """

    port: int
    control: Connection[Any, Any]

    def take_round_trips(self) -> int:
        """Return how many round trips were made since the last call."""
        self.control.send(_TAKE)
        taken: int = self.control.recv()
        return taken


@contextmanager
def running_proxy(upstream: Upstream, delay: float = 0.0) -> Iterator[Proxy]:
    """Run a proxy as long as the block lasts.

    Args:
        upstream: the server behind it.
        delay: seconds that each direction takes longer.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(upstream, delay, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_START_SECONDS):
            raise BenchmarkFailed("the proxy did not start")
        yield Proxy(ours.recv(), ours)
    finally:
        ours.close()
        process.join(_START_SECONDS)
