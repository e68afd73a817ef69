"""Passwords of login roles: where they come from, where they are kept, and what the server gets to see.

A password is never an argument, never in a log and never in JSON. What reaches the server is a SCRAM verifier computed
here, since ``ALTER ROLE … PASSWORD 'plain'`` ends up in server logs and in pg_stat_statements.
"""

from __future__ import annotations

import secrets
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from fedschema.errors import InvalidPassword

#: 24 random bytes are 192 bits, as 32 characters that need no quoting in a URL.
RANDOM_BYTES = 24
MIN_LENGTH = 12
#: libpq and most clients read at most this much.
MAX_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class Password:
    """A password and how it came about.

    Attributes:
        text: the password; it is not shown by repr.
        generated: made here, so that somebody has to be told.
        file: the file that it was read from or written to.
    """

    text: str = field(repr=False)
    generated: bool = False
    file: Path | None = None

    def verifier(self, connection: psycopg.Connection, role: str) -> str:
        """Return the SCRAM-SHA-256 verifier that the server stores; the password itself stays here.

        Args:
            connection: any connection; nothing is sent over it.
            role: the login that the password is for.
        """
        made = connection.pgconn.encrypt_password(self.text.encode(), role.encode(), b"scram-sha-256")
        return made.decode()


def generate() -> Password:
    """Make a strong random password."""
    return Password(secrets.token_urlsafe(RANDOM_BYTES), generated=True)


def parse(text: str) -> Password:
    """Check a password that was handed in: one line, of a sensible length.

    Raises:
        InvalidPassword: with the reason; the password is not repeated.
    """
    line = text.removesuffix("\n").removesuffix("\r")
    if not line:
        raise InvalidPassword("is empty")
    if any(character in line for character in "\n\r\0"):
        raise InvalidPassword("has more than one line")
    if not MIN_LENGTH <= len(line) <= MAX_LENGTH:
        raise InvalidPassword(f"has {len(line)} characters; between {MIN_LENGTH} and {MAX_LENGTH} are needed")
    return Password(line)


def from_file(path: Path) -> Password:
    """Read a password from a file, or make one and write it there when there is no such file yet.

    Raises:
        InvalidPassword: when others may read the file, or it holds no password, or cannot be read or written.
    """
    made = generate()
    try:
        # Written before it gets its name, so that a command that is killed here leaves no empty file.
        with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8") as file:
            file.write(f"{made.text}\n")
            file.flush()
            path.hardlink_to(file.name)
    except FileExistsError:
        return read_file(path)
    except OSError as error:
        raise InvalidPassword(f"file {path} cannot be written: {error.strerror}") from error
    return Password(made.text, generated=True, file=path)


def read_file(path: Path) -> Password:
    """Read a password from a file that only its owner may read.

    Raises:
        InvalidPassword: with the reason; the password is not repeated.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidPassword(f"file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise InvalidPassword(f"file {path} is no text") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InvalidPassword(f"file {path} can be read by others (mode {mode:o}); chmod 600 {path}")
    return Password(parse(text).text, file=path)
