"""Making a cluster (PostgreSQL's word for a data directory) and the command that serves it.

Shared by the persistent server and the throwaway one, which differ in their `Blueprint` alone.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedschema.embedded import processes
from fedschema.embedded.errors import DiskFull, InitializationFailed
from fedschema.embedded.postmaster import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fedschema.embedded.account import Account
    from fedschema.embedded.binaries import Binaries

SUPERUSER = "postgres"
DATABASE = "fedschema"
NO_SPACE = "No space left on device"

# No "trust" anywhere: an operator is recognised by the kernel (peer), everybody else by a password.
_HBA = """\
# TYPE  DATABASE     USER      ADDRESS       METHOD
local   all          postgres                peer map=operator
local   replication  postgres                peer map=operator
local   all          all                     scram-sha-256
host    all          all       127.0.0.1/32  scram-sha-256
host    all          all       ::1/128       scram-sha-256
"""
_CREATE_DATABASE = "CREATE DATABASE fedschema\n"
_LOCALES = ("C.UTF-8", "C")
"""Preferred first. Old macOS lacks C.UTF-8; since PostgreSQL 17 the built-in provider sorts and folds without it."""
_BUILTIN_PROVIDER_SINCE = 17
_INVALID_LOCALE = "invalid locale name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """What a new cluster is to be.

    Attributes:
        settings: what goes into ``postgresql.conf``.
        operators: operating-system accounts that log in as superuser through the socket.
        password_file: where the superuser's password for TCP is; None for no such login.
        database: also make the database ``fedschema``.
        durable: it must survive a power cut.
    """

    settings: Mapping[str, str]
    operators: Sequence[str]
    password_file: Path | None = None
    database: bool = False
    durable: bool = False


def create(binaries: Binaries, account: Account, data: Path, blueprint: Blueprint, keep: Sequence[int]) -> None:
    """Make a cluster in `data`, an empty directory of `account` or the name of one to be made.

    Args:
        binaries: the PostgreSQL that makes it.
        account: who will own it.
        data: where.
        blueprint: what it is to be.
        keep: descriptors that the programs inherit, to show that they run still should we be killed.

    Raises:
        InitializationFailed: PostgreSQL refused. `data` may be half-made then.
        DiskFull: there is no room.
    """
    _initialize(binaries, account, data, blueprint.password_file, keep)
    processes.write_as(account, data / "pg_hba.conf", _HBA)
    processes.write_as(account, data / "pg_ident.conf", _ident(blueprint.operators))
    processes.write_as(account, data / "postgresql.conf", _configuration(blueprint.settings), append=True)
    if blueprint.database:
        # Not durable by itself: everything is made so at once below.
        single: list[str | Path] = [
            binaries.program("postgres"),
            "--single",
            "-D",
            data,
            "-c",
            "exit_on_error=on",
            "-c",
            "fsync=off",
        ]
        _require(processes.run([*single, SUPERUSER], account, text=_CREATE_DATABASE, keep=keep), "postgres", data)
    if blueprint.durable:
        sync: list[str | Path] = [binaries.program("initdb"), "--sync-only", *_sync_method(binaries.major), "-D", data]
        _require(processes.run(sync, account, keep=keep), "initdb", data)


def command(binaries: Binaries, data: Path, sockets: Path, port: int) -> list[str]:
    """Compose the command that serves `data`.

    Only what the place decides is said here; the rest is in ``postgresql.conf``, where ALTER SYSTEM can change it.
    """
    quoted = str(sockets).replace('"', '""')
    return [
        str(binaries.program("postgres")),
        *("-D", str(data)),
        *("-c", f"listen_addresses={LOOPBACK}"),
        *("-c", f"port={port}"),
        *("-c", f'unix_socket_directories="{quoted}"'),
    ]


def _initialize(
    binaries: Binaries, account: Account, data: Path, password_file: Path | None, keep: Sequence[int]
) -> None:
    arguments: list[str | Path] = [binaries.program("initdb"), "-D", data, f"--username={SUPERUSER}", "--encoding=UTF8"]
    arguments += ["--auth-local=peer", "--auth-host=reject", "--no-sync", "--no-instructions"]
    if password_file is not None:
        arguments.append(f"--pwfile={password_file}")
    if binaries.major >= _BUILTIN_PROVIDER_SINCE:
        arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    for locale in _LOCALES:
        result = processes.run([*arguments, f"--locale={locale}"], account, keep=keep)
        if _INVALID_LOCALE not in result.stderr:
            break
    _require(result, "initdb", data)


def _sync_method(major: int) -> list[str]:
    """Flush the file system once rather than a thousand files one by one, where it can be (0.1 s instead of 1.6)."""
    return ["--sync-method=syncfs"] if sys.platform == "linux" and major >= _BUILTIN_PROVIDER_SINCE else []


def _require(result: processes.Completed, program: str, data: Path) -> None:
    if result.returncode:
        output = (result.stderr or result.stdout).strip()
        if NO_SPACE in output:
            raise DiskFull(data.parent)
        raise InitializationFailed(program, output)


def _configuration(settings: Mapping[str, str]) -> str:
    lines = [f"{name} = {_quoted(value, chr(39))}" for name, value in settings.items()]
    return "\n".join(["", "# Set by fedschema", *lines, ""])


def _ident(operators: Sequence[str]) -> str:
    lines = [f"operator  {_quoted(name, chr(34))}  {SUPERUSER}" for name in operators]
    return "\n".join(["# MAPNAME  SYSTEM-USERNAME  DATABASE-USERNAME", *lines, ""])


def _quoted(text: str, mark: str) -> str:
    return mark + text.replace(mark, mark * 2) + mark
