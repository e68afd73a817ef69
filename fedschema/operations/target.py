"""What a revision is being applied to: handed to the operations through Alembic's migration context."""

from __future__ import annotations

from dataclasses import dataclass, field

from alembic.operations import Operations

from fedschema.department import Department
from fedschema.nontransactional import Nontransactional
from fedschema.policies import Wall
from fedschema.rendering import SqlText, Templates

#: The option of the migration context under which the target travels.
OPTION = "fedschema_target"


@dataclass(slots=True)
class RevisionTarget:
    """The department that a revision is applied to, and the templates it is rendered from.

    Attributes:
        templates: the project's SQL templates.
        department: None while the control plane itself is migrated.
        walls: filled by the operations: the walls of each table that stands after the revisions that ran.
        nontransactional: filled by the operations: what they want done outside the transaction, with its ordinary SQL.
        carried: filled by the operations: columns that go and whose values another has: table, column, the other.
        begins_leg: set by an operation that takes long: what was done before it is to be committed first.
    """

    templates: Templates
    department: Department | None = None
    walls: dict[str, Wall] = field(default_factory=dict)
    nontransactional: list[tuple[Nontransactional, str]] = field(default_factory=list)
    carried: list[tuple[str, str, str]] = field(default_factory=list)
    begins_leg: bool = False


def target_of(operations: Operations) -> RevisionTarget:
    """Return what the running revision is applied to.

    Raises:
        LookupError: when Alembic was started without our env.py, so that nobody said.
    """
    target: RevisionTarget | None = operations.migration_context.opts.get(OPTION)
    if target is None:
        raise LookupError("no department is set: run revisions through fedschema or the project's env.py")
    return target


def department_of(operations: Operations) -> Department:
    """Return the department that the running revision is applied to.

    Raises:
        LookupError: when it is applied to the control plane.
    """
    department = target_of(operations).department
    if department is None:
        raise LookupError("this operation belongs to a department's revision, not to the control plane's")
    return department


def written(text: str, what: str) -> SqlText:
    """Return a piece of SQL that a revision's author wrote, as it may stand in a template.

    Args:
        text: such as ``varchar(50)``.
        what: what it is to be, for the message.

    Raises:
        ValueError: it is empty.
    """
    if not text.strip():
        raise ValueError(f"{what} is empty")
    return SqlText(text.strip("\n").rstrip())


def execute_rendered(operations: Operations, template: str, **values: object) -> None:
    """Render a template for the running revision's target and execute it.

    A template may hold several statements: they go to the server in one message, and into a script as they stand.
    """
    execute_sql(operations, render(operations, template, **values))


def render(operations: Operations, template: str, **values: object) -> str:
    """Render a template for the running revision's target."""
    target = target_of(operations)
    return target.templates.render(template, department=target.department, **values)


def execute_sql(operations: Operations, sql: str) -> None:
    """Execute what a template was rendered to."""
    context = operations.migration_context
    if context.as_sql:
        context.impl.static_output(sql.rstrip("\n"))
        return
    connection = operations.get_bind()
    connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
