"""Writes what `validate` found as JUnit's XML, which pipelines show test by test."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from fedschema.checks import Check, Hole
from fedschema.errors import UsageError
from fedschema.validation import Validation

#: What XML 1.0 cannot hold, even escaped (section 2.2).
_NO_CHARACTER = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(path: Path, found: Validation) -> None:
    """Write a test suite for each department and one for the platform, with a test for each check.

    Raises:
        UsageError: the file cannot be written.
    """
    root = ET.Element("testsuites", name="fedschema validate")
    for department in found.departments:
        _add_suite(root, department.id, found.checks, found.holes_of(department))
    _add_suite(root, "platform", found.checks, found.holes_of_platform())
    try:
        ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "--junit validate.xml") from error


def _add_suite(root: ET.Element, name: str, checks: Sequence[Check], holes: Sequence[Hole]) -> None:
    failed = len({hole.check for hole in holes})
    suite = ET.SubElement(root, "testsuite", name=name, tests=str(len(checks)), failures=str(failed))
    for check in checks:
        case = ET.SubElement(suite, "testcase", classname=name, name=check.name)
        if mine := [hole for hole in holes if hole.check == check.name]:
            failure = ET.SubElement(case, "failure", message=check.reason)
            failure.text = _NO_CHARACTER.sub("�", "\n".join(_told(hole, check) for hole in mine))


def _told(hole: Hole, check: Check) -> str:
    return f"{hole}\n  to mend it: {hole.mend or check.mend}"
