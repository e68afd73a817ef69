"""Proves revisions, one after the other, on a server of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from fedschema import federation
from fedschema.compiler import Compiler
from fedschema.connections import connect
from fedschema.downgrades import Verdict, WayBack, checksum
from fedschema.embedded import throwaway_server
from fedschema.errors import PostgresNotFound
from fedschema.lender import programs
from fedschema.reach import Reach
from fedschema.rollbacks.choosing import Subject
from fedschema.rollbacks.ground import Ground
from fedschema.rollbacks.trial import Proof, Trial


def prove(compiler: Compiler, chosen: Sequence[Subject], postgres: int | None = None) -> Iterator[Proof]:
    """Try revisions, up, down and up again, and yield what each turned out to be, in order.

    Args:
        compiler: the project.
        chosen: from `subjects`.
        postgres: the version to try it on, such as 15; None for the one that fedschema brings.

    Raises:
        PostgresNotFound, EmbeddedServerError: there is no server to try it on.
        CompilationFailed: a revision's upgrade cannot be compiled.
    """
    if not chosen:
        return
    with ExitStack() as stack:
        url = stack.enter_context(_server(postgres))
        federation.initialise(url, compiler)
        connection = stack.enter_context(connect(url))
        for label in dict.fromkeys(one.lineage for one in chosen):
            ground = Ground(compiler, Reach(url), connection, label)
            stopped: str | None = None
            for subject in (one for one in chosen if one.lineage == label):
                began = time.monotonic()
                proof = _not_reached(subject, stopped) if stopped else Trial(ground, subject).proof()
                if proof.way.verdict is Verdict.BROKEN and not ground.stands:
                    stopped = stopped or subject.revision
                way = replace(proof.way, checksum=checksum(compiler, subject.revision, subject.lineage))
                yield replace(proof, way=way, duration_seconds=time.monotonic() - began)
            ground.clear()


@contextmanager
def _server(postgres: int | None) -> Iterator[str]:
    with throwaway_server(programs(postgres) if postgres else None) as server:
        if postgres and server.version.partition(".")[0] != str(postgres):
            raise PostgresNotFound(postgres)
        yield server.url()


def _not_reached(subject: Subject, stopped: str) -> Proof:
    reason = f"not tried, for {stopped} before it cannot be applied"
    return Proof(subject.revision, subject.lineage, WayBack(Verdict.BROKEN, reason=reason), said=False)
