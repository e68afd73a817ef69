"""The tables of a department, with their walls."""

from statements import run

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    run("tables")
