"""`fedschema tenant …`: a department's coming and going."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from fedschema import deployment, passwords, releases, tenancy
from fedschema.cli import output
from fedschema.cli.archive import archive, restore
from fedschema.cli.confirmation import ask_for_id
from fedschema.cli.passwords import NewPasswordFileOption, PasswordStdinOption, change_password
from fedschema.cli.releases import department_json, revision_text
from fedschema.cli.session import DepartmentId, JsonOption, YesOption, session_of
from fedschema.cli.tenant_add import EmailOption, NameOption, add, new_department
from fedschema.cli.tenant_adopt import adopt
from fedschema.cli.tenant_service import rename, resume, suspend
from fedschema.department import Department
from fedschema.errors import UsageError
from fedschema.policies import PolicyType
from fedschema.tenancy import DepartmentDetails

app = typer.Typer(
    no_args_is_help=True,
    help="Departments: add, adopt, list, show, generate their SQL, suspend, archive, restore, drop.",
)

app.command()(add)
app.command()(adopt)
app.command()(rename)
app.command()(suspend)
app.command()(resume)
app.command()(archive)
app.command()(restore)


@app.command("list")
def list_departments(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List the departments."""
    session = session_of(context)
    positions = releases.status(session.conninfo, session.compiler, [])
    if as_json:
        output.document([department_json(position) for position in positions])
    elif positions:
        rows = [
            (
                p.entry.department_id,
                p.entry.department_name,
                p.entry.tenant_schema,
                p.entry.status,
                revision_text(p),
            )
            for p in positions
        ]
        output.table(("department", "name", "schema", "status", "revision"), rows)
    else:
        output.note("there are no departments yet; add one with: fedschema tenant add legal")


@app.command()
def show(context: typer.Context, department: DepartmentId, *, as_json: JsonOption = False) -> None:
    """Show one department: its row of the registry, where it is, and how many rows its tables hold."""
    session = session_of(context)
    found = tenancy.details(session.conninfo, session.compiler, department)
    position = releases.position_of(session.compiler, found.entry, found.heads)
    if as_json:
        entry = found.entry
        output.document(
            department_json(position)
            | {
                "role": department.role,
                "admin_email": entry.admin_email,
                "created_at": entry.created_at,
                "updated_at": entry.updated_at,
                "deprovisioned_at": entry.deprovisioned_at,
                "rows": dict(found.rows),
            }
        )
        return
    output.facts(_facts(found, position))
    filled = [(table, str(rows)) for table, rows in found.rows.items() if rows]
    if filled:
        output.say()
        output.table(("table", "rows"), filled)
    elif found.rows:
        output.say(f"{len(found.rows)} tables, all empty")


def _facts(found: DepartmentDetails, position: releases.Position) -> dict[str, str]:
    entry = found.entry
    facts = {
        "department": entry.department_id,
        "name": entry.department_name,
        "status": entry.status,
        "schema": entry.tenant_schema,
        "role": entry.department.role,
        "admin e-mail": entry.admin_email or "-",
        "created": output.moment(entry.created_at),
    }
    if entry.deprovisioned_at:
        return facts | {"dropped": output.moment(entry.deprovisioned_at)}
    state = position.problem.message if position.problem else "at head" if position.at_head else "behind"
    return facts | {"revision": f"{revision_text(position)} ({state})"}


@app.command("sql")
def sql(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    department: DepartmentId,
    *,
    name: NameOption = None,
    admin_email: EmailOption = None,
    rls_only: Annotated[bool, typer.Option("--rls-only", help="Only the policies.")] = False,
    policy_type: Annotated[PolicyType, typer.Option("--policy-type", help="Which policies.")] = PolicyType.ALL,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", help="Write files there instead of printing.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Generate a department's SQL without applying it; no database is needed.

    schema_ID_tenant.sql is everything that `tenant add` does but the password; rls_policies_ID.sql the policies alone,
    which can be applied again over what is there.
    """
    compiler = session_of(context).compiler
    new = new_department(department, name, admin_email)
    rls_only = rls_only or (policy_type is not PolicyType.ALL and output_dir is None)
    scripts = {f"rls_policies_{department}.sql": tenancy.rls_script(compiler, department, policy_type)}
    if not rls_only:
        scripts = {f"schema_{department.schema}.sql": tenancy.creation_script(compiler, new)} | scripts
    if output_dir is None:
        text = next(iter(scripts.values()))
        if as_json:
            output.document({"department_id": department.id, "sql": text})
        else:
            sys.stdout.write(text)
        return
    paths = _write(output_dir, scripts)
    if as_json:
        output.document({"department_id": department.id, "files": [str(path) for path in paths]})
    for path in paths if not as_json else ():
        output.say(str(path))


def _write(directory: Path, scripts: Mapping[str, str]) -> list[Path]:
    """Write scripts into a directory: all of them, or none."""
    paths = [directory / name for name in scripts]
    written: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, scripts.values(), strict=True):
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            written.append(path.with_name(f".{path.name}.{os.getpid()}"))
            written[-1].write_text(text, encoding="utf-8")
        for path, temporary in zip(paths, written, strict=True):
            temporary.replace(path)
    except OSError as error:
        for temporary in written:
            temporary.unlink(missing_ok=True)
        raise UsageError(
            f"{error.filename or directory} cannot be written: {error.strerror}", "name another --output-dir"
        ) from error
    return paths


@app.command("env")
def environment(
    context: typer.Context,
    department: DepartmentId,
    *,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="Fill in the password from this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the connection settings of a department's deployment, as lines of an .env file."""
    session = session_of(context)
    password = passwords.read_file(password_file) if password_file else None
    settings = deployment.settings(session.conninfo, session.compiler, department, session.settings.database)
    if as_json:
        output.document(settings.public())
        return
    for line in settings.lines(password):
        output.say(line)
    if password is None:
        output.note(f"the password is stored nowhere; put it in the place of {deployment.PLACEHOLDER}")


@app.command("rotate-password")
def rotate_password(
    context: typer.Context,
    department: DepartmentId,
    *,
    password_stdin: PasswordStdinOption = False,
    password_file: NewPasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a department's role another password; sessions that are open go on, new ones need it at once."""
    session = session_of(context)
    conninfo = session.conninfo
    change_password(
        department.role,
        password_file,
        stdin=password_stdin,
        as_json=as_json,
        change=lambda password: tenancy.rotate_password(conninfo, session.compiler, department, password),
    )


@app.command()
def drop(
    context: typer.Context, department: DepartmentId, *, yes: YesOption = False, as_json: JsonOption = False
) -> None:
    """Drop a department: schema and role together. Its row in the registry stays, as DEPROVISIONED.

    Nobody is asked when its last archive has all that it holds.
    """
    session = session_of(context)
    lost = tenancy.drop(
        session.conninfo,
        session.compiler,
        department,
        _confirmation(department, yes=yes),
        archive_suffices=not yes,
    )
    if as_json:
        output.document({"department_id": department.id, "status": "DEPROVISIONED", "rows_lost": dict(lost.rows)})
    else:
        output.say(f"department {department} dropped: schema {department.schema} and role {department.role} are gone")
    if lost.archive is not None and lost.archive.complete:
        output.note(f"its archive, of {output.moment(lost.archive.moment)}, has all of it: {lost.archive.file}")


def _confirmation(department: Department, *, yes: bool) -> Callable[[DepartmentDetails], None]:
    def confirm(found: DepartmentDetails) -> None:
        filled: dict[str, Any] = {table: rows for table, rows in found.rows.items() if rows}
        if yes:
            return
        output.note(f"this drops schema {department.schema} and role {department.role}, with:")
        for table, rows in filled.items():
            output.note(f"  {table}: {rows} row{'' if rows == 1 else 's'}")
        if not filled:
            output.note(f"  {len(found.rows)} tables, all empty")
        output.note(_about_archive(found))
        if not ask_for_id(department, "drop it"):
            raise UsageError(
                f"department {department} was not dropped: the id was not typed",
                f"fedschema tenant drop {department} --yes",
            )

    return confirm


def _about_archive(found: DepartmentDetails) -> str:
    """Say how much of a department an archive would bring back."""
    again = f"to have it all in one: fedschema tenant archive {found.entry.department_id}"
    if found.archive is None:
        return f"there is no archive of it; {again}"
    return f"it has changed since its archive of {output.moment(found.archive.moment)}; {again}"
