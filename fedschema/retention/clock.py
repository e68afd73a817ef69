"""The lines by which cron and systemd run retention every day, for servers without pg_cron.

They hold no password: libpq looks for one in the password file of the user that they run as.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from fedschema.errors import UsageError

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_URL_VARIABLE = "FEDSCHEMA_DATABASE_URL"
#: Parameters of a connection that are not repeated: secrets, and what `fedschema` sets by itself.
_UNSAID = re.compile(r"password|secret|application_name|client_encoding|connect_timeout")


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """When something runs, every day."""

    hour: int
    minute: int

    @classmethod
    def parse(cls, text: str) -> TimeOfDay:
        """Read ``03:30``.

        Raises:
            UsageError
        """
        found = _TIME.fullmatch(text.strip())
        if not found:
            raise UsageError(f"{text!r} is no time of day", "for example: --at 03:30")
        return cls(int(found[1]), int(found[2]))

    @property
    def crontab(self) -> str:
        """As crontab has it."""
        return f"{self.minute} {self.hour} * * *"

    def __str__(self) -> str:
        return f"{self.hour:02}:{self.minute:02}"


@dataclass(frozen=True, slots=True)
class Errand:
    """A command that is to run every day.

    Attributes:
        at: when, by the machine's clock.
        directory: where it runs.
        command: its words.
        url: the database, without a password; None where the directory says which it is.
        user: as whom it runs, for systemd.
    """

    at: TimeOfDay
    directory: Path
    command: Sequence[str]
    url: str | None
    user: str

    def crontab(self) -> str:
        """Return the line for `crontab -e`; there a ``%`` ends the command unless it has a backslash."""
        variable = f"{_URL_VARIABLE}={shlex.quote(self.url)} " if self.url else ""
        line = f"cd {shlex.quote(str(self.directory))} && {variable}{shlex.join(self.command)}"
        return f"{self.at.crontab} {line}".replace("%", r"\%")

    def service(self) -> str:
        """Return a unit for systemd (systemd.exec(5), systemd.service(5): ``%`` and ``$`` are doubled)."""
        environment = [f"Environment={_quoted(f'{_URL_VARIABLE}={self.url}')}"] if self.url else []
        words = " ".join(_quoted(word).replace("$", "$$") for word in self.command)
        lines = [
            "[Unit]",
            "Description=fedschema retention run",
            "",
            "[Service]",
            "Type=oneshot",
            f"User={self.user}",
            f"WorkingDirectory={str(self.directory).replace('%', '%%')}",
            *environment,
            f"ExecStart={words}",
        ]
        return "\n".join(lines) + "\n"

    def timer(self) -> str:
        """Return the unit that starts it."""
        lines = [
            "[Unit]",
            "Description=fedschema retention run, every day",
            "",
            "[Timer]",
            f"OnCalendar=*-*-* {self.at}:00",
            "Persistent=true",
            "",
            "[Install]",
            "WantedBy=timers.target",
        ]
        return "\n".join(lines) + "\n"


def _quoted(word: str) -> str:
    """Quote a word for a unit, always: what needs no quotes may have them."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def url_of(parameters: Mapping[str, str]) -> str:
    """Return the URL of a connection's parameters, without any password."""
    given = {name: value for name, value in parameters.items() if not _UNSAID.search(name)}
    user, name = given.pop("user", ""), given.pop("dbname", "")
    host = given.get("host", "")
    place = ""
    if host and not re.search(r"[/,:@ ]", host) and "," not in given.get("port", ""):
        port = given.pop("port", "")
        place = host + (f":{port}" if port else "")
        del given["host"]
    options = f"?{urlencode(given, quote_via=quote)}" if given else ""
    who = f"{quote(user, safe='')}@" if user else ""
    return f"postgresql://{who}{place}/{quote(name, safe='')}{options}"
