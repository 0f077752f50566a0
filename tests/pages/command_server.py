"""Runs ``accord`` commands in forks of one process that has imported everything, so that a page's dozens of
commands do not each start Python.

``python -m tests.pages.command_server SOCKET`` serves; :data:`CLIENT` is the program that pages find as
``accord``.
"""

from __future__ import annotations

import array
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
from contextlib import suppress

CLIENT = """\
#!{python} -IS
import array, json, os, socket, sys
# These set up their process from its first import.
if {{"daemon", "run", "web", "worker"}} & {{*sys.argv[1:]}}:
    os.environ["PYTHONPATH"] = "{root}"
    os.execv("{python}", ["{python}", "-m", "recorder", *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect("{path}")
request = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
fds = array.array("i", [0, 1, 2])
server.sendmsg([len(request).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
server.sendall(request)
sys.exit((server.recv(1) or b"\\x01")[0])
"""


def serve(path: str) -> None:
    """Serve until SIGTERM. Prints a line once it accepts commands."""
    for package in ("recorder", "web"):
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    gc.freeze()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            os._exit(_run(connection))
        connection.close()


def _run(connection: socket.socket) -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    fds = array.array("i")
    size, ancillary, _, _ = connection.recvmsg(4, socket.CMSG_SPACE(3 * fds.itemsize))
    fds.frombytes(ancillary[0][2])
    request = b""
    while len(request) < int.from_bytes(size, "big"):
        request += connection.recv(65536)
    words, environment, folder = json.loads(request)
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["accord", *words]
    status = 1
    try:
        from recorder.__main__ import main

        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        connection.sendall(bytes([status]))
    return status


if __name__ == "__main__":
    serve(sys.argv[1])
