"""`alembic … --sql`: a script that psql accepts as it is, without asking any database.

It is the same text that the commands send, so a department made by the script equals one made by `tenant add`.
"""

from __future__ import annotations

from fedschema import batches, losses
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.environment.request import Command, Request
from fedschema.errors import CompilationFailed, UsageError
from fedschema.fleet.contracts import held_back
from fedschema.lineages import Lineage
from fedschema.plans import Plan
from fedschema.versions import Heads

_NOBODY_ASKS = "-- This script drops tables or columns. A script cannot ask: whatever rows they hold are lost.\n"

_NOBODY_LOOKS = "-- {} is a contract step: apply it when every department has {}, which a script cannot look at.\n"


def script(request: Request, compiler: Compiler) -> str:
    """Return the script for what was asked: of the control plane, or of each department that was named.

    Raises:
        UsageError: when no department was named, since without a database nobody knows them.
        CompilationFailed: when a revision needs a database.
    """
    if request.federation:
        plan = _plan(request, compiler, None)
        return batches.as_script(batches.control_plane(compiler.templates, plan), as_owner=False)
    if not request.tenants:
        raise UsageError(
            "with --sql no database is asked which departments there are", "alembic -x tenant=hr upgrade head --sql"
        )
    return "\n".join(_department_script(request, compiler, department) for department in request.tenants)


def _department_script(request: Request, compiler: Compiler, department: Department) -> str:
    plan = _plan(request, compiler, department)
    if request.command is Command.UPGRADE and request.starting_point is None:
        batch = batches.creation(compiler.templates, department, department.default_name, None, plan)
    else:
        batch = batches.migration(department, plan)
        if request.command is Command.UPGRADE:
            batch = batches.Batch(batch.what, _held_back(compiler, plan) + batch.sql)
        if losses.may_lose_rows(plan.script(department)):
            batch = batches.Batch(batch.what, _NOBODY_ASKS + batch.sql)
    return batches.as_script(batch)


def _held_back(compiler: Compiler, plan: Plan) -> str:
    """Return what a script's reader has to look at, since nobody can for him."""
    contracts = held_back(compiler, [step.revision for step in plan.steps])
    return "".join(_NOBODY_LOOKS.format(revision, needed) for revision, needed in contracts.items())


def _plan(request: Request, compiler: Compiler, department: Department | None) -> Plan:
    plan = request.plan(compiler, department, _start(request, compiler.lineage(department)))
    if plan.needs_connection:
        raise CompilationFailed(
            f"there is no script for {', '.join(plan.needs_connection)}: it reads from the database while it runs",
            "run it without --sql",
        )
    return plan


def _start(request: Request, lineage: Lineage) -> Heads:
    """Return the version rows that a script starts from: what stood in front of the colon, else none."""
    if request.starting_point is None or request.starting_point == "base":
        return ()
    return lineage.resolve(request.starting_point)
