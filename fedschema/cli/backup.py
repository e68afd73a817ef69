"""`fedschema backup …`: bundles of the whole fleet, tried before they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fedschema import backup_lists, backups, recovery, verification
from fedschema.backup_lists import Backup, Outcome
from fedschema.backups import Saved
from fedschema.cli import output
from fedschema.cli.bundle_keys import KeyFileOption, bundle_key, tell_unencrypted
from fedschema.cli.interrupts import halting
from fedschema.cli.progress import bar_for, note_undone
from fedschema.cli.session import DepartmentIds, JsonOption, session_of
from fedschema.department import Department
from fedschema.errors import UsageError
from fedschema.recovery import Recovered
from fedschema.verification import Verified
from fedschema.workers import Halt

DirectoryArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="A backup, or the directory of some: then the newest of --all.")
]
JobsOption = Annotated[int, typer.Option(min=1, max=backups.MAX_JOBS, help="So many at once.")]


class _BackupGroup(TyperGroup):
    """Takes what is no command of its own for departments to back up: `fedschema backup hr --to DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer keeps the type to itself
        if args and args[0] not in self.commands and args[0] not in {"-h", "--help"}:
            args = [_MAKE, *args]
        return super().parse_args(ctx, args)


_MAKE = "make"

app = typer.Typer(cls=_BackupGroup, no_args_is_help=True, help="Backups of the whole fleet: make, verify, restore.")


@app.command(_MAKE)
def make(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    ids: DepartmentIds = None,
    *,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The backup becomes a directory in this one.")],
    every: Annotated[bool, typer.Option("--all", help="Every department.")] = False,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Afterwards remove all that is older than the newest so many of --all.")
    ] = None,
    jobs: JobsOption = backups.DEFAULT_JOBS,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a bundle for each department and one for the control plane; `make` may be left out."""
    if bool(ids) == every:
        raise UsageError("name the departments, or --all for every one", "fedschema backup --all --to DIR")
    session = session_of(context)
    key = bundle_key(key_file)
    conninfo = session.conninfo
    compared = backups.survey(conninfo, session.compiler, ids or ())
    directory = backups.new_directory(to)
    results: list[Saved] = []
    with halting(Halt()) as halt, bar_for(0 if as_json else len(compared)) as bar:
        for saved in backups.back_up(
            conninfo, session.compiler, compared, directory, key, halt, complete=every, jobs=jobs
        ):
            results.append(saved)
            if bar is not None:
                bar.advance(failed=saved.outcome is Outcome.FAILED)
            if not as_json and (bar is None or saved.outcome is not Outcome.SAVED):
                _show_saved(saved)
    undone = [saved for saved in results if saved.outcome is not Outcome.SAVED]
    removed = backup_lists.prune(to, keep) if keep and not undone and every else []
    if as_json:
        results.sort(key=lambda saved: saved.name)
        listed = [saved.listed() | {"error": output.error_document(saved.error)} for saved in results]
        output.document({"directory": str(directory), "bundles": listed, "removed": [str(run) for run in removed]})
    else:
        _sum_up(directory, results, undone, removed, encrypted=key is not None)
    if undone:
        raise typer.Exit(1)


def _show_saved(saved: Saved) -> None:
    if saved.error:
        output.failure(saved.error.code, saved.error.message, saved.error.hint)
    elif saved.written:
        manifest = saved.written.manifest
        size = output.size(saved.written.bytes)
        output.say(f"{saved.name}: {manifest.rows} rows, {size} ({saved.duration_seconds:.2f} s)")
        if manifest.drift:
            output.warning(
                f"{saved.name} has drifted, and comes back as its revisions give it: fedschema drift {saved.name}"
            )
    else:
        output.say(f"{saved.name}: skipped")


def _sum_up(
    directory: Path, results: Sequence[Saved], undone: Sequence[Saved], removed: Sequence[Path], *, encrypted: bool
) -> None:
    output.say(f"backup in {directory}")
    for run in removed:
        output.note(f"removed {run}")
    if not encrypted:
        tell_unencrypted("it is")
    if undone:
        names = ", ".join(f"{saved.name} ({saved.outcome})" for saved in undone)
        output.note(f"{len(results) - len(undone)} of {len(results)} bundles are written; not written: {names}")
    else:
        output.note(f"to try it: fedschema backup verify {directory}")


@app.command()
def verify(
    context: typer.Context,
    directory: DirectoryArgument,
    *,
    jobs: JobsOption = verification.DEFAULT_JOBS,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Restore every bundle on a server made for it, and compare rows and fingerprints; nothing in use is touched."""
    session = session_of(context)
    backup = backup_lists.read(directory)
    results: list[Verified] = []
    with halting(Halt()) as halt:
        for verified in verification.verify(session.compiler, backup, bundle_key(key_file), halt, jobs=jobs):
            results.append(verified)
            if not as_json:
                _show_verified(verified)
    ok = len(results) == len(backup.entries) and all(verified.ok for verified in results)
    if as_json:
        output.document({"ok": ok, "directory": str(backup.directory), "bundles": _verified_json(results)})
    else:
        good = sum(verified.ok for verified in results)
        output.say(f"{good} of {len(backup.entries)} bundles of {backup.directory} came back as they were")
    if not ok:
        raise typer.Exit(1)


def _show_verified(verified: Verified) -> None:
    for problem in verified.problems:
        output.failure("backup_bad", f"{verified.name}: {problem}", None)
    if verified.ok:
        alike = ", schema alike" if verified.schema_alike else ""
        output.say(f"{verified.name}: {verified.rows} rows alike{alike} ({verified.duration_seconds:.2f} s)")
    if verified.drift:
        output.note(f"{verified.name} had drifted and came back without: {output.printable('; '.join(verified.drift))}")


def _verified_json(results: Sequence[Verified]) -> list[dict[str, Any]]:
    return [
        {
            "department_id": verified.name,
            "ok": verified.ok,
            "problems": list(verified.problems),
            "rows": verified.rows,
            "schema_alike": verified.schema_alike,
            "drift": list(verified.drift),
            "duration_seconds": round(verified.duration_seconds, 3),
        }
        for verified in sorted(results, key=lambda verified: verified.name)
    ]


@app.command()
def restore(
    context: typer.Context,
    directory: DirectoryArgument,
    *,
    with_grants: Annotated[
        bool, typer.Option("--with-grants", help="Put grants and gateways in force again, where both ends are there.")
    ] = False,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a whole federation back, into a database that has none. Interrupted, the same command goes on."""
    session = session_of(context)
    backup = backup_lists.read(directory)
    key = bundle_key(key_file)
    results: list[Recovered] = []
    if not as_json:
        output.note(f"restoring {backup.directory}{'' if backup.complete else ', which is of some departments only'}")
    for recovered in recovery.recover(session.conninfo, session.compiler, backup, key, with_grants=with_grants):
        results.append(recovered)
        if not as_json:
            _show_recovered(recovered)
    if as_json:
        output.document({"directory": str(backup.directory), "results": [_recovered_json(one) for one in results]})
    failed = [one for one in results if one.error]
    if not as_json:
        _tell_what_is_left(results, failed, backup)
    if failed:
        raise typer.Exit(1)


def _show_recovered(recovered: Recovered) -> None:
    if recovered.error:
        output.failure(recovered.error.code, recovered.error.message, recovered.error.hint)
    elif recovered.unchanged:
        output.say(f"{recovered.name}: there already")
    else:
        rows = f"{recovered.restored.manifest.rows} rows" if recovered.restored else "restored"
        output.say(f"{recovered.name}: {rows}")


def _tell_what_is_left(results: Sequence[Recovered], failed: Sequence[Recovered], backup: Backup) -> None:
    for recovered in results:
        left_out = recovered.restored.left_out if recovered.restored else recovered.left_out
        for left in left_out:
            output.note(output.printable(f"not brought back, since {left.reason}: {left.what}"))
            output.note(output.printable(f"  to have it again: {left.command}"))
    if failed:
        undone = [(Department(one.name), "failed") for one in failed]
        note_undone(undone, len(results))
        output.note(f"when that is mended, the same goes on: fedschema backup restore {backup.directory}")
    output.note("roles have no passwords yet: fedschema tenant rotate-password ID; behind head: fedschema upgrade")


def _recovered_json(recovered: Recovered) -> dict[str, Any]:
    restored = recovered.restored
    left_out = restored.left_out if restored else recovered.left_out
    status = "failed" if recovered.error else "unchanged" if recovered.unchanged else "restored"
    return {
        "department_id": recovered.name,
        "status": status,
        "rows": restored.manifest.rows if restored else None,
        "left_out": [{"what": left.what, "reason": left.reason, "command": left.command} for left in left_out],
        "error": output.error_document(recovered.error),
    }
