"""Makes the control plane, or brings it up to date: `fedschema init`."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from fedschema import batches, registry
from fedschema.compiler import Compiler
from fedschema.connections import connect, translated
from fedschema.errors import ControlPlaneAhead, UnknownRevision
from fedschema.plans import Plan


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """What `initialise` found and did.

    Attributes:
        before: the control plane's revision before; None when there was none.
        revision: its revision now.
        applied: the revisions that were applied; empty when it was up to date.
        warnings: what could not be closed with the privileges at hand.
    """

    before: str | None
    revision: str
    applied: tuple[str, ...]
    warnings: tuple[str, ...]


def initialise(conninfo: str, compiler: Compiler) -> ControlPlane:
    """Make schema `federation`, its tables and functions, and the platform's roles; safe to repeat.

    Everything happens in one transaction. What is there already is kept, and the walls of the database (who may
    connect, who may create) are put up again if somebody took them down.

    Args:
        conninfo: the database.
        compiler: the project.

    Raises:
        ControlPlaneAhead: a newer fedschema has been here.
        NameTaken: a role or a schema of ours exists and is somebody else's.
        PrivilegeMissing, ReadOnlyServer: the login cannot do it.
    """
    warnings: list[str] = []
    with connect(conninfo) as connection, translated("fedschema init"):
        connection.add_notice_handler(lambda notice: _keep_warning(warnings, notice))
        with connection.transaction():
            before = registry.control_plane_heads(connection)
            plan = _plan(compiler, before or ())
            connection.execute("RESET ROLE")
            batches.execute(connection, batches.control_plane(compiler.templates, plan), plan)
    _ = compiler.blueprint  # all that compiles is loaded by now, so that the first department need not wait for it
    return ControlPlane(
        ", ".join(before) if before else None,
        ", ".join(plan.end),
        tuple(step.revision for step in plan.steps),
        tuple(dict.fromkeys(warnings)),
    )


def _plan(compiler: Compiler, before: tuple[str, ...]) -> Plan:
    try:
        return compiler.upgrade(None, before, "head")
    except UnknownRevision as error:
        raise ControlPlaneAhead(", ".join(before)) from error


def _keep_warning(warnings: list[str], notice: psycopg.errors.Diagnostic) -> None:
    """Keep the warnings that our own SQL raises; PostgreSQL's remarks are not for the operator."""
    if notice.severity_nonlocalized == "WARNING" and notice.sqlstate == "01000":
        hint = f" ({notice.message_hint})" if notice.message_hint else ""
        warnings.append(f"{notice.message_primary}{hint}")
