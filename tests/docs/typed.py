"""A program of the tests: is `fedschema` or `alembic` where a page is typed, and lets `preloaded.py` do the work."""

import json
import os
import socket
import sys

place, *words = sys.argv[1:]
umask = os.umask(0)
os.umask(umask)
request = {"words": words, "directory": os.getcwd(), "environment": dict(os.environ), "umask": umask}  # noqa: PTH109
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(place)
    message = json.dumps(request).encode() + b"\n"
    sent = socket.send_fds(connection, [message], [0, 1, 2])
    connection.sendall(message[sent:])
    answer = connection.recv(16)
sys.exit(int(answer) if answer else 1)
