"""`fedschema gateway …`: the logins that ask on behalf of departments."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from fedschema import gateways
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
from fedschema.department import Department
from fedschema.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Gateways: the logins that ask on behalf of departments.")

DepartmentsOption = Annotated[
    list[Department] | None,
    typer.Option("--department", parser=Department.parse, metavar="ID", help="May be given several times."),
]


@app.command()
def add(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    login: LoginArgument,
    *,
    department: DepartmentsOption = None,
    every: Annotated[bool, typer.Option("--all", help="All departments, now and later: an act of trust.")] = False,
    password_stdin: PasswordStdinOption = False,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Entitle a login to speak for departments; the login is made if there is none."""
    if bool(department) == every:
        raise UsageError("name the departments, or --all", f"fedschema gateway add {login} --department hr")
    session = session_of(context)
    conninfo = session.conninfo
    with password_for(password_file, stdin=password_stdin) as password:
        made = gateways.add(conninfo, session.compiler, login, department or [], password)
        if not made and password.generated and password.file:
            password.file.unlink(missing_ok=True)  # the login that was there keeps its own
    if as_json:
        output.document(
            {
                "login_role": login,
                "created": made,
                "all": every,
                "departments": [one.id for one in department or []],
            }
        )
    else:
        output.say(f"{login} may speak for {_names(department, 'every department, now and later')}")
    if made:
        tell_password(password, login, as_json=as_json)
    else:
        output.note(f"{login} was there already and keeps its password; for another: fedschema gateway rotate {login}")


@app.command("list")
def list_gateways(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List who may speak for whom."""
    session = session_of(context)
    found, idle = gateways.entitlements(session.conninfo, session.compiler)
    if as_json:
        nobody = {"department_id": None, "granted_by": None, "granted_at": None, "all": False}
        listed = [asdict(one) | {"all": one.department_id is None} for one in found]
        output.document(listed + [{"login_role": login} | nobody for login in idle])
    elif found or idle:
        rows = [
            (
                output.printable(one.login_role),
                one.department_id or "every department",
                output.moment(one.granted_at),
                output.printable(one.granted_by),
            )
            for one in found
        ]
        rows += [(output.printable(login), "nobody any more", "-", "-") for login in idle]
        output.table(("login", "may speak for", "since", "granted by"), rows)
    else:
        output.note("there are no gateways; to add one: fedschema gateway add api_gateway --department hr")


@app.command()
def rotate(
    context: typer.Context,
    login: LoginArgument,
    *,
    password_stdin: PasswordStdinOption = False,
    password_file: NewPasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a gateway's login another password; sessions that are open go on."""
    session = session_of(context)
    conninfo = session.conninfo
    change_password(
        login,
        password_file,
        stdin=password_stdin,
        as_json=as_json,
        change=lambda password: gateways.rotate(conninfo, session.compiler, login, password),
    )


@app.command()
def remove(
    context: typer.Context, login: LoginArgument, *, department: DepartmentsOption = None, as_json: JsonOption = False
) -> None:
    """Take entitlements away: those named, or all. With the last one, a login that was made here goes too."""
    session = session_of(context)
    dropped = gateways.remove(session.conninfo, session.compiler, login, department or [])
    if as_json:
        output.document({"login_role": login, "dropped": dropped, "departments": [one.id for one in department or []]})
    else:
        gone = "; the login is gone" if dropped else ""
        output.say(f"{login} may no longer speak for {_names(department, 'anybody')}{gone}")


def _names(departments: list[Department] | None, otherwise: str) -> str:
    return ", ".join(one.id for one in departments) if departments else otherwise
