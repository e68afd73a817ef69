"""Compares what a command printed with what a page shows: times, durations, passwords and addresses may differ."""

from __future__ import annotations

import re

#: What differs from run to run, and what stands in its place.
_VARYING = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d(\.\d+)?)?Z?", "TIME"),
    (r"\b\d{8}T\d{6}Z", "MOMENT"),
    (r"\b\d+\.\d [KMG]iB", "SIZE"),
    (r"\(\d+\.\d+ s\)", "(DURATION)"),
    (r"\b\d+\.\d{3}\b", "SECONDS"),
    (r"(?<![\w-])[\w-]{32}(?![\w-])", "PASSWORD"),
    (r"@[\w.]+:\d+/\w+", "@SERVER"),
    (r"\b(DB_HOST|DB_PORT|DB_NAME|host|port|dbname)=[\w.]+", r"\1=…"),
    (r"\bfedschema_test_\w+", "federation"),
    (r"^(type .*:) ?\w*\n", r"\1 "),  # what is typed is seen at a terminal alone
    (r"diff -ru \S+", "diff -ru PROJECT"),
    (r"-{2,}", "--"),
    (r"[ \t]+", " "),
    (r"^\(\d+ rows?\)$|^using the embedded PostgreSQL in .*$", ""),
)


def differences(shown: str, printed: str, *, whole: bool = True, ordered: bool = True) -> str | None:
    """Return both texts where they differ, None where they do not.

    Args:
        shown: what the page shows; ``…`` stands for any text, and alone on a line for any lines.
        printed: what was printed.
        whole: it has to be all of it, not a part.
        ordered: its lines have to come in this order.
    """
    wanted, got = _lines(shown), _lines(printed)
    if not ordered:
        wanted, got = sorted(wanted), sorted(got)
    pattern = "".join(_pattern(line) for line in wanted)
    text = "".join(f"{line}\n" for line in got)
    found = re.fullmatch(pattern, text) if whole else re.search(rf"(?m:^){pattern}", text)
    return None if found else "\n".join(["the page shows:", *wanted, "", "it printed:", *got])


def _lines(text: str) -> list[str]:
    for pattern, replacement in _VARYING:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return [line.strip() for line in text.splitlines() if line.strip()]


def _pattern(line: str) -> str:
    if line == "…":
        return r"(?:.*\n)*?"
    return re.escape(line).replace("…", ".*") + r"\n"
