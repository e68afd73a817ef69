"""How long departments keep rows, and how those go whose time is over: `fedschema retention`.

What goes, and how, is decided in the database (templates/federation/retention/), so that a command and a job of pg_cron
do the same. The deletion of one batch is one call of federation.expire_rows; here is who is called, and how often.
"""

from __future__ import annotations

from fedschema.retention.clock import Errand, TimeOfDay, url_of
from fedschema.retention.export import Export, Format, export
from fedschema.retention.periods import OwnPeriod, Period, own_periods, periods, rules, set_period, use_default
from fedschema.retention.run import Expired, Expiry, Outcome, Result, chosen, run
from fedschema.retention.schedule import Schedule, scheduled, unscheduled

__all__ = [
    "Errand",
    "Expired",
    "Expiry",
    "Export",
    "Format",
    "Outcome",
    "OwnPeriod",
    "Period",
    "Result",
    "Schedule",
    "TimeOfDay",
    "chosen",
    "export",
    "own_periods",
    "periods",
    "rules",
    "run",
    "scheduled",
    "set_period",
    "unscheduled",
    "url_of",
    "use_default",
]
