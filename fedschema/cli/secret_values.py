"""How a command comes by a secret or a key, and where it puts one: never in arguments, never where others can read."""

from __future__ import annotations

import io
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from fedschema.cli import output
from fedschema.credentials import MAX_VALUE_BYTES, parse_value
from fedschema.encryption import Key
from fedschema.errors import (
    ConnectionLost,
    FedschemaError,
    InvalidSecret,
    MissingEncryptionKey,
    UsageError,
)

KEY_VARIABLE = "OAUTH_ENCRYPTION_KEY"
NEW_KEY_VARIABLE = "OAUTH_ENCRYPTION_KEY_NEW"

#: A secret, a line break, and one byte more, so that what is too long is noticed without being read whole.
_READ_AT_MOST = MAX_VALUE_BYTES + 3


def secret_from(file: Path | None, *, stdin: bool) -> str:
    """Return the secret that was handed in: in a file, on stdin, or else typed at a terminal.

    Raises:
        UsageError, InvalidSecret
    """
    if file and stdin:
        raise UsageError("--secret-stdin and --secret-file exclude each other", "use one of them")
    if file:
        return read_file(file)
    if sys.stdin.isatty():
        typed = typer.prompt("secret", hide_input=True, confirmation_prompt=True, err=True)
        return parse_value(typed, "the secret")
    if not stdin:
        raise UsageError(
            "there is no terminal to ask for the secret",
            "hand it in with --secret-stdin or --secret-file FILE; it is never an argument",
        )
    return parse_value(_stdin(), "the secret on stdin")


def _stdin() -> str:
    """Read stdin as it is: UTF-8 whatever the locale, and line breaks within as they are."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        return _decoded(sys.stdin.buffer.read(_READ_AT_MOST), "the secret on stdin")
    return sys.stdin.read(_READ_AT_MOST)


def read_file(path: Path) -> str:
    """Read a secret from a file that only its owner may read.

    Raises:
        InvalidSecret: with the reason; the secret is not repeated.
    """
    return parse_value(_private_text(path), f"the secret in {path}")


def _private_text(path: Path) -> str:
    what = f"file {path}"
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise InvalidSecret(what, f"can be read by others (mode {mode:o})", f"chmod 600 {path}")
            content = file.read(_READ_AT_MOST)
    except OSError as error:
        raise InvalidSecret(what, f"cannot be read: {error.strerror}") from error
    return _decoded(content, what)


def _decoded(content: bytes, what: str) -> str:
    if len(content) == _READ_AT_MOST:
        raise InvalidSecret(what, f"has more than {MAX_VALUE_BYTES // 1024} KiB")
    try:
        return content.decode()
    except UnicodeDecodeError:
        pass  # the exception holds the bytes, so nothing must lead back to it
    raise InvalidSecret(what, "is no UTF-8 text")


def print_secret(value: str) -> None:
    """Print a secret and nothing else on stdout, letter for letter whatever the terminal's encoding."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.flush()
        sys.stdout.buffer.write(f"{value}\n".encode())
    else:
        sys.stdout.write(f"{value}\n")


def refuse_existing(path: Path) -> None:
    """Refuse to write where something is already.

    Raises:
        UsageError
    """
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already and is not overwritten", "name a file that is not there yet")


def write_file(path: Path, text: str) -> None:
    """Write a new file of mode 0600, which has all of its content from the moment that it has its name.

    It is on the disk when this returns: what is written may be the only key to what comes after.

    Raises:
        UsageError: something is there already, or it cannot be written.
    """
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", newline="") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
            path.hardlink_to(file.name)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except FileExistsError:
        refuse_existing(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "name another file") from error


def current_key() -> Key:
    """Return the key that secrets are under, from the environment.

    Raises:
        MissingEncryptionKey, InvalidEncryptionKey
    """
    return _key_of(KEY_VARIABLE)


def _key_of(variable: str) -> Key:
    text = os.environ.get(variable)
    if not text:
        raise MissingEncryptionKey(variable)
    return _parsed(text, variable)


def _parsed(text: str, source: str) -> Key:
    """Read a key, and say so when it is one that somebody could guess."""
    key = Key.parse(text, source)
    if key.is_weak:
        output.warning(
            f"the key in {source} repeats itself, as a random one does not; for a new one: openssl rand -hex 32"
        )
    return key


@contextmanager
def new_key_for(file: Path | None) -> Iterator[tuple[Key, bool]]:
    """Give the key to change to, and whether it was made here; a file made for it goes again if that fails for certain.

    Args:
        file: holds it, or will hold a new one; None for the environment's.

    Raises:
        UsageError, InvalidSecret, MissingEncryptionKey, InvalidEncryptionKey
    """
    if file is None:
        yield _key_of(NEW_KEY_VARIABLE), False
        return
    if os.environ.get(NEW_KEY_VARIABLE):
        raise UsageError(f"--new-key-file and {NEW_KEY_VARIABLE} exclude each other", "use one of them")
    if file.exists():
        yield _parsed(read_file(file), str(file)), False
        return
    key = Key.generate()
    write_file(file, key.material.hex())
    try:
        yield key, True
    except (ConnectionLost, KeyboardInterrupt):
        # The answer to COMMIT may be what was lost: then everything is under this key, and only the file has it.
        output.note(f"the new key in {file} is kept, since it may be in use; run the command again to be sure")
        raise
    except FedschemaError:  # nothing else says for certain that nothing was changed
        file.unlink(missing_ok=True)
        raise
