"""A column and an index more on one table."""

from statements import run

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Ship the release."""
    run("release")
