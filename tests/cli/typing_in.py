"""Types a command inside this process: what it prints and its exit status, at a fraction of a process's cost."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout

import pytest

from fedschema.cli.main import run
from tests.conftest import Finished


def type_in(*arguments: str, url: str | None = None, stdin: str = "", cwd: os.PathLike[str] | None = None) -> Finished:
    """Run `fedschema …` here. An exception that it lets through, which would be a traceback, fails the test.

    Args:
        arguments: what is typed after ``fedschema``.
        url: becomes FEDSCHEMA_DATABASE_URL; None leaves it unset.
        stdin: what is typed when it asks; then the input ends.
        cwd: where it is typed.
    """
    stdout, stderr = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        if cwd is not None:
            patch.chdir(cwd)
        if url is None:
            patch.delenv("FEDSCHEMA_DATABASE_URL", raising=False)
        else:
            patch.setenv("FEDSCHEMA_DATABASE_URL", url)
        patch.setattr("sys.stdin", io.StringIO(stdin))
        with redirect_stdout(stdout), redirect_stderr(stderr):
            status = run(arguments)
    return Finished(status, stdout.getvalue(), stderr.getvalue())
