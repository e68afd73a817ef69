"""Where the database is, as text: the URL that was chosen becomes libpq's connection string, and a name for people."""

from __future__ import annotations

import re
from collections.abc import Mapping

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from fedschema import errors
from fedschema.embedded import EmbeddedServer
from fedschema.settings import DatabaseChoice

CONNECT_TIMEOUT_SECONDS = 10
MAX_PORT = 65535
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def conninfo_of(choice: DatabaseChoice) -> str:
    """Return the libpq connection string of the database that was chosen; starts the embedded server if it is that.

    URLs are taken as operators have them: ``postgres://``, ``postgresql://`` and SQLAlchemy's ``postgresql+driver://``.

    Raises:
        InvalidDatabaseUrl: when it cannot be parsed. The text itself is not repeated.
    """
    if choice.embedded is not None:
        url = EmbeddedServer(choice.embedded).ensure_running().url()
    else:
        url = _without_driver(choice.url)
    try:
        given = conninfo_to_dict(url)
        if objection := _objection(given):
            raise errors.InvalidDatabaseUrl(choice.source, objection)
        return make_conninfo(
            url,
            connect_timeout=given.get("connect_timeout", CONNECT_TIMEOUT_SECONDS),
            fallback_application_name="fedschema",
        )
    except psycopg.ProgrammingError as error:
        reason = str(error).strip().split(":", 1)[0] if choice.url and choice.url in str(error) else str(error).strip()
        raise errors.InvalidDatabaseUrl(choice.source, _without_secrets(reason)) from None


def _objection(given: Mapping[str, object]) -> str | None:
    """Say what libpq would notice only later, or take for something else; nothing that was typed is repeated."""
    if any("@" in str(given.get(part) or "") for part in ("host", "hostaddr", "port", "dbname")):
        return "a character of its password has to be percent-encoded (@ as %40, / as %2F)"
    ports = [port for port in str(given.get("port") or "").split(",") if port]
    if not all(port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT for port in ports):
        return "its port is no number from 1 to 65535, or a / of its password has to be written as %2F"
    if given.get("sslmode") and given["sslmode"] not in _SSL_MODES:
        return f"sslmode is one of {', '.join(_SSL_MODES)}"
    if not str(given.get("connect_timeout", "0")).strip().isdigit():
        return "connect_timeout is a number of seconds"
    return None


def _without_driver(url: str) -> str:
    """Drop SQLAlchemy's ``+driver`` from the scheme of a URL."""
    return re.sub(r"\A(postgres(?:ql)?)\+\w+://", r"\1://", url)


def _without_secrets(reason: str) -> str:
    """Keep libpq's reason but not the text that it quotes, which may be the URL with its password."""
    return reason.partition('"')[0].rstrip(" :") or "its syntax is wrong"


def describe(conninfo: str) -> str:
    """Name a database for people: ``host:port/dbname``, never user or password."""
    given = conninfo_to_dict(conninfo)
    if service := given.get("service"):
        return f"service {service}"
    host = given.get("host") or given.get("hostaddr") or "the default socket"
    port = given.get("port")
    name = given.get("dbname")
    return f"{host}{f':{port}' if port else ''}{f'/{name}' if name else ''}"
