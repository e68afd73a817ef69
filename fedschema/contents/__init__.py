"""The rows of a schema: what holds them, how they are copied out and in, and what has to stand aside meanwhile."""

from __future__ import annotations

from fedschema.contents.loading import Making, making, room
from fedschema.contents.rows import (
    PORTABLE,
    Digest,
    Line,
    forget,
    hold,
    read,
    read_department,
    snapshot,
    untimed,
    write,
)
from fedschema.contents.shape import Shape, department_tables, sequences, set_sequences, tables

__all__ = [
    "PORTABLE",
    "Digest",
    "Line",
    "Making",
    "Shape",
    "department_tables",
    "forget",
    "hold",
    "making",
    "read",
    "read_department",
    "room",
    "sequences",
    "set_sequences",
    "snapshot",
    "tables",
    "untimed",
    "write",
]
