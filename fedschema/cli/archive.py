"""`fedschema tenant archive` and `restore`: a department in one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fedschema import archiving, bundles, releases, restoring
from fedschema.bundling import Written
from fedschema.cli import output
from fedschema.cli.bundle_keys import KeyFileOption, bundle_key, tell_unencrypted
from fedschema.cli.passwords import PasswordFileOption, PasswordStdinOption, password_for
from fedschema.cli.session import DepartmentId, JsonOption, Session, session_of
from fedschema.department import Department
from fedschema.errors import UsageError
from fedschema.fleet.release import Direction, Outcome, Release, Result
from fedschema.registry import SUSPENDED
from fedschema.restoring import Restored

_DIRECTORY = Path("archives")


def archive(
    context: typer.Context,
    department: DepartmentId,
    *,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Where the file goes.")] = _DIRECTORY,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a department into one file: its rows, its revisions, its grants. It can be used meanwhile, and stays."""
    session = session_of(context)
    key = bundle_key(key_file)
    written = archiving.archive(session.conninfo, session.compiler, department, to, key)
    if as_json:
        output.document(_written_json(written))
        return
    output.say(str(written.path))
    output.note(f"{written.manifest.rows} rows of department {department}, {output.size(written.bytes)}")
    if not written.encrypted:
        tell_unencrypted("it is")


def _written_json(written: Written) -> dict[str, Any]:
    manifest = written.manifest
    return {
        "department_id": manifest.department_id,
        "file": str(written.path),
        "made_at": manifest.made_at,
        "revisions": list(manifest.revisions),
        "fingerprint": manifest.fingerprint,
        "rows": {table.name: table.rows for table in manifest.tables},
        "bytes": written.bytes,
        "sha256": written.sha256,
        "encrypted": written.encrypted,
    }


def restore(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    department: DepartmentId,
    *,
    source: Annotated[
        Path, typer.Option("--from", metavar="FILE", help="The bundle, or a directory: the newest of ID in it.")
    ],
    new_id: Annotated[
        Department | None,
        typer.Option("--as", metavar="NEW", parser=Department.parse, help="Restore it under another id."),
    ] = None,
    with_grants: Annotated[
        bool,
        typer.Option("--with-grants", help="Put its grants and gateways in force again, where both ends are there."),
    ] = False,
    upgrade: Annotated[bool, typer.Option(help="Bring it to head afterwards.")] = True,
    key_file: KeyFileOption = None,
    password_stdin: PasswordStdinOption = False,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a department of a bundle: row by row what was written, in one transaction; then bring it to head."""
    session = session_of(context)
    path = _newest(source, department) if source.is_dir() else source
    wanted = new_id or department
    with bundles.opened(path, bundle_key(key_file)) as bundle:
        if bundle.manifest.department_id != department.id:
            raise UsageError(
                f"{path} holds {bundle.manifest.department_id}, not {department}; nothing was changed",
                f"fedschema tenant restore {bundle.manifest.department_id} --from {path} --as {wanted}",
            )
        give = password_stdin or password_file is not None
        if give:
            with password_for(password_file, stdin=password_stdin) as password:
                restored = restoring.restore(
                    session.conninfo, session.compiler, bundle, wanted, password=password, with_grants=with_grants
                )
        else:
            restored = restoring.restore(session.conninfo, session.compiler, bundle, wanted, with_grants=with_grants)
    result = _upgraded(session, wanted) if upgrade else None
    if as_json:
        output.document(_restored_json(restored, result))
    else:
        _show(restored, result, has_password=give)
    if result is not None and result.error is not None:
        raise typer.Exit(1)


def _newest(directory: Path, department: Department) -> Path:
    """Return a department's newest bundle: its name begins with the moment, after the id."""
    found = sorted((*directory.glob(f"{department}-*.zip"), *directory.glob(f"{department}-*.zip.sealed")), key=_moment)
    if not found:
        found = [
            path for path in (directory / f"{department}.zip", directory / f"{department}.zip.sealed") if path.exists()
        ]
    if not found:
        raise UsageError(f"{directory} holds no bundle of department {department}", "name its file with --from")
    return found[-1]


def _moment(path: Path) -> str:
    return path.name.partition("-")[2]


def _upgraded(session: Session, department: Department) -> Result:
    """Bring a department to head; what goes wrong is told, and the department stays where it was."""
    release = Release(Direction.UPGRADE, "head")
    return next(
        iter(releases.migrate(session.conninfo, session.compiler, [department], release, direct=session.direct))
    )


def _show(restored: Restored, result: Result | None, *, has_password: bool) -> None:
    manifest, department = restored.manifest, restored.department
    was = "" if manifest.department_id == department.id else f", which was {manifest.department_id}"
    output.say(
        f"department {department}{was}: {manifest.rows} rows as of {output.moment(manifest.made_at)}, "
        f"at {' + '.join(manifest.revisions) or 'base'}"
    )
    if result is not None:
        _show_upgrade(result)
    if restored.schema_alike is False:
        output.warning(
            "its revisions give another schema now than the one it had: fedschema drift shows none, the bundle does"
        )
    if not restored.secrets_bound and manifest.has_secrets:
        output.warning(
            f"secrets in it are bound to department {manifest.department_id} and do not decrypt here; "
            f"store them anew: fedschema secret set {department}"
        )
    if manifest.department.get("status") == SUSPENDED:
        output.note(f"it is suspended, as it was; to put it in service: fedschema tenant resume {department}")
    for left in restored.left_out:
        output.note(output.printable(f"not brought back, since {left.reason}: {left.what}"))
        output.note(output.printable(f"  to have it again: {left.command}"))
    if not has_password:
        output.note(f"its role has no password; give it one: fedschema tenant rotate-password {department}")


def _show_upgrade(result: Result) -> None:
    if result.error is not None:
        output.failure(result.error.code, result.error.message, f"fedschema upgrade {result.department}")
    elif result.outcome is Outcome.UPGRADED:
        after = result.after.revision if result.after else "head"
        output.say(f"department {result.department}: upgraded to {after}")


def _restored_json(restored: Restored, result: Result | None) -> dict[str, Any]:
    manifest = restored.manifest
    return {
        "department_id": restored.department.id,
        "from": manifest.department_id,
        "made_at": manifest.made_at,
        "revisions": list(manifest.revisions),
        "rows": {table.name: table.rows for table in manifest.tables},
        "schema_alike": restored.schema_alike,
        "secrets_bound": restored.secrets_bound,
        "reinstated": restored.reinstated,
        "left_out": [{"what": left.what, "reason": left.reason, "command": left.command} for left in restored.left_out],
        "upgrade": None
        if result is None
        else {"status": result.outcome.value, "error": output.error_document(result.error)},
    }
