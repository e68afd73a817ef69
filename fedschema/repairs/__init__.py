"""The SQL that makes a department's objects as they should be."""

from fedschema.repairs.place import Answer
from fedschema.repairs.planning import Repair, plan_repairs

__all__ = ["Answer", "Repair", "plan_repairs"]
