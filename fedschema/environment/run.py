"""Takes an `alembic` command to where it is done: into a script, or to the database."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from alembic.runtime.environment import EnvironmentContext
from alembic.util import CommandError

from fedschema.addresses import conninfo_of
from fedschema.compiler import Compiler
from fedschema.environment import offline
from fedschema.environment.online import OnlineRun
from fedschema.environment.request import Request
from fedschema.errors import FedschemaError, UsageError
from fedschema.reach import Reach
from fedschema.settings import Project, choose_database, choose_direct

_log = logging.getLogger("fedschema")


def run(environment: EnvironmentContext) -> None:
    """Do what the running `alembic` command asks for.

    Args:
        environment: Alembic's environment context.

    Raises:
        CommandError: for everything that goes wrong, since that is what Alembic prints without a traceback.
    """
    try:
        _run(environment)
    except FedschemaError as error:
        hint = f"\n  hint: {error.hint}" if error.hint else ""
        raise CommandError(error.message + hint) from error


def _run(environment: EnvironmentContext) -> None:
    config = environment.config
    if config.config_file_name is None:
        raise UsageError("alembic.ini is needed", "run alembic in the directory that holds alembic.ini")
    request = Request.read(environment)
    compiler = Compiler(Project(Path(config.config_file_name).resolve()))
    if environment.is_offline_mode():
        (config.output_buffer or config.stdout).write(offline.script(request, compiler))
        return
    reach = config.attributes.get("reach") or _configured(compiler.project)
    OnlineRun(environment, request, compiler).start(reach)


def _configured(project: Project) -> Reach:
    """Return how the database is reached that is meant; see `fedschema.settings`."""
    choice, direct = choose_database(None, os.environ, project, Path.cwd()), choose_direct(None, os.environ)
    if choice.embedded is not None:
        _log.warning("using the embedded PostgreSQL in %s", choice.embedded)
    return Reach(conninfo_of(choice), conninfo_of(direct) if direct else None)
