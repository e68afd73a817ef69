"""The production checklist, looked at on the running server: `fedschema doctor`.

`checklist` says what is looked at, `examination` looks, `findings` is what it says. `flaws` knows which releases of
PostgreSQL are safe, `guesses` which passwords are not.
"""

from fedschema.doctor.checklist import DOCTOR_CHECKS
from fedschema.doctor.examination import examine
from fedschema.doctor.findings import Diagnosis, Finding, Severity

__all__ = ["DOCTOR_CHECKS", "Diagnosis", "Finding", "Severity", "examine"]
