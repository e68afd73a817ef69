"""Alembic's way into fedschema: `alembic upgrade head` loops over the departments in federation.departments.

What a command means for a fleet is in `fedschema.environment`.
"""

import logging.config

from alembic import context
from fedschema.environment import run

if context.config.config_file_name and context.config.cmd_opts and "reach" not in context.config.attributes:
    logging.config.fileConfig(context.config.config_file_name, disable_existing_loggers=False)

run(context._proxy)  # noqa: SLF001 - the EnvironmentContext of this command, which Alembic hands out no other way
