"""Announcements on answer on a real switch: what both hear, and what is kept."""

from __future__ import annotations

import signal
import time

import numpy as np

from tests.freeswitch.lines import set_every_line
from tests.freeswitch.process import event_time
from tests.freeswitch.sound import redact
from tests.freeswitch.switches import (
    NUMBER,
    PASSWORD,
    RATE,
    CallUnderTest,
    Esl,
    Rig,
    heard_whole,
    level,
    read_wav,
    until,
)
from tests.scenarios.files import LOWS, chirp

ANNOUNCEMENT = chirp(low=LOWS["announcement"])
CALLS = 10


def is_announced(call: CallUnderTest) -> bool:
    return "announcement_finished" in call.markers_now()


def silence_after(samples: np.ndarray, other: int) -> float:
    """Seconds from what is told until the other one is heard: as long as they are told themselves."""
    size = len(samples) + len(ANNOUNCEMENT)
    alike = np.fft.irfft(np.fft.rfft(samples, size) * np.conj(np.fft.rfft(ANNOUNCEMENT, size)), size)[
        : len(samples)
    ]
    end = int(alike.argmax()) + len(ANNOUNCEMENT)
    return float((level(samples[end:], other) > 0.2).argmax()) / 10


def test_rings_then_both_hear_the_announcement_then_each_other(daemon: Rig) -> None:
    sounds = set_every_line(daemon, "at_pickup")
    events = Esl(daemon.switch.esl_port, PASSWORD)
    events.command("event plain CHANNEL_ANSWER RECORD_START")
    calls = [daemon.call(f"{NUMBER}78") for _ in range(CALLS)]
    for call in calls:
        until(f"{call.caller} is told", lambda call=call: is_announced(call), 20)
    time.sleep(1.5)
    spans = {
        (event["Caller-Caller-ID-Number"], event["Call-Direction"], event["Event-Name"]): event
        for event in events.drain()
    }
    events.close()
    for call in calls:
        colleague, caller, record_start = (
            spans[call.caller, leg, name]
            for leg, name in (
                ("outbound", "CHANNEL_ANSWER"),
                ("inbound", "CHANNEL_ANSWER"),
                ("inbound", "RECORD_START"),
            )
        )
        assert caller["variable_accord_state"] == "pickup"
        assert event_time(colleague) <= event_time(caller), "answered while it rings"
        assert event_time(colleague) <= event_time(record_start), "recorded while it rings"
        assert call.variable("accord_state") == "announced"
        call.hang_up()
    for call in calls:
        take = call.wait_take()
        assert (take.end.outcome, take.end.reason) == ("recorded", None)
        assert heard_whole(read_wav(call.heard_by_caller)[:, 0], ANNOUNCEMENT)
        assert heard_whole(read_wav(call.heard_by_callee)[:, 0], ANNOUNCEMENT)
        for path, other in ((call.heard_by_caller, 1000), (call.heard_by_callee, 440)):
            assert silence_after(read_wav(path)[:, 0], other) < 0.5, "they hear it one after the other"
        found, redacted = redact(take, sounds.paths["announcement"])
        assert found.announced is not None
        begin, end = (at * RATE // 1000 for at in (found.announced.offset_ms, found.announced.end_ms))
        assert not redacted[:end, 0].any(), "what the caller said before they were told is kept"
        assert not redacted[:begin, 1].any(), "so is what the colleague said"
        later = end + RATE // 2
        assert np.median(level(redacted[later:, 0], 440)) > 0.2
        assert np.median(level(redacted[later:, 1], 1000)) > 0.2


def test_ending_daemon_finishes_its_announcements(daemon: Rig) -> None:
    set_every_line(daemon, "at_pickup")
    call = daemon.call()
    until("it is announced", lambda: "announcement_started" in call.markers_now(), every=0.01)
    daemon.kill_daemon(signal.SIGTERM)
    assert call.variable("accord_state") == "announced"
    assert len(daemon.recorded_now()) == 1
    daemon.start_daemon()
    daemon.wait_watching()
    call.hang_up()
    assert (call.wait_take().end.outcome, call.wait_take().end.reason) == ("recorded", None)


def test_call_continues_unrecorded_without_a_daemon(daemon: Rig) -> None:
    set_every_line(daemon, "at_pickup")
    call = daemon.call(f"{NUMBER}78")
    until("it rings", lambda: call.variable("accord_state") == "pickup", every=0.01)
    daemon.kill_daemon()
    until("they speak", lambda: call.heard_by_caller.exists(), 20)
    time.sleep(1)
    assert call.alive()
    assert daemon.recorded_now() == set()
    call.hang_up()
