"""A telephone in the browser: a page with keys, whose calls the practice switch takes, and whose sound it
plays. It rings, whatever the number, for whoever is called to a room. So a room can be entered by telephone
on a machine without FreeSWITCH."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.event import AsyncResult
from gevent.pywsgi import WSGIServer
from gevent.queue import Empty, Queue

from demo.practice.party import PracticeParty
from demo.practice.session import PracticeCall
from demo.practice.sound import Samples
from demo.practice.switch import PracticeSwitch

PAGE: Final = Path(__file__).with_name("telephone.html")

SHOWN_NUMBER: Final = "+32470000001"
"""The number that a caller shows."""

MOST_FRAMES: Final = 500
"""Frames of 20 ms that wait for a browser; of a slower one, the oldest are dropped."""

LOOKS: Final = 100
"""How often it is looked whether the telephone rings, until the page asks again."""

LOOK_EVERY: Final = 0.2
"""Seconds."""

KEYS: Final = frozenset("0123456789*#")

Start = Callable[[str, list[tuple[str, str]]], object]


@dataclass(frozen=True, slots=True)
class _Bell:
    """A call that rings: what connects it once somebody answers."""

    connect: Callable[[], PracticeCall]
    call: AsyncResult[PracticeCall] = field(default_factory=AsyncResult)


class BrowserTelephone:
    """The page on a port of this machine. ``number`` is what it dials."""

    def __init__(self, switch: PracticeSwitch, port: int, number: str) -> None:
        self._switch = switch
        self._number = number
        self._host = f"127.0.0.1:{port}"
        self._calls: dict[str, tuple[PracticeCall, Queue[Samples]]] = {}
        self._bell: _Bell | None = None
        self._server = WSGIServer(("127.0.0.1", port), self._answer, log=None)

    def start(self) -> None:
        self._switch.ring = self._ring
        self._server.start()

    def stop(self) -> None:
        self._server.stop(timeout=0)

    def _answer(self, request: dict[str, Any], start: Start) -> Iterable[bytes]:
        """The page; ``/call``, ``/rings/KNOWN``, ``/answer``, ``/sound/CALL``, ``/key/CALL/KEY`` and
        ``/end/CALL``, for the page alone."""
        path = str(request["PATH_INFO"]).strip("/").split("/")
        method = request["REQUEST_METHOD"]
        if request.get("HTTP_HOST") != self._host:
            return _reply(start, "403 Forbidden")
        if path == [""] and method == "GET":
            page = PAGE.read_text("utf-8").replace("{number}", self._number)
            return _reply(start, "200 OK", page.encode(), "text/html; charset=utf-8")
        if request.get("HTTP_ORIGIN", f"http://{self._host}") != f"http://{self._host}":
            return _reply(start, "403 Forbidden")
        if path == ["call"] and method == "POST":
            return _tell(start, call=self._call())
        if path[0] == "rings" and method == "GET":
            return _tell(start, rings=self._watch(path[-1] == "true"))
        if path == ["answer"] and method == "POST":
            return _tell(start, call=self._pick_up())
        call, frames = self._calls.get(path[1] if len(path) > 1 else "", (None, None))
        if call is None or frames is None:
            return _reply(start, "404 Not Found")
        if path[0] == "sound" and method == "GET":
            start("200 OK", [("Content-Type", "application/octet-stream"), ("Cache-Control", "no-store")])
            return _sound(call, frames)
        if path[0] == "key" and method == "POST" and path[-1] in KEYS:
            call.press(path[-1])
            return _reply(start, "204 No Content")
        if path[0] == "end" and method == "POST":
            call.hang_up()
            return _reply(start, "204 No Content")
        return _reply(start, "404 Not Found")

    def _call(self) -> str:
        return self._connect(self._switch.call(self._number, PracticeParty(number=SHOWN_NUMBER)))

    def _ring(self, connect: Callable[[], PracticeCall], seconds: float) -> PracticeCall | None:
        """Ring until somebody answers; ``None`` if nobody does. The latest call rings."""
        self._bell = bell = _Bell(connect)
        call = bell.call.wait(self._switch.pace.real(seconds))
        if self._bell is bell:
            self._bell = None
        return call

    def _watch(self, known: bool) -> bool:
        """Whether it rings, as soon as the page knows otherwise."""
        for _ in range(LOOKS):
            if (self._bell is not None) != known:
                break
            gevent.sleep(LOOK_EVERY)
        return self._bell is not None

    def _pick_up(self) -> str | None:
        bell, self._bell = self._bell, None
        if bell is None:
            return None
        call = bell.connect()
        bell.call.set(call)
        return self._connect(call)

    def _connect(self, call: PracticeCall) -> str:
        """Have the page hear a call."""
        frames: Queue[Samples] = Queue()

        def hear(frame: Samples) -> None:
            while frames.qsize() >= MOST_FRAMES:
                frames.get()
            frames.put(frame)

        call.media.ear = hear
        self._calls = {uuid: each for uuid, each in self._calls.items() if not each[0].leg.cause}
        self._calls[call.leg.uuid] = call, frames
        return call.leg.uuid


def _sound(call: PracticeCall, frames: Queue[Samples]) -> Iterator[bytes]:
    """What a caller hears until the end of their call: 16 bit, 8000 per second."""
    while not call.leg.cause:
        try:
            yield frames.get(timeout=0.5).astype("<i2").tobytes()
        except Empty:
            continue
        except GeneratorExit:  # the page was closed
            call.hang_up()
            raise


def _tell(start: Start, **what: object) -> list[bytes]:
    return _reply(start, "200 OK", json.dumps(what).encode(), "application/json")


def _reply(start: Start, status: str, body: bytes = b"", kind: str = "text/plain") -> list[bytes]:
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")])
    return [body]
