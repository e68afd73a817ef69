"""The control plane and the registry."""

from __future__ import annotations

from collections.abc import Sequence

from fedschema.errors.kinds import OperationError


class ControlPlaneMissing(OperationError):
    """The database has no schema `federation` of ours."""

    code = "control_plane_missing"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: the database has no control plane yet", "fedschema init")


class ControlPlaneBehind(OperationError):
    """The control plane is at an older revision than this fedschema needs."""

    code = "control_plane_behind"

    def __init__(self, found: str, needed: str) -> None:
        super().__init__(f"the control plane is at {found} and this fedschema needs {needed}", "fedschema init")


class ControlPlaneAhead(OperationError):
    """The control plane was migrated by a newer fedschema than this one."""

    code = "control_plane_ahead"

    def __init__(self, found: str) -> None:
        super().__init__(
            f"the control plane is at {found}, which this fedschema does not know", "upgrade fedschema itself"
        )


class NameTaken(OperationError):
    """A role or a schema of a name that we need is there already and is not ours."""

    code = "name_taken"


class RoleInUse(OperationError):
    """A department's role holds something outside its schema, and so cannot be dropped."""

    code = "role_in_use"


class DepartmentExists(OperationError):
    """The department is there already; nothing was changed."""

    code = "department_exists"


class NothingToAdopt(OperationError):
    """A schema was to become a department, and is not there."""

    code = "nothing_to_adopt"

    def __init__(self, department: str, schema: str) -> None:
        super().__init__(
            f"there is no schema {schema} to adopt; nothing was changed",
            f"fedschema tenant adopt {department} --schema NAME, or to make one: fedschema tenant add {department}",
        )


class NotAdoptable(OperationError):
    """A schema is not what a department would be, or would stand open as one; nothing was changed."""

    code = "not_adoptable"

    def __init__(self, department: str, reason: str, hint: str) -> None:
        super().__init__(f"department {department} cannot be adopted: {reason}; nothing was changed", hint)


class DepartmentsTaken(OperationError):
    """Some of many departments cannot be made, since they or their names are there; nothing was changed.

    Attributes:
        problems: one for each department.
    """

    code = "departments_taken"

    def __init__(self, problems: Sequence[str], hint: str | None) -> None:
        listing = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"not all of the departments can be added; nothing was changed:{listing}", hint)
        self.problems = tuple(problems)


class DepartmentVanished(OperationError):
    """Another command dropped the department while this one was about to work on it."""

    code = "department_vanished"


class AuditChannelFailed(OperationError):
    """The server cannot reach itself for the durable audit channel."""

    code = "audit_channel_failed"

    def __init__(self, host: str, port: str, reason: str) -> None:
        super().__init__(
            f"the durable audit channel cannot be used: the server does not reach itself at {host} port {port} with a "
            f"password: {reason}; nothing was changed",
            "let pg_hba.conf ask for scram-sha-256 there, or name another address with --audit-host",
        )
