"""What tests share: one real server a session, a template database, a database of its own for each test that asks.

The server is the packaged PostgreSQL and is thrown away at the end. FEDSCHEMA_TEST_BINDIR names the programs of another
version (/usr/lib/postgresql/15/bin, say), FEDSCHEMA_TEST_URL a superuser's URL of a server that is running already.
Where there is no server, tests fail; none is skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pytest_postgresql import factories
from pytest_postgresql.janitor import DatabaseJanitor

from fedschema import federation, passwords, tenancy
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.embedded import throwaway_server
from fedschema.embedded.throwaway import ThrowawayServer
from fedschema.settings import LIBPQ_VARIABLES, Project
from fedschema.tenancy import NewDepartment

ROOT = Path(__file__).resolve().parent.parent
PROJECT = Project(ROOT / "alembic.ini")


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL with a superuser's login; the names are those that pytest-postgresql asks for."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    maintenance_dbname: str = "postgres"
    options: str = ""
    template_dbname: str | None = None

    def conninfo(self, dbname: str, user: str | None = None, password: str | None = None) -> str:
        return make_conninfo(
            host=self.host,
            port=self.port,
            dbname=dbname,
            user=user or self.user,
            password=password if user else self.password,
        )

    def connect(self, dbname: str | None = None) -> psycopg.Connection:
        return psycopg.connect(self.conninfo(dbname or self.maintenance_dbname), autocommit=True)


def janitor_of(server: Server, name: str, template: str | None = None) -> DatabaseJanitor:
    """Return what makes a database of that name and takes it away again, a leftover one first."""
    janitor = DatabaseJanitor(
        user=server.user,
        host=server.host,
        port=server.port,
        dbname=name,
        password=server.password,
        maintenance_dbname=server.maintenance_dbname,
        template_dbname=template,
    )
    janitor.drop()
    return janitor


def drop_roles(server: Server, name: str) -> None:
    """Drop the roles that were made for a database, after it is gone: roles belong to the whole cluster."""
    with server.connect() as connection:
        rows = connection.execute(
            "SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') LIKE %s",
            (f"fedschema: % of database {name}",),
        ).fetchall()
        for (role,) in rows:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@dataclass
class Database:
    """A test's own database on the server, with a control plane."""

    server: Server
    name: str
    compiler: Compiler
    passwords: dict[str, str] = field(default_factory=dict)

    @property
    def conninfo(self) -> str:
        """As the superuser."""
        return self.server.conninfo(self.name)

    @property
    def url(self) -> str:
        given = self.server
        return f"postgresql://{given.user}:{given.password}@{given.host}:{given.port}/{self.name}"

    def add(self, department_id: str, name: str | None = None) -> Department:
        """Add a department through the ordinary way and remember its password."""
        department = Department.parse(department_id)
        password = passwords.generate()
        new = NewDepartment(department, name or department.default_name)
        tenancy.add(self.conninfo, self.compiler, new, password)
        self.passwords[department.role] = password.text
        return department

    def connect(self) -> psycopg.Connection:
        """Connect as the superuser; nothing that this connection reads proves anything about walls."""
        return psycopg.connect(self.conninfo, autocommit=True)

    def login(self, role: str) -> psycopg.Connection:
        """Connect over TCP as a plain role with its own password."""
        return psycopg.connect(self.server.conninfo(self.name, role, self.passwords[role]), autocommit=True)

    def create_login(self, role: str, *memberships: str) -> None:
        """Make a login of the test's own; it goes with the database."""
        secret = passwords.generate().text
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(secret))
            )
            comment = f"fedschema: department none of database {self.name}"
            connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(role), sql.Literal(comment)))
            connection.execute(
                sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(self.name), sql.Identifier(role))
            )
            for membership in memberships:
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(membership), sql.Identifier(role)))
        self.passwords[role] = secret


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    if url := os.environ.get("FEDSCHEMA_TEST_URL"):
        given = conninfo_to_dict(url)
        yield Server(
            str(given.get("host", "127.0.0.1")),
            int(given.get("port") or 5432),
            str(given.get("user", "postgres")),
            str(given.get("password", "")),
            str(given.get("dbname", "postgres")),
        )
        return
    with throwaway_server(programs()) as running:
        yield Server(running.host, running.port, running.user, running.password)


def _load_control_plane(**given: Any) -> None:
    """Fill the template database."""
    login = {name: given[name] for name in ("host", "port", "user", "dbname", "password")}
    federation.initialise(make_conninfo(**login), Compiler(PROJECT))


control_plane = factories.postgresql_noproc(dbname="fedschema_test", load=[_load_control_plane], depends_on="server")
postgresql = factories.postgresql("control_plane")


@pytest.fixture
def _roles_of_the_test(server: Server) -> Iterator[None]:
    """Drop the department roles that a test made, after its database is gone: roles belong to the whole cluster."""
    yield
    drop_roles(server, "fedschema_test%")


@pytest.fixture
def database(_roles_of_the_test: None, server: Server, postgresql: psycopg.Connection) -> Database:
    """A database with a control plane and no departments yet."""
    name = postgresql.info.dbname
    postgresql.close()
    compiler = Compiler(PROJECT)
    federation.initialise(server.conninfo(name), compiler)  # a clone does not take its template's own privileges along
    return Database(server, name, compiler)


@pytest.fixture
def blank_database(_roles_of_the_test: None, server: Server) -> Iterator[Database]:
    """A database without anything of ours."""
    name = "fedschema_test_blank"
    with janitor_of(server, name):
        yield Database(server, name, Compiler(PROJECT))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep compiled blueprints apart from those of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test reach a database that the developer's shell points at."""
    for variable in ("FEDSCHEMA_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG", "PGPASSWORD", *LIBPQ_VARIABLES):
        monkeypatch.delenv(variable, raising=False)


@dataclass(frozen=True)
class Finished:
    """What a command printed, and its exit status."""

    status: int
    stdout: str
    stderr: str


Run = Callable[..., Finished]


@pytest.fixture
def command(database: Database) -> Run:
    """Type `fedschema …` inside this process, on the test's database."""
    from tests.cli.typing_in import type_in

    def run(*arguments: str, stdin: str = "", url: str | None = None) -> Finished:
        return type_in(*arguments, url=url or database.url, stdin=stdin, cwd=ROOT)

    return run


#: A server that writes down all that it hears, and shows the whole of what it runs.
TALKATIVE = {
    "log_statement": "all",
    "log_min_duration_statement": "0",
    "log_min_error_statement": "debug5",
    "log_error_verbosity": "verbose",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1",
    "track_activity_query_size": "1MB",
}


@dataclass(frozen=True)
class Overheard:
    """A database with a control plane, and what its server writes down."""

    database: Database
    log: Path


def programs() -> Path | None:
    """Return the programs that servers of a test's own are to run: those that the tests were asked to use."""
    named = os.environ.get("FEDSCHEMA_TEST_BINDIR")
    return Path(named) if named else None


def overheard_on(running: ThrowawayServer, name: str) -> Overheard:
    """Make a database with a control plane on a server that writes down all it hears."""
    server = Server(running.host, running.port, running.user, running.password)
    with server.connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    database = Database(server, name, Compiler(PROJECT))
    federation.initialise(database.conninfo, database.compiler)
    return Overheard(database, running.directory / "log")


@pytest.fixture(scope="session")
def talkative_server() -> Iterator[ThrowawayServer]:
    with throwaway_server(programs(), TALKATIVE) as running:
        yield running


@pytest.fixture
def overheard(talkative_server: ThrowawayServer) -> Iterator[Overheard]:
    """A database whose server writes down all it hears; it goes with the test."""
    found = overheard_on(talkative_server, "overheard")
    yield found
    with found.database.server.connect() as connection:
        connection.execute("DROP DATABASE overheard WITH (FORCE)")
    drop_roles(found.database.server, "overheard")


def _run(command: list[str], url: str | None, cwd: Path, stdin: str | None = None) -> Finished:
    environment = {name: value for name, value in os.environ.items() if name != "FEDSCHEMA_DATABASE_URL"}
    if url is not None:
        environment["FEDSCHEMA_DATABASE_URL"] = url
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, cwd=cwd, env=environment, timeout=120, check=False
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def fedschema(database: Database) -> Run:
    """Run `fedschema …` as a process of its own, on the test's database."""

    def run(*arguments: str, stdin: str | None = "", url: str | None = None, cwd: Path = ROOT) -> Finished:
        return _run([sys.executable, "-m", "fedschema", *arguments], url or database.url, cwd, stdin)

    return run


@pytest.fixture
def alembic(database: Database) -> Run:
    """Run `alembic …` as a process of its own, on the test's database."""

    def run(*arguments: str, url: str | None = None, cwd: Path = ROOT) -> Finished:
        return _run([sys.executable, "-m", "alembic.config", *arguments], url or database.url, cwd)

    return run
