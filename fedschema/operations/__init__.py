"""The operations that revisions are written with; importing this package registers them with Alembic.

Each is a real Alembic operation, with its reverse where it has one:

=================================  =====================================================================
`op.create_tenant_table`           one table, of which a template holds only the columns of its own
`op.drop_tenant_table`             its reverse
`op.create_tenant_tables`          tables of a family, each with row-level security, policies and grants
`op.drop_tenant_tables`            its reverse
`op.enable_department_rls`         the walls alone, for a table that was made some other way
`op.disable_department_rls`        its reverse
`op.add_tenant_column`             a column more
`op.drop_tenant_column`            its reverse
`op.widen_tenant_column`           a type that takes more
`op.narrow_tenant_column`          its reverse
`op.expand_tenant_column`          a column under another name, kept in step with the old one
`op.unexpand_tenant_column`        its reverse
`op.contract_tenant_column`        the old one goes
`op.uncontract_tenant_column`      its reverse
`op.add_tenant_constraint`         a CHECK for rows to come
`op.drop_tenant_constraint`        its reverse
`op.validate_tenant_constraint`    the same for the rows that are there
`op.unvalidate_tenant_constraint`  its reverse
`op.create_tenant_function`        a function in the department's schema
`op.drop_tenant_function`          its reverse
`op.replace_tenant_function`       a function becomes another, and back
`op.execute_template`              any SQL template, for the control plane
`op.create_index_concurrently`     an index, made outside the department's transaction
`op.drop_index_concurrently`       its reverse
`op.backfill`                      an update of many rows in short transactions; it has no reverse
=================================  =====================================================================
"""

from fedschema.operations import (
    backfills,
    columns,
    constraints,
    functions,
    indexes,
    own_tables,
    renames,
    replacements,
    tables,
    templates,
    walls,
    widening,
)
from fedschema.operations.exact import execute_exactly
from fedschema.operations.target import OPTION, RevisionTarget

__all__ = [
    "OPTION",
    "RevisionTarget",
    "backfills",
    "columns",
    "constraints",
    "execute_exactly",
    "functions",
    "indexes",
    "own_tables",
    "renames",
    "replacements",
    "tables",
    "templates",
    "walls",
    "widening",
]
