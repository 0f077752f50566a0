"""A live call is paused from the panel over HTTP, through the real processes: web, catalogue, worker, daemon
and switch, down to the audio.  With the daemon dead, the failure is reported."""

from __future__ import annotations

import http.cookiejar
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recorder.spool.layout import read_markers
from tests.freeswitch.switches import read_wav
from tests.integration.ending.conftest import NUMBER as RECORDED
from tests.integration.ending.conftest import Site
from tests.waiting import until

pytestmark = pytest.mark.long

PASSWORD = "two voices, one agreement"
TOKEN = re.compile(r'name="csrf_token"[^>]* value="([^"]+)"')
CALL = re.compile(r'id="call-([0-9a-f-]{36})"')


class Panel:
    """A user of the panel, without JavaScript."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._open = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        ).open

    def get(self, path: str) -> str:
        return str(self._open(self.address + path, timeout=20).read().decode())

    def send(self, path: str, page: str, **fields: str) -> str:
        """Fill in a form of a page; returns the resulting page."""
        found = TOKEN.search(self.get(page))
        assert found is not None
        form = urllib.parse.urlencode({"csrf_token": found[1], **fields}).encode()
        return str(self._open(self.address + path, form, timeout=20).read().decode())

    def join(self, link: str) -> None:
        """Accept an invitation with :data:`PASSWORD`, which logs in."""
        path = urllib.parse.urlsplit(link.strip()).path
        self.send(path, path, password=PASSWORD)

    def call(self) -> str:
        """The id of the one live, announced call."""
        found: list[str] = []

        def there() -> bool:
            page = self.get("/live")
            found[:] = CALL.findall(page) if "Recording now" in page else []
            return bool(found)

        until("the call is in the panel", there, 30)
        return found[0]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    # Deeper than the kernel's limit for a socket's name.
    folder = tmp_path / ("d" * 60) / ("e" * 60)
    folder.mkdir(parents=True)
    own_site = Site(folder)
    own_site.install(RECORDED)
    yield own_site
    own_site.close()


def silent(samples: np.ndarray) -> float:
    """The longest stretch in seconds that is silent in both channels."""
    zero = np.concatenate([[False], ~samples.any(axis=1), [False]])
    edges = np.flatnonzero(np.diff(zero.astype(int))).reshape(-1, 2)
    return float(max((end - start for start, end in edges), default=0)) / 8000


def test_a_live_call_is_paused_from_the_panel_and_not_with_the_daemon_dead(site: Site) -> None:
    web, worker, daemon = site.start("web"), site.start("worker"), site.start("daemon")
    daemon.wait_for_log("snapshot.read")
    web.wait_for_log("web.listening")
    switch = site.call()
    switch.wait_for_log("is connected")
    panel = Panel(f"http://127.0.0.1:{site.ports.web}")
    who = ("--tenant", "Menuiserie Dubois", "claire@example.com", "--language", "en")
    panel.join(site.output("user", "invite", *who))
    call = panel.call()
    audio = site.spool / call / "audio.wav"

    start = time.monotonic()
    page = panel.send(f"/live/{call}/pause", "/live")
    seconds = time.monotonic() - start
    assert "Paused: what is said now is not recorded." in page
    assert seconds < 2, f"{seconds:.1f} s from the click to the answer"
    masked_from = len(read_wav(audio))
    time.sleep(3)
    masked_to = len(read_wav(audio))
    page = panel.send(f"/live/{call}/mark", "/live")
    assert "Moment marked." in page
    page = panel.send(f"/live/{call}/resume", "/live")
    assert "Recording again." in page
    assert "That did not work: the recording was not paused." in panel.send(f"/live/{call}/resume", "/live")
    markers = {marker.kind: marker for marker in read_markers(site.spool / call)}
    for kind in ("paused", "moment_marked", "resumed"):
        assert markers[kind].data["by"] == "panel"
    pause_length = (markers["resumed"].at - markers["paused"].at).total_seconds()
    time.sleep(3)
    sound = read_wav(audio)
    assert masked_to - masked_from > 2 * 8000
    assert not sound[masked_from:masked_to].any(), "something was recorded in the pause"
    assert silent(sound) > pause_length - 0.3
    assert sound[masked_to:].any(), "it goes on"

    daemon.kill()
    page = panel.send(f"/live/{call}/pause", "/live")
    assert "That did not work: the recorder did not answer." in page
    assert "Paused" not in page.partition('id="live-calls"')[0]
    # A dead worker looks the same to the user.
    worker.kill()
    page = panel.send(f"/live/{call}/mark", "/live")
    assert "That did not work: the recorder did not answer." in page
    assert [marker.kind for marker in read_markers(site.spool / call)].count("moment_marked") == 1
