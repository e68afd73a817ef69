"""Reads metrics as Prometheus does."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from fedschema.metrics.collection import collect
from fedschema.metrics.exposition import exposition
from tests.conftest import Database

Read = dict[str, dict[frozenset[tuple[str, str]], float]]


def read(text: str) -> Read:
    """Read the text format as Prometheus' client library does: by a sample's name and labels."""
    found: Read = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            lines = found.setdefault(sample.name, {})
            labels = frozenset(sample.labels.items())
            assert labels not in lines, f"{sample.name} {sample.labels} is there twice"
            lines[labels] = sample.value
    return found


def labels(**given: str) -> frozenset[tuple[str, str]]:
    return frozenset(given.items())


def measured(database: Database, **how: bool) -> Read:
    return read(exposition(collect(database.conninfo, database.compiler, **how)))
