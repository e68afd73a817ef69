"""Shows a fleet's work as it happens: a line a department, or a bar at a terminal when there are many."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedschema.cli import journal, output
from fedschema.department import Department

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

#: With more departments than this a terminal shows a bar, and at the end only what needs attention.
_MANY = 20


@dataclass
class Bar:
    """A bar of departments done and failed, with a forecast."""

    progress: Progress
    task: TaskID
    failed: int = 0

    def advance(self, *, failed: bool) -> None:
        """Count one department more."""
        self.failed += failed
        self.progress.update(self.task, advance=1, failed=self.failed)


@contextmanager
def bar_for(departments: int) -> Iterator[Bar | None]:
    """Give a bar where one is of use: at a terminal, for many departments; else None."""
    if departments <= _MANY or not sys.stderr.isatty() or journal.wanted():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - only few commands show one
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("departments, {task.fields[failed]} failed,"),
        TimeElapsedColumn(),
        TextColumn("gone,"),
        TimeRemainingColumn(),
        TextColumn("to go"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress, progress.add_task("", total=departments, failed=0))


def note_undone(undone: Sequence[tuple[Department, str]], departments: int, are: str = "are") -> None:
    """Sum up a run that did not do everything: how much is done, and what is not."""
    names = ", ".join(f"{department} ({outcome})" for department, outcome in undone)
    output.note(f"{departments - len(undone)} of {departments} departments {are} done; not done: {names}")
