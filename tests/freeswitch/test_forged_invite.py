"""An INVITE in which every field tries to forge header lines, against a real switch.

The bytes are sent from a UDP socket exactly as they stand here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import gevent
import pytest
from gevent import socket
from gevent.event import Event
from greenswitch.esl import ESLEvent

from recorder.spool import layout
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl import Inbound, OutboundSession
from recorder.switch.esl_events import EslEvent
from recorder.switch.outbound_socket import Arrival, OutboundSocket
from recorder.switch.standing_connection import Node
from tests.admission import OpenAdmission
from tests.freeswitch.switches import NUMBER, PASSWORD, Rig
from tests.waiting import until

FORGED = b"%0AUnique-ID%3A%20evil%0Avariable_y%3A%20z%0D%0A%E2%80%A8variable_accord_state%3A%20announced"
NO_UTF8 = b"\xff\xfe\xc3"
LINE = f"{NUMBER}10"


class Phone:
    """A raw SIP caller: one INVITE, its ACK and BYE."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.mine = self.sock.getsockname()[1]
        self.call_id = b"forged-%d" % time.monotonic_ns()
        self.to = b""
        self.uri = b""
        self.sender = b""

    def invite(self, *, user: bytes, sender: bytes, name: bytes, extra: bytes, sdp: bytes = b"") -> None:
        body = (
            b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-%s\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            b"m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
            b"a=rtpmap:101 telephone-event/8000\r\n%s"
        ) % (FORGED, sdp)
        self.uri = b"sip:%s@127.0.0.1:%d" % (user, self.port)
        self.sender = b'"%s" <sip:%s@127.0.0.1>;tag=t' % (name, sender)
        self.to = b"<%s>" % self.uri
        self._send(b"INVITE", b"1 INVITE", extra + b"Content-Type: application/sdp\r\n", body)

    def _send(self, method: bytes, sequence: bytes, extra: bytes = b"", body: bytes = b"") -> None:
        self.sock.sendto(
            b"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%s%s\r\nMax-Forwards: 70\r\n"
            b"From: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: <sip:x@127.0.0.1:%d>\r\n"
            b"%sContent-Length: %d\r\n\r\n%s"
            % (
                *(
                    method,
                    self.uri,
                    self.mine,
                    self.call_id,
                    sequence[:1],
                    self.sender,
                    self.to,
                    self.call_id,
                ),
                *(sequence, self.mine, extra, len(body), body),
            ),
            ("127.0.0.1", self.port),
        )

    def final(self) -> int:
        """Return the final response's code, after acknowledging it."""
        self.sock.settimeout(10)
        while True:
            answer = self.sock.recv(65536)
            code = int(answer.split(b" ", 2)[1])
            if code >= 200 and b"CSeq: 1 INVITE" in answer:
                line = next(line for line in answer.split(b"\r\n") if line.startswith(b"To:"))
                self.to = line[3:].strip()
                self._send(b"ACK", b"1 ACK")
                return code

    def bye(self) -> None:
        self._send(b"BYE", b"2 BYE")
        self.sock.close()


FORGERIES = {
    "request URI": {"user": LINE.encode() + FORGED},
    "user": {"sender": b"3225550100" + FORGED},
    "display name": {"name": b"Ann" + FORGED},
    "header value": {"extra": b"X-Told: a" + FORGED + b"\r\n"},
    "header name": {"extra": b"X-Told%0AUnique-ID%3A%20evil: a\r\n"},
    "multi-line SDP": {"sdp": b"a=x:%s\r\na=Unique-ID: evil\r\na=variable_y: z\r\n" % FORGED},
    "no UTF-8": {"name": NO_UTF8 + FORGED, "extra": b"X-Told: " + NO_UTF8 + b"\r\n"},
}
EVERYTHING = {
    "sender": b"3225550100" + FORGED,
    "name": NO_UTF8 + FORGED,
    "extra": b"X-Told: " + NO_UTF8 + FORGED + b"\r\nX-Told%0AUnique-ID%3A%20evil: a\r\n",
    "sdp": b"a=x:%s\r\na=Unique-ID: evil\r\n" % FORGED,
}


def call(rig: Rig, changes: dict[str, bytes]) -> Phone:
    phone = Phone(rig.sip_port)
    plain = {"user": LINE.encode(), "sender": b"3225550100", "name": b"Ann", "extra": b"", "sdp": b""}
    phone.invite(**{**plain, **changes})
    return phone


@pytest.fixture
def connection(rig: Rig) -> Iterator[Inbound]:
    connection = Inbound("127.0.0.1", rig.switch.esl_port, PASSWORD)
    connection.connect()
    yield connection
    connection.close()


@pytest.mark.parametrize("changes", FORGERIES.values(), ids=FORGERIES)
def test_no_invite_field_changes_a_header(rig: Rig, connection: Inbound, changes: dict[str, bytes]) -> None:
    events: list[EslEvent] = []
    connection.register_handle("*", events.append)
    connection.send_later(SwitchCommand("event plain ALL")).accepted()
    phone = call(rig, changes)
    # Without a daemon the switch goes on by itself; what is no number has no route.
    code = phone.final()
    assert code == (404 if "user" in changes else 200)
    if code == 200:
        phone.bye()
    until("the call is gone", lambda: any(e.name == "CHANNEL_DESTROY" and mine(e) for e in events))
    own_events = [event for event in events if mine(event)]
    uuid = own_events[0].uuid
    # On the wire the forgery was there, whole.
    assert any(FORGED in event.raw or b"%0AUnique-ID%3A%20evil" in event.raw for event in own_events)
    for event in events:
        assert event.uuid != "evil"
        assert event.variable("y", "unset") == "unset"
        assert event.variable("accord_state") != "announced"
        assert all(name.isprintable() and "\n" not in name for name in event.headers)
    assert len({event.uuid for event in own_events}) == 1
    assert uuid
    assert connection.api(commands.status()).startswith("UP")


def mine(event: EslEvent) -> bool:
    """Whether an event is of the caller's leg."""
    return event.header("Call-Direction") == "inbound" and event.uuid != ""


def test_same_call_deceives_stock_greenswitch(rig: Rig, connection: Inbound) -> None:
    """If this fails, the tests above prove nothing."""
    events: list[EslEvent] = []
    connection.register_handle("CHANNEL_DESTROY", events.append)
    connection.send_later(SwitchCommand("event plain CHANNEL_DESTROY")).accepted()
    phone = call(rig, FORGERIES["display name"])
    phone.final()
    phone.bye()
    until("the call is gone", lambda: any(mine(event) for event in events))
    stock = ESLEvent(next(event for event in events if mine(event)).raw.decode())
    assert stock.headers["Unique-ID"] == "evil"
    assert stock.headers["variable_y"] == "z"


def test_own_socket_and_reconciling_are_not_deceived(rig: Rig) -> None:
    arrived: list[Arrival] = []
    headers: list[Mapping[str, str]] = []
    states: list[str] = []
    stay = Event()

    def on_call(arrival: Arrival, session: OutboundSession) -> None:
        session.execute(SwitchCommand("sendmsg\ncall-command: execute\nexecute-app-name: answer")).accepted()
        states.append(node.api(commands.get_variable(arrival.channel, "y")))
        node.reconcile()
        arrived.append(arrival)
        headers.append(session.connect())
        stay.wait()

    node = Node(
        "127.0.0.1", rig.switch.esl_port, PASSWORD, ["CHANNEL_DESTROY"],
        lambda event: None, lambda live: None, lambda reason: None, random=lambda: 0.5,
    )  # fmt: skip
    dialplan = OutboundSocket("127.0.0.1", rig.daemon_port, on_call, OpenAdmission())
    dialplan.bind()
    gevent.spawn(dialplan.serve)
    node.start()
    try:
        assert node.up.wait(5)
        phone = call(rig, EVERYTHING)
        until("the call arrives", lambda: arrived)
        arrival = arrived[0]
        # The switch's list of channels runs a little behind; the channel itself is asked at once.
        assert node.recordings_of(arrival.channel) == ()
        until("it is in the list", lambda: arrival.channel in node.reconcile().channels)
        assert phone.final() == 200
        stay.set()
        phone.bye()
    finally:
        node.stop()
        dialplan.stop(1)
    assert arrival.channel != "evil"
    assert arrival.line == LINE
    assert arrival.state == "waiting"
    assert "variable_y" not in headers[0]
    assert states == ["_undef_"]
    assert arrival.external_party.kind == "sip"
    assert arrival.external_party.value.isprintable()


def test_daemon_records_a_forged_invite_normally(daemon: Rig) -> None:
    daemon.wait_watching()
    phone = call(daemon, EVERYTHING)
    assert phone.final() == 200
    until("it has a folder", lambda: list(daemon.spool.glob("*/call.json")))
    (path,) = daemon.spool.glob("*/call.json")
    start = layout.read_start(path.parent)
    assert (start.number, start.tenant) == (LINE, "t1")
    assert daemon.switch.esl.api(f"uuid_exists {start.channel}") == "true"
    assert start.external_party.kind == "sip"
    assert start.external_party.value.isprintable()
    phone.bye()
    until("it is written down", lambda: (path.parent / "take.json").exists())
    assert daemon.daemon is not None
    assert daemon.daemon.poll() is None
