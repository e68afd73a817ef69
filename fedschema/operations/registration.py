"""Makes a class an operation of Alembic's `op`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from alembic.operations import MigrateOperation, Operations

Made = TypeVar("Made", bound=MigrateOperation)


def operation(name: str) -> Callable[[type[Made]], type[Made]]:
    """Register a class as `op.<name>`, which takes what the class's `of` takes.

    What does something and what takes it back share their `of`. The help of each begins with its class's docstring.
    """

    def register(made: type[Made]) -> type[Made]:
        of: Any = vars(next(kind for kind in made.__mro__ if "of" in vars(kind)))["of"].__func__
        arguments = of.__doc__
        of.__doc__ = f"{inspect.getdoc(made)}\n\n{inspect.cleandoc(arguments or '')}"
        Operations.register_operation(name, "of")(made)
        of.__doc__ = arguments  # Alembic wrote its own there
        return made

    return register
