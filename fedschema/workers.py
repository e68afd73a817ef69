"""Runs the same work for many departments over a few connections, and can be halted.

Each worker is a thread with a connection of its own. What a department's work may fail with is part of its result: the
others go on. Only what nobody expected ends the run.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import psycopg

from fedschema.connections import cancel, connect
from fedschema.errors import FedschemaError, NoRoom

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

#: A cancellation that comes between two statements is forgotten by the server, so it is told again, seconds.
CANCEL_AGAIN = 0.1
#: Four connections give nearly all the gain there is on a few cores (measured: docs/explanation/performance.md).
_MOST_JOBS = 4
#: A connection is opened for no fewer departments than this: with few, one after another is as fast, and in order.
_DEPARTMENTS_A_JOB = 8


def jobs_for(connection: psycopg.Connection, wanted: int | None, departments: int) -> int:
    """Return how many connections to work over: what was asked for, or what is of use and leaves room for others.

    Raises:
        NoRoom: more were asked for than there is room for.
    """
    row = connection.execute(
        """
        SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
            - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend')
        """
    ).fetchone()
    assert row is not None  # noqa: S101 - the query always gives one row
    left = max(1, int(row[0]) + 1)  # this connection is closed before the others open
    if wanted is not None and wanted > left:
        raise NoRoom(wanted, left)
    return wanted or max(1, min(_MOST_JOBS, left // 2, departments // _DEPARTMENTS_A_JOB))


def cancel_until(ended: Callable[[], bool], running: Callable[[], Iterable[psycopg.Connection]]) -> None:
    """Cancel what runs on connections again and again, until it has ended.

    Args:
        ended: whether it has; takes `CANCEL_AGAIN` seconds to say no.
        running: the connections on which something runs.
    """
    while True:
        for connection in running():
            cancel(connection)
        if ended():
            return


@dataclass(frozen=True, slots=True)
class _Refused:
    """Why a worker got no connection; the others may have one."""

    error: FedschemaError


class Halt:
    """Asks a run to end: once, so that nothing new begins; twice, so that what runs is cancelled and rolls back."""

    def __init__(self) -> None:
        self._stopping = False
        self._cancelling = threading.Event()
        self._running: set[psycopg.Connection] = set()
        self._lock = threading.Lock()

    @property
    def stopping(self) -> bool:
        """Nothing new is to begin."""
        return self._stopping

    @property
    def cancelling(self) -> bool:
        """What runs is to end as well."""
        return self._cancelling.is_set()

    def stop(self) -> None:
        """Let what runs finish and begin nothing new; a signal handler may do this, for it takes no lock."""
        self._stopping = True

    def cancel(self) -> None:
        """Cancel what runs; each transaction is rolled back by the server."""
        self.stop()
        self._cancelling.set()
        threading.Thread(target=cancel_until, args=(self._all_ended, self._those_running), daemon=True).start()

    def _those_running(self) -> list[psycopg.Connection]:
        with self._lock:
            return list(self._running)

    def _all_ended(self) -> bool:
        time.sleep(CANCEL_AGAIN)
        return not self._those_running()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or less when the run is cancelled meanwhile; tell whether it was."""
        return self._cancelling.wait(seconds)

    @contextmanager
    def covering(self, connection: psycopg.Connection) -> Iterator[None]:
        """Cancel what runs on a connection inside as well, when that is asked for."""
        with self._lock:
            self._running.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(connection)


class Workers(Generic[Item, Outcome]):
    """A few connections that share a list of departments.

    Args:
        conninfo: the database.
        jobs: how many connections.
        work: what is done for one of them; it returns its failure rather than raising it.
        halt: how the run is ended early.
    """

    def __init__(
        self, conninfo: str, jobs: int, work: Callable[[psycopg.Connection, Item], Outcome], halt: Halt
    ) -> None:
        self._conninfo = conninfo
        self._jobs = jobs
        self._work = work
        self._halt = halt

    def run(self, items: Sequence[Item]) -> Iterator[tuple[Item, Outcome]]:
        """Do the work for each and yield each outcome as it is there; items that were not begun are left out.

        A single job works in the thread of whoever asks, one by one: it goes on when the outcome before was taken.

        Raises:
            FedschemaError: no connection can be opened any more, and not all is done.
        """
        yield from self._in_order(items) if self._jobs == 1 else self._side_by_side(items)

    def _in_order(self, items: Sequence[Item]) -> Iterator[tuple[Item, Outcome]]:
        connection: psycopg.Connection | None = None
        try:
            for item in items:
                if self._halt.stopping:
                    return
                connection = self._usable(connection)
                with self._halt.covering(connection):
                    outcome = self._work(connection, item)
                yield item, outcome
        finally:
            if connection is not None:
                connection.close()

    def _usable(self, connection: psycopg.Connection | None) -> psycopg.Connection:
        """Return a connection that was not lost: this one, or another."""
        return connect(self._conninfo) if connection is None or connection.closed or connection.broken else connection

    def _side_by_side(self, items: Sequence[Item]) -> Iterator[tuple[Item, Outcome]]:
        waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
        for item in items:
            waiting.put(item)
        done: queue.SimpleQueue[tuple[Item, Outcome] | _Refused | BaseException | None] = queue.SimpleQueue()
        threads = [
            threading.Thread(target=self._serve, args=(waiting, done), daemon=True)
            for _ in range(min(self._jobs, len(items)))
        ]
        for thread in threads:
            thread.start()
        failure: BaseException | None = None
        refused: FedschemaError | None = None
        remaining = len(threads)
        while remaining:
            told = done.get()
            if told is None:
                remaining -= 1
            elif isinstance(told, _Refused):
                refused = refused or told.error
            elif isinstance(told, BaseException):
                failure = failure or told
                self._halt.stop()
            else:
                yield told
        if failure:
            raise failure
        if refused and not self._halt.stopping and not waiting.empty():
            raise refused

    def _serve(
        self,
        waiting: queue.SimpleQueue[Item],
        done: queue.SimpleQueue[tuple[Item, Outcome] | _Refused | BaseException | None],
    ) -> None:
        """Work until nothing waits, on one connection, or on another when that one is lost."""
        connection: psycopg.Connection | None = None
        try:
            while not self._halt.stopping:
                try:
                    item = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    connection = self._usable(connection)
                except FedschemaError as error:
                    waiting.put(item)  # for a worker that has a connection
                    done.put(_Refused(error))
                    return
                with self._halt.covering(connection):
                    if self._halt.cancelling:  # it came too late for this connection to hear of it
                        return
                    done.put((item, self._work(connection, item)))
        except BaseException as error:  # noqa: BLE001 - it is raised again where the run is waited for
            done.put(error)
        finally:
            if connection is not None:
                connection.close()
            done.put(None)
