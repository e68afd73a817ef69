"""Retention: expired session context goes, and old transcripts move to an archive where they can still be read.

The archive is private: a grant on conversation_history does not reach into what a department has put away.
"""

from alembic import op

revision = "tenant_0007_retention"
down_revision = "tenant_0006_configuration"
branch_labels = None
depends_on = None

TABLES = {
    "family": "retention",
    "private": ("conversation_history_archive",),
    "append_only": ("conversation_history_archive",),
}
FUNCTIONS = ("cleanup_expired_session_context", "archive_old_conversation_history")


def upgrade() -> None:
    # fedschema: ignore[prefer-bigint-over-int] the specification of the tables says integer
    op.create_tenant_tables(**TABLES)
    for function in FUNCTIONS:
        op.create_tenant_function("retention", function)


def downgrade() -> None:
    for function in reversed(FUNCTIONS):
        op.drop_tenant_function("retention", function)
    op.drop_tenant_tables(**TABLES)
