"""Bundles: one file that holds a department, or the control plane. docs/reference/bundles.md describes the format."""

from __future__ import annotations

from fedschema.bundles.manifest import Kind, Manifest, Row, Sequence, Table
from fedschema.bundles.reading import Bundle, opened, opened_file
from fedschema.bundles.writing import BundleWriter, make_directory, make_new_directory, sha256_of, whole_file, writing

__all__ = [
    "Bundle",
    "BundleWriter",
    "Kind",
    "Manifest",
    "Row",
    "Sequence",
    "Table",
    "make_directory",
    "make_new_directory",
    "opened",
    "opened_file",
    "sha256_of",
    "whole_file",
    "writing",
]
