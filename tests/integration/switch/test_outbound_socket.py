"""The socket that calls arrive on."""

from __future__ import annotations

import socket as plain
import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import socket
from gevent.event import Event
from structlog.testing import capture_logs

from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.connection import ConnectionLimits
from recorder.switch.esl import OutboundSession
from recorder.switch.outbound_socket import Arrival, OutboundSocket
from recorder.switch.unverified_connections import OTHERS, STRANGERS
from tests.admission import ANSWER, OpenAdmission
from tests.forged_switch import SOMEBODY

Wait = Callable[[Callable[[], object]], None]

# Like FreeSWITCH's answer to connect: the channel first, Content-Type nearly last.
DATA = (
    b"Event-Name: CHANNEL_DATA\nUnique-ID: call-1\nCall-Direction: inbound\n"
    b"Caller-Caller-ID-Name: x%0AContent-Type%3A%20text/disconnect-notice%0A%0AUnique-ID%3A%20evil\n"
    b"Caller-Caller-ID-Number: %2B3225550100\nCaller-Destination-Number: 3225550199\n"
    b"Caller-Context: public\nvariable_accord_line: 3225550199\nvariable_accord_state: waiting\n"
    b"variable_sip_h_X-A%0AUnique-ID%3A%20evil: %0Avariable_accord_line%3A%20999\n"
    b"Content-Type: command/reply\nReply-Text: %2BOK%0A\nSocket-Mode: async\nControl: full\n\n"
)


class Caller:
    """FreeSWITCH's side of one ``socket``."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._rest = b""

    def read_text(self) -> str:
        while b"\n\n" not in self._rest:
            data = self.sock.recv(65536)
            if not data:
                return ""
            self._rest += data
        command, self._rest = self._rest.split(b"\n\n", 1)
        return command.decode()

    def take(self) -> None:
        assert self.read_text() == "connect"
        assert self.read_text() == "api status", "sent in the same write"
        self.sock.sendall(DATA + ANSWER)

    def ok(self) -> None:
        self.sock.sendall(b"Content-Type: command/reply\nReply-Text: +OK\n\n")


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Arrival, OutboundSession], object]], OutboundSocket]]:
    sockets: list[OutboundSocket] = []

    def serve(on_call: Callable[[Arrival, OutboundSession], object], limit: float = 0.5) -> OutboundSocket:
        dialplan = OutboundSocket(
            "127.0.0.1", 0, on_call, OpenAdmission(), limits=ConnectionLimits(reply=limit, write=limit)
        )
        dialplan.bind()
        gevent.spawn(dialplan.serve)
        sockets.append(dialplan)
        return dialplan

    yield serve
    for dialplan in sockets:
        dialplan.stop(0.2)


def port_of(dialplan: OutboundSocket) -> int:
    return int(dialplan.server.bound_port)


Serve = Callable[..., OutboundSocket]


def test_arrival_has_the_dialplans_variables(serve: Serve, wait: Wait) -> None:
    arrivals: list[tuple[Arrival, str]] = []
    caller = Caller(port_of(serve(lambda arrival, session: arrivals.append((arrival, session.uuid)))))
    caller.take()
    wait(lambda: arrivals)
    arrival, uuid = arrivals[0]
    assert (arrival.channel, uuid, arrival.line, arrival.state) == (
        "call-1",
        "call-1",
        "3225550199",
        "waiting",
    )
    assert (arrival.external_party.kind, arrival.external_party.value) == ("e164", "+3225550100")
    assert caller.read_text() == "", "the handler has returned: the socket closes and the dialplan continues"


def test_pipelines_commands(serve: Serve, wait: Wait) -> None:
    finish = Event()

    def on_call(arrival: Arrival, session: OutboundSession) -> None:
        pending_replies = [
            session.execute(commands.execute_extension(name))
            for name in ("accord_a", "accord_b", "accord_begin")
        ]
        for pending in pending_replies:
            assert pending.accepted().data == "+OK"
        finish.set()

    caller = Caller(port_of(serve(on_call)))
    caller.take()
    commands_read = [caller.read_text() for _ in range(3)]  # all three, before any reply
    for name, text in zip(("accord_a", "accord_b", "accord_begin"), commands_read, strict=True):
        assert f"execute-app-arg: {name} XML accord\n" in text
    assert all(text.endswith("event-lock: true") for text in commands_read)
    for _ in commands_read:
        caller.ok()
    assert finish.wait(2)


def test_failing_handler_releases_only_its_call(serve: Serve, wait: Wait) -> None:
    stay = Event()
    arrived = []

    def on_call(arrival: Arrival, session: OutboundSession) -> None:
        arrived.append(session)
        if len(arrived) == 1:
            raise KeyError("a bug")
        stay.wait()

    dialplan = serve(on_call, 30)  # showing the traceback takes a while on a busy machine
    first, second = Caller(port_of(dialplan)), Caller(port_of(dialplan))
    first.take()
    assert first.read_text() == ""
    assert dialplan.server.failures == 1
    second.take()
    wait(lambda: len(arrived) == 2)
    assert dialplan.calls == 1
    assert arrived[1].connected
    stay.set()
    assert second.read_text() == ""


@pytest.mark.parametrize(
    "noise", [b"", b"GET / HTTP/1.1\r\n\r\n\n\n", b"Content-Type: x\nContent-Length: -1\n\n"]
)
def test_releases_a_peer_that_is_no_switch(serve: Serve, wait: Wait, noise: bytes) -> None:
    arrivals: list[Arrival] = []
    dialplan = serve(lambda arrival, session: arrivals.append(arrival))
    stranger = Caller(port_of(dialplan))
    assert stranger.read_text() == "connect"
    assert stranger.read_text() == "api status"
    stranger.sock.sendall(noise)
    assert stranger.read_text() == ""
    wait(lambda: dialplan.calls == 0)
    assert not arrivals
    good = Caller(port_of(dialplan))
    good.take()
    wait(lambda: arrivals)


INVALID_ANSWERS = {
    "no answer": b"",
    "an answer to connect only": DATA,
    "an endless answer": DATA + b"Content-Type: api/response\nContent-Length: 900000\n\nx",
    "an answer above the limit": DATA + b"Content-Type: api/response\nContent-Length: 60000000\n\n",
    "another protocol": b"GET / HTTP/1.1\r\n\r\n\n\n",
    "a refusal": b"Content-Type: command/reply\nReply-Text: -ERR no\n\n" + ANSWER,
}


@pytest.mark.parametrize("answer", INVALID_ANSWERS.values(), ids=INVALID_ANSWERS)
def test_refuses_a_silent_peer_in_time_without_a_log(wait: Wait, answer: bytes) -> None:
    admission = OpenAdmission()
    arrivals: list[Arrival] = []
    dialplan = OutboundSocket(
        "127.0.0.1",
        0,
        lambda arrival, session: arrivals.append(arrival),
        admission,
        limits=ConnectionLimits(reply=0.3),
    )
    dialplan.bind()
    gevent.spawn(dialplan.serve)
    with capture_logs() as logs:
        stranger = Caller(port_of(dialplan))
        start = time.monotonic()
        stranger.sock.sendall(answer)
        wait(lambda: admission.refused)
        assert time.monotonic() - start < 5
        wait(lambda: dialplan.calls == 0)
    dialplan.stop(0.2)
    assert admission.refused == ["silent"]
    assert not arrivals
    assert not logs, "thousands of connections must not fill the log"


def test_port_check_is_not_counted_as_refused(wait: Wait) -> None:
    admission = OpenAdmission()
    dialplan = OutboundSocket("127.0.0.1", 0, lambda arrival, session: None, admission)
    port = dialplan.bind()
    gevent.spawn(dialplan.serve)
    Caller(port).sock.close()
    check = Caller(port)
    assert check.read_text() == "connect"
    check.sock.close()
    wait(lambda: dialplan.calls == 0)
    dialplan.stop(0.2)
    assert admission.refused == []


def test_unverified_connections_make_room_for_later_ones(wait: Wait) -> None:
    class Strict(OpenAdmission):
        def is_stranger(self, owner: int | None) -> bool:
            return owner == SOMEBODY

    admission, owners, arrivals = Strict(), {}, []
    dialplan = OutboundSocket(
        "127.0.0.1", 0, lambda arrival, session: arrivals.append(arrival), admission,
        owner=lambda sock: owners.get(sock.getpeername()[1]),
    )  # fmt: skip
    port = dialplan.bind()
    idle = [plain.create_connection(("127.0.0.1", port)) for _ in range(OTHERS)]
    strangers = [plain.create_connection(("127.0.0.1", port)) for _ in range(STRANGERS + 5)]
    owners |= {sock.getsockname()[1]: SOMEBODY for sock in strangers}
    server = gevent.spawn(dialplan.serve)
    try:
        wait(lambda: admission.refused == ["crowded"] * 5)
        wait(lambda: dialplan.calls == OTHERS + STRANGERS)
        caller = Caller(port)
        caller.take()
        wait(lambda: arrivals)
        assert admission.refused.count("crowded") == 5
    finally:
        for sock in (*idle, *strangers):
            sock.close()
        dialplan.stop(0.2)
        server.kill()


def test_hundreds_of_simultaneous_calls_arrive(serve: Serve, wait: Wait) -> None:
    """Stock greenswitch drops the 101st call, and polls for new calls ten times a second."""
    stay = Event()
    count = 300
    dialplan = serve(lambda arrival, session: stay.wait(), 30)
    start = time.monotonic()
    callers = [Caller(port_of(dialplan)) for _ in range(count)]
    for caller in callers:
        caller.take()
    wait(lambda: dialplan.calls == count)
    assert time.monotonic() - start < 20, "at ten per second it takes 30 s"
    stay.set()
    assert all(caller.read_text() == "" for caller in callers)
    wait(lambda: dialplan.calls == 0)


def test_calls_wait_in_the_backlog() -> None:
    """A full backlog would block the switch's connect(), and with it the call."""
    with open("/proc/sys/net/core/somaxconn") as file:
        room = min(1024, int(file.read()))
    dialplan = OutboundSocket("127.0.0.1", 0, lambda arrival, session: None, OpenAdmission())
    port = dialplan.bind()
    sockets = []
    try:
        for _ in range(min(room, 600)):
            sock = plain.create_connection(("127.0.0.1", port), timeout=0.5)
            sockets.append(sock)
    finally:
        for sock in sockets:
            sock.close()
        dialplan.stop(0)


def test_stop_lets_calls_continue(serve: Serve, wait: Wait) -> None:
    dialplan = serve(lambda arrival, session: gevent.sleep(60))
    caller = Caller(port_of(dialplan))
    caller.take()
    wait(lambda: dialplan.calls == 1)
    start = time.monotonic()
    dialplan.stop(0.1)
    assert caller.read_text() == ""
    assert time.monotonic() - start < 2
    with pytest.raises(OSError, match="refused"):
        Caller(port_of(dialplan))


def test_reports_a_port_in_use() -> None:
    with plain.create_server(("127.0.0.1", 0)) as listener:
        dialplan = OutboundSocket(
            "127.0.0.1", listener.getsockname()[1], lambda arrival, session: None, OpenAdmission()
        )
        with pytest.raises(SwitchError) as failure:
            dialplan.bind()
    assert failure.value.error_id == "switch.port"
    assert "another daemon" in failure.value.hint
