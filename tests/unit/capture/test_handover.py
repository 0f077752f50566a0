"""The handover protocol between a daemon and the next one."""

from __future__ import annotations

import os
import socket as plain
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from gevent import socket

from recorder.capture.handover import SOCKET, Handover, Predecessor, Successor


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Callable[[Successor], object]], None]]:
    started: list[Handover] = []

    def start(hand_over: Callable[[Successor], object]) -> None:
        started.append(Handover(tmp_path, hand_over))
        started[0].start()

    yield start
    for each in started:
        each.stop()


Serve = Callable[[Callable[[Successor], object]], None]


def test_hands_over_the_port_and_reports_written_calls(
    tmp_path: Path, serve: Serve, listener: socket.socket
) -> None:
    def hand_over(successor: Successor) -> None:
        assert successor.offer(listener, False)
        assert successor.pid == os.getpid()
        assert successor.is_alive(0.01)
        successor.finish(["one", "two"])

    serve(hand_over)
    predecessor = Predecessor.connect(tmp_path, True)
    assert predecessor is not None
    assert predecessor.listener is not None
    assert predecessor.listener.getsockname() == listener.getsockname()
    assert predecessor.confirm_ready()
    assert predecessor.wait_for_end() == {"one", "two"}
    predecessor.listener.close()


def test_handover_socket_is_private_to_the_daemons_user(tmp_path: Path, serve: Serve) -> None:
    serve(lambda successor: None)
    assert stat.S_IMODE((tmp_path / SOCKET).stat().st_mode) == 0o600


@pytest.mark.parametrize("daemon_stops", [False, True])
def test_without_replace_only_an_ending_daemon_hands_over(
    tmp_path: Path, serve: Serve, listener: socket.socket, daemon_stops: bool
) -> None:
    accepted: list[bool] = []
    serve(lambda successor: accepted.append(successor.offer(listener, daemon_stops)))
    predecessor = Predecessor.connect(tmp_path, False)
    assert (predecessor is not None) == daemon_stops
    if predecessor is not None:
        assert predecessor.confirm_ready()
    with gevent.Timeout(10):
        while not accepted:
            gevent.sleep(0.01)
    assert accepted == [daemon_stops]


def test_daemon_that_no_longer_listens_offers_no_port(tmp_path: Path, serve: Serve) -> None:
    serve(lambda successor: successor.offer(None, True))
    predecessor = Predecessor.connect(tmp_path, False)
    assert predecessor is not None
    assert predecessor.listener is None


def test_detects_a_successor_that_ends(tmp_path: Path, serve: Serve, listener: socket.socket) -> None:
    alive: list[bool] = []

    def hand_over(successor: Successor) -> None:
        successor.offer(listener, False)
        alive.append(successor.is_alive(10))

    serve(hand_over)
    predecessor = Predecessor.connect(tmp_path, True)
    assert predecessor is not None
    assert predecessor.confirm_ready()
    predecessor._connection.close()
    with gevent.Timeout(5):
        while not alive:
            gevent.sleep(0.01)
    assert alive == [False]


@pytest.mark.parametrize("report", [b"", b"[", b"7", b'{"a": 1}', b'[1, null, "two"]', b"\xff"])
def test_malformed_final_report_is_ignored(tmp_path: Path, report: bytes) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(report)
    theirs.close()
    assert Predecessor(ours, None).wait_for_end() <= {"two", "a"}


def test_connect_raises_if_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Predecessor.connect(tmp_path, True)
    with plain.socket(plain.AF_UNIX) as dead:
        dead.bind(str(tmp_path / SOCKET))
    with pytest.raises(ConnectionRefusedError):
        Predecessor.connect(tmp_path, True)


def test_confirm_ready_fails_if_the_predecessor_is_gone() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    assert not Predecessor(ours, None).confirm_ready()
