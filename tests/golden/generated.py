"""The SQL that is compared whole, and how to write it anew: see README.md."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from fedschema import tenancy
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.policies import PolicyType
from fedschema.settings import Project
from fedschema.tenancy import NewDepartment

DIRECTORY = Path(__file__).resolve().parent
LEGAL = NewDepartment(Department("legal"), "Legal Department")

_COMPILER = Compiler(Project(DIRECTORY.parents[1] / "alembic.ini"))


def _policies(policy_type: PolicyType) -> Callable[[], str]:
    return lambda: tenancy.rls_script(_COMPILER, LEGAL.department, policy_type)


#: What makes each file.
GENERATED: dict[str, Callable[[], str]] = {
    "schema_legal_tenant.sql": lambda: tenancy.creation_script(_COMPILER, LEGAL),
    "rls_policies_legal.sql": _policies(PolicyType.ALL),
    "rls_policies_legal.isolation.sql": _policies(PolicyType.ISOLATION),
    "rls_policies_legal.admin.sql": _policies(PolicyType.ADMIN),
    "rls_policies_legal.cross_dept.sql": _policies(PolicyType.CROSS_DEPT),
}


def regenerate() -> None:
    """Write every golden file from what is generated now; the difference is then reviewed like code."""
    for name, generate in GENERATED.items():
        (DIRECTORY / name).write_text(generate(), encoding="utf-8")
        sys.stdout.write(f"{DIRECTORY / name}\n")


if __name__ == "__main__":
    regenerate()
