"""Makes plans when they are asked for and keeps them, so that a fleet's departments at the same place share one.

Alembic and SQLAlchemy take a third of a second to import, and compiling a department's tables another tenth. Adding a
department needs neither when nothing has changed since the last time, so they are imported inside the methods that do.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from fedschema import blueprints
from fedschema.blueprints import Blueprint
from fedschema.department import Department
from fedschema.errors import CompilationFailed, FedschemaError
from fedschema.inspection import Pattern
from fedschema.plans import SLOT, Plan, PlanStep
from fedschema.rendering import Templates
from fedschema.settings import Project
from fedschema.versions import TENANT, Heads

if TYPE_CHECKING:
    from alembic.runtime.migration import RevisionStep, StampStep

    from fedschema.lineages import Lineage


class Compiler:
    """Compiles plans of one project and keeps them, so that a fleet's departments at the same place share one.

    Args:
        project: where the revisions and the templates are; read once.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.templates = Templates(project.templates)
        self._plans: dict[tuple[object, ...], Plan] = {}
        self._lineages: dict[bool, Lineage] = {}
        #: What departments should look like, by database and place: kept by `fedschema.expectations`.
        self.patterns: dict[tuple[str, Heads], Pattern] = {}
        #: Held while Alembic runs in this process: its `op` is one for all threads.
        self.alembic = threading.RLock()

    @cached_property
    def blueprint(self) -> Blueprint:
        """What making a department takes, from the cache of this user, or compiled now and put there."""
        fingerprint = blueprints.fingerprint(self.project)
        kept = blueprints.load(self.project, fingerprint)
        if kept is None:
            kept = self._compile_blueprint()
            blueprints.save(self.project, fingerprint, kept)
        return kept

    def _compile_blueprint(self) -> Blueprint:
        control_plane = self.lineage(None)
        anyone = self.lineage(SLOT)
        plan = self._kept("upgrade", anyone, (), anyone.upgrade_steps((), "head")).in_one_transaction
        branches = anyone.branches - {TENANT}
        return Blueprint(plan, control_plane.as_control_plane(), branches)

    def creation(self, department: Department) -> Plan:
        """Return the plan that makes a department's tables: from nothing to every head.

        Raises:
            CompilationFailed: when a revision needs a database while it runs, so that there is no text of it.
        """
        own_branch = department.id in self.blueprint.branches
        plan = self.upgrade(department, (), "head") if own_branch else self.blueprint.plan
        if plan.needs_connection:
            raise CompilationFailed(
                f"a department cannot be made at once: {', '.join(plan.needs_connection)} needs a connection",
                "write those revisions without online = True",
            )
        return plan

    def lineage(self, department: Department | None) -> Lineage:
        """Return the revisions of a department, or of the control plane."""
        from fedschema.lineages import Lineage  # noqa: PLC0415 - see the module's docstring

        kind = department is None
        if kind not in self._lineages:
            self._lineages[kind] = Lineage.load(self.project, department)
        loaded = self._lineages[kind]
        return loaded if department is None else loaded.of(department)

    def upgrade(self, department: Department | None, start: Heads, destination: str) -> Plan:
        """Compile the way up from `start` to `destination`.

        Raises:
            UnknownRevision, ForeignRevision: see `Lineage.upgrade_steps`.
            CompilationFailed: when a revision fails, or needs a connection and does not say so.
        """
        with self.alembic:
            lineage = self.lineage(department)
            return self._kept("upgrade", lineage, start, lineage.upgrade_steps(start, destination))

    def downgrade(self, department: Department | None, start: Heads, destination: str) -> Plan:
        """Compile the way down from `start` to `destination`; raises as `upgrade` does."""
        with self.alembic:
            lineage = self.lineage(department)
            steps = lineage.downgrade_steps(start, destination)
            plan = self._kept("downgrade", lineage, start, steps)
            return replace(plan, collateral=lineage.collateral(steps, destination))

    def both_ways(self, revision: str, owner: Department) -> tuple[PlanStep, PlanStep | FedschemaError]:
        """Compile one revision by itself, up and down; down may be what keeps it from being compiled.

        Args:
            revision: its id.
            owner: a department that may have it.

        Raises:
            UnknownRevision, CompilationFailed
        """
        from alembic.runtime.migration import MigrationStep  # noqa: PLC0415 - see the module's docstring

        with self.alembic:
            lineage = self.lineage(owner)
            script, known = lineage.script_of(revision), lineage.script.revision_map
            before = tuple(script._versioned_down_revisions)  # noqa: SLF001 - Alembic has no public name for it
            up = MigrationStep.upgrade_from_script(known, script)
            down = MigrationStep.downgrade_from_script(known, script)
            step = self._kept("upgrade", lineage, before, [up]).steps[0]
            try:
                return step, self._kept("downgrade", lineage, (revision,), [down]).steps[0]
            except FedschemaError as error:
                return step, error

    def stamp(self, department: Department | None, start: Heads, destinations: tuple[str, ...]) -> Plan:
        """Compile what writes `destinations` into the version table without running anything."""
        lineage = self.lineage(department)
        return self._kept("stamp", lineage, start, lineage.stamp_steps(start, destinations))

    def _kept(self, kind: str, lineage: Lineage, start: Heads, steps: Sequence[RevisionStep | StampStep]) -> Plan:
        from fedschema.compilation import compile_steps, name_of  # noqa: PLC0415 - see the module's docstring

        key = (kind, lineage.trunk, tuple(sorted(start)), tuple(name_of(step) for step in steps))
        if key not in self._plans:
            self._plans[key] = compile_steps(lineage, self.templates, start, steps)
        return self._plans[key]
