"""What `alembic current` shows: where everyone is."""

from __future__ import annotations

from collections.abc import Mapping

from alembic.config import Config
from alembic.util import DatabaseNotAtHead

from fedschema.environment.request import Request
from fedschema.errors import ForeignRevision, UnknownRevision
from fedschema.lineages import Lineage
from fedschema.versions import Heads


def show(config: Config, request: Request, positions: Mapping[Lineage, Heads]) -> None:
    """Print where everyone is.

    Raises:
        DatabaseNotAtHead: with ``--check-heads``, when somebody is not.
    """
    for lineage, heads in positions.items():
        config.print_stdout(f"{lineage.owner}: {_describe(lineage, heads, verbose=request.verbose)}")
    behind = [lineage.owner for lineage, heads in positions.items() if not _at_head(lineage, heads)]
    if request.check_heads and behind:
        raise DatabaseNotAtHead(f"not at head: {', '.join(behind)}")


def _describe(lineage: Lineage, heads: Heads, *, verbose: bool) -> str:
    try:
        lineage.applied(heads)
    except UnknownRevision:
        return f"{', '.join(heads)} (no such revision)"
    except ForeignRevision:
        return f"{', '.join(heads)} (of another lineage)"
    shown = [script.cmd_format(verbose) for script in lineage.script.get_revisions(heads)]
    return ", ".join(shown) or "base"


def _at_head(lineage: Lineage, heads: Heads) -> bool:
    try:
        return lineage.is_at_head(heads)
    except (UnknownRevision, ForeignRevision):
        return False
