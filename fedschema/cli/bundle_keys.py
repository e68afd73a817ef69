"""How a command comes by the key of bundles: from a file, from stdin or from the environment, never from arguments."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from fedschema import private_files
from fedschema.cli import output
from fedschema.cli.secret_values import parsed_key
from fedschema.encryption import Key
from fedschema.errors import UsageError
from fedschema.private_files import Unusable

VARIABLE = "FEDSCHEMA_BACKUP_KEY"

KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        help=f"The key that bundles are under, 64 hex digits, is in this file; - reads stdin; else {VARIABLE}.",
    ),
]

_MAKE_ONE = "for a new key: umask 077; openssl rand -hex 32 > FILE"
#: A key and a line break.
_READ_AT_MOST = 66


def bundle_key(file: Path | None) -> Key | None:
    """Return the key that was handed in; None when none was.

    Raises:
        UsageError, InvalidEncryptionKey
    """
    if file == Path("-"):
        return parsed_key(sys.stdin.read(_READ_AT_MOST).strip(), "stdin")
    if file is not None:
        return parsed_key(_content(file), str(file))
    given = os.environ.get(VARIABLE)
    return parsed_key(given, VARIABLE) if given else None


def _content(file: Path) -> str:
    """Read a key's file, which only its owner may read; one line break at its end is no part of the key."""
    try:
        return private_files.read(file, _READ_AT_MOST).removesuffix("\n").removesuffix("\r")
    except Unusable as error:
        raise UsageError(f"the key file {file} {error.reason}", error.mend or _MAKE_ONE) from None


def tell_unencrypted(what: str) -> None:
    """Say that whoever has a file can read it."""
    output.warning(
        f"{what} not encrypted: whoever has it can read it; for a key: openssl rand -hex 32 > FILE, --key-file FILE"
    )
