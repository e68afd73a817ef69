"""Which project and which database a command is about: read from options, environment and alembic.ini, nothing else.

`fedschema` and the `alembic` command (through env.py) both ask here, so they always mean the same database.
"""

from __future__ import annotations

import configparser
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fedschema.errors import InvalidDatabaseUrl, ProjectNotFound

#: The libpq variables that point at a server or a database; the others (PGSSLMODE, PGPASSWORD, …) only say how.
LIBPQ_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE")

#: Where the embedded PostgreSQL of a working directory lives.
EMBEDDED_DIRECTORY = ".fedschema"

#: The file that makes a directory a project, when it has this section.
INI = "alembic.ini"
FEDERATION_SECTION = "federation"

#: Where an installed package has the project that comes along with it.
_PACKAGED = Path(__file__).resolve().parent / "_project"

_INI_SOURCE = "sqlalchemy.url in alembic.ini"


@dataclass(frozen=True, slots=True)
class Project:
    """The files that a fleet is migrated with.

    Attributes:
        ini: its alembic.ini.
    """

    ini: Path

    @property
    def root(self) -> Path:
        """The directory of alembic.ini."""
        return self.ini.parent

    @property
    def templates(self) -> Path:
        """The directory of the SQL templates."""
        return self.root / "templates"

    @property
    def is_packaged(self) -> bool:
        """It is the one inside the installed package, which is not the user's to change."""
        return self.root == _PACKAGED

    @classmethod
    def find(cls, config: Path | None, environment: Mapping[str, str], directory: Path) -> Project:
        """Find the project: the option, then ALEMBIC_CONFIG, then the nearest alembic.ini upwards, then our own.

        Args:
            config: the alembic.ini that was named on the command line, or None.
            environment: the environment variables.
            directory: where the search upwards begins.

        Raises:
            ProjectNotFound: when the file that was named is not there or is not a fedschema project.
        """
        named = config or (Path(environment["ALEMBIC_CONFIG"]) if environment.get("ALEMBIC_CONFIG") else None)
        if named is not None:
            if not _is_project(named):
                raise ProjectNotFound(str(named))
            return cls(named.resolve())
        for place in (directory, *directory.parents):
            if _is_project(place / INI):
                return cls((place / INI).resolve())
        return cls.shipped()

    @classmethod
    def at(cls, directory: Path) -> Project:
        """Return the project whose alembic.ini is in a directory.

        Raises:
            ProjectNotFound: there is none.
        """
        ini = directory / INI
        if not _is_project(ini):
            raise ProjectNotFound(str(directory), f"to make one: fedschema new {shlex.quote(str(directory))}")
        return cls(ini.resolve())

    @classmethod
    def shipped(cls) -> Project:
        """Return the project that comes with fedschema: of the checkout, or inside the installed package."""
        for directory in (_PACKAGED, _PACKAGED.parent.parent):
            if (directory / INI).is_file():
                return cls(directory / INI)
        raise ProjectNotFound(str(_PACKAGED.parent))


def _is_project(ini: Path) -> bool:
    try:
        return ini.is_file() and _read(ini).has_section(FEDERATION_SECTION)
    except (configparser.Error, UnicodeDecodeError, OSError):
        return False  # an alembic.ini that is nobody's, or not ours to read


def _read(ini: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(defaults={"here": str(ini.resolve().parent)})
    parser.read(ini, encoding="utf-8")
    return parser


@dataclass(frozen=True, slots=True)
class DatabaseChoice:
    """Which database was meant, and by what.

    Attributes:
        source: what decided, for messages, such as ``FEDSCHEMA_DATABASE_URL``.
        url: the URL or libpq connection string as it was given; empty for libpq's own variables. It may hold a
            password and is never printed.
        embedded: the directory of the embedded server, when that is what was chosen.
    """

    source: str
    url: str = field(repr=False, default="")
    embedded: Path | None = None


def choose_database(
    option: str | None, environment: Mapping[str, str], project: Project, directory: Path
) -> DatabaseChoice:
    """Decide which database is meant, by the order of the interface.

    ``--database-url`` > ``FEDSCHEMA_DATABASE_URL`` > ``DATABASE_URL`` > ``sqlalchemy.url`` in alembic.ini > libpq's own
    variables > the embedded PostgreSQL in ``.fedschema/`` of the working directory. An empty value counts as unset.
    """
    if option:
        return DatabaseChoice("--database-url", option)
    for variable in ("FEDSCHEMA_DATABASE_URL", "DATABASE_URL"):
        if environment.get(variable):
            return DatabaseChoice(variable, environment[variable])
    if url := _url_of_ini(project):
        return DatabaseChoice(_INI_SOURCE, url)
    if present := [variable for variable in LIBPQ_VARIABLES if environment.get(variable)]:
        return DatabaseChoice(" and ".join(present))
    return DatabaseChoice("the embedded PostgreSQL", embedded=directory / EMBEDDED_DIRECTORY)


def choose_direct(option: str | None, environment: Mapping[str, str]) -> DatabaseChoice | None:
    """Decide how the server is reached past a pooler: ``--direct-url``, then ``FEDSCHEMA_DIRECT_URL``, else not."""
    if option:
        return DatabaseChoice("--direct-url", option)
    if url := environment.get("FEDSCHEMA_DIRECT_URL"):
        return DatabaseChoice("FEDSCHEMA_DIRECT_URL", url)
    return None


def _url_of_ini(project: Project) -> str:
    try:
        return _read(project.ini).get("alembic", "sqlalchemy.url", fallback="")
    except configparser.InterpolationError:
        raise InvalidDatabaseUrl(_INI_SOURCE, "a % has to be doubled there") from None


@dataclass(frozen=True, slots=True)
class Settings:
    """What a command works on: one project, one database.

    Attributes:
        project: the revisions and templates.
        database: the one that is meant.
        direct: the same database past the pooler, for what needs a session of its own; None where there is no pooler.
    """

    project: Project
    database: DatabaseChoice
    direct: DatabaseChoice | None = None

    @classmethod
    def load(
        cls, config: Path | None = None, database_url: str | None = None, direct_url: str | None = None
    ) -> Settings:
        """Read the settings of this process: options, environment, working directory.

        Raises:
            ProjectNotFound: see `Project.find`.
        """
        directory = Path.cwd()
        project = Project.find(config, os.environ, directory)
        database = choose_database(database_url, os.environ, project, directory)
        return cls(project, database, choose_direct(direct_url, os.environ))
