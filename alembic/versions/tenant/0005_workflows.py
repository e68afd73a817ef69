"""Workflows: executions, scheduled tasks, errors."""

from alembic import op

revision = "tenant_0005_workflows"
down_revision = "tenant_0004_analytics"
branch_labels = None
depends_on = None

TABLES = {
    "family": "workflows",
    "shared": {
        "workflow_executions": "workflow_executions",
        "scheduled_tasks": "scheduled_tasks",
        "error_logs": "error_logs",
    },
}


def upgrade() -> None:
    # fedschema: ignore[prefer-bigint-over-int] the specification of the tables says integer
    op.create_tenant_tables(**TABLES)


def downgrade() -> None:
    op.drop_tenant_tables(**TABLES)
