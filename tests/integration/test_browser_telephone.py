"""The demo's telephone in the browser, on a practice switch: its keys lead a caller in, and it hears
what they hear."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import gevent
import numpy as np
import pytest

from demo.practice.switch import PracticeSwitch
from demo.practice.telephone import BrowserTelephone
from recorder.capture import room_callers
from recorder.switch import commands
from tests.caller_steps import CONFERENCE, KEYS, NUMBER, Desk
from tests.ports import free_ports


class Site(Desk):
    """With a practice switch and the telephone."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.switch = PracticeSwitch(password="x" * 12, daemon="127.0.0.1:1", environment=self.environment)
        self.switch.start()
        self.connect(self.switch.event_port, "x" * 12)
        port = free_ports()
        self.address = f"http://127.0.0.1:{port}"
        self.telephone = BrowserTelephone(self.switch, port, NUMBER)
        self.telephone.start()

    def ask(self, path: str, method: str = "POST", **headers: str) -> bytes:
        request = urllib.request.Request(self.address + path, method=method, headers=headers)
        answer: bytes = gevent.get_hub().threadpool.apply(lambda: urllib.request.urlopen(request).read())
        return answer

    def hears(self, call, name: str) -> None:
        wait(lambda: call.played and call.played[-1] == self.sound(name))

    def close(self) -> None:
        self.telephone.stop()
        self.node.stop()
        self.switch.stop()


def wait(condition) -> None:
    with gevent.Timeout(20):
        while not condition():
            gevent.sleep(0.01)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(room_callers, "FIRST_CODE_S", 0.2)
    found = Site(tmp_path)
    yield found
    found.close()


def test_keys_lead_into_the_room_and_the_page_hears_the_call(site: Site) -> None:
    assert NUMBER in site.ask("/", "GET").decode()
    uuid = json.loads(site.ask("/call"))["call"]
    (call,) = site.switch.sessions.values()
    sound = gevent.spawn(site.ask, f"/sound/{uuid}", "GET")
    site.hears(call, "code")
    for key in KEYS:
        site.ask(f"/key/{uuid}/{key}")
    site.hears(call, "question")
    site.ask(f"/key/{uuid}/1")
    wait(lambda: CONFERENCE in site.switch.conferences)
    site.ask(f"/end/{uuid}")
    samples = np.frombuffer(sound.get(timeout=10), "<i2")
    assert samples.any()
    assert call.wait("ended", 10)


def test_it_rings_for_somebody_who_is_called_to_a_room_and_its_keys_lead_in(site: Site) -> None:
    assert site.switch.ring(pytest.fail, 0.1) is None, "nobody answers"
    order = commands.call_to_room("sofia/gateway/out/{number}", "+32470000002", "fr", NUMBER, 40)
    order_reply = gevent.spawn(site.switch.api, order.text.removeprefix("api "))
    assert json.loads(site.ask("/rings/false", "GET"))["rings"]
    assert not site.switch.sessions, "nobody has answered"
    uuid = json.loads(site.ask("/answer"))["call"]
    assert order_reply.get(timeout=10) == f"+OK {uuid}\n"
    assert not json.loads(site.ask("/rings/true", "GET"))["rings"]
    assert json.loads(site.ask("/answer"))["call"] is None
    (call,) = site.switch.sessions.values()
    site.hears(call, "code-fr")
    for key in KEYS:
        site.ask(f"/key/{uuid}/{key}")
    site.hears(call, "question")
    site.ask(f"/end/{uuid}")
    assert call.wait("ended", 10)


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_other_pages_make_no_calls(site: Site, headers: dict[str, str]) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        site.ask("/call", **headers)
    assert not site.switch.sessions
