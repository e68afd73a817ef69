"""Analytics: sessions, training metrics, and what language, speech and voice models were used for."""

from alembic import op

revision = "tenant_0004_analytics"
down_revision = "tenant_0003_communication"
branch_labels = None
depends_on = None

TABLES = {
    "family": "analytics",
    "shared": {
        "user_session_analytics": "user_session_analytics",
        "training_metrics": "training_metrics",
        "llm_usage_logs": "llm_usage_logs",
        "stt_usage_logs": "stt_usage_logs",
        "tts_usage_logs": "tts_usage_logs",
    },
}


def upgrade() -> None:
    # fedschema: ignore[prefer-bigint-over-int] the specification of the tables says integer
    op.create_tenant_tables(**TABLES)


def downgrade() -> None:
    op.drop_tenant_tables(**TABLES)
