"""Configuration: preferences, encrypted API keys, feature flags, and the audit trail that is only ever added to."""

from alembic import op

revision = "tenant_0006_configuration"
down_revision = "tenant_0005_workflows"
branch_labels = None
depends_on = None

TABLES = {
    "family": "configuration",
    "shared": {
        "user_preferences": "user_preferences",
        "feature_flags": "feature_flags",
    },
    "private": ("api_keys", "audit_trail"),
    "append_only": ("audit_trail",),
}


def upgrade() -> None:
    op.create_tenant_tables(**TABLES)


def downgrade() -> None:
    op.drop_tenant_tables(**TABLES)
