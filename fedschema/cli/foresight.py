"""The options of `upgrade` and `downgrade` that look, try and seal instead of doing it, and what they run.

What they run is imported when it runs: every command has to wait for what is imported at the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedschema import releases
from fedschema.cli import output
from fedschema.cli.interrupts import halting
from fedschema.cli.progress import bar_for
from fedschema.cli.session import Session
from fedschema.department import Department
from fedschema.errors import PlanUnsealable, UnknownDepartment, UsageError
from fedschema.fleet.run import Run
from fedschema.releases import Release
from fedschema.workers import Halt

if TYPE_CHECKING:
    from fedschema.previews import LiveRehearsal, Preview

#: A real department is not kept waiting for a rehearsal, unless --lock-timeout says so.
_LIVE_LOCK_TIMEOUT = 0.2


class Stage(StrEnum):
    """Where a rehearsal takes place."""

    SCRATCH = "scratch"
    LIVE = "live"


PlanOption = Annotated[bool, typer.Option("--plan", help="Show what would be done, by group, and do nothing.")]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="With --plan: seal it there, for --apply.", show_default=False),
]
ApplyOption = Annotated[
    Path | None,
    typer.Option("--apply", metavar="FILE", help="Do what was sealed, and nothing else.", show_default=False),
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="With --apply: departments that are there are done; those on the way go on.")
]
RehearseOption = Annotated[
    Stage | None,
    typer.Option(
        "--rehearse",
        help="Try it and roll it back: on a scratch department, or with --rehearse=live on the real ones.",
        show_default=False,
    ),
]


def spelled_out(arguments: Sequence[str]) -> list[str]:
    """Give ``--rehearse`` its value where none was typed: what follows it is a department, never its value."""
    until = list(arguments).index("--") if "--" in arguments else len(arguments)
    return [
        f"--rehearse={Stage.SCRATCH}" if argument == "--rehearse" and number < until else argument
        for number, argument in enumerate(arguments)
    ]


def was_typed(context: typer.Context, option: str) -> bool:
    """Tell whether an option was given, rather than left to its default."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


@dataclass(frozen=True, slots=True)
class Foresight:
    """What is asked for instead of an upgrade.

    Attributes:
        plan: show it.
        out: where to seal it.
        rehearse: where to try it.
    """

    plan: bool = False
    out: Path | None = None
    rehearse: Stage | None = None

    @property
    def wanted(self) -> bool:
        """Something is, so that nothing is to be done."""
        return self.plan or self.rehearse is not None

    def check(self) -> None:
        """Refuse what cannot be meant together.

        Raises:
            UsageError
        """
        if self.plan and self.rehearse:
            raise UsageError("--plan and --rehearse are two things: choose one", "fedschema upgrade --plan")
        if self.out and not self.plan:
            raise UsageError("--out is where a plan goes: it needs --plan", "fedschema upgrade --plan --out plan.json")

    def run(self, session: Session, ids: Sequence[Department], release: Release, *, as_json: bool) -> None:
        """Look at a release, or try it; end with 1 when it would fail."""
        if self.rehearse is Stage.LIVE:
            _rehearse_live(session, ids, release, as_json=as_json)
            return
        from fedschema import previews  # noqa: PLC0415 - see the module's docstring
        from fedschema.cli import plan_pages  # noqa: PLC0415
        from fedschema.fleet import seal  # noqa: PLC0415

        if self.out:
            seal.refuse_other_files(self.out)
        insist = self.rehearse is not None
        with _live_explained(ids, insist):
            seen = previews.preview(session.conninfo, session.compiler, ids, release, insist=insist)
        unsealable = self._sealed(seen, every=not ids)
        sealed = str(self.out) if self.out and not unsealable else None
        if as_json:
            output.document({**plan_pages.preview_json(seen, sealed), "error": output.error_document(unsealable)})
        else:
            plan_pages.show_preview(seen, sealed)
            if unsealable:
                output.failure(unsealable.code, unsealable.message, unsealable.hint)
            if self.rehearse:
                output.note(plan_pages.ROLLED_BACK)
        if seen.would_fail or unsealable:
            raise typer.Exit(1)

    def _sealed(self, seen: Preview, *, every: bool) -> PlanUnsealable | None:
        """Seal what was seen, if that was asked for; return why it cannot be."""
        from fedschema import sealing  # noqa: PLC0415
        from fedschema.fleet import seal  # noqa: PLC0415

        if self.out:
            try:
                seal.write(self.out, sealing.seal(seen, every=every))
            except PlanUnsealable as error:
                return error
        return None


@contextmanager
def _live_explained(ids: Sequence[Department], rehearsing: bool) -> Iterator[None]:  # noqa: FBT001
    """Say how the real departments are meant, to whom typed a blank instead of ``=``."""
    try:
        yield
    except UnknownDepartment as error:
        if rehearsing and Department(Stage.LIVE) in ids:
            error.hint = "for the real departments, with = and no blank: --rehearse=live"
        raise


def sealed_run(session: Session, file: Path, release: Release, *, resume: bool) -> Run:
    """Read a sealed plan and return what does it, if everything is as it was.

    Raises:
        InvalidPlanFile, PlanMoved
    """
    from fedschema import sealing  # noqa: PLC0415
    from fedschema.fleet import seal  # noqa: PLC0415

    sealed = seal.read(file)
    return sealing.prepare_sealed(
        session.conninfo, session.compiler, sealed, release, resume=resume, direct=session.direct
    )


def check_apply(context: typer.Context, ids: Sequence[Department], apply: Path | None, *, resume: bool) -> None:
    """Refuse what a sealed plan says already.

    Raises:
        UsageError
    """
    if apply is None:
        if resume:
            raise UsageError(
                "--resume goes on with a sealed plan: it needs --apply", "fedschema upgrade --apply plan.json"
            )
        return
    also = [option for option in ("plan", "rehearse", "to", "out") if was_typed(context, option)]
    if ids or also:
        typed = f"--{also[0]}" if also else "a department"
        raise UsageError(
            f"--apply does what was sealed, so {typed} cannot be named beside it", "fedschema upgrade --apply plan.json"
        )


def live_pace(context: typer.Context, release: Release, rehearse: Stage | None) -> Release:
    """Keep real departments from waiting for a rehearsal, unless somebody said how long they may."""
    if rehearse is not Stage.LIVE or was_typed(context, "lock_timeout"):
        return release
    return replace(release, pace=replace(release.pace, lock_timeout=_LIVE_LOCK_TIMEOUT))


def _rehearse_live(session: Session, ids: Sequence[Department], release: Release, *, as_json: bool) -> None:
    from fedschema.cli import plan_pages  # noqa: PLC0415
    from fedschema.previews import Verdict, rehearse_departments  # noqa: PLC0415

    run = releases.prepare(session.conninfo, session.compiler, ids, release, looking=True)
    results: list[LiveRehearsal] = []
    with halting(Halt()) as halt, bar_for(0 if as_json else len(run.departments)) as bar:
        for result in rehearse_departments(run, halt):
            results.append(result)
            if bar is not None:
                bar.advance(failed=result.error is not None)
            elif not as_json:
                plan_pages.show_verdict(run, result)
    for result in results if bar is not None else ():
        if result.error is not None:
            plan_pages.show_verdict(run, result)
    if as_json:
        output.document(plan_pages.live_json(run, results))
    else:
        plan_pages.show_live(run, results)
    if any(result.verdict not in {Verdict.SOUND, Verdict.UNCHANGED} for result in results):
        raise typer.Exit(1)
