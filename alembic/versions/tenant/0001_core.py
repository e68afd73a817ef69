"""Core execution: what the voice agent does, remembers and says."""

from alembic import op

revision = "tenant_0001_core"
down_revision = None
branch_labels = ("tenant",)
depends_on = None

TABLES = {
    "family": "core",
    "shared": {
        "tool_calls": "tool_calls",
        "agent_context": "agent_context",
        "conversation_history": "conversation_history",
    },
    "private": ("session_context",),
    "identity": ("conversation_history",),
}


def upgrade() -> None:
    op.create_tenant_function("core", "set_updated_at", callable_=False)
    # fedschema: ignore[prefer-bigint-over-int] the specification of the tables says integer
    op.create_tenant_tables(**TABLES)


def downgrade() -> None:
    op.drop_tenant_tables(**TABLES)
    op.drop_tenant_function("core", "set_updated_at", callable_=False)
