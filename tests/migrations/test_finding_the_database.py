"""`alembic` and `fedschema` find the same database, by the same rules."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conftest import Database
from tests.migrations.conftest import Command, CopiedProject

UNSET = ""


@pytest.fixture(params=["alembic", "fedschema"])
def ask(request: pytest.FixtureRequest, alembic_command: Command, fedschema_command: Command) -> Any:
    """Ask one of the two where departments are; return what it says of hr, or what it complains of."""

    def run(**options: Any) -> str:
        if request.param == "alembic":
            done = alembic_command("current", **options)
            return done.stdout
        done = fedschema_command("status", **options)
        return done.stdout + done.stderr

    return run


def test_url_may_be_spelt_as_operators_do(database: Database, ask: Any) -> None:
    database.add("hr")

    for scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        assert "tenant_" in ask(url=re.sub("^postgresql", scheme, database.url))


def test_first_host_that_answers_is_taken(database: Database, ask: Any) -> None:
    database.add("hr")
    place = f"{database.server.host}:{database.server.port}"

    several = database.url.replace(place, f"127.0.0.1:1,{place}")
    assert "tenant_" in ask(url=f"{several}?target_session_attrs=read-write")


def test_options_of_libpq_are_obeyed(database: Database, ask: Any) -> None:
    """The tests' server is a primary, so it is not the one that is asked for here."""
    database.add("hr")

    assert "not in hot standby mode" in ask(url=f"{database.url}?target_session_attrs=standby")
    assert "tenant_" in ask(url=f"{database.url}?target_session_attrs=primary")


def test_database_url_counts_when_ours_is_not_set(
    database: Database, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.add("hr")
    monkeypatch.setenv("DATABASE_URL", database.url)

    assert "tenant_" in ask(url=UNSET)
    assert "127.0.0.1:1" in ask(url="postgresql://127.0.0.1:1/other")


def test_alembic_ini_counts_before_libpqs_variables(
    database: Database, ask: Any, copied_project: CopiedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.add("hr")
    ini = copied_project.project.ini
    line = f"[alembic]\nsqlalchemy.url = {database.url.replace('%', '%%')}\n"
    ini.write_text(ini.read_text(encoding="utf-8").replace("[alembic]\n", line), encoding="utf-8")
    monkeypatch.setenv("PGHOST", "127.0.0.2")
    monkeypatch.setenv("PGPORT", "1")

    assert "tenant_" in ask(url=UNSET, cwd=copied_project.directory)


def test_libpqs_own_variables_count_last(database: Database, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    database.add("hr")
    server = database.server
    for variable, value in (
        ("PGHOST", server.host),
        ("PGPORT", str(server.port)),
        ("PGUSER", server.user),
        ("PGPASSWORD", server.password),
        ("PGDATABASE", database.name),
    ):
        monkeypatch.setenv(variable, value)

    assert "tenant_" in ask(url=UNSET)


def test_password_file_named_in_the_url_is_used(database: Database, ask: Any, tmp_path: Any) -> None:
    database.add("hr")
    server = database.server
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"{server.host}:{server.port}:*:{server.user}:{server.password}\n", encoding="utf-8")
    passfile.chmod(0o600)

    url = f"postgresql://{server.user}@{server.host}:{server.port}/{database.name}"
    assert "refused the login" in ask(url=url)
    assert "tenant_" in ask(url=f"{url}?passfile={passfile}")
