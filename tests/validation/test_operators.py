"""Validating takes no superuser: an operator is a member of federation_owner and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fedschema.embedded import throwaway_server
from fedschema.embedded.throwaway import ThrowawayServer
from tests.cli.typing_in import type_in
from tests.conftest import ROOT, Finished


@pytest.fixture(scope="module")
def founded() -> Iterator[ThrowawayServer]:
    """A cluster of its own, whose platform roles an operator without superuser has made."""
    bindir = os.environ.get("FEDSCHEMA_TEST_BINDIR")
    with throwaway_server(Path(bindir) if bindir else None) as running:
        with psycopg.connect(running.url(), autocommit=True) as connection:
            connection.execute("CREATE ROLE founder LOGIN CREATEROLE PASSWORD 'founder'")
            connection.execute("CREATE ROLE colleague LOGIN PASSWORD 'colleague'")
            connection.execute("CREATE DATABASE fleet OWNER founder")
        for typed in (("init",), ("tenant", "add", "hr"), ("tenant", "add", "sales")):
            assert _types(running, "founder", *typed).status == 0
        with psycopg.connect(_url(running, "founder"), autocommit=True) as connection:
            connection.execute("GRANT CONNECT ON DATABASE fleet TO colleague; GRANT federation_owner TO colleague")
        yield running


def _url(server: ThrowawayServer, login: str) -> str:
    return f"postgresql://{login}:{login}@{server.host}:{server.port}/fleet"


def _types(server: ThrowawayServer, login: str, *arguments: str) -> Finished:
    return type_in(*arguments, url=_url(server, login), cwd=ROOT)


@pytest.mark.parametrize("login", ["founder", "colleague"])
def test_operator_without_superuser_validates(founded: ThrowawayServer, login: str) -> None:
    done = _types(founded, login, "validate", "--probe")

    assert done.status == 0, done.stdout + done.stderr
    assert "remark: database fleet: every role may make large objects" in done.stdout  # nobody could close it
    assert done.stdout.splitlines()[-1].endswith("2 pairs tried, nothing left behind: all walls stand")


def test_operator_without_superuser_sees_a_hole(founded: ThrowawayServer) -> None:
    with psycopg.connect(founded.url("fleet"), autocommit=True) as root:
        root.execute("GRANT sales_role TO hr_role")
        done = _types(founded, "colleague", "validate", "--probe")
        root.execute("REVOKE sales_role FROM hr_role")

    assert done.status == 1
    assert "hr -> sales: role hr_role: it is a member of sales_role" in done.stdout
    assert "it could read a row" in done.stdout
