"""Ctrl-C while a fleet is worked on: once, what runs is finished; twice, it is cancelled; a third time, left."""

from __future__ import annotations

import contextvars
import itertools
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fedschema.cli import output
from fedschema.workers import Halt

_FINISHING = "finishing what runs, and beginning nothing new; to cancel that too: Ctrl-C again"
_CANCELLING = "cancelling what runs"


class _Listener:
    """Halts a run as signals ask.

    A signal handler runs between any two steps of the main thread, its own among them: were it to take a lock that the
    main thread holds, both would wait for ever. So it only notes what was asked and puts it on a queue made for that
    (Python's manual: `SimpleQueue.put` is reentrant); a thread says it and does what needs locks.
    """

    def __init__(self, halt: Halt) -> None:
        self._halt = halt
        self._signals = itertools.count()
        self._cancelling = False
        self._asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        # In the context of the command, whose journal it writes to.
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._listen,), daemon=True)

    def interrupted(self, number: int, _: FrameType | None) -> None:
        """Handle a signal; another may come before this one is handled, and the two are told apart by their number."""
        stopping = self._halt.stopping
        if next(self._signals) == 0 and not stopping:
            self._halt.stop()
            self._asked.put(_FINISHING)
        elif number == signal.SIGINT and self._cancelling:
            raise KeyboardInterrupt  # a question is open, or the server cannot be told
        elif number == signal.SIGINT:
            self._cancelling = True
            self._asked.put(_CANCELLING)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._asked.put(None)
        self._thread.join()  # what was asked is said before the outcome is

    def _listen(self) -> None:
        for asked in iter(self._asked.get, None):
            output.note(asked)
            if asked == _CANCELLING:
                self._halt.cancel()


@contextmanager
def halting(halt: Halt) -> Iterator[Halt]:
    """Let SIGINT and SIGTERM halt a run instead of killing it half-way; of the main thread only, as Python has it."""
    if threading.current_thread() is not threading.main_thread():  # Python lets no other set handlers
        yield halt
        return
    listener = _Listener(halt)
    with listener:
        before = {number: signal.signal(number, listener.interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield halt
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
