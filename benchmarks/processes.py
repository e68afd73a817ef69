"""Commands as processes of their own: how long one takes, and how much memory it has at its peak."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import contestants
from benchmarks.ground import ROOT, Ground

LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that has ended.

    Attributes:
        seconds: from its start to its end.
        peak_megabytes: the most memory it had, as the kernel counts it (resident).
    """

    seconds: float
    peak_megabytes: float


def fedschema(ground: Ground, *arguments: str) -> Finished:
    """Run a command of fedschema on the ground.

    Raises:
        BenchmarkFailed: it ended with another status than 0.
    """
    return finish([str(contestants.console_script()), *arguments], ground)


def finish(words: Sequence[str], ground: Ground, directory: Path = ROOT) -> Finished:
    """Run a program, by its absolute path, to its end.

    Raises:
        BenchmarkFailed: it ended with another status than 0.
    """
    told = ground.directory / "finished.json"
    contestants.run([sys.executable, "-I", "-S", str(LAUNCHER), str(told), *words], ground, directory)
    return Finished(**json.loads(told.read_text()))
