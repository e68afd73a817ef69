"""The SQL that makes a department's objects as they should be."""

from fedschema.repairs.planning import Repair, plan_repairs

__all__ = ["Repair", "plan_repairs"]
