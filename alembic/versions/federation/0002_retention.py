"""Retention: how long rows are kept, department by department, and how they go, a batch at a time.

What each department has for it already (tenant_0007_retention), and the two cleanup functions of the audit, stay as
they are.
"""

from alembic import op

revision = "federation_0002_retention"
down_revision = "federation_0001_control_plane"
branch_labels = None
depends_on = None

TEMPLATES = ("periods", "expiry")


def upgrade() -> None:
    for template in TEMPLATES:
        op.execute_template(f"federation/retention/{template}")


def downgrade() -> None:
    op.execute_template("federation/retention/drop")
