"""Commands typed inside the test's process, and what their JSON has to be like."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.typing_in import type_in
from tests.conftest import ROOT, Database, Finished, Run
from tests.tenancy.inventory import Rows, inventory

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

Inventory = Callable[[], dict[str, Rows]]
JsonOf = Callable[..., Any]


@pytest.fixture
def nowhere() -> Run:
    """Type `fedschema …` where the only database is one that cannot be reached: the command must need none."""

    def run(*arguments: str, stdin: str = "") -> Finished:
        return type_in(*arguments, url="postgresql://u@127.0.0.1:1/none", stdin=stdin, cwd=ROOT)

    return run


@pytest.fixture
def everything(database: Database) -> Inventory:
    """Look at all that a command could have changed."""
    return lambda: inventory(database.server, database.name)


@pytest.fixture
def json_of(command: Run) -> JsonOf:
    """Type a command with --json and return its document; see `document`."""

    def run(*arguments: str, status: int = 0, stdin: str = "", url: str | None = None) -> Any:
        done = command(*arguments, "--json", stdin=stdin, url=url)
        assert done.status == status, done
        return document(done)

    return run


def document(done: Finished) -> Any:
    """Return the one JSON document that a command printed, if it obeys what the interface promises of all of them."""
    assert done.stdout[:1] in {"{", "["}, f"something stands before the document: {done.stdout[:40]!r}"
    assert done.stdout.endswith(("}\n", "]\n")), f"something stands behind the document: {done.stdout[-40:]!r}"
    value = json.loads(done.stdout)
    _check(value, "")
    return value


def _check(value: Any, name: str) -> None:
    """Check that times are in UTC ending in Z, that keys are what scripts expect, and that nothing is a password."""
    match value:
        case dict():
            for key, inner in value.items():
                assert re.fullmatch(r"[a-z][a-z0-9_]*|[A-Z][A-Z0-9_]*", key), f"key {key!r} is not in snake_case"
                assert "password" not in key.lower()
                _check(inner, key)
        case list():
            for inner in value:
                _check(inner, name)
        case str():
            if name.endswith("_at"):
                assert _MOMENT.fullmatch(value), f"{name} is {value!r}"
            assert "SCRAM-SHA-256" not in value
