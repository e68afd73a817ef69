"""Takes a department along revisions that need a connection: the ordinary way, through Alembic and env.py."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from fedschema.department import Department
from fedschema.errors import FedschemaError, NeedsConfirmation, StatementFailed
from fedschema.reach import Reach


@dataclass(frozen=True, slots=True)
class OrdinaryRoad:
    """How Alembic is to be called.

    Attributes:
        reach: the database.
        ini: the project's alembic.ini.
        direction: ``upgrade`` or ``downgrade``.
        destination: where to.
        hint: how to confirm that rows may be lost; None when somebody did.
    """

    reach: Reach
    ini: Path
    direction: str
    destination: str
    hint: str | None


def run_with_alembic(road: OrdinaryRoad, department: Department) -> None:
    """Run `alembic upgrade` or `downgrade` for one department in this process; never in two threads at once.

    Raises:
        FedschemaError: as `alembic` would print it.
    """
    import alembic.command  # noqa: PLC0415 - see `fedschema.compiler`
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    confirm = [f"confirm={department}"] if road.hint is None else []
    config = Config(str(road.ini), cmd_opts=argparse.Namespace(x=[f"tenant={department}", *confirm]))
    config.attributes["reach"] = road.reach
    try:
        getattr(alembic.command, road.direction)(config, road.destination)
    except CommandError as error:
        cause = error.__cause__
        if isinstance(cause, NeedsConfirmation):
            raise type(cause)(cause.owner, cause.losses, road.hint or "") from error
        if isinstance(cause, FedschemaError):
            raise cause from error
        raise StatementFailed(f"{road.direction} of department {department}", str(error)) from error
