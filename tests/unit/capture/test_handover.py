"""What passes between a daemon and the next one."""

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
def serving(tmp_path: Path) -> Iterator[Callable[[Callable[[Successor], object]], None]]:
    started: list[Handover] = []

    def serve(to: Callable[[Successor], object]) -> None:
        started.append(Handover(tmp_path, to))
        started[0].start()

    yield serve
    for each in started:
        each.stop()


Serving = Callable[[Callable[[Successor], object]], None]


def test_the_port_is_given_and_what_is_written_is_told_at_the_end(
    tmp_path: Path, serving: Serving, listener: socket.socket
) -> None:
    def to(successor: Successor) -> None:
        assert successor.give(listener, False)
        assert successor.pid == os.getpid()
        assert successor.there(0.01)
        successor.done(["one", "two"])

    serving(to)
    before = Predecessor.ask(tmp_path, True)
    assert before is not None
    assert before.listener is not None
    assert before.listener.getsockname() == listener.getsockname()
    assert before.ready()
    assert before.ended() == {"one", "two"}
    before.listener.close()


def test_only_its_own_user_may_ask(tmp_path: Path, serving: Serving) -> None:
    serving(lambda successor: None)
    assert stat.S_IMODE((tmp_path / SOCKET).stat().st_mode) == 0o600


@pytest.mark.parametrize("ending", [False, True])
def test_who_does_not_mean_to_replace_it_gets_the_port_of_one_that_ends_alone(
    tmp_path: Path, serving: Serving, listener: socket.socket, ending: bool
) -> None:
    became: list[bool] = []
    serving(lambda successor: became.append(successor.give(listener, ending)))
    before = Predecessor.ask(tmp_path, False)
    assert (before is not None) == ending
    if before is not None:
        assert before.ready()
    with gevent.Timeout(10):
        while not became:
            gevent.sleep(0.01)
    assert became == [ending]


def test_one_that_listens_no_more_gives_no_port(tmp_path: Path, serving: Serving) -> None:
    serving(lambda successor: successor.give(None, True))
    before = Predecessor.ask(tmp_path, False)
    assert before is not None
    assert before.listener is None


def test_a_next_one_that_goes_is_noticed(tmp_path: Path, serving: Serving, listener: socket.socket) -> None:
    there: list[bool] = []

    def to(successor: Successor) -> None:
        successor.give(listener, False)
        there.append(successor.there(10))

    serving(to)
    before = Predecessor.ask(tmp_path, True)
    assert before is not None
    assert before.ready()
    before._connection.close()
    with gevent.Timeout(5):
        while not there:
            gevent.sleep(0.01)
    assert there == [False]


@pytest.mark.parametrize("said", [b"", b"[", b"7", b'{"a": 1}', b'[1, null, "two"]', b"\xff"])
def test_whatever_it_says_last_the_next_one_goes_on(tmp_path: Path, said: bytes) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(said)
    theirs.close()
    assert Predecessor(ours, None).ended() <= {"two", "a"}


def test_where_nobody_answers_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Predecessor.ask(tmp_path, True)
    with plain.socket(plain.AF_UNIX) as dead:
        dead.bind(str(tmp_path / SOCKET))
    with pytest.raises(ConnectionRefusedError):
        Predecessor.ask(tmp_path, True)


def test_one_that_waits_no_longer_is_not_taken_for_one_that_hands_over() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    assert not Predecessor(ours, None).ready()
