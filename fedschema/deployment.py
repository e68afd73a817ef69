"""What a department's services need to connect: `fedschema tenant env`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict

from fedschema import registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, owner_transaction
from fedschema.department import Department
from fedschema.embedded import EmbeddedServer
from fedschema.passwords import Password
from fedschema.settings import DatabaseChoice

PLACEHOLDER = "<password>"

#: What a client has to repeat to be let in.
_TLS_OPTIONS = ("sslmode", "sslrootcert", "channel_binding")


@dataclass(frozen=True, slots=True)
class DeploymentSettings:
    """Where a department's database is.

    Attributes:
        department: whose settings these are.
        host: the host, or the directory of a Unix socket.
        port: the port.
        database: the database's name.
        options: TLS options that the operator's own connection uses.
    """

    department: Department
    host: str
    port: int
    database: str
    options: dict[str, str]

    def public(self) -> dict[str, str]:
        """Return the settings without the password, by the names that deployments use."""
        return {
            "DB_HOST": self.host,
            "DB_PORT": str(self.port),
            "DB_NAME": self.database,
            "DB_SCHEMA": self.department.schema,
            "DB_USER": self.department.role,
            "DEPARTMENT_ID": self.department.id,
            "DATABASE_URL": self._url(None),
        }

    def lines(self, password: Password | None) -> list[str]:
        """Return the lines of an .env file; without a password there is a placeholder in its place."""
        text = password.text if password else PLACEHOLDER
        values = self.public() | {"DB_PASSWORD": text, "DATABASE_URL": self._url(text)}
        names = [
            "DB_HOST",
            "DB_PORT",
            "DB_NAME",
            "DB_SCHEMA",
            "DB_USER",
            "DB_PASSWORD",
            "DEPARTMENT_ID",
            "DATABASE_URL",
        ]
        return [f"{name}={shlex.quote(values[name]) if values[name] != PLACEHOLDER else PLACEHOLDER}" for name in names]

    def _url(self, password: str | None) -> str:
        socket = self.host.startswith("/")
        secret = "" if password is None else f":{password if password == PLACEHOLDER else quote(password, safe='')}"
        where = "" if socket else f"{self.host}:{self.port}"
        options = self.options | ({"host": self.host, "port": str(self.port)} if socket else {})
        query = f"?{urlencode(options)}" if options else ""
        return f"postgresql://{self.department.role}{secret}@{where}/{quote(self.database, safe='')}{query}"


def settings(conninfo: str, compiler: Compiler, department: Department, choice: DatabaseChoice) -> DeploymentSettings:
    """Return where a department's services connect to: where the operator does, but over TCP with the embedded server.

    Raises:
        UnknownDepartment
    """
    with connect(conninfo) as connection:
        with owner_transaction(connection, f"looking up department {department}"):
            registry.require_control_plane(connection, compiler.blueprint.control_plane)
            registry.live(connection, [department])
        host, port, database = connection.info.host, connection.info.port, connection.info.dbname
    endpoint = EmbeddedServer(choice.embedded).running() if choice.embedded else None
    if endpoint is not None:
        host, port = endpoint.host, endpoint.port
    given = conninfo_to_dict(conninfo)
    options = {name: str(given[name]) for name in _TLS_OPTIONS if given.get(name)}
    return DeploymentSettings(department, host, port, database, options)
