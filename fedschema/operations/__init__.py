"""The operations that revisions are written with; importing this package registers them with Alembic.

Each is a real Alembic operation, with its reverse where it has one:

==============================  ========================================================================
`op.create_tenant_tables`       tables of a family, each with row-level security, policies and grants
`op.drop_tenant_tables`         its reverse
`op.enable_department_rls`      the walls alone, for a table that was made some other way
`op.disable_department_rls`     its reverse
`op.create_tenant_function`     a function in the department's schema
`op.drop_tenant_function`       its reverse
`op.execute_template`           any SQL template, for the control plane
`op.create_index_concurrently`  an index, made outside the department's transaction
`op.drop_index_concurrently`    its reverse
`op.backfill`                   an update of many rows in short transactions; it has no reverse
==============================  ========================================================================
"""

from fedschema.operations import backfills, functions, indexes, tables, templates, walls
from fedschema.operations.exact import execute_exactly
from fedschema.operations.target import OPTION, RevisionTarget

__all__ = [
    "OPTION",
    "RevisionTarget",
    "backfills",
    "execute_exactly",
    "functions",
    "indexes",
    "tables",
    "templates",
    "walls",
]
