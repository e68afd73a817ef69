"""Runs `fedschema …` in processes of its own without starting Python anew for each: what was imported once is forked.

A line on standard input is a command; the process id of the process that runs it is the answer. Nobody waits for the
children: they are there to be killed.
"""

from __future__ import annotations

import os
import signal
import sys

from fedschema.cli.main import run


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            sys.stdin.close()
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            os._exit(run(line.split()))
        print(child, flush=True)


if __name__ == "__main__":
    main()
