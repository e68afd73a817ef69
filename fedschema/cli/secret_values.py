"""How a command comes by a secret or a key, and where it puts one: never in arguments, never where others can read."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from fedschema import private_files
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
from fedschema.private_files import Unusable

KEY_VARIABLE = "OAUTH_ENCRYPTION_KEY"
NEW_KEY_VARIABLE = "OAUTH_ENCRYPTION_KEY_NEW"

#: A secret and a line break.
_READ_AT_MOST = MAX_VALUE_BYTES + 2


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
    if not isinstance(sys.stdin, io.TextIOWrapper):
        return sys.stdin.read(_READ_AT_MOST + 1)
    content = sys.stdin.buffer.read(_READ_AT_MOST + 1)
    try:
        return private_files.decoded(content, _READ_AT_MOST)
    except Unusable as error:
        raise InvalidSecret("the secret on stdin", error.reason) from None


def read_file(path: Path) -> str:
    """Read a secret from a file that only its owner may read.

    Raises:
        InvalidSecret: with the reason; the secret is not repeated.
    """
    try:
        text = private_files.read(path, _READ_AT_MOST)
    except Unusable as error:
        raise InvalidSecret(f"file {path}", error.reason, error.mend) from None
    return parse_value(text, f"the secret in {path}")


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
    """Write a new file that only its owner may read.

    Raises:
        UsageError: something is there already, or it cannot be written.
    """
    try:
        private_files.create(path, text)
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
    return parsed_key(text, variable)


def parsed_key(text: str, source: str) -> Key:
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
        yield parsed_key(read_file(file), str(file)), False
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
