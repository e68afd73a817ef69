"""Reads what an `alembic` command asks for, before anything is touched.

``-x tenant=hr,sales``   these departments only
``-x confirm=hr``        rows of these departments may be lost
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import RevisionStep, StampStep

from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.errors import UsageError
from fedschema.lineages import Lineage
from fedschema.plans import Plan
from fedschema.settings import FEDERATION_SECTION
from fedschema.versions import Heads


class Command(StrEnum):
    """The commands that have a meaning for a fleet, by the name of the function that Alembic hands to env.py."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    STAMP = "do_stamp"
    CURRENT = "display_version"

    @property
    def verb(self) -> str:
        """The command as it is typed, and as the history has it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Request:
    """What was typed.

    Attributes:
        command: upgrade, downgrade, stamp or current.
        destinations: what came after it; only ``stamp`` may name several.
        starting_point: what stood in front of the colon, with ``--sql``.
        federation: the control plane is meant (``-n federation``).
        tenants: the departments that were named; empty means all.
        confirmed: the ids of the departments whose rows may be lost.
        purge: ``stamp --purge``: whatever the version table holds is forgotten first.
        check_heads: ``current --check-heads``.
        verbose: ``current --verbose``.
    """

    command: Command
    destinations: tuple[str, ...]
    starting_point: str | None
    federation: bool
    tenants: tuple[Department, ...]
    confirmed: frozenset[str]
    purge: bool
    check_heads: bool
    verbose: bool

    @classmethod
    def read(cls, environment: EnvironmentContext) -> Request:
        """Read the running command.

        Raises:
            UsageError: for a command that has no meaning here, or an ``-x`` that is not understood.
            InvalidDepartmentId: for a tenant that cannot be one.
        """
        given: dict[str, Any] = environment.context_opts
        tenants, confirmed = _extra_arguments(list(environment.get_x_argument()))
        federation = environment.config.config_ini_section == FEDERATION_SECTION
        if federation and tenants:
            raise UsageError("-x tenant= is not for the control plane", "alembic -x tenant=hr upgrade head")
        destination = given.get("destination_rev", ())
        options = environment.config.cmd_opts
        return cls(
            _command(given),
            (destination,) if isinstance(destination, str) else tuple(destination),
            given.get("starting_rev"),
            federation,
            tenants,
            confirmed,
            purge=bool(given.get("purge")),
            check_heads=bool(getattr(options, "check_heads", False)),
            verbose=bool(getattr(options, "verbose", False)),
        )

    @property
    def destination(self) -> str:
        """What came after upgrade or downgrade."""
        return self.destinations[0]

    def steps(self, lineage: Lineage, current: Heads) -> Sequence[RevisionStep | StampStep]:
        """Return what has to be done from `current`, checked before anything runs.

        Raises:
            UnknownRevision, ForeignRevision: see `fedschema.lineages`.
        """
        match self.command:
            case Command.UPGRADE:
                return lineage.upgrade_steps(current, self.destination)
            case Command.DOWNGRADE:
                return lineage.downgrade_steps(current, self.destination)
            case Command.STAMP:
                return lineage.stamp_steps(current, self.destinations)
            case Command.CURRENT:
                return []

    def plan(self, compiler: Compiler, department: Department | None, current: Heads) -> Plan:
        """Return the same as SQL; see `fedschema.plans`.

        Raises:
            UnknownRevision, ForeignRevision, CompilationFailed
        """
        match self.command:
            case Command.UPGRADE:
                return compiler.upgrade(department, current, self.destination)
            case Command.DOWNGRADE:
                return compiler.downgrade(department, current, self.destination)
            case _:
                return compiler.stamp(department, current, self.destinations)


def _command(given: dict[str, Any]) -> Command:
    name = getattr(given.get("fn"), "__name__", "")
    try:
        return Command(name)
    except ValueError:
        raise UsageError(
            "this alembic command has no meaning for a fleet: its tables are SQL templates, not models",
            "use upgrade, downgrade, stamp, current, heads or history",
        ) from None


def _extra_arguments(arguments: Sequence[str]) -> tuple[tuple[Department, ...], frozenset[str]]:
    """Read ``-x`` arguments; one that is not known is refused, since a slip of the pen must not mean "all"."""
    values: dict[str, list[str]] = {"tenant": [], "confirm": []}
    for argument in arguments:
        key, _, value = argument.partition("=")
        ids = [piece.strip() for piece in value.split(",") if piece.strip()]
        if key not in values or not ids:
            raise UsageError(f"-x {argument} is not understood", "-x tenant=hr,sales or -x confirm=hr")
        values[key] += ids
    return tuple(Department.parse(text) for text in values["tenant"]), frozenset(values["confirm"])
