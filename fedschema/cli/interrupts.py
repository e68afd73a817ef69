"""Ctrl-C while a fleet is worked on: once, what runs is finished; twice, it is cancelled; a third time, left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fedschema.cli import output
from fedschema.workers import Halt


@contextmanager
def halting(halt: Halt) -> Iterator[Halt]:
    """Let SIGINT and SIGTERM halt a run instead of killing it half-way; of the main thread only, as Python has it."""
    if threading.current_thread() is not threading.main_thread():  # Python lets no other set handlers
        yield halt
        return

    def interrupted(number: int, _: FrameType | None) -> None:
        if not halt.stopping:
            output.note("finishing what runs, and beginning nothing new; to cancel that too: Ctrl-C again")
            halt.stop()
        elif number == signal.SIGINT and halt.cancelling:
            raise KeyboardInterrupt  # a question is open, or the server cannot be told
        elif number == signal.SIGINT:
            output.note("cancelling what runs")
            halt.cancel()

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield halt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
