"""Where a whole process spends its time before it does anything: by package, from `python -X importtime`."""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass

from benchmarks.contestants import command_line, run
from benchmarks.ground import Ground, draw_department

_LINE = re.compile(r"import time:\s+(?P<own>\d+) \|\s+\d+ \|\s+(?P<module>[\w.]+)")
_STANDARD_LIBRARY = "standard library"


@dataclass(frozen=True, slots=True)
class PackageImports:
    """What one package costs.

    Attributes:
        package: its name.
        modules: how many of its modules were imported.
        seconds: what they took themselves, without what they import. Measuring makes it somewhat more than it is.
    """

    package: str
    modules: int
    seconds: float


def imports_of_add(ground: Ground) -> list[PackageImports]:
    """Run `fedschema tenant add` once and list what it imports, the dearest package first."""
    department = draw_department()
    done = run([sys.executable, "-X", "importtime", *command_line(department)], ground)
    ground.drop([department])
    modules: Counter[str] = Counter()
    microseconds: Counter[str] = Counter()
    for found in _LINE.finditer(done.stderr):
        package = found["module"].partition(".")[0]
        package = _STANDARD_LIBRARY if package in sys.stdlib_module_names else package
        modules[package] += 1
        microseconds[package] += int(found["own"])
    return [PackageImports(name, modules[name], own / 1e6) for name, own in microseconds.most_common()]
