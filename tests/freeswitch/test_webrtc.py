"""Phones with DTLS-SRTP (WebRTC's media: ICE, DTLS-SRTP), on a real switch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest

from tests.freeswitch.lines import configuration, extension, set_every_line
from tests.freeswitch.switches import (
    NUMBER,
    RATE,
    CallUnderTest,
    Rig,
    heard_whole,
    level,
    read_wav,
    until,
)
from tests.freeswitch.test_feature_codes import CALLEE, CALLER, dial, each, encoded, zeros

WEBRTC = ",media_webrtc=true"
COLLEAGUE = f"{NUMBER}71"
"""Whose telephone is called so."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("webrtc")
    target = f"{{media_webrtc=true}}sofia/accord/{COLLEAGUE}@$${{accord_route}}"
    route = extension("webrtc", COLLEAGUE, "set:hangup_after_bridge=true", f"bridge:{target}")
    conf = configuration(folder, {"public/85_webrtc.xml": route})
    with Rig(folder / "rig", conf).run() as rig:
        yield rig


def over_dtls(rig: Rig, leg: str) -> bool:
    """Whether the switch reports that a leg's keys came by DTLS."""
    return rig.switch.esl.api(f"uuid_getvar {leg} rtp_has_crypto").startswith("srtp:dtls:")


def coded(rig: Rig, call: CallUnderTest, code: str, kind: str) -> None:
    """Dial a code until it is accepted: if a phone sends an event more than once, as this one does,
    FreeSWITCH sometimes reads a copy that it cannot decrypt as another key (switch_rtp.c)."""
    for _ in range(6):
        dial(rig, call, code)
        with suppress(AssertionError):
            each([call], kind, 2)
            return
    each([call], kind, 1)


def test_dtls_srtp(system: Rig) -> None:
    """On the external leg, on the internal one, and on both."""
    sounds = set_every_line(system, "line")
    calls = [system.call(more=WEBRTC), system.call(COLLEAGUE), system.call(COLLEAGUE, more=WEBRTC)]
    each(calls, "bridged", 60)
    for call, (outside, inside) in zip(calls, [(True, False), (False, True), (True, True)], strict=True):
        for leg, is_so in ((str(call.leg), outside), (call.variable("bridge_uuid"), inside)):
            if is_so:
                until("the keys are there", lambda leg=leg: over_dtls(system, leg), 10)
            assert over_dtls(system, leg) is is_so
    time.sleep(1)
    for call in calls:
        coded(system, call, "*6", "paused")
        coded(system, call, "*7", "resumed")
    for call in calls:
        call.hold()
    each(calls, "hold")
    time.sleep(1)
    for call in calls:
        call.unhold()
    each(calls, "unhold")
    time.sleep(2)
    for call in calls:
        call.hang_up()
    for call in calls:
        encoded_take, _raw, redacted = encoded(call, sounds)
        assert heard_whole(read_wav(call.heard_by_caller)[:, 0], system.prompt)
        assert encoded_take.announced is not None
        assert encoded_take.announced.score > 0.9
        assert abs(encoded_take.drift_ms) < 1500, "the hold, in which they sent nothing"
        (pause,) = [gap for gap in encoded_take.gaps if gap.reason == "paused"]
        assert any(
            start <= pause.start_ms * 8 and pause.end_ms * 8 <= end for start, end in zeros(redacted)
        ), (
            pause,
            zeros(redacted),
        )
        last = redacted[-RATE * 3 // 2 : -RATE // 4]
        for channel, pitch in enumerate((CALLER, CALLEE)):
            assert np.median(level(last[:, channel], pitch)) > 0.2
            assert np.median(level(last[:, 1 - channel], pitch)) < 0.05
