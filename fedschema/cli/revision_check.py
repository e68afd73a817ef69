"""`fedschema revision check`: what each revision's downgrade gives back, proven on a scratch department."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from fedschema import rollbacks
from fedschema.cli import output
from fedschema.cli.session import JsonOption, session_of
from fedschema.compiler import Compiler
from fedschema.downgrades import Record, Verdict, WayBack, path_of, way_json
from fedschema.errors import InvalidDowngradeRecord, OperationError
from fedschema.rollbacks import Proof

_RECORD = "fedschema revision check --record"


def check(  # noqa: PLR0913 - one argument for each option
    context: typer.Context,
    revisions: Annotated[
        list[str] | None, typer.Argument(metavar="[REVISION]...", help="The revisions; all when none is named.")
    ] = None,
    *,
    since: Annotated[
        str | None, typer.Option("--since", metavar="REVISION", help="Those alone that come after it.")
    ] = None,
    record: Annotated[bool, typer.Option("--record", help="Put on record what each downgrade is, for plans.")] = False,
    postgres: Annotated[
        int | None,
        typer.Option(
            "--postgres", metavar="MAJOR", min=14, help="On this version of PostgreSQL, if the machine has it."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Try each revision up, down and up again, with rows; no database is needed. Exits with 1 when one fails."""
    compiler = session_of(context).compiler
    chosen = rollbacks.subjects(compiler, revisions or (), since)
    known = Record.read(compiler) if not record else _readable(compiler)
    proofs: list[Proof] = []
    for proof in rollbacks.prove(compiler, chosen, postgres):
        proofs.append(proof)
        if not as_json:
            _show(proof)
    moved = [] if record else [proof for proof in proofs if _is_otherwise(known, proof)]
    written = None
    if record:
        everything = [subject.revision for subject in rollbacks.subjects(compiler)]
        sound = {proof.revision: proof.way for proof in proofs if proof.way.verdict is not Verdict.BROKEN}
        written = str(
            known.write(sound, set(everything) - {one.revision for one in proofs if one.revision not in sound})
        )
    ok = all(proof.ok for proof in proofs) and not moved
    if as_json:
        output.document(
            {
                "ok": ok,
                "revisions": [_as_json(proof, known, moved) for proof in proofs],
                "recorded": written,
            }
        )
    else:
        _sum_up(proofs, moved, known, written, output.place(path_of(compiler.project)))
    if not ok:
        raise typer.Exit(OperationError.exit_status)


def _readable(compiler: Compiler) -> Record:
    """Return what is on record; nothing where that cannot be read: it is about to be written anew."""
    try:
        return Record.read(compiler)
    except InvalidDowngradeRecord:
        return Record(compiler, {})


def _is_otherwise(known: Record, proof: Proof) -> bool:
    """Tell whether a record is kept, and has not what was found."""
    if not known.entries or proof.way.verdict is Verdict.BROKEN:
        return False
    return _alike(known.entries.get(proof.revision)) != _alike(proof.way)


def _alike(way: WayBack | None) -> object:
    """Return what has to be the same; how a server words its refusal need not be."""
    return way and (way.verdict, sorted(map(str, way.losses)), way.checksum)


def _show(proof: Proof) -> None:
    """Show one revision, as soon as it was tried."""
    way = proof.way
    losses = ", ".join(f"{loss}{_rows(proof.rows.get(loss, 0))}" for loss in way.losses)
    told = losses or output.printable(way.reason) if way.verdict is not Verdict.EXACT else ""
    output.say(f"{proof.revision}: {way.verdict}{f': {told}' if told else ''}")
    for difference in proof.differences:
        output.say(f"  {output.printable(difference)}")
    for note in proof.notes:
        output.warning(output.printable(f"{proof.revision}: {note}"))


def _rows(count: int) -> str:
    return f" ({count} row{'' if count == 1 else 's'})" if count else ""


def _sum_up(proofs: Sequence[Proof], moved: Sequence[Proof], known: Record, written: str | None, path: str) -> None:
    """Say what is wrong with which, and what is on record now."""
    for proof in proofs:
        if proof.way.verdict is Verdict.BROKEN:
            output.failure("", f"revision {proof.revision}: {output.printable(proof.way.reason)}", None)
        elif not proof.said:
            told = output.printable(proof.way.reason)
            reason = f"revision {proof.revision} cannot be taken back, and does not say so: {told}"
            output.failure("", reason, 'mend its downgrade, or let it say why: raise NotImplementedError("…")')
    if moved:
        names = ", ".join(proof.revision for proof in moved)
        output.failure("", f"{path} has something else on record, or nothing, of {names}", _RECORD)
    if not proofs:
        output.note("there is nothing to check")
    elif written:
        output.note(f"on record in {path}")
    elif not known.entries:
        output.note(f"for plans to tell it: {_RECORD}")


def _as_json(proof: Proof, known: Record, moved: Sequence[Proof]) -> dict[str, Any]:
    told = way_json(proof.way)
    for each, loss in zip(told["loses"], proof.way.losses, strict=True):
        each["rows"] = proof.rows.get(loss, 0)
    return {
        "revision": proof.revision,
        "lineage": proof.lineage,
        "ok": proof.ok and proof not in moved,
        **told,
        "said": proof.said,
        "differences": list(proof.differences),
        "notes": list(proof.notes),
        "on_record": known.entries[proof.revision].verdict.value if proof.revision in known.entries else None,
        "checksum": proof.way.checksum,
        "duration_seconds": round(proof.duration_seconds, 3),
    }
