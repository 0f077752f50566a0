"""A telephone in the browser: a page with keys, whose calls the practice switch takes, and whose sound it
plays. So a room can be entered by telephone on a machine without FreeSWITCH."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

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

KEYS: Final = frozenset("0123456789*#")

Start = Callable[[str, list[tuple[str, str]]], object]


class BrowserTelephone:
    """The page on a port of this machine. ``number`` is what it dials."""

    def __init__(self, switch: PracticeSwitch, port: int, number: str) -> None:
        self._switch = switch
        self._number = number
        self._host = f"127.0.0.1:{port}"
        self._calls: dict[str, tuple[PracticeCall, Queue[Samples]]] = {}
        self._server = WSGIServer(("127.0.0.1", port), self._answer, log=None)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop(timeout=0)

    def _answer(self, request: dict[str, Any], start: Start) -> Iterable[bytes]:
        """The page; ``/call``, ``/sound/CALL``, ``/key/CALL/KEY`` and ``/end/CALL``, for the page alone."""
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
            return _reply(start, "200 OK", json.dumps({"call": self._call()}).encode(), "application/json")
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
        call = self._switch.call(self._number, PracticeParty(number=SHOWN_NUMBER))
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


def _reply(start: Start, status: str, body: bytes = b"", kind: str = "text/plain") -> list[bytes]:
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")])
    return [body]
