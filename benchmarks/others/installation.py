"""Installs what is compared into a virtual environment of its own, which is kept for the next time."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import BenchmarkFailed

_REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_LAST_LINES = 5


def installed() -> Path:
    """Return the directory of the environment's programs; the first call installs them, with uv or pip.

    It is in the user's cache directory, by a fingerprint of the pinned versions.

    Raises:
        BenchmarkFailed: they cannot be installed.
    """
    pinned = f"{_REQUIREMENTS.read_text()}{sys.version}"
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = base / "fedschema-benchmarks" / hashlib.sha256(pinned.encode()).hexdigest()[:16]
    done = place / "installed"
    if not done.exists():
        shutil.rmtree(place, ignore_errors=True)
        _install(place)
        done.touch()
    return place / "bin"


def _install(place: Path) -> None:
    python = str(place / "bin/python")
    requirements = ["--quiet", "--requirement", str(_REQUIREMENTS)]
    if uv := shutil.which("uv"):
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(place)])
        _run([uv, "pip", "install", "--python", python, "--compile-bytecode", *requirements])
    else:
        _run([sys.executable, "-m", "venv", str(place)])
        _run([python, "-m", "pip", "install", "--disable-pip-version-check", *requirements])


def _run(words: Sequence[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = "\n".join(done.stderr.splitlines()[-_LAST_LINES:])
        raise BenchmarkFailed(f"{Path(words[0]).name} could not install what is compared:\n{said}")
