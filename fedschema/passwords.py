"""Passwords of login roles: where they come from, where they are kept, and what the server gets to see.

A password is never an argument, never in a log and never in JSON. What reaches the server is a SCRAM verifier computed
here, since ``ALTER ROLE … PASSWORD 'plain'`` ends up in server logs and in pg_stat_statements.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from fedschema import private_files
from fedschema.errors import InvalidPassword
from fedschema.private_files import Unusable

#: 24 random bytes are 192 bits, as 32 characters that need no quoting in a URL.
RANDOM_BYTES = 24
MIN_LENGTH = 12
#: libpq and most clients read at most this much.
MAX_LENGTH = 1000
_MAX_FILE_BYTES = 64 * 1024


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
        private_files.create(path, made.text)
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
        text = private_files.read(path, _MAX_FILE_BYTES)
    except Unusable as error:
        mend = f"; {error.mend}" if error.mend else ""
        raise InvalidPassword(f"file {path} {error.reason}{mend}") from None
    return Password(parse(text).text, file=path)
