"""Whose process has a socket, by the kernel's word."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.socket_owner import listener_uid, peer_uid
from recorder.store import seaweedfs
from tests.forged_switch import SOMEBODY

Pair = tuple[socket.socket, socket.socket]

WAYS = {
    "IPv4": ("127.0.0.1", "127.0.0.1"),
    "IPv6": ("::1", "::1"),
    "IPv4 at a socket for both": ("::", "127.0.0.1"),
}
CLIENT = """
import os, socket, sys
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))):
    sys.stdin.read()
"""

SERVER = """
import os, socket, sys
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    listens, connects = request.param
    family = socket.AF_INET6 if ":" in listens else socket.AF_INET
    with socket.socket(family) as server:
        if listens == "::":
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind((listens, 0))
        server.listen()
        with socket.create_connection((connects, server.getsockname()[1])) as near:
            far, _ = server.accept()
            with far:
                yield near, far


def test_own_socket(pair: Pair) -> None:
    near, far = pair
    assert peer_uid(far) == os.getuid()
    assert peer_uid(near) == os.getuid()


def test_closed_socket_has_no_owner(pair: Pair) -> None:
    """The kernel keeps it for a while, and says that it is root's."""
    near, far = pair
    near.close()
    assert far.recv(1) == b""
    assert peer_uid(far) is None
    far.close()
    assert peer_uid(far) is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run a process as somebody else")
def test_socket_of_another_user() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT.format(uid=SOMEBODY), port], stdin=subprocess.PIPE
        )
        with client:
            far, _ = server.accept()
            with far:
                assert peer_uid(far) == SOMEBODY
            assert client.stdin is not None
            client.stdin.close()


@pytest.mark.parametrize("place", ["127.0.0.1", "0.0.0.0"])  # somebody else would do that
def test_own_listener(place: str) -> None:
    with socket.create_server((place, 0)) as server:
        address = "127.0.0.1", server.getsockname()[1]
        assert listener_uid(address) == os.getuid() == seaweedfs._listener_in_proc(address[1]), (
            "with netlink, and without"
        )
        with socket.create_connection(address):
            assert listener_uid(address) == os.getuid()
    assert listener_uid(address) is None, "nobody listens any more, though the connection is remembered"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run a process as somebody else")
def test_listener_of_another_user() -> None:
    program = [sys.executable, "-c", SERVER.format(uid=SOMEBODY)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        assert listener_uid(("127.0.0.1", int(server.stdout.readline()))) == SOMEBODY
        server.stdin.close()


NAMESPACE = """
import socket, sys
from recorder.socket_owner import peer_uid
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    for _ in range(2):
        far, _ = server.accept()
        print(peer_uid(far), flush=True)
        far.close()
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run a process as somebody else")
def test_unmapped_user_is_unknown() -> None:
    """In a user namespace that knows root alone, as under systemd's ``PrivateUsers``."""
    daemon = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", NAMESPACE],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    with daemon:
        assert daemon.stdout is not None
        port = daemon.stdout.readline().strip()
        with socket.create_connection(("127.0.0.1", int(port))):
            assert daemon.stdout.readline() == "0\n"
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT.format(uid=SOMEBODY), port], stdin=subprocess.PIPE
        )
        with client:
            assert daemon.stdout.readline() == "None\n"
            assert client.stdin is not None
            client.stdin.close()
