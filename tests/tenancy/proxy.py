"""A proxy in front of a server that counts round trips: each time that an answer follows a question."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator

_CHUNK = 1 << 16


class CountingProxy:
    """Listens on a port of its own and passes everything on.

    A connection is served by one thread that watches both ends, so that it sees what was sent in the order in which
    it was sent.

    Args:
        host, port: the server.
        cut_after: when the client has said this, the server hears it and the client never gets the answer.
    """

    def __init__(self, host: str, port: int, cut_after: bytes | None = None) -> None:
        self._server = (host, port)
        self._cut_after = cut_after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._round_trips = 0
        self.port: int = self._listener.getsockname()[1]

    @property
    def round_trips(self) -> int:
        """How often somebody has waited for an answer so far."""
        with self._lock:
            return self._round_trips

    def close(self) -> None:
        """Take no more connections and wait until those that there were have ended."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def accept(self) -> None:
        """Serve until `close`."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            asked = False
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for source in ready:
                    data = _received(source)
                    if not data:
                        return
                    if source is client:
                        asked = True
                        server.sendall(data)
                        if self._cut_after is not None and self._cut_after in data:
                            _received(server)  # it has done what it was told to
                            return
                        continue
                    if asked:
                        asked = False
                        with self._lock:
                            self._round_trips += 1
                    client.sendall(data)


def _received(source: socket.socket) -> bytes:
    try:
        return source.recv(_CHUNK)
    except ConnectionResetError:
        return b""


@contextlib.contextmanager
def counting_proxy(host: str, port: int, cut_after: bytes | None = None) -> Iterator[CountingProxy]:
    """Run a proxy as long as the block lasts."""
    proxy = CountingProxy(host, port, cut_after)
    thread = threading.Thread(target=proxy.accept, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join(10)
