"""How hard a release may press: how long it waits for locks, how long it holds them, how often it tries again."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from fedschema.department import Department
from fedschema.errors import Cancelled, LockHeldTooLong, LockTimeout
from fedschema.workers import CANCEL_AGAIN, cancel_until

Done = TypeVar("Done")

#: The first pause before a step is tried again, and the longest, seconds.
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 10.0


@dataclass(frozen=True, slots=True)
class Pace:
    """What a release asks of a department's users.

    They wait at most `lock_timeout` for a migration that waits for its lock, and `max_lock_hold` for one that has it.

    Attributes:
        lock_timeout: how long a statement waits for a lock, seconds.
        statement_timeout: how long a statement may run, seconds; None for as long as it takes.
        max_lock_hold: how long a department's whole transaction may take beyond one wait for a lock, seconds; None for
            as long as it takes.
        retries: how often a department is tried again that could not have its locks.
    """

    lock_timeout: float = 5.0
    statement_timeout: float | None = None
    max_lock_hold: float | None = None
    retries: int = 3

    def apply(self, connection: psycopg.Connection) -> None:
        """Set the timeouts for the transaction that has begun."""
        connection.execute(
            "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
            (_milliseconds(self.lock_timeout), _milliseconds(self.statement_timeout or 0)),
        )

    @contextmanager
    def held_briefly(self, connection: psycopg.Connection, department: Department) -> Iterator[None]:
        """Cancel what runs inside when it takes too long.

        Raises:
            LockHeldTooLong: it did; its transaction is rolled back.
        """
        if self.max_lock_hold is None:
            yield
            return
        late, ended = threading.Event(), threading.Event()

        def watch() -> None:
            if not ended.wait(self.lock_timeout + (self.max_lock_hold or 0)):
                late.set()
                cancel_until(lambda: ended.wait(CANCEL_AGAIN), lambda: [connection])

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        except Cancelled as error:
            if late.is_set():
                raise LockHeldTooLong(department.id, self.max_lock_hold) from error
            raise
        finally:
            ended.set()
            watcher.join()  # so that it does not cancel what comes next on this connection

    def patiently(self, attempt: Callable[[], Done], wait: Callable[[float], bool]) -> Done:
        """Do something, and again after a pause when it could not have its locks.

        Args:
            attempt: a transaction.
            wait: waits so many seconds; true when that is cut short and the attempts end.

        Raises:
            LockTimeout: as often as it may be tried.
        """
        for number in range(self.retries):
            try:
                return attempt()
            except LockTimeout:
                if wait(self.pause_before(number)):
                    raise
        return attempt()

    def pause_before(self, attempt: int) -> float:
        """Return how long to wait before trying again, seconds: longer each time, and never the same for two."""
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)
        return random.uniform(longest / 2, longest)  # noqa: S311 - so that two do not meet again


def _milliseconds(seconds: float) -> str:
    return f"{max(0, round(seconds * 1000))}ms"
