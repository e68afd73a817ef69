"""`fedschema tenant add --from`: how a list of departments is read and its intake shown."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from fedschema import intake, passwords, rosters
from fedschema.cli import journal, output
from fedschema.cli.interrupts import halting
from fedschema.cli.passwords import password_for
from fedschema.cli.progress import note_undone
from fedschema.cli.session import Session
from fedschema.department import Department
from fedschema.errors import InvalidPassword, UsageError
from fedschema.fleet.release import OnError
from fedschema.intake import Outcome, PasswordOf, Result
from fedschema.passwords import Password
from fedschema.rosters import RosterEntry
from fedschema.tenancy import NewDepartment
from fedschema.workers import Halt

_STDIN = Path("-")


@dataclass(frozen=True, slots=True)
class Intaking:
    """The options that only a list of departments has, as they were typed."""

    password_dir: Path | None
    skip_existing: bool
    jobs: int | None
    on_error: OnError | None


def add_many(session: Session, roster: Path, options: Intaking, *, dry_run: bool, as_json: bool) -> None:
    """Make the departments of a list; what is wrong with it, or in its way, is told before the first is made.

    Raises:
        InvalidRoster, DepartmentsTaken, UsageError
        typer.Exit: with 1, when a department failed or was skipped.
    """
    wanted = [NewDepartment(entry.department, entry.name, entry.email) for entry in _entries(roster)]
    found = intake.survey(session.conninfo, session.compiler, wanted, skip_existing=options.skip_existing)
    coming = [new for new, _ in found.coming]
    if options.password_dir is not None:
        _check_directory(options.password_dir, [new.department for new in coming])
    if dry_run:
        _show_coming(coming, as_json=as_json)
        return
    if options.password_dir is not None and coming:
        _make_directory(options.password_dir)
    results = _run(session, found, options, as_json=as_json)
    if as_json:
        order = {new.department: number for number, new in enumerate(wanted)}
        results.sort(key=lambda result: order[result.department])
        output.document({"results": [_as_json(result) for result in results]})
    _finish(results, options.password_dir, as_json=as_json)


def _entries(roster: Path) -> list[RosterEntry]:
    if roster != _STDIN:
        return rosters.read(roster)
    return rosters.parse(sys.stdin.buffer.read(rosters.MAX_BYTES + 1), "standard input")


def _run(session: Session, found: intake.Intake, options: Intaking, *, as_json: bool) -> list[Result]:
    """Make the departments and show each as it is done."""
    results: list[Result] = []
    halt = Halt()
    with halting(halt):
        for result in intake.add_all(
            session.conninfo,
            session.compiler,
            found,
            _password_of(options.password_dir),
            halt,
            jobs=options.jobs or intake.DEFAULT_JOBS,
            stop_at_failure=options.on_error is not OnError.CONTINUE,
        ):
            results.append(result)
            journal.record_department(result.department, result.outcome, result.duration_seconds, result.error)
            if not as_json:
                _show(result)
    return results


# ---------------------------------------------------------------------------------------------------------- passwords


def _password_of(directory: Path | None) -> PasswordOf:
    """Give each department's password: from or in a file of its own, or none at all."""

    @contextmanager
    def give(department: Department) -> Iterator[Password | None]:
        if directory is None:
            yield None
            return
        with password_for(_password_file(directory, department), stdin=False) as password:
            yield password

    return give


def _password_file(directory: Path, department: Department) -> Path:
    return directory / f"{department}.password"


def _check_directory(directory: Path, departments: Iterable[Department]) -> None:
    """Refuse, before anything is made, a directory that others may change, and files in it that cannot be used.

    Raises:
        UsageError, InvalidPassword
    """
    try:
        mode = directory.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unusable(directory, error) from error
    if not stat.S_ISDIR(mode):
        raise _unusable(directory, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)))
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UsageError(
            f"others may write into {directory} (mode {stat.S_IMODE(mode):o}), and put passwords of their own there",
            f"chmod 700 {directory}",
        )
    problems = []
    for department in departments:
        file = _password_file(directory, department)
        try:
            if file.exists() or file.is_symlink():
                passwords.read_file(file)
        except InvalidPassword as error:
            problems.append(error.message.removeprefix("the password "))
    if problems:
        listing = "".join(f"\n  {problem}" for problem in problems)
        raise UsageError(f"passwords cannot be used; nothing was changed:{listing}", "mend or remove those files")


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(directory, error) from error


def _unusable(directory: Path, error: OSError) -> UsageError:
    return UsageError(f"{directory} cannot hold passwords: {error.strerror}", "name another --password-dir")


# --------------------------------------------------------------------------------------------------------------- words


def _show_coming(coming: Sequence[NewDepartment], *, as_json: bool) -> None:
    """Show what would be made."""
    if as_json:
        listed = [
            {
                "department_id": new.department.id,
                "department_name": new.name,
                "tenant_schema": new.department.schema,
                "admin_email": new.email,
            }
            for new in coming
        ]
        output.document({"departments": listed})
    elif coming:
        rows = [
            (new.department.id, new.name, new.department.schema, new.department.role, new.email or "-")
            for new in coming
        ]
        output.table(("department", "name", "schema", "role", "admin e-mail"), rows)
    else:
        output.note("all of them are there already")


def _show(result: Result) -> None:
    match result.outcome:
        case Outcome.FAILED:
            assert result.error is not None  # noqa: S101 - a failure has a reason
            if not journal.wanted():  # there it is on record with all that is known of the department
                output.failure(result.error.code, result.error.message, result.error.hint)
        case Outcome.ADDED:
            output.say(f"{result.department}: added ({result.duration_seconds:.2f} s)")
        case Outcome.UNCHANGED:
            output.say(f"{result.department}: unchanged, it is there already")
        case Outcome.SKIPPED:
            reason = f": {result.error.message}" if result.error else ""
            output.say(f"{result.department}: skipped{reason}")


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "department_id": result.department.id,
        "status": result.outcome.value,
        "error": output.error_document(result.error),
        "duration_seconds": round(result.duration_seconds, 3),
    }


def _finish(results: Sequence[Result], directory: Path | None, *, as_json: bool) -> None:
    """Say where the passwords are and sum up; end with 1 when a department failed or was skipped."""
    if any(result.outcome is Outcome.ADDED for result in results):
        if directory is not None:
            output.note(f"passwords: in {directory}, a file for each department")
        else:
            output.note("their roles have no password yet, so that nobody can log in with one; give each one with:")
            output.note("  fedschema tenant rotate-password ID --password-file ID.password")
    undone = [result for result in results if result.outcome in {Outcome.FAILED, Outcome.SKIPPED}]
    if not undone:
        return
    if not as_json:
        note_undone([(result.department, result.outcome) for result in undone], len(results))
        output.note("to make those, mend what failed and run the same again with --skip-existing")
    raise typer.Exit(1)
