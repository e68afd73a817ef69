"""The SQL that all of them apply: a department's 24 tables with their walls, and the release, as statements.

It is fedschema's own, but for what is fedschema's alone: the registry, the version table, the history and the check of
the walls at the end. It has a slot where the department's id belongs.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.ground import Ground
from fedschema import statements
from fedschema.compiler import Compiler
from fedschema.department import Department
from fedschema.plans import SLOT
from fedschema.rendering import quote_identifier, quote_literal

SLOT_ID = SLOT.id
_READERS = "federation_admin_role, federation_reader_role, cross_dept_query_role"


@dataclass(frozen=True, slots=True)
class Script:
    """What is applied for each department, statement by statement.

    Attributes:
        tables: makes its role and its tables; the schema is there.
        release: a column and an index on one of them.
    """

    tables: list[str]
    release: list[str]

    def text(self, part: list[str], department: Department) -> str:
        """Return a part as a script for one department, in a transaction."""
        body = ";\n".join(part).replace(SLOT_ID, department.id)
        return f"BEGIN;\n{body};\nCOMMIT;\n"


def script(ground: Ground, released: Compiler) -> Script:
    """Take the SQL from the project's revisions.

    Args:
        ground: where it will be applied.
        released: the project with the release.
    """
    role, schema = quote_identifier(SLOT.role), quote_identifier(SLOT.schema)
    plan = ground.compiler.blueprint.plan
    tables = [
        f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 100",
        # By this comment the ground finds the roles that it has to take away at the end.
        f"COMMENT ON ROLE {role} IS {quote_literal(f'fedschema: department {SLOT_ID} of database {ground.database}')}",
        f"ALTER ROLE {role} SET search_path = {schema}",
        f"GRANT USAGE ON SCHEMA {schema} TO {role}, {_READERS}",
    ]
    for step in plan.steps:
        tables += statements.split(step.sql)
    steps = released.upgrade(SLOT, plan.end, "head").steps
    return Script(tables, [statement for step in steps for statement in statements.split(step.sql)])
