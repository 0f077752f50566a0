"""Tests reach only the servers that they started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from recorder.errors import SwitchError
from recorder.ops.installation import check_switch
from tests.foreign_servers import is_foreign, refuse_foreign_servers
from tests.ports import free_ports

SERVER = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
if sys.argv[2] == "foreign" and os.fork():
    os._exit(0)  # its child has no parent among the tests
os.setsid() if sys.argv[2] == "foreign" else None
print(os.getpid(), flush=True)
server.accept()[0].sendall(b"Content-Type: auth/request\\n\\n")
server.accept()
"""
"""A server that greets as FreeSWITCH's event socket does."""


@pytest.fixture
def port() -> int:
    port = free_ports()
    refuse_foreign_servers(frozenset({port}))
    return port


@pytest.fixture(params=["foreign", "own"])
def server(request: pytest.FixtureRequest, port: int) -> Iterator[str]:
    """The kind of server that listens on the port."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port), request.param], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    yield request.param
    os.kill(pid, 9)
    process.wait()
    process.stdout.close()


def test_server_that_no_test_started_cannot_be_reached(port: int, server: str) -> None:
    assert is_foreign(port) == (server == "foreign")
    if server == "foreign":
        with pytest.raises(ConnectionRefusedError, match="no test started"):
            socket.create_connection(("127.0.0.1", port))
    else:
        socket.create_connection(("127.0.0.1", port)).close()


def test_switch_that_no_test_started_is_away(port: int, server: str) -> None:
    if server == "foreign":
        assert "the password was not checked" in check_switch("127.0.0.1", port, "ClueCon")
    else:
        with pytest.raises(SwitchError):
            check_switch("127.0.0.1", port, "ClueCon")
