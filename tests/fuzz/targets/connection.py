"""A switch that sends anything over a real socket: replies go to their commands in order, events to their
handler in order, every waiter is notified of the end, and nothing is raised anywhere."""

from __future__ import annotations

import gevent
from gevent import socket

from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.esl import Inbound
from recorder.switch.esl_events import EslEvent
from recorder.switch.framing import MAX_BODY, MAX_HEAD
from tests.fuzz.choices import Choices
from tests.fuzz.targets.framing import reference

INSTRUMENT = ("recorder.switch",)
LONGEST = 400

_listener = socket.create_server(("127.0.0.1", 0))


def check(data: bytes) -> None:
    choices = Choices(data)
    pending_count = choices.below(5)
    longest = choices.pick((1, 8, 64, 255))
    tape = Choices(choices.take(choices.below(32)))
    stream = choices.rest()
    expected, malformed = reference(stream, MAX_HEAD, MAX_BODY)

    connection = Inbound("127.0.0.1", 0, "x")
    events_read: list[bytes] = []
    ended: list[str] = []
    connection.register_handle("*", lambda event: events_read.append(event.raw))
    connection.on_close(ended.append)
    far = socket.create_connection(_listener.getsockname())
    near, _ = _listener.accept()
    try:
        connection.adopt(near)
        pending = connection.send_all([commands.status()] * pending_count)
        connection.start_event_handlers()
        for piece in tape.cut(stream, longest):
            try:
                far.sendall(piece)
            except OSError:
                break  # it closed already, as it must after malformed bytes
        far.shutdown(socket.SHUT_WR)
        assert connection.closed.wait(5), "the connection did not end with the other side"
        assert connection.join_handlers(5)
    finally:
        far.close()
        connection.close()
    replies, events, why = _expected(expected, pending_count)
    assert len(ended) == 1
    assert events_read == events
    for number, each in enumerate(pending):
        assert each.is_settled
        try:
            assert each.wait().data == replies[number]
        except SwitchError as error:
            assert error.error_id == "switch.gone"
            assert number >= len(replies)
    if why is None:
        assert ("malformed" in connection.reason) == malformed, connection.reason
    assert connection.handler_failures == 0
    gevent.sleep(0)


def _expected(frames: list, pending_count: int) -> tuple[list[str], list[bytes], str | None]:
    """The replies and the events in order, and an early end of the connection."""
    replies: list[str] = []
    events: list[bytes] = []
    for kind, head, body in frames:
        if kind == b"text/event-plain":
            events.append(EslEvent(body).raw)
        elif kind in (b"command/reply", b"api/response"):
            if len(replies) == pending_count:
                return replies, events, "a reply to nothing"
            if kind == b"api/response":
                replies.append(body[1:].decode("utf-8", "replace").strip())
            else:
                lines = [line[12:] for line in head.split(b"\n") if line.startswith(b"Reply-Text: ")]
                from tests.fuzz.targets.events import reference_decode

                replies.append(reference_decode(lines[0]).strip() if lines else "")
        elif kind == b"text/rude-rejection":
            return replies, events, "refused"
        elif kind == b"text/disconnect-notice" and b"\nContent-Disposition: linger\n" not in head:
            return replies, events, "good-bye"
    return replies, events, None


_EVENT = b"Event-Name: DTMF\nUnique-ID: 1\n\n"
SEEDS = tuple(
    bytes([n, 2, 2, 1, 5]) + stream
    for n, stream in enumerate(
        (
            b"Content-Length: %d\nContent-Type: text/event-plain\n\n%s" % (len(_EVENT), _EVENT) * 2,
            b"Content-Type: auth/request\n\nContent-Type: command/reply\nReply-Text: +OK accepted\n\n" * 2,
            b"Content-Type: api/response\nContent-Length: 3\n\nUP \nContent-Type: text/disconnect-notice\n"
            b"Content-Disposition: linger\nContent-Length: 2\n\nabContent-Type: command/reply\n\n",
            b"Content-Type: text/rude-rejection\nContent-Length: 4\n\nno\n\n",
        )
    )
)
