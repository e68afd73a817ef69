"""Runs a program and writes into a file how long it took and how much memory it had at its peak, as JSON.

    python -I -S launcher.py FILE PROGRAM [ARGUMENT ...]

The kernel counts what a process had before it became another program: started from a large process, a small one would
seem as large. So it is started from here, where nothing is imported that is not needed.
"""

import json
import os
import sys
import time

began = time.perf_counter()
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
took = time.perf_counter() - began
kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
with open(sys.argv[1], "w") as file:  # noqa: PTH123 - pathlib takes more memory than all of this
    json.dump({"seconds": took, "peak_megabytes": kilobytes / 1024}, file)
sys.exit(os.waitstatus_to_exitcode(status))
