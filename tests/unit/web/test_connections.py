"""New requests are answered however many connections a client holds: the longest-waiting ones are closed."""

from __future__ import annotations

import resource
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.unit.web.test_server import Served
from web import server
from web.connections import ConnectionLimiter

pytestmark = pytest.mark.long

MANY = 1010
BATCH = 50
"""Fewer than the kernel keeps until the panel takes them."""
ANSWERED = 2
"""Connections of requests, beside the crowd's, that the panel may count at the end: the newest, and the one
before it, if the panel has not yet let go of it."""
IDLE = b""
SLOW_HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
SLOW_BODY = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nlogin="


@pytest.fixture(autouse=True)
def enough_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * MANY:
        pytest.skip("this user may not have that many files open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * MANY), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def crowd(served: Served, says: bytes, many: int) -> Iterator[list[socket.socket]]:
    """Many connections that reach the panel in their order: each answer shows that it has taken those before,
    so that none of them waits for the kernel's queue to have room."""
    with ExitStack() as stack:
        connections: list[socket.socket] = []
        while len(connections) < many:
            connections.append(stack.enter_context(_one(served.port, says)))
            if len(connections) % BATCH == 0:
                answered_in(served)
        yield connections


def _one(port: int, says: bytes) -> socket.socket:
    one = socket.socket()
    one.settimeout(20)
    one.connect(("127.0.0.1", port))
    if says:
        one.sendall(says)
    return one


def answered_in(served: Served, path: str = "/healthz") -> float:
    start = time.monotonic()
    assert served.get(path).status == 200
    return time.monotonic() - start


def dropped(connections: list[socket.socket]) -> list[int]:
    """The connections that the panel has closed, once it has handled all of them."""
    numbers: list[int] = []
    for number, one in enumerate(connections):
        ready = select.poll()  # select() takes no descriptor above 1023
        ready.register(one, select.POLLIN)
        if ready.poll(0):
            try:
                if one.recv(1, socket.MSG_PEEK) == b"":
                    numbers.append(number)
            except ConnectionResetError:
                numbers.append(number)
    return numbers


def test_idle_connections_of_one_address_do_not_block_others(tmp_path) -> None:
    served = Served(tmp_path)
    try:
        with crowd(served, IDLE, MANY) as connections:
            assert answered_in(served) < 5
            numbers = dropped(connections)
            # The address keeps its share: the newest of its connections.
            assert numbers[: MANY - server.MAX_PER_NETWORK] == list(range(MANY - server.MAX_PER_NETWORK))
            assert len(numbers) <= MANY - server.MAX_PER_NETWORK + ANSWERED
    finally:
        served.close()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_slow_requests_behind_a_proxy_do_not_block_others(tmp_path) -> None:
    served = Served(tmp_path, "0", "1")
    half = MANY // 2
    try:
        with (
            crowd(served, SLOW_HEAD, half) as heads,
            crowd(served, SLOW_BODY, half) as bodies,
        ):
            assert answered_in(served) < 5
            assert dropped(heads)[:10] == list(range(10)), "the longest waiting ones"
            assert len(dropped(heads)) <= 10 + ANSWERED, "no more than are needed"
            assert not dropped(bodies)
    finally:
        served.close()
    assert "Traceback" not in (tmp_path / "log").read_text()


class Connection:
    """A connection that the panel waits for, or not."""

    def __init__(self) -> None:
        self.closed = False
        self._own, self.client = socket.socketpair()

    def fileno(self) -> int:
        return self._own.fileno()

    def shutdown(self, _how: int) -> None:
        self.closed = True


def test_connection_with_unread_request_is_not_idle() -> None:
    limiter = ConnectionLimiter(2, 2)
    busy, idle = Connection(), Connection()
    for each in (busy, idle):
        assert limiter.admit(each, "192.0.2.1")
    busy.client.sendall(b"GET / HTTP/1.1\r\n")
    with limiter.mark_waiting("request", busy), limiter.mark_waiting("request", idle):
        assert limiter.admit(Connection(), "192.0.2.2")
    assert (busy.closed, idle.closed) == (False, True)


def test_closes_idle_then_slow_senders_then_slow_readers() -> None:
    limiter = ConnectionLimiter(4, 4)
    slow_reader, rest, request, work = (Connection() for _ in range(4))
    for each in (slow_reader, rest, request, work):
        assert limiter.admit(each, "192.0.2.1")
    with (
        limiter.mark_waiting("taking", slow_reader),
        limiter.mark_waiting("rest", rest),
        limiter.mark_waiting("request", request),
    ):
        for expected in (request, rest, slow_reader):
            assert not expected.closed
            assert limiter.admit(Connection(), "192.0.2.2")
            assert expected.closed
        assert limiter.admit(Connection(), "192.0.2.3"), "nobody waits: one more is served all the same"
    assert not work.closed


def test_limits_connections_per_address_and_ipv6_network() -> None:
    limiter = ConnectionLimiter(100, 2, without={"127.0.0.1"})
    first, second = Connection(), Connection()
    assert limiter.admit(first, "2001:db8::1")
    assert limiter.admit(second, "2001:db8::2")
    assert not limiter.admit(Connection(), "2001:db8::3"), "both are at work"
    with limiter.mark_waiting("request", second):
        assert limiter.admit(Connection(), "2001:db8::3")
    assert (first.closed, second.closed) == (False, True)
    limiter.remove(first)
    assert limiter.admit(Connection(), "2001:db8::4")
    assert all(limiter.admit(Connection(), "127.0.0.1") for _ in range(5)), "a proxy's is everybody's"
