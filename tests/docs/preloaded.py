"""A program of the tests: has fedschema and alembic loaded, and runs what is typed in a fork of itself.

A command then costs what it does and not the second that a process takes to load it. Whoever types runs `typed.py`,
which sends its streams, words, directory and environment over a socket, and ends as the command did.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import traceback

import alembic.config

import fedschema.cli
import fedschema.cli.main
import fedschema.environment
import fedschema.intake
import fedschema.validation

_STREAMS = 3


def _run(request: dict[str, object], streams: list[int]) -> int:
    for stream, descriptor in enumerate(streams):
        os.dup2(descriptor, stream)
    os.umask(int(str(request["umask"])))
    os.chdir(str(request["directory"]))
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    sys.argv = list(request["words"])  # type: ignore[call-overload]
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        if sys.argv[0] == "alembic":
            alembic.config.main(prog="alembic")
        else:
            fedschema.cli.main()
    except SystemExit as ending:
        return int(ending.code or 0) if not isinstance(ending.code, str) else 1
    except BaseException:  # noqa: BLE001 - it is what a process would do
        traceback.print_exc()
        return 1
    return 0


def _serve(connection: socket.socket) -> None:
    message, streams, _, _ = socket.recv_fds(connection, 1 << 20, _STREAMS)
    while not message.endswith(b"\n"):
        message += connection.recv(1 << 20)
    status = _run(json.loads(message), streams)
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(str(status).encode())


def main() -> None:
    """Listen on the socket that is named until standard input ends, as it does however the tests end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        print("ready", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                _serve(connection)
                os._exit(0)
            connection.close()


main()
