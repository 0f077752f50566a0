"""The standing connection: the order of its callbacks, and the detection of a dead switch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event
from structlog.testing import capture_logs

from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.connection import ConnectionLimits
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import LiveState, Node, ReconnectBackoff
from tests.expected_errors import expect_error

Wait = Callable[[Callable[[], object]], None]

ROWS = {
    "row_count": 2,
    "rows": [
        {"uuid": "one", "direction": "inbound", "callstate": "ACTIVE", "context": "public"},
        {"uuid": "gone", "direction": "outbound", "callstate": "ACTIVE", "context": "public"},
    ],
}
BUGS = (
    "<media-bugs>\n <media-bug>\n  <function>session_record</function>\n"
    "  <target>/spool/one.wav</target>\n </media-bug>\n</media-bugs>\n"
)


def switch(line: Any, *, then: Callable[[], object] = lambda: None) -> None:
    """Answer as FreeSWITCH does, until the other side closes."""
    line.log_in()
    while text := line.read_text():
        if text.startswith("event plain"):
            line.reply("+OK event listener enabled plain")
            # An event between subscription and reconciling.
            line.event("Event-Name: DTMF", "Event-Sequence: 1", "Unique-ID: one")
        elif text == "api show channels as json":
            line.answer(json.dumps(ROWS))
        elif text == "api uuid_buglist one":
            line.answer(BUGS)
        elif text.startswith("api uuid_buglist"):
            line.answer("-ERR Cannot locate session!\n")
        elif text == "api conference json_list":
            line.answer("-ERR conference Command not found!\n")
        elif text == "api status":
            line.answer("UP 0 years")
            then()
        else:
            line.answer("-ERR unexpected")


class CallbackLog:
    """The callbacks of a node, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.fail_up = 0
        self.hold_up: Event | None = None

    def event(self, event: EslEvent) -> None:
        self.calls.append(("event", event.sequence))

    def up(self, live: LiveState) -> None:
        if self.hold_up is not None:
            self.hold_up.wait()
        if self.fail_up:
            self.fail_up -= 1
            raise ValueError("a failure in on_up")
        self.calls.append(("up", live))

    def down(self, reason: str) -> None:
        self.calls.append(("down", reason))

    @property
    def order(self) -> list[str]:
        return [what for what, _ in self.calls]


@pytest.fixture
def callbacks() -> CallbackLog:
    return CallbackLog()


@pytest.fixture
def node(peer: Any, callbacks: CallbackLog) -> Iterator[Node]:
    node = Node(
        "127.0.0.1",
        peer.port,
        "secret",
        ["DTMF"],
        callbacks.event,
        callbacks.up,
        callbacks.down,
        random=lambda: 0.5,
        limits=ConnectionLimits(connect=0.5, reply=0.3, write=0.3),
        backoff=ReconnectBackoff(first=0.01, longest=0.05),
        heartbeat=0.05,
    )
    yield node
    node.stop()


def test_reconciles_before_events_since_the_subscription(
    node: Node, peer: Any, callbacks: CallbackLog, wait: Wait
) -> None:
    peer.script = switch
    callbacks.hold_up = Event()
    node.start()
    wait(lambda: peer.lines)
    wait(lambda: node._connection is not None and node._connection.event_handlers and node.connections)
    assert not node.up.is_set()
    callbacks.hold_up.set()
    wait(lambda: len(callbacks.calls) == 2)
    assert callbacks.order == ["up", "event"]
    live = callbacks.calls[0][1]
    assert isinstance(live, LiveState)
    assert set(live.channels) == {"one"}, "a channel that hung up meanwhile is not live"
    assert live.channels["one"].recordings == ("/spool/one.wav",)
    assert node.up.is_set()
    assert node.api(commands.status()) == "UP 0 years"


def test_skips_and_logs_unaddressable_channels_once(
    node: Node, peer: Any, callbacks: CallbackLog, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller chooses the id if the switch uses the SIP Call-ID."""
    odd = ["a84b4c76e66710@pc33.atlanta.com", "a b", "${x}"]
    more = [{**ROWS["rows"][0], "uuid": uuid} for uuid in odd]  # type: ignore[index]
    monkeypatch.setitem(ROWS, "rows", [more[0], *ROWS["rows"], *more[1:]])  # type: ignore[misc]
    peer.script = switch
    with capture_logs() as logs:
        node.start()
        wait(lambda: callbacks.order == ["up", "event"])
        live = callbacks.calls[0][1]
        assert isinstance(live, LiveState)
        assert set(live.channels) == {"one"}
        peer.lines[0].sock.close()
        wait(lambda: callbacks.order == ["up", "event", "down", "up", "event"])
    skipped = [entry["channel"] for entry in logs if entry["event"] == "switch.channel_skipped"]
    assert sorted(skipped) == sorted(map(repr, odd))


def test_reconnects_and_reconciles(node: Node, peer: Any, callbacks: CallbackLog, wait: Wait) -> None:
    peer.script = switch
    node.start()
    wait(node.up.is_set)
    wait(lambda: callbacks.order == ["up", "event"])
    peer.lines[0].sock.close()
    wait(lambda: callbacks.order == ["up", "event", "down", "up", "event"])
    assert node.connections == 2


def test_detects_a_hanging_switch(node: Node, peer: Any, callbacks: CallbackLog, wait: Wait) -> None:
    """Its kernel acknowledges all data, so TCP alone would never detect it."""
    hang = Event()
    peer.script = lambda line: switch(line, then=hang.wait)
    node.start()
    wait(node.up.is_set)
    start = time.monotonic()
    wait(lambda: "down" in callbacks.order)
    assert time.monotonic() - start < 2
    assert "heartbeat" in str(callbacks.calls[-1][1])
    hang.set()


def test_repeats_a_failed_reconcile(node: Node, peer: Any, callbacks: CallbackLog, wait: Wait) -> None:
    peer.script = switch
    callbacks.fail_up = 2
    node.start()
    wait(node.up.is_set)
    wait(lambda: callbacks.order == ["up", "event"])
    assert len(peer.lines) == 3


def test_commands_fail_without_a_switch(node: Node) -> None:
    with expect_error(SwitchError, "switch.gone"):
        node.api(commands.status())


def test_retries_a_refused_password(node: Node, peer: Any, callbacks: CallbackLog, wait: Wait) -> None:
    def refuse(line: Any) -> None:
        line.say(b"Content-Type: auth/request\n\n")
        line.read_text()
        line.reply("-ERR invalid")

    peer.script = refuse
    node.start()
    wait(lambda: len(peer.lines) >= 3)
    peer.script = switch
    wait(node.up.is_set)
    assert callbacks.order[:1] == ["up"]


def test_delivers_events_before_the_disconnect(
    node: Node, peer: Any, callbacks: CallbackLog, wait: Wait
) -> None:
    def script(line: Any) -> None:
        switch(line, then=lambda: [*[line.event("Event-Name: DTMF") for _ in range(20)], line.sock.close()])

    def slowly(event: EslEvent) -> None:
        gevent.sleep(0.002)
        callbacks.event(event)

    peer.script = script
    node.on_event = slowly
    node.start()
    wait(lambda: "down" in callbacks.order)
    assert callbacks.order[: callbacks.order.index("down")] == ["up"] + ["event"] * 21


def test_asks_a_channel_for_its_recordings(node: Node, peer: Any, wait: Wait) -> None:
    peer.script = switch
    node.start()
    wait(node.up.is_set)
    assert node.recordings_of("one") == ("/spool/one.wav",)
    assert node.recordings_of("gone") is None


def test_stop_ends_the_connection(node: Node, peer: Any, callbacks: CallbackLog, wait: Wait) -> None:
    peer.script = switch
    node.start()
    wait(node.up.is_set)
    node.stop()
    assert callbacks.order[-1] == "down"
    assert not node.up.is_set()
    assert len(peer.lines) == 1
