"""Brings a schema that somebody made by hand, or the old system, among the departments: `fedschema tenant adopt`.

What `fedschema tenant add` makes by itself (registry row, role, owner, version table) is made so; what revisions make
is compared with them, and has to be alike, or is repaired where that is asked. All of it in one transaction.
"""

from fedschema.adoption.adopting import adopt
from fedschema.adoption.outcome import Adoption, Wish

__all__ = ["Adoption", "Wish", "adopt"]
