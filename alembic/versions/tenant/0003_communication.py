"""Communication: e-mail, calendar, contacts, notifications."""

from alembic import op

revision = "tenant_0003_communication"
down_revision = "tenant_0002_documents"
branch_labels = None
depends_on = None

TABLES = {
    "family": "communication",
    "shared": {
        "email_logs": "emails",
        "calendar_events": "calendar_events",
        "contacts": "contacts",
        "notifications": "notifications",
    },
}


def upgrade() -> None:
    op.create_tenant_tables(**TABLES)


def downgrade() -> None:
    op.drop_tenant_tables(**TABLES)
