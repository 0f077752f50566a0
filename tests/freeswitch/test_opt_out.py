"""Opt-out on a real switch: the call rings as soon as the sentence was heard, and can be refused for five
seconds, whether it rings or is answered meanwhile."""

from __future__ import annotations

import signal
import time

import numpy as np
import pytest

from recorder.spool import layout
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

SOON, LATE, NEVER = f"{NUMBER}88", f"{NUMBER}78", f"{NUMBER}87"
"""A telephone that is answered after 1.5 s, within the time to refuse; one after 6 s; one that is not."""
CALLS = 8


def markers(call: CallUnderTest) -> list[str]:
    return [kind for kind in call.markers_now() if kind in MARKERS]


MARKERS = ("announcement_finished", "bridged", "question_answered")


def wait_ringing(call: CallUnderTest) -> None:
    until(f"{call.caller} rings", lambda: call.variable("accord_state") == "refusable", 20, 0.01)


def wait_confirmed(*calls: CallUnderTest) -> None:
    for call in calls:
        until(f"{call.caller} was not refused", lambda call=call: "question_answered" in markers(call), 20)


def test_rings_as_soon_as_the_sentence_was_heard(daemon: Rig) -> None:
    set_every_line(daemon, "opt_out")
    events = Esl(daemon.switch.esl_port, PASSWORD)
    events.command("event plain PLAYBACK_STOP CHANNEL_PROGRESS")
    calls = [daemon.call(LATE) for _ in range(CALLS)]
    wait_confirmed(*calls)
    times = {
        (event["Caller-Caller-ID-Number"], event["Event-Name"]): event_time(event) for event in events.drain()
    }
    events.close()
    waits = [
        (times[call.caller, "CHANNEL_PROGRESS"] - times[call.caller, "PLAYBACK_STOP"]) / 1e6 for call in calls
    ]
    print("seconds from the end of the sentence to ringing:", sorted(waits))
    assert max(waits) < 0.5
    for call in calls:
        until("they speak", lambda call=call: markers(call)[-1] == "bridged", 20)
        assert markers(call) == ["announcement_finished", "question_answered", "bridged"]
        call.hang_up()
    assert {call.wait_take().end.outcome for call in calls} == {"recorded"}


def test_answered_call_without_a_key_is_kept_from_the_first_word(daemon: Rig) -> None:
    sounds = set_every_line(daemon, "opt_out")
    call = daemon.call(SOON)
    call.wait_bridged()
    assert call.variable("accord_state") == "refusable"
    wait_confirmed(call)
    until("the recording goes on", lambda: call.variable("accord_state") == "announced", 3)
    call.key("2")  # too late
    time.sleep(1)
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    assert markers(call) == ["announcement_finished", "bridged", "question_answered"]
    found, redacted = redact(take, sounds.paths["announcement"])
    assert found.announced is not None
    (bridged,) = (marker for marker in found.markers if marker.kind == "bridged")
    raw = read_wav(take.audio)
    talk = bridged.offset_ms * RATE // 1000
    assert level(raw[:talk, 0], 440).max() > 0.2, "the caller spoke all the time"
    assert not redacted[: talk - RATE // 2, 0].any(), "what they said before they were connected is kept"
    for channel, pitch in ((0, 440), (1, 1000)):
        assert np.median(level(redacted[talk + RATE // 2 :, channel], pitch)) > 0.2


@pytest.mark.parametrize("answered", [False, True], ids=["ringing", "answered"])
def test_refusal_counts_while_it_rings_and_once_it_is_answered(daemon: Rig, answered: bool) -> None:
    sounds = set_every_line(daemon, "opt_out")
    call = daemon.call(SOON if answered else LATE)
    wait_ringing(call)
    if answered:
        call.wait_bridged()
    time.sleep(0.7)
    call.key("2")
    until("it is refused", lambda: call.variable("accord_state") == "declined", 2, 0.02)
    until("nothing is recorded", lambda: not daemon.recorded_now(), 2)
    call.wait_bridged()
    time.sleep(2.5)
    assert call.alive()
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("not_recorded", "declined")
    assert not list(daemon.spool.rglob("*.wav"))
    caller, callee = read_wav(call.heard_by_caller)[:, 0], read_wav(call.heard_by_callee)[:, 0]
    if answered:
        # The caller's telephone is silent itself while it sends the key.
        assert (level(callee, 440)[3:] < 0.1).sum() <= 5, "the called party hears the caller meanwhile"
    assert heard_whole(caller, chirp(low=LOWS["declined"]))
    assert sounds.paths["declined"].exists()


def test_second_meaningless_key_ends_the_recording_after_a_reminder(daemon: Rig) -> None:
    set_every_line(daemon, "opt_out")
    call = daemon.call(SOON)
    wait_ringing(call)
    call.wait_bridged()
    call.key("5")
    time.sleep(2.5)
    assert call.variable("accord_state") == "refusable"
    call.key("7")
    until("it is refused", lambda: call.variable("accord_state") == "declined", 2, 0.02)
    time.sleep(2)
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("not_recorded", "unclear")
    assert heard_whole(read_wav(call.heard_by_caller)[:, 0], chirp(low=LOWS["question"]))


def test_reminder_begins_the_time_to_refuse_again(daemon: Rig) -> None:
    set_every_line(daemon, "opt_out")
    call = daemon.call(SOON)
    wait_ringing(call)
    time.sleep(3.5)
    call.key("5")
    time.sleep(3)
    assert markers(call) == ["announcement_finished", "bridged"], "5 s after the announcement"
    wait_confirmed(call)
    until("the recording goes on", lambda: call.variable("accord_state") == "announced", 3)
    time.sleep(6)  # until the switch would have ended it
    assert daemon.recorded_now() == {call.leg}
    call.hang_up()
    assert call.wait_take().end.outcome == "recorded"


def test_unanswered_call_leaves_nothing(daemon: Rig) -> None:
    set_every_line(daemon, "opt_out")
    call = daemon.call(NEVER)
    wait_confirmed(call)
    call.hang_up()
    take = call.wait_take()
    assert "bridged" not in [marker.kind for marker in take.markers]


@pytest.mark.parametrize("returns", [False, True], ids=["away", "back"])
def test_switch_ends_the_recording_of_a_daemon_that_dies_meanwhile(daemon: Rig, returns: bool) -> None:
    set_every_line(daemon, "opt_out")
    call = daemon.call(SOON)
    wait_ringing(call)
    call.wait_bridged()
    assert daemon.recorded_now() == {call.leg}
    daemon.kill_daemon()
    if returns:
        daemon.start_daemon()
        daemon.wait_watching()
    until("nothing is recorded", lambda: not daemon.recorded_now(), 3 if returns else 12)
    assert call.alive()
    if not returns:
        assert call.variable("accord_state") == "late"
        daemon.start_daemon()
        daemon.wait_watching()
    call.hang_up()
    take = call.wait_take()
    assert take.end.outcome == "not_recorded"
    assert take.end.reason in ("daemon_away", "daemon_late")
    assert not list(daemon.spool.rglob("*.wav"))


def test_ending_daemon_waits_for_the_time_to_refuse(daemon: Rig) -> None:
    set_every_line(daemon, "opt_out")
    call = daemon.call(SOON)
    wait_ringing(call)
    daemon.kill_daemon(signal.SIGTERM)
    assert call.variable("accord_state") == "announced"
    assert daemon.recorded_now() == {call.leg}
    daemon.start_daemon()
    daemon.wait_watching()
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    assert [
        marker.data["answer"] for marker in layout.read_markers(take.folder) if marker.kind == MARKERS[2]
    ] == ["none"]
