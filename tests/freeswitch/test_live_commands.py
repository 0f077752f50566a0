"""Live commands on a real switch: from the panel and from a program, to several calls at once. With the
daemon killed they fail, and the failure is reported."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from recorder.clock import utc_now
from recorder.features.live import queries
from recorder.features.live.duty import LiveCallRelay
from recorder.identity import api_tokens, tenants, users
from tests.freeswitch.lines import set_every_line
from tests.freeswitch.switches import PAUSE_SECONDS, RATE, CallUnderTest, Rig, level, read_wav, until
from tests.freeswitch.test_feature_codes import (
    CALLEE,
    CALLER,
    PAUSED,
    dial,
    each,
    encoded,
    start_calls,
    zeros,
)
from tests.house import PASSWORD, House, _hashed
from web import WebConfig, create_app
from web.state import PanelState

TENANT, TOKEN = "t1", "accord_only-for-this-test"
TOKEN_IN_PAGE = re.compile(r'name="csrf_token"[^>]* value="([^"]+)"')


class CommandClients:
    """A panel user and an API client of the customer whose calls these are."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self._send("/login", "/login", login="claire", password=PASSWORD)

    def _send(self, path: str, page: str, **fields: str) -> str:
        found = TOKEN_IN_PAGE.search(self.client.get(page).text)
        assert found is not None
        return self.client.post(path, data={"csrf_token": found[1], **fields}, follow_redirects=True).text

    def panel(self, call: CallUnderTest, what: str) -> str:
        return self._send(f"/live/{self.id(call)}/{what}", "/live")

    def program(self, call: CallUnderTest, what: str) -> tuple[int, dict]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = self.client.post(f"/api/v1/calls/{self.id(call)}/{what}", headers=headers)
        return answer.status_code, answer.json or {}

    def id(self, call: CallUnderTest) -> str:
        """Return the recording's id, once the catalogue has it."""
        folder = call.take()
        assert folder is not None
        until("it is in the catalogue", lambda: queries.live_call(TENANT, folder.name, utc_now()), 5)
        return folder.name


@pytest.fixture
def clients(daemon: Rig, tmp_path: Path) -> Iterator[CommandClients]:
    """The panel and the worker's relay on one catalogue, beside the rig's switch and daemon."""
    house = House(tmp_path, utc_now, os.urandom)
    when = {"now": utc_now(), "entropy": os.urandom}
    tenants.create_tenant(TENANT, name="Menuiserie Dubois", wrapped_key="{}", **when)
    signed = when | {"signer": house.services.signer}
    users.create_user(
        TENANT,
        login="claire",
        name="Claire",
        role="customer",
        language="en",
        password_hash=_hashed(),
        **signed,
    )
    hashed = hashlib.sha256(TOKEN.encode()).hexdigest()
    api_tokens.create(TENANT, name="till", token_sha256=hashed, **signed)
    relay = LiveCallRelay("test", daemon.spool, house.root_public)
    relay.start()
    app = create_app(
        PanelState(WebConfig(b"k" * 32, secure_cookies=False), gate=house.gate, changes=house.changes)
    )
    yield CommandClients(app.test_client())
    relay.stop()
    house.close()


def request_pause(call: CallUnderTest, ask: Callable[[CallUnderTest, str], object]) -> tuple[float, float]:
    """Request a pause; return the seconds of recording before the request and after its confirmation."""
    folder = call.take()
    assert folder is not None
    before = len(read_wav(folder / "audio.wav"))
    answer = ask(call, "pause")
    after = len(read_wav(folder / "audio.wav"))
    if isinstance(answer, tuple):
        assert answer[0] == 200, answer
    else:
        assert "Paused: what is said now" in str(answer)
    return before / RATE, after / RATE


def test_live_commands_pause_mark_and_delete_calls(daemon: Rig, clients: CommandClients) -> None:
    sounds = set_every_line(daemon, "deletable")
    calls = panel, program, mixed, by_code, destroyed, left = start_calls(daemon, 6)
    clicked = {
        panel.caller: request_pause(panel, clients.panel),
        program.caller: request_pause(program, clients.program),
        mixed.caller: request_pause(mixed, clients.program),
    }
    dial(daemon, by_code, "*6")
    each([by_code], "paused")
    time.sleep(1)
    panel.key("4")  # a card's number
    dial(daemon, mixed, "*7")  # before it ends by itself
    time.sleep(0.5)
    assert "Recording again." in clients.panel(panel, "resume")
    assert "Recording again." in clients.panel(by_code, "resume")
    assert "Moment marked." in clients.panel(panel, "mark")
    each([panel, by_code, mixed], "resumed")
    assert clients.program(by_code, "resume")[0] == 409, "it is not paused any more"
    assert "The recording is destroyed" in clients.panel(destroyed, "delete")
    until("the pause has ended by itself", lambda: program.variable("accord_paused") == "_undef_", 10)
    time.sleep(1)

    daemon.kill_daemon()
    assert "That did not work: the recorder did not answer." in clients.panel(left, "pause")
    status, problem = clients.program(left, "pause")
    assert (status, problem["type"]) == (503, "urn:accord:command.no_answer")
    daemon.start_daemon()
    daemon.wait_watching()
    time.sleep(1)
    for call in calls:
        assert call.alive(), "a call ended"
        call.hang_up()

    for call in (panel, program, mixed, by_code):
        encoded_take, raw, redacted = encoded(call, sounds)
        ((start, end),) = zeros(raw[RATE * 2 :])
        start, end = start + 2 * RATE, end + 2 * RATE
        marked = {marker.kind: marker for marker in encoded_take.take.markers}
        by = {
            kind: marked[kind].data.get("by")
            for kind in ("paused", "resumed", "moment_marked")
            if kind in marked
        }
        assert (
            by
            == {
                panel.caller: {"paused": "panel", "resumed": "panel", "moment_marked": "panel"},
                program.caller: {"paused": "api"},  # it ended by itself
                mixed.caller: {"paused": "api", "resumed": None},
                by_code.caller: {"paused": None, "resumed": "panel"},
            }[call.caller]
        )
        if call.caller in clicked:
            click_at, answered = clicked[call.caller]
            print(f"{start / RATE - click_at:.2f} s from clients to the first zero")
            assert click_at - 0.1 < start / RATE < answered + 0.1
        if call is program:
            assert PAUSE_SECONDS - 1.5 < (end - start) / RATE < PAUSE_SECONDS + 1.5
        else:
            pause_length = (marked["resumed"].at - marked["paused"].at).total_seconds()
            assert abs((end - start) / RATE - pause_length) < 0.3
        (gap,) = (gap for gap in encoded_take.gaps if gap.reason == "paused")
        assert (gap.channel, gap.start_ms, gap.end_ms) == ("both", -(-start // 8), end // 8)
        assert np.array_equal(raw[end:], redacted[end:]), "the rest is as it was"
        assert np.median(level(redacted[end + RATE // 10 : end + RATE, 0], CALLER)) > 0.2
        assert np.median(level(redacted[end + RATE // 10 : end + RATE, 1], CALLEE)) > 0.2
        samples = level(read_wav(call.heard_by_callee)[:, 0], PAUSED)
        assert samples.max() > 0.02, "the colleague is reminded"
        assert level(read_wav(call.heard_by_caller)[:, 0], PAUSED)[40:].max() < 0.01, "nobody else is"
        talk = redacted[end : -RATE // 2, 0]
        steady = level(talk, CALLER) > 0.235  # where a phone skips a frame, every pitch is in it
        assert level(talk, PAUSED)[steady].max() < 0.015, "and it is in no recording"
    take = destroyed.wait_take()
    assert (take.end.outcome, take.end.reason) == ("not_recorded", "deleted")
    assert not take.audio.exists()
    encoded_take, raw, _redacted = encoded(left, sounds)
    assert zeros(raw[RATE * 2 :]) == []
    assert "paused" not in {marker.kind for marker in encoded_take.take.markers}
