"""The body of env.py: what an `alembic` command means for a fleet.

``alembic upgrade head`` goes through the departments of the registry in turn, each in a transaction of its own, and
stops at the first that fails. The same code serves ``alembic -n federation …``. Alembic's own options stay as they are;
ours travel in ``-x``, see `fedschema.environment.request`.
"""

from fedschema.environment.run import run

__all__ = ["run"]
