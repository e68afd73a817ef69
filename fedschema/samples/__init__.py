"""Rows for any table: made from what the catalogue says that the table takes, for trying migrations on."""

from __future__ import annotations

from fedschema.samples.filling import fill
from fedschema.samples.structure import Table, tables

__all__ = ["Table", "fill", "tables"]
