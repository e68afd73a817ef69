"""What can go wrong with a benchmark."""

from __future__ import annotations


class BenchmarkFailed(RuntimeError):
    """Something that was to be timed did not do its work, so its time means nothing."""
