"""`alembic` on a database: the ordinary way, one department after another, one transaction each."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationInfo, RevisionStep, StampStep
from alembic.script import Script
from alembic.util import CommandError

from fedschema import batches, connections, losses, registry, statements
from fedschema.compilation import raised_on_purpose
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.environment.journey import Journey
from fedschema.environment.request import Command, Request
from fedschema.environment.standing import show
from fedschema.errors import (
    ControlPlaneMissing,
    DepartmentDamaged,
    FedschemaError,
    NoWayBack,
    StatementFailed,
)
from fedschema.fleet.apart import run_apart
from fedschema.fleet.contracts import held_back, require_everybody
from fedschema.fleet.references import references_met
from fedschema.fleet.transaction import Confirmation, recorded_failures, refuse_collateral
from fedschema.lineages import Lineage
from fedschema.operations import OPTION, RevisionTarget, execute_exactly
from fedschema.plans import Plan
from fedschema.reach import Reach
from fedschema.versions import FEDERATION, VERSION_TABLE, Heads

_log = logging.getLogger("fedschema")


@dataclass(slots=True)
class _Progress:
    """How far one department has come.

    Attributes:
        plan: what is to be done; None until it is known.
        steps: the same as Alembic has it.
        applied: the revisions that are done.
    """

    plan: Plan | None = None
    steps: Sequence[RevisionStep | StampStep] = ()
    applied: list[str] = field(default_factory=list)

    @property
    def current(self) -> str | None:
        """The revision that is running."""
        names = self._names
        return names[len(self.applied)] if len(self.applied) < len(names) else None

    @property
    def reached(self) -> str | None:
        """The revision that is running, or the last one when all have run; None when there is nothing to do."""
        return self.current or (self._names[-1] if self._names else None)

    @property
    def going_back(self) -> Script | None:
        """The revision that is being taken back; None when none is."""
        step = self.steps[len(self.applied)] if len(self.applied) < len(self.steps) else None
        return step.revision if isinstance(step, RevisionStep) and not step.is_upgrade else None

    @property
    def _names(self) -> list[str]:
        return [step.revision for step in self.plan.steps] if self.plan else []


class OnlineRun:
    """One `alembic` command on one database.

    Args:
        environment: Alembic's environment context.
        request: what was typed.
        compiler: the project's revisions.
    """

    def __init__(self, environment: EnvironmentContext, request: Request, compiler: Compiler) -> None:
        self._environment = environment
        self._request = request
        self._compiler = compiler
        self._cleared: set[str] = set()

    def start(self, reach: Reach) -> None:
        """Do what was asked.

        Args:
            reach: the database.

        Raises:
            FedschemaError: nothing of the department that failed was changed; those before it stay as they are now.
            DatabaseNotAtHead: from ``current --check-heads``.
        """
        if self._request.federation:
            self._control_plane(reach.conninfo)
        else:
            self._fleet(reach)

    def _fleet(self, reach: Reach) -> None:
        """Go through the departments that were named, or through all."""
        engine = connections.engine(reach.conninfo)
        with engine.connect() as connection, translated("reading the registry", _Progress()), connection.begin():
            positions = self._positions(connections.driver_of(connection))
        if not positions:
            _log.warning("there are no departments yet; add one with: fedschema tenant add legal")
        if self._request.command is Command.CURRENT:
            show(self._environment.config, self._request, {self._compiler.lineage(d): h for d, h in positions.items()})
            return
        for department in positions:
            with engine.connect() as connection:
                self._department(connection, department, reach)

    def _positions(self, connection: psycopg.Connection) -> dict[Department, Heads]:
        """Return where each chosen department is."""
        registry.require_control_plane(connection, self._compiler.blueprint.control_plane)
        chosen = registry.live(connection, self._request.tenants)
        positions = {}
        for department, heads in registry.revisions(connection, [entry.department for entry in chosen]).items():
            if heads is None:
                raise DepartmentDamaged(
                    department.id, f"schema {department.schema} has no version table that can be read"
                )
            positions[department] = heads
        return positions

    def _department(self, connection: sa.Connection, department: Department, reach: Reach) -> None:
        """Take one department to where it was asked to go, leg by leg, or leave it where the last leg ended."""
        journey = self._leg(connection, department, None)
        while journey:
            if (leg := journey.legs[0]).nontransactional(department):
                run_apart(reach, department, leg)
                _log.info("%s: %s %s", department, self._request.command.verb, leg.steps[0].revision)
                journey = journey.after_a_leg
            else:
                journey = self._leg(connection, department, journey)

    def _leg(self, connection: sa.Connection, department: Department, journey: Journey | None) -> Journey | None:
        """Do the first leg in one transaction, if it belongs into one, and return what is left to do.

        Args:
            connection: outside a transaction.
            department: which one.
            journey: what is to be done; None to find out.
        """
        command = self._request.command
        progress = _Progress()
        raw = connections.driver_of(connection)
        what = f"{command.verb} of department {department}"
        with (
            recorded_failures(raw, department, command.verb, lambda: progress.reached),
            translated(what, progress),
            connection.begin(),
        ):
            raw.execute("CALL federation.lock_department(%s)", (department.id,))
            lineage = self._compiler.lineage(department)
            context = self._configure(connection, lineage, department.schema, progress)
            heads = () if self._request.purge else context.get_current_heads()
            journey = journey or self._journey(raw, lineage, heads)
            if not journey:
                _log.info("%s: nothing to do", department)
                return None
            if journey.legs[0].nontransactional(department):
                return journey
            journey.require_start(department, heads)
            progress.plan = journey.legs[0]
            progress.steps = journey.steps[: len(progress.plan.steps)]
            self._refuse_losses(raw, department, progress, what)
            with references_met(raw, department, progress.plan, what):
                self._environment.run_migrations()
            if command is not Command.STAMP:
                raw.execute("CALL federation.assert_walls(%s)", (department.id,))
        return journey.after_a_leg

    def _journey(self, raw: psycopg.Connection, lineage: Lineage, heads: Heads) -> Journey | None:
        """Plan the way from where a department is; None when it is there."""
        department = lineage.department
        assert department is not None  # noqa: S101 - the control plane goes another way
        plan = self._request.plan(self._compiler, department, heads)
        if self._request.command is Command.UPGRADE:
            self._refuse_contracts(raw, plan)
        refuse_collateral(department, plan, self._confirmation(department))
        if not plan.steps:
            return None
        return Journey(plan.legs, tuple(self._request.steps(lineage, heads)))

    def _refuse_contracts(self, raw: psycopg.Connection, plan: Plan) -> None:
        """Refuse contract steps that have to wait; where all departments are is looked at once for each."""
        found = held_back(self._compiler, [step.revision for step in plan.steps])
        contracts = {revision: needed for revision, needed in found.items() if revision not in self._cleared}
        if contracts:
            require_everybody(raw, self._compiler, contracts)
            self._cleared.update(contracts)

    def _confirmation(self, department: Department) -> Confirmation:
        hint = f"if they may go, add -x confirm={department} to the command"
        return Confirmation(department.id in self._request.confirmed, hint)

    def _refuse_losses(self, raw: psycopg.Connection, department: Department, progress: _Progress, what: str) -> None:
        """Refuse what would lose rows; a plan is rehearsed as a plan, what needs a connection as it is."""
        plan = progress.plan
        assert plan is not None  # noqa: S101 - it was made just before
        confirmation = self._confirmation(department)
        if confirmation.given:
            return
        if plan.needs_connection:
            losses.refuse_losses(raw, department, plan, self._environment.run_migrations, confirmation.hint)
            progress.applied.clear()  # that was the rehearsal
        elif losses.may_lose_rows(script := plan.script(department)):
            batch = batches.Batch(what, script)
            losses.refuse_losses(raw, department, plan, lambda: batches.execute(raw, batch, plan), confirmation.hint)

    def _control_plane(self, conninfo: str) -> None:
        """Do what was asked with the control plane; an upgrade makes first what its revisions stand on."""
        lineage = self._compiler.lineage(None)
        engine = connections.engine(conninfo, as_owner=False)
        progress = _Progress()
        with engine.connect() as connection, translated("the control plane", progress), connection.begin():
            raw = connections.driver_of(connection)
            heads = registry.control_plane_heads(raw)
            if self._request.command is Command.CURRENT:
                show(self._environment.config, self._request, {lineage: heads or ()})
                return
            if self._request.command is Command.UPGRADE:
                raw.execute("RESET ROLE")
                batches.execute(raw, batches.bootstrap(self._compiler.templates))
            elif heads is None:
                raise ControlPlaneMissing(f"alembic {self._request.command.verb}")
            context = self._configure(connection, lineage, FEDERATION, progress)
            heads = context.get_current_heads()
            progress.plan = self._request.plan(self._compiler, None, heads)
            progress.steps = self._request.steps(lineage, heads)
            if self._request.command is Command.DOWNGRADE and FEDERATION not in self._request.confirmed:
                hint = f"if they may go, add -x confirm={FEDERATION} to the command"
                losses.refuse_control_plane_losses(raw, hint)
            self._environment.run_migrations()
        if not progress.applied:
            _log.info("%s: nothing to do", FEDERATION)

    def _configure(
        self, connection: sa.Connection, lineage: Lineage, schema: str, progress: _Progress
    ) -> MigrationContext:
        """Set Alembic up for one schema; what it applies goes into the history, in the same transaction."""

        def record(
            ctx: MigrationContext, step: MigrationInfo, heads: Collection[Any], run_args: Mapping[str, Any]
        ) -> None:
            del heads, run_args
            revision = progress.current
            if progress.plan is None or revision is None or ctx.connection is None:
                return
            planned = {step.revision: step for step in progress.plan.steps}.get(revision)
            if planned is None or planned.recorded:
                direction = "stamp" if step.is_stamp else "upgrade" if step.is_upgrade else "downgrade"
                values = (lineage.owner, revision, direction, planned.checksum if planned else None)
                raw = connections.driver_of(ctx.connection)
                raw.execute("CALL federation.record_migration(%s, %s, %s, %s)", values)
            progress.applied.append(revision)
            _log.info("%s: %s %s", lineage.owner, self._request.command.verb, revision)

        options: dict[str, Any] = {OPTION: RevisionTarget(self._compiler.templates, lineage.department)}
        self._environment.configure(
            connection=connection,
            version_table=VERSION_TABLE,
            version_table_schema=schema,
            fn=lambda _, __: progress.steps,
            on_version_apply=record,
            **options,
        )
        context = self._environment.get_context()
        execute_exactly(context)
        return context


@contextmanager
def translated(what: str, progress: _Progress) -> Iterator[None]:
    """Turn the driver's exceptions, and SQLAlchemy's around them, into ours, with the revision that was running."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        if not isinstance(error.orig, psycopg.Error):
            raise
        statement = statements.headline(error.statement or "")
        raise connections.translate(error.orig, what, progress.current, statement or None) from error
    except psycopg.Error as error:
        raise connections.translate(error, what, progress.current) from error
    except (FedschemaError, CommandError):
        raise
    except Exception as error:  # a revision is Python, and can fail in any way
        if (running := progress.going_back) and raised_on_purpose(error, running.path):
            raise NoWayBack(running.revision, " ".join(str(error).split())) from error
        raise StatementFailed(what, f"{type(error).__name__}: {error}", progress.current) from error
