"""`fedschema tenant adopt`: a schema that is there becomes a department."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from fedschema import adoption
from fedschema.adoption import Adoption, Wish
from fedschema.checks import Hole
from fedschema.cli import output
from fedschema.cli.drift import difference_json, mend_lines
from fedschema.cli.passwords import PasswordFileOption, PasswordStdinOption, password_for, tell_password
from fedschema.cli.session import DepartmentId, JsonOption, Session, session_of
from fedschema.cli.tenant_add import EmailOption, NameOption, new_department
from fedschema.compiler import Compiler
from fedschema.errors import OperationError
from fedschema.versions import TENANT


def adopt(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    department: DepartmentId,
    *,
    schema: Annotated[
        str | None, typer.Option("--schema", help="The schema's name until now; it gets the department's.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option("--revision", help="What to compare with; else what the schema is most like.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Run the repairs by which no row can be lost, in the same transaction.")
    ] = False,
    name: NameOption = None,
    admin_email: EmailOption = None,
    password_stdin: PasswordStdinOption = False,
    password_file: PasswordFileOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would come of it and change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a schema that was made by hand, or by another tool, a department: if it is what a department is."""
    session = session_of(context)
    new = new_department(department, name, admin_email)
    given = password_file is not None or password_stdin
    with password_for(password_file, stdin=password_stdin) if given else nullcontext() as password:
        wish = Wish(new, schema, revision, repair, dry_run, password)
        found = adoption.adopt(session.conninfo, session.compiler, wish)
        _show(session, wish, found, as_json=as_json)
        if found.problem is not None:
            raise typer.Exit(OperationError.exit_status)
    if password is not None and not dry_run:
        tell_password(password, department.role, as_json=as_json)


def _show(session: Session, wish: Wish, found: Adoption, *, as_json: bool) -> None:
    if as_json:
        output.document(_as_json(session.compiler, wish, found))
        return
    _show_differences(found)
    for hole in found.holes:
        output.say(output.printable(f"{found.department}: {hole.object}: {hole.message}"))
        if hole.mend:
            output.say(f"  to close it: {output.printable(hole.mend)}")
    if found.problem is not None:
        output.failure(found.problem.code, found.problem.message, found.problem.hint)
        return
    place = ", ".join(found.heads) or "base"
    owners = ", ".join(f"{count} of {owner}" for owner, count in sorted(found.handed_over.items()))
    would = "would be " if wish.dry_run else ""
    output.say(f"department {found.department} ({wish.new.name}) {would}adopted at {place}")
    if owners:
        output.say(f"handed over to federation_owner: {owners}")
    if wish.password is None and not wish.dry_run:
        kept = "was made without a password" if found.role_made else "keeps its password"
        output.note(
            f"role {found.department.role} {kept}; for another: fedschema tenant rotate-password {wish.department}"
        )


def _show_differences(found: Adoption) -> None:
    place = ", ".join(found.heads) or "base"
    output.say(f"{found.department}: compared with {place}: {_counted(found)}")
    for one in found.repairs:
        if not one.difference.part_of_missing:
            aside = "" if one.difference.matters else " (does not matter)"
            output.say(output.printable(f"{found.department}: {one.difference}{aside}"))
        for line in mend_lines(one.answer):
            output.say(f"  {output.printable(line)}")


def _counted(found: Adoption) -> str:
    count = len(found.differences)
    return "nothing differs" if not count else f"{count} difference{'' if count == 1 else 's'}"


def _as_json(compiler: Compiler, wish: Wish, found: Adoption) -> Mapping[str, Any]:
    lineage = compiler.lineage(found.department)
    branch = found.department.id if found.department.id in lineage.labels else None
    return {
        "department_id": found.department.id,
        "department_name": wish.new.name,
        "tenant_schema": found.department.schema,
        "adopted": found.problem is None and not wish.dry_run,
        "dry_run": wish.dry_run,
        "revision": lineage.revision_of(found.heads, TENANT),
        "branch_revision": lineage.revision_of(found.heads, branch) if branch else None,
        "handed_over": dict(found.handed_over),
        "role_made": found.role_made,
        "repaired": found.repaired and not wish.dry_run,
        "differences": [
            difference_json(one.difference, one.answer) | {"matters": one.difference.matters} for one in found.repairs
        ],
        "holes": [_hole(hole) for hole in found.holes],
        "error": output.error_document(found.problem),
    }


def _hole(hole: Hole) -> Mapping[str, Any]:
    return {"check": hole.check, "object": hole.object, "message": hole.message, "mend": hole.mend}
