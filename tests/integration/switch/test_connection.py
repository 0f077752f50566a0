"""One connection to a peer that misbehaves on purpose."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event

from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.connection import ConnectionLimits
from recorder.switch.esl import Inbound
from recorder.switch.esl_events import EslEvent
from tests.expected_errors import error_of

Dial = Callable[..., Inbound]
Wait = Callable[[Callable[[], object]], None]
QUICK = ConnectionLimits(connect=0.3, reply=0.3, write=0.3, silence=3.0)


# --- logging in


def knock(port: int) -> Inbound:
    return Inbound("127.0.0.1", port, "secret", timeout=0.3, limits=QUICK)


def test_gives_up_on_a_silent_peer(peer: Any) -> None:
    peer.script = lambda line: line.read_text()
    start = time.monotonic()
    assert error_of(knock(peer.port).connect) == "switch.timeout"
    assert time.monotonic() - start < 1


def test_gives_up_if_the_password_is_not_answered(peer: Any) -> None:
    def script(line: Any) -> None:
        line.say(b"Content-Type: auth/request\n\n")
        line.read_text()
        line.read_text()

    peer.script = script
    assert error_of(knock(peer.port).connect) == "switch.timeout"


def test_reports_a_wrong_password(peer: Any) -> None:
    def script(line: Any) -> None:
        line.say(b"Content-Type: auth/request\n\n")
        line.read_text()
        line.reply("-ERR invalid")
        line.say(b"Content-Type: text/disconnect-notice\nContent-Length: 3\n\nbye")

    peer.script = script
    assert error_of(knock(peer.port).connect) == "switch.password"


def test_reports_the_access_list(peer: Any) -> None:
    peer.script = lambda line: line.say(
        b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n"
    )
    with pytest.raises(SwitchError, match="access list") as failure:
        knock(peer.port).connect()
    assert "apply-inbound-acl" in failure.value.hint


def test_reports_an_unreachable_switch(peer: Any) -> None:
    port = peer.port
    peer.close()
    assert error_of(knock(port).connect) == "switch.away"


# --- commands and replies


def test_matches_replies_in_order(dial: Dial) -> None:
    def script(line: Any) -> None:
        lines_read = [line.read_text() for _ in range(3)]
        for text in lines_read:
            line.answer(f"said {text}")

    connection = dial(script)
    names = ["a", "b", "c"]
    pending_replies = connection.send_all([commands.module_exists(name) for name in names])
    assert [pending.wait().data for pending in pending_replies] == [
        f"said api module_exists {name}" for name in names
    ]


def test_drops_a_late_reply(dial: Dial) -> None:
    go = Event()

    def script(line: Any) -> None:
        first = line.read_text()
        go.wait()
        line.answer(f"late {first}")
        line.answer(f"now {line.read_text()}")

    connection = dial(script)
    assert error_of(lambda: connection.api(commands.module_exists("slow"), 0.05)) == "switch.timeout"
    second = connection.send_later(commands.module_exists("next"))
    go.set()
    assert second.wait().data == "now api module_exists next"
    assert connection.connected


def test_limit_passes_without_a_waiter(dial: Dial, wait: Wait) -> None:
    connection = dial(lambda line: [line.read_text(), line.read_text()])
    pending = connection.send_later(commands.status(), 0.05)
    results: list[object] = []
    pending.then(results.append)
    wait(lambda: pending.is_settled)
    wait(lambda: results)
    assert error_of(pending.wait) == "switch.timeout"


def test_raises_a_refusal(dial: Dial) -> None:
    connection = dial(
        lambda line: [line.read_text(), line.answer("-ERR No such channel!\n"), line.read_text()]
    )
    with pytest.raises(SwitchError, match="No such channel") as failure:
        connection.api(commands.media_bugs("x"))
    assert failure.value.error_id == "switch.refused"


def test_denied_api_command_is_a_refusal(dial: Dial) -> None:
    """mod_event_socket answers ``api`` with command/reply when esl-allowed-api forbids it."""
    connection = dial(lambda line: [line.read_text(), line.reply("-ERR permission denied"), line.read_text()])
    assert error_of(lambda: connection.api(commands.status())) == "switch.refused"


def test_sends_only_commands(dial: Dial) -> None:
    connection = dial(lambda line: line.read_text())
    with pytest.raises(TypeError):
        connection.send("api shutdown")  # type: ignore[arg-type]


# --- the end


def test_end_fails_all_waiting_commands(dial: Dial) -> None:
    connection = dial(lambda line: [line.read_text(), line.sock.close()])
    ends: list[str] = []
    connection.on_close(ends.append)
    pending_replies = connection.send_all([commands.status(), commands.status()])
    assert [error_of(pending.wait) for pending in pending_replies] == ["switch.gone"] * 2
    assert len(ends) == 1
    assert error_of(lambda: connection.api(commands.status())) == "switch.gone"
    connection.on_close(ends.append)
    assert len(ends) == 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"Content-Type: api/response\nContent-Length: -5\n\n", "malformed"),
        (b"HTTP/1.1 400 Bad Request\r\n\n\n", "malformed"),
        (b"Content-Type: command/reply\nReply-Text: +OK\n\n", "without a command"),
        (b"Content-Type: text/disconnect-notice\nContent-Length: 3\n\nbye", "ended the connection"),
    ],
)
def test_protocol_violations_end_the_connection(dial: Dial, data: bytes, reason: str) -> None:
    connection = dial(lambda line: [line.say(data), line.read_text()])
    assert connection.closed.wait(2)
    assert reason in connection.reason


def test_end_within_a_frame(dial: Dial) -> None:
    connection = dial(
        lambda line: [line.say(b"Content-Type: api/response\nContent-Length: 50\n\nhalf"), line.sock.close()]
    )
    assert connection.closed.wait(2)


def test_linger_notice_does_not_end_the_connection(dial: Dial) -> None:
    connection = dial(
        lambda line: [
            line.say(
                b"Content-Type: text/disconnect-notice\nControlled-Session-UUID: a\n"
                b"Content-Disposition: linger\nChannel-Name: x\nLinger-Time: 5\nContent-Length: 0\n\n"
            ),
            line.read_text(),
            line.answer("UP"),
            line.read_text(),
        ]
    )
    assert connection.api(commands.status()) == "UP"


def test_stop_sends_exit(dial: Dial) -> None:
    lines_read: list[str] = []

    def script(line: Any) -> None:
        lines_read.append(line.read_text())
        line.reply("+OK bye")
        line.read_text()

    connection = dial(script)
    connection.stop()
    assert lines_read == ["exit"]
    assert not connection.connected


def test_stopping_with_a_silent_peer_takes_one_limit(dial: Dial) -> None:
    connection = dial(lambda line: gevent.sleep(60), QUICK)
    start = time.monotonic()
    connection.stop()
    assert time.monotonic() - start < 1


def test_sets_kernel_timeouts_for_dead_peers(dial: Dial) -> None:
    """If a peer's machine is gone, not even TCP answers; the timeout is the limit's, not the kernel's two
    hours."""
    sock = dial(lambda line: line.read_text(), ConnectionLimits(silence=9)).sock
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    idle, interval, count, unanswered = (
        sock.getsockopt(socket.IPPROTO_TCP, option)
        for option in (
            socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT,
        )
    )  # fmt: skip
    assert idle + interval * count == 9
    assert unanswered == 9000
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


# --- writes


def test_peer_that_does_not_read_costs_one_limit(dial: Dial) -> None:
    connection = dial(lambda line: gevent.sleep(60), QUICK)
    much = [commands.put_variable("a", "b", "x" * 1000)] * 20_000
    start = time.monotonic()
    assert error_of(lambda: connection.send_all(much)) == "switch.gone"
    # A limit for each command would add up to hours; building 20,000 commands takes seconds.
    assert time.monotonic() - start < 30
    assert "write" in connection.reason


def test_concurrent_large_writes_do_not_mix(dial: Dial) -> None:
    count = 3000
    lines_read: list[str] = []

    def script(line: Any) -> None:
        gevent.sleep(0.05)  # the kernel's buffers fill, and the writers must wait
        for _ in range(2 * count):
            lines_read.append(line.read_text())
            line.reply()

    connection = dial(script, ConnectionLimits(reply=20, write=20))
    both = [
        gevent.spawn(connection.send_all, [commands.put_variable(name, "v", name * 900)] * count)
        for name in ("a", "b")
    ]
    gevent.joinall(both, timeout=20, raise_error=True)
    for greenlet in both:
        assert all(pending.wait().data == "+OK" for pending in greenlet.get())
    assert set(lines_read) == {f"api uuid_setvar {name} v {name * 900}" for name in ("a", "b")}
    # One write was complete before the other began.
    assert sum(x[16] != y[16] for x, y in itertools.pairwise(lines_read)) == 1


def test_killed_writer_ends_the_connection(dial: Dial, wait: Wait) -> None:
    connection = dial(lambda line: gevent.sleep(60), ConnectionLimits(write=30))
    writer = gevent.spawn(connection.send_all, [commands.put_variable("a", "b", "x" * 1000)] * 20_000)
    wait(lambda: connection._pending)
    gevent.sleep(0.05)
    writer.kill()
    assert connection.closed.is_set()


# --- events
#
# Each script waits for a first command, which is sent once the handlers are registered.


def test_slow_handler_delays_no_other(dial: Dial, wait: Wait) -> None:
    connection = dial(
        lambda line: [
            line.read_text(),
            *[line.event("Event-Name: DTMF", f"Event-Sequence: {number}") for number in range(1, 101)],
            line.answer("UP"),
            line.read_text(),
        ]
    )
    release, sequences = Event(), []

    def slow(event: EslEvent) -> None:
        release.wait()

    def quick(event: EslEvent) -> None:
        sequences.append(event.sequence)

    connection.register_handle("DTMF", slow)
    connection.register_handle("DTMF", quick)
    assert connection.api(commands.status()) == "UP"
    wait(lambda: len(sequences) == 100)
    assert sequences == list(range(1, 101))
    release.set()


def test_failing_handler_is_counted_and_continues(
    dial: Dial, wait: Wait, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = dial(
        lambda line: [
            line.read_text(),
            line.event("Event-Name: DTMF", "Unique-ID: a"),
            line.event("Event-Name: DTMF", "Unique-ID: b"),
            line.read_text(),
        ]
    )
    channels = []

    def handler(event: EslEvent) -> None:
        channels.append(event.uuid)
        raise KeyError(event.uuid)

    connection.register_handle("DTMF", handler)
    connection.send_later(commands.status())
    wait(lambda: connection.handler_failures == 2)
    assert channels == ["a", "b"]
    assert connection.connected
    assert "switch.handler_failed" in capsys.readouterr().out


def test_handler_too_far_behind_ends_the_connection(dial: Dial) -> None:
    connection = dial(
        lambda line: [
            line.read_text(),
            *[line.event("Event-Name: DTMF") for _ in range(30)],
            line.read_text(),
        ],
        ConnectionLimits(backlog=10),
    )
    connection.register_handle("DTMF", lambda event: gevent.sleep(60))
    connection.send_later(commands.status())
    assert connection.closed.wait(2)
    assert "10 events behind" in connection.reason


def test_handles_events_before_the_end(dial: Dial) -> None:
    connection = dial(
        lambda line: [
            line.read_text(),
            *[line.event("Event-Name: DTMF") for _ in range(30)],
            line.sock.close(),
        ]
    )
    events: list[EslEvent] = []

    def handler(event: EslEvent) -> None:
        gevent.sleep(0.001)
        events.append(event)

    connection.register_handle("DTMF", handler)
    connection.send_later(commands.status())
    assert connection.closed.wait(2)
    assert connection.join_handlers(2)
    assert len(events) == 30


def test_dispatches_events_to_their_handlers(dial: Dial, wait: Wait) -> None:
    connection = dial(
        lambda line: [
            line.read_text(),
            line.event("Event-Name: DTMF"),
            line.event("Event-Name: CUSTOM", "Event-Subclass: accord%3A%3Akeep"),
            line.event("Event-Name: CUSTOM", "Event-Subclass: other"),
            line.event("Event-Name: HEARTBEAT"),
            line.read_text(),
        ]
    )
    handled_events: list[tuple[str, str]] = []
    connection.register_handle("DTMF", lambda event: handled_events.append(("dtmf", event.name)))
    connection.register_handle("accord::keep", lambda event: handled_events.append(("keep", event.subclass)))
    connection.register_handle(
        "*", lambda event: handled_events.append(("any", event.subclass or event.name))
    )
    connection.send_later(commands.status())
    wait(lambda: len(handled_events) == 4)
    assert sorted(handled_events) == [
        ("any", "HEARTBEAT"),
        ("any", "other"),
        ("dtmf", "DTMF"),
        ("keep", "accord::keep"),
    ]


def test_forged_caller_id_changes_no_header(dial: Dial, wait: Wait) -> None:
    connection = dial(
        lambda line: [
            line.read_text(),
            line.event(
                "Event-Name: CHANNEL_CREATE",
                "Unique-ID: mine",
                "Caller-Caller-ID-Name: x%0AUnique-ID%3A%20evil%0Avariable_y%3A%20z%0A%0A%FF%FE",
            ),
            line.answer("UP"),
            line.read_text(),
        ]
    )
    events: list[EslEvent] = []
    connection.register_handle("CHANNEL_CREATE", events.append)
    up = connection.send_later(commands.status())
    wait(lambda: events)
    assert events[0].uuid == "mine"
    assert events[0].variable("y", "unset") == "unset"
    assert up.wait().data == "UP"
