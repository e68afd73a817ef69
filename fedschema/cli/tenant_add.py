"""`fedschema tenant add`: one department, or all of a list."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fedschema import intake, releases, tenancy
from fedschema.cli import journal, output
from fedschema.cli.intake import Intaking, add_many
from fedschema.cli.passwords import PasswordFileOption, PasswordStdinOption, password_for, tell_password
from fedschema.cli.releases import department_json
from fedschema.cli.session import JsonOption, Session, session_of
from fedschema.department import Department, parse_email, parse_name
from fedschema.errors import UsageError
from fedschema.fleet.release import OnError
from fedschema.tenancy import NewDepartment

NameOption = Annotated[str | None, typer.Option("--name", help='The display name: --name "Legal Department".')]
EmailOption = Annotated[str | None, typer.Option("--admin-email", help="Whom to write to about the department.")]


def new_department(department: Department, name: str | None, email: str | None) -> NewDepartment:
    """Return what is known of a department from what was typed.

    Raises:
        InvalidDepartmentName, InvalidEmail
    """
    return NewDepartment(
        department,
        parse_name(name) if name is not None else department.default_name,
        parse_email(email) if email is not None else None,
    )


@dataclass(frozen=True, slots=True)
class _One:
    """The options that only a single department has."""

    name: str | None
    admin_email: str | None
    password_stdin: bool
    password_file: Path | None


def add(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    department: Annotated[
        Department | None, typer.Argument(parser=Department.parse, metavar="ID", help="The department's id.")
    ] = None,
    *,
    name: NameOption = None,
    admin_email: EmailOption = None,
    password_stdin: PasswordStdinOption = False,
    password_file: PasswordFileOption = None,
    roster: Annotated[
        Path | None,
        typer.Option("--from", metavar="CSV", help="Make all departments of this list; - reads standard input."),
    ] = None,
    password_dir: Annotated[
        Path | None, typer.Option("--password-dir", help="With --from: make a password for each, in files there.")
    ] = None,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="With --from: leave out those that are ACTIVE already.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, max=intake.MAX_JOBS, help=f"With --from: so many at once; {intake.DEFAULT_JOBS} if unsaid."
        ),
    ] = None,
    on_error: Annotated[
        OnError | None, typer.Option(help="With --from: what a failed department means for those after it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be made and touch nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a department: registry row, schema, role, tables with their walls, in one transaction. Or many: --from."""
    one = _One(name, admin_email, password_stdin, password_file)
    many = Intaking(password_dir, skip_existing, jobs, on_error)
    session = session_of(context)
    if roster is not None:
        _refuse(one, "one department alone, and a list has columns for what it says")
        if department is not None:
            raise UsageError("an ID and --from exclude each other", f"fedschema tenant add --from {roster}")
        add_many(session, roster, many, dry_run=dry_run, as_json=as_json)
    elif department is None:
        raise UsageError("name a department, or a list of them with --from", "fedschema tenant add legal")
    else:
        _refuse(many, "a list of departments: --from")
        _add_one(session, department, one, dry_run=dry_run, as_json=as_json)


def _refuse(options: _One | Intaking, purpose: str) -> None:
    """Refuse options that were given for what is not done."""
    for option in options.__slots__:
        if getattr(options, option) not in (None, False):
            raise UsageError(f"--{option.replace('_', '-')} is for {purpose}", "fedschema tenant add --help")


def _add_one(session: Session, department: Department, options: _One, *, dry_run: bool, as_json: bool) -> None:
    new = new_department(department, options.name, options.admin_email)
    if dry_run:
        script = tenancy.creation_script(session.compiler, new)
        if as_json:
            output.document({"department_id": department.id, "sql": script})
        else:
            sys.stdout.write(script)
        return
    conninfo = session.conninfo
    with password_for(options.password_file, stdin=options.password_stdin) as password:
        began = time.monotonic()
        tenancy.add(conninfo, session.compiler, new, password)
        journal.record_department(department, "added", time.monotonic() - began)
    if as_json:
        position = releases.status(conninfo, session.compiler, [department])[0]
        output.document(department_json(position))
    else:
        output.say(f"department {department} ({new.name}): schema {department.schema}, role {department.role}")
    tell_password(password, department.role, as_json=as_json)
