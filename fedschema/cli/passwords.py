"""How a command comes by the password of a login, and how it tells a new one: once, and never in JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from fedschema import passwords
from fedschema.cli import journal, output
from fedschema.errors import ConnectionLost, UsageError
from fedschema.passwords import Password

PasswordStdinOption = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
NewPasswordFileOption = Annotated[
    Path | None,
    typer.Option("--password-file", help="Make a password and put it into this file, in the place of what it holds."),
]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option("--password-file", help="The login's password is in this file; if there is none yet, make one there."),
]


@contextmanager
def password_for(file: Path | None, *, stdin: bool) -> Iterator[Password]:
    """Give the password that was handed in, or a new one; a file made for nothing goes again.

    Raises:
        UsageError, InvalidPassword
    """
    if file and stdin:
        raise UsageError("--password-stdin and --password-file exclude each other", "use one of them")
    password = passwords.from_file(file) if file else _from_stdin() if stdin else _generated()
    try:
        yield password
    except (ConnectionLost, KeyboardInterrupt):
        raise  # the answer to COMMIT may be what was lost: then the login is there, and the file has its only password
    except BaseException:
        if password.generated and password.file:
            password.file.unlink(missing_ok=True)
        raise


@contextmanager
def new_password_for(file: Path | None, *, stdin: bool) -> Iterator[Password]:
    """Give the password that takes the place of another one: handed in on stdin, or a new one.

    It waits in FILE.new and gets the file's name once it is in force, so that the one in force is always kept.

    Raises:
        UsageError, InvalidPassword
    """
    if file and stdin:
        raise UsageError("--password-stdin and --password-file exclude each other", "use one of them")
    if file is None:
        yield _from_stdin() if stdin else _generated()
        return
    waiting = file.with_name(f"{file.name}.new")
    if waiting.exists():
        raise UsageError(
            f"{waiting} is left of a rotation that was interrupted; it may hold the password that is in force",
            f"try it, keep the right one, and remove {waiting}",
        )
    password = passwords.from_file(waiting)
    try:
        yield Password(password.text, generated=True, file=file)
    except (ConnectionLost, KeyboardInterrupt):
        output.note(f"if the rotation went through, the password is the one in {waiting}")
        raise
    except BaseException:
        waiting.unlink(missing_ok=True)
        raise
    waiting.replace(file)


def change_password(
    login: str, file: Path | None, *, stdin: bool, as_json: bool, change: Callable[[Password], None]
) -> None:
    """Give a login another password and say so.

    Args:
        login: whose it is.
        file: ``--password-file``.
        stdin: ``--password-stdin``.
        as_json: ``--json``.
        change: puts the new password in force.

    Raises:
        UsageError, InvalidPassword
    """
    with new_password_for(file, stdin=stdin) as password:
        change(password)
    if as_json:
        output.document({"login_role": login, "rotated": True})
    else:
        output.say(f"the password of {login} is changed; what logs in with it needs the new one now")
    tell_password(password, login, as_json=as_json)


def _generated() -> Password:
    """Make a password that will be shown; not where all that is shown is collected.

    Raises:
        UsageError
    """
    if journal.wanted():
        raise UsageError(
            "a new password would be shown, and with --log-format json what is shown is collected; nothing was touched",
            "let it be put into a file: --password-file, or hand one in: --password-stdin",
        )
    return passwords.generate()


def _from_stdin() -> Password:
    if sys.stdin.isatty():
        return passwords.parse(typer.prompt("password", hide_input=True, confirmation_prompt=True, err=True))
    return passwords.parse(sys.stdin.read())


def tell_password(password: Password, login: str, *, as_json: bool) -> None:
    """Show a generated password, once: it is stored nowhere. JSON never holds it."""
    if not password.generated:
        return
    tell: Callable[[str], None] = output.note if as_json else output.say
    if password.file:
        tell(f"password of {login}: in {password.file}")
    else:
        tell(f"password of {login}, shown only now: {password.text}")
