"""Adds one department in a fresh process and prints how long the imports and the adding took, as JSON.

Run by `benchmarks.add_department`; the database is FEDSCHEMA_DATABASE_URL.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main(department_id: str) -> None:
    """Import, compile and add, each for the first time in this process."""
    started = time.perf_counter()
    from benchmarks.ground import PROJECT, new  # noqa: PLC0415 - importing is part of what is timed
    from fedschema import passwords, tenancy  # noqa: PLC0415
    from fedschema.compiler import Compiler  # noqa: PLC0415
    from fedschema.department import Department  # noqa: PLC0415

    imported = time.perf_counter()
    department = Department.parse(department_id)
    tenancy.add(os.environ["FEDSCHEMA_DATABASE_URL"], Compiler(PROJECT), new(department), passwords.generate())
    added = time.perf_counter()
    sys.stdout.write(json.dumps({"import": imported - started, "add": added - imported}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
