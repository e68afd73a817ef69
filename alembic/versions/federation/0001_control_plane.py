"""The control plane: registry, permissions, audit, history, and the functions departments are made with."""

from alembic import op

revision = "federation_0001_control_plane"
down_revision = None
branch_labels = ("federation",)
depends_on = None

TEMPLATES = (
    "set_updated_at",
    "departments",
    "resources",
    "cross_dept_permissions",
    "gateway_entitlements",
    "audit",
    "denials_forgotten",
    "oauth_credentials",
    "schema_migrations",
    "registration",
    "assert_walls",
    "admission",
    "cross_dept_gate",
    "search",
    "aggregate",
    "readers",
    "probing",
    "grants",
)


def upgrade() -> None:
    for template in TEMPLATES:
        # fedschema: ignore[prefer-bigint-over-int] the specification of the tables says integer
        op.execute_template(f"federation/control_plane/{template}")


def downgrade() -> None:
    op.execute_template("federation/control_plane/drop")
