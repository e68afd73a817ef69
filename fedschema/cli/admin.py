"""`fedschema admin …`: the people of federation_admin_role."""

from __future__ import annotations

from dataclasses import asdict

import typer

from fedschema import administrators
from fedschema.cli import output
from fedschema.cli.passwords import (
    NewPasswordFileOption,
    PasswordFileOption,
    PasswordStdinOption,
    change_password,
    password_for,
    tell_password,
)
from fedschema.cli.session import JsonOption, LoginArgument, session_of

app = typer.Typer(no_args_is_help=True, help="Administrators: people who see the rows of every department.")


@app.command()
def create(
    context: typer.Context,
    login: LoginArgument,
    *,
    password_stdin: PasswordStdinOption = False,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a login that sees the rows of every department; there is no default password."""
    session = session_of(context)
    conninfo = session.conninfo
    with password_for(password_file, stdin=password_stdin) as password:
        administrators.create(conninfo, session.compiler, login, password)
    if as_json:
        output.document({"login_role": login, "created": True})
    else:
        output.say(f"{login} is an administrator: it sees and writes the rows of every department")
    tell_password(password, login, as_json=as_json)


@app.command()
def rotate(
    context: typer.Context,
    login: LoginArgument,
    *,
    password_stdin: PasswordStdinOption = False,
    password_file: NewPasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give an administrator's login another password; sessions that are open go on."""
    session = session_of(context)
    conninfo = session.conninfo
    change_password(
        login,
        password_file,
        stdin=password_stdin,
        as_json=as_json,
        change=lambda password: administrators.rotate(conninfo, session.compiler, login, password),
    )


@app.command("list")
def list_administrators(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List the administrators."""
    session = session_of(context)
    found = administrators.administrators(session.conninfo, session.compiler)
    if as_json:
        output.document([asdict(one) for one in found])
    elif found:
        rows = [(output.printable(one.login_role), "fedschema" if one.made_here else "somebody else") for one in found]
        output.table(("login", "made by"), rows)
    else:
        output.note("there are no administrators; to make one: fedschema admin create ada")


@app.command()
def remove(context: typer.Context, login: LoginArgument, *, as_json: JsonOption = False) -> None:
    """Make somebody an administrator no longer; a login that was made here goes."""
    session = session_of(context)
    dropped = administrators.remove(session.conninfo, session.compiler, login)
    if as_json:
        output.document({"login_role": login, "dropped": dropped})
    else:
        output.say(f"{login} is no administrator any more{'; the login is gone' if dropped else ''}")
