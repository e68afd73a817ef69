"""Where the race takes place: a server, a database of our own on it with a control plane, and psql."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import psycopg
from psycopg import pq, sql
from psycopg.conninfo import make_conninfo

from benchmarks.errors import BenchmarkFailed
from benchmarks.proxy import LOOPBACK, Proxy, Upstream
from fedschema import federation, passwords, tenancy
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.embedded import EmbeddedServerError, packaged_directory, throwaway_server
from fedschema.settings import Project
from fedschema.tenancy import NewDepartment

ROOT = Path(__file__).resolve().parent.parent
PROJECT = Project(ROOT / "alembic.ini")

#: What would lead a command elsewhere, or make it slower than it is on an operator's machine.
_MISLEADING = ("DATABASE_URL", "FEDSCHEMA_DATABASE_URL", "ALEMBIC_CONFIG", "PYTHONDONTWRITEBYTECODE")

_PLATFORM_ROLES = "fedschema: platform role"


@dataclass(frozen=True)
class Ground:
    """A database with a control plane.

    Attributes:
        conninfo: a superuser's connection string.
        psql: the program to compare with.
        compiler: the project, compiled once for all runs.
        directory: for generated scripts.
        cache: where commands keep what they compiled, instead of the user's own ~/.cache.
    """

    conninfo: str
    psql: Path
    compiler: Compiler
    directory: Path
    cache: Path

    @cached_property
    def upstream(self) -> Upstream:
        """Where the server is, for a proxy in front of it."""
        with psycopg.connect(self.conninfo) as connection:
            return Upstream(connection.info.host, connection.info.port)

    @cached_property
    def server_version(self) -> str:
        """The server's version, as it says it."""
        with psycopg.connect(self.conninfo) as connection:
            return connection.info.parameter_status("server_version") or "?"

    @cached_property
    def database(self) -> str:
        """The database's name."""
        with psycopg.connect(self.conninfo) as connection:
            return connection.info.dbname

    def behind(self, proxy: Proxy) -> Ground:
        """Return the same ground as it is seen through a proxy."""
        return replace(self, conninfo=make_conninfo(self.conninfo, host=LOOPBACK, hostaddr=LOOPBACK, port=proxy.port))

    def without_cache(self) -> Ground:
        """Return the same ground where no command has kept anything yet."""
        return replace(self, cache=Path(tempfile.mkdtemp(dir=self.directory)))

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment of a command that works here; psql has its connection from it, password and all."""
        environment = {name: text for name, text in os.environ.items() if name not in _MISLEADING}
        for option in pq.Conninfo.parse(self.conninfo.encode()):
            if option.envvar is None:
                continue
            environment.pop(option.envvar.decode(), None)
            if option.val is not None:
                environment[option.envvar.decode()] = option.val.decode()
        return environment | {"FEDSCHEMA_DATABASE_URL": self.conninfo, "XDG_CACHE_HOME": str(self.cache)}

    def write_script(self, department: Department) -> Path:
        """Write the text of `fedschema tenant sql ID` to a file."""
        path = self.directory / f"schema_{department.schema}.sql"
        path.write_text(tenancy.creation_script(self.compiler, new(department)), encoding="utf-8")
        return path

    def add(self, department: Department) -> None:
        """Add a department as an application does, in this process."""
        tenancy.add(self.conninfo, self.compiler, new(department), passwords.generate())

    def drop(self, departments: Sequence[Department]) -> None:
        """Drop departments, so that the next run meets the same database."""
        for department in departments:
            tenancy.drop(self.conninfo, self.compiler, department, lambda _: None)


def new(department: Department) -> NewDepartment:
    """Return a department to be made, under its default name."""
    return NewDepartment(department, department.default_name)


def draw_department() -> Department:
    """Draw a department with an id that no server has yet: roles are shared by all of its databases."""
    return Department.parse(f"bench_{secrets.token_hex(4)}")


@contextmanager
def prepared_ground(
    bindir: Path | None, url: str | None, existing: int = 0, settings: Mapping[str, str] | None = None
) -> Iterator[Ground]:
    """Make a database with a control plane, and take it away again.

    Args:
        bindir: the programs of the throwaway server; None for the packaged ones.
        url: a superuser's URL of a server that is running already, instead of a throwaway one.
        existing: how many departments there are to be before anything is measured.
        settings: of the throwaway server, besides its own or instead.
    """
    psql = _psql(bindir)
    with (
        tempfile.TemporaryDirectory(prefix="fedschema-bench-") as temporary,
        _server(bindir, url, settings) as server,
        _database(server) as name,
    ):
        directory = Path(temporary)
        conninfo = make_conninfo(server, dbname=name)
        ground = Ground(conninfo, psql, Compiler(PROJECT), directory, cache=directory / "cache")
        federation.initialise(ground.conninfo, ground.compiler)
        for _ in range(existing):
            ground.add(draw_department())
        yield ground


@contextmanager
def _server(bindir: Path | None, url: str | None, settings: Mapping[str, str] | None) -> Iterator[str]:
    """Yield a superuser's connection string; where we choose it is TCP with a password, as on most servers."""
    if url is not None:
        yield make_conninfo(url)
        return
    with throwaway_server(bindir, settings) as server:
        yield server.url()


def _psql(bindir: Path | None) -> Path:
    """Find psql: the server's own, else the packaged one; what is on PATH may be a slow wrapper (Debian's is Perl)."""
    packaged = None
    with suppress(EmbeddedServerError):
        packaged = packaged_directory()
    found = shutil.which("psql", path=str(bindir or packaged)) or shutil.which("psql")
    if found is None:
        raise BenchmarkFailed("no psql, neither packaged nor on PATH")
    return Path(found)


@contextmanager
def _database(server: str) -> Iterator[str]:
    """Make a database with a name of its own; take it away at the end, with the roles that came with it."""
    name = f"fedschema_bench_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        found = _roles(connection, _PLATFORM_ROLES)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield name
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            _drop_roles(connection, _roles(connection, f"fedschema: department % of database {name}"))
            _drop_roles(connection, [role for role in _roles(connection, _PLATFORM_ROLES) if role not in found])


def _roles(connection: psycopg.Connection, comment: str) -> list[str]:
    """List the roles whose comment is like `comment`, the owner last: it granted the others what they have."""
    rows = connection.execute(
        """
        SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') LIKE %s
        ORDER BY rolname = 'federation_owner', rolname
        """,
        (comment,),
    )
    return [row[0] for row in rows]


def _drop_roles(connection: psycopg.Connection, roles: Sequence[str]) -> None:
    for role in roles:
        # A database that somebody initialised meanwhile keeps the platform's roles.
        with suppress(psycopg.errors.DependentObjectsStillExist):
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
