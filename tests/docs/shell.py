"""A shell in which the commands of a page are typed, with `fedschema`, `alembic` and `psql` on its path."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread, Timer

from fedschema.embedded import packaged_directory
from tests.docs.pages import ROOT

_SECONDS = 60
_BLINK = 0.05
#: What a page types and not every machine has, as scripts of `sh`.
_STAND_INS = {
    "openssl": "head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \\n'; echo",  # rand -hex 32
    "vault": "echo a-password-of-the-store",
}


@contextmanager
def programs(place: Path) -> Iterator[Path]:
    """Yield a directory with `fedschema`, `alembic`, `python`, and stand-ins, and keep what runs the first two."""
    folder = place / "bin"
    folder.mkdir()
    socket = place / "s"
    typed = shlex.join([sys.executable, "-I", "-S", str(ROOT / "tests/docs/typed.py"), str(socket)])
    scripts = {name: f'exec {typed} {name} "$@"' for name in ("fedschema", "alembic")}
    scripts |= {"python": f'exec {shlex.quote(sys.executable)} "$@"', **_STAND_INS}
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    command: list[str | Path] = [sys.executable, ROOT / "tests/docs/preloaded.py", socket]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(ROOT)}
    # A session of its own has no terminal: nothing asks the one that the tests were started from.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        try:
            yield folder
        finally:
            server.stdin.close()


@dataclass
class Shell:
    """One bash, so that what a command sets holds for the next.

    Attributes:
        place: a directory for its own files.
        bash: the process.
        typist: the end of a terminal at which somebody types.
        terminal: its other end, as bash knows it.
    """

    place: Path
    bash: subprocess.Popen[str]
    typist: int
    terminal: int

    def type_in(self, command: str, answers: str = "") -> tuple[int, str]:
        """Run a command and return its status and what it printed, both streams as a terminal shows them.

        Args:
            command: what is typed.
            answers: what is typed at a terminal when it asks; where there is nothing to answer there is no terminal.
        """
        script, output = self.place / "script", self.place / "output"
        script.write_text(f"{command}\n", encoding="utf-8")
        output.unlink(missing_ok=True)
        assert self.bash.stdin is not None
        assert self.bash.stdout is not None
        stdin = f"<&{self.terminal}" if answers else f"< {os.devnull}"
        with self._watched(), self._answering(answers, output):
            self.bash.stdin.write(f". {script} {stdin} > {output} 2>&1; echo $?\n")
            self.bash.stdin.flush()
            status = self.bash.stdout.readline()
        printed = output.read_text(encoding="utf-8")
        assert status, f"the shell is gone, or it took longer than {_SECONDS} s: {command}\n{printed}"
        return int(status), printed

    @contextmanager
    def _watched(self) -> Iterator[None]:
        watch = Timer(_SECONDS, self.bash.kill)
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    @contextmanager
    def _answering(self, answers: str, output: Path) -> Iterator[None]:
        """Type a line whenever the output waits for one: a question for a password discards what came before it."""
        over = Event()

        def answer() -> None:
            lines, seen = answers.splitlines(keepends=True), 0
            while lines and not over.wait(_BLINK):
                printed = output.read_bytes() if output.exists() else b""
                if len(printed) > seen and not printed.endswith(b"\n"):
                    os.write(self.typist, lines.pop(0).encode())
                    seen = len(printed)

        typing = Thread(target=answer)
        if answers:
            typing.start()
        try:
            yield
        finally:
            over.set()
            if answers:
                typing.join()


@contextmanager
def _terminal() -> Iterator[tuple[int, int]]:
    """Yield the two ends of a terminal: where somebody types, and what a command reads."""
    ends = pty.openpty()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


@contextmanager
def shell(programs: Path, place: Path, directory: Path, variables: Mapping[str, str]) -> Iterator[Shell]:
    """Yield a shell.

    Args:
        programs: see `programs`.
        place: a directory for its own files.
        directory: where it begins, and its home.
        variables: what is exported in it besides.
    """
    environment = {
        "PATH": f"{programs}:{packaged_directory()}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(directory),
        "LC_ALL": "C.UTF-8",
        "PSQLRC": os.devnull,
        "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"],
        **variables,
    }
    command = ["bash", "--noprofile", "--norc"]
    with (
        _terminal() as (typist, terminal),
        subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[terminal],
            start_new_session=True,  # without a terminal that programs could ask past their streams
        ) as bash,
    ):
        yield Shell(place, bash, typist, terminal)
        assert bash.stdin is not None
        with suppress(BrokenPipeError):  # it was killed
            bash.stdin.close()
