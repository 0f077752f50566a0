"""A daemon that ends or starts, and a switch that dies: calls are reconciled."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from recorder.audio import redaction
from recorder.audio.timeline import locate_take
from recorder.audio.wav import inspect
from tests.freeswitch.lines import set_every_line
from tests.freeswitch.switches import NUMBER, RATE, CallUnderTest, Rig, level, onset_of, read_wav, until
from tests.freeswitch.test_feature_codes import encoded
from tests.freeswitch.test_keep_question import internal_leg_of


def _wait_for_announcement(call: CallUnderTest) -> None:
    until("it is announced", lambda: call.variable("accord_state") == "announcing", every=0.01)


def test_sigterm_lets_announcements_finish(daemon: Rig) -> None:
    daemon.wait_watching()  # a call from before has a gap of its own
    live_call = daemon.call()
    live_call.wait_bridged()
    announced_call = daemon.call()
    _wait_for_announcement(announced_call)
    process = daemon.daemon
    assert process is not None
    process.send_signal(signal.SIGTERM)
    announced_call.wait_bridged()
    assert process.wait(10) == 0
    stopped_at = datetime.now(UTC)
    assert announced_call.variable("accord_state") == "announced"
    # The next call finds nobody and goes on; the two stay up and recorded.
    alone = daemon.call()
    alone.wait_bridged()
    assert alone.variable("accord_state") == "unrecorded"
    assert daemon.recorded_now() == {live_call.leg, announced_call.leg}
    daemon.start_daemon()
    daemon.wait_watching()
    watches = datetime.now(UTC)
    time.sleep(0.3)
    for call in (live_call, announced_call, alone):
        call.hang_up()
    for call in (live_call, announced_call):
        take = call.wait_take()
        assert take.end.outcome == "recorded"
        gap = take.first("unobserved_from"), take.first("unobserved_to")
        assert gap[0] is not None
        assert gap[1] is not None
        assert gap[0] <= stopped_at < gap[1] <= watches
        assert "bridged" in [marker.kind for marker in take.markers]
    assert alone.wait_take().end.reason == "daemon_away"


def _transfer(rig: Rig, call: CallUnderTest) -> None:
    answer = rig.switch.esl.api(f"uuid_transfer {call.leg} {NUMBER}02 XML public")
    assert answer.startswith("+OK"), answer


def _refer(rig: Rig, call: CallUnderTest) -> None:
    rows = json.loads(rig.phones.esl.api("show channels as json"))["rows"]
    (called_leg,) = (row["uuid"] for row in rows if row["direction"] == "inbound")
    answer = rig.phones.esl.api(f"uuid_deflect {called_leg} sip:{NUMBER}02@127.0.0.1:{rig.sip_port}")
    assert answer.startswith("+OK"), answer


@pytest.mark.parametrize("how", [_transfer, _refer])
def test_call_answered_while_unwatched_is_not_redacted_as_ringing(
    daemon: Rig, how: Callable[[Rig, CallUnderTest], None]
) -> None:
    daemon.wait_watching()
    call = daemon.call(f"{NUMBER}88")
    until("it rings", lambda: call.variable("accord_state") == "announced", every=0.05)
    daemon.kill_daemon()
    call.wait_bridged()
    answered = call.connected_at()
    time.sleep(1)
    daemon.start_daemon()
    daemon.wait_watching()
    until("it is taken over", lambda: "bridged" in call.markers_now())
    time.sleep(1)
    how(daemon, call)
    until("it is transferred", lambda: call.markers_now().count("bridged") == 2)
    time.sleep(1)
    call.hang_up()
    take = call.wait_take()
    first = take.first("bridged")
    assert first is not None
    assert abs((first - answered).total_seconds()) < 0.05
    start = take.first("recording_started")
    assert start is not None
    silent = redaction.plan(locate_take(take, inspect(take.audio))).left_until_ms
    assert abs(silent - (first - start).total_seconds() * 1000) < 300


def test_second_daemon_on_the_same_spool_is_refused(daemon: Rig) -> None:
    first = daemon.daemon
    daemon.daemon = None
    try:
        second = daemon.spawn_daemon()
        assert second.wait(10) != 0
        assert b"daemon.second" in (daemon.folder / "daemon.log").read_bytes() or (
            b"another daemon works on" in (daemon.folder / "daemon.log").read_bytes()
        )
    finally:
        daemon.daemon = first


def _stray(rig: Rig, call: CallUnderTest) -> None:
    """Start a recording like Accord's on a call that is not announced."""
    recording = "01a2101e-5dde-7d17-8d61-e2a8e19669f1"
    rig.spool.mkdir(exist_ok=True)
    answer = rig.switch.esl.api(
        f"uuid_record {call.leg} start '{rig.spool}/deep/{recording}/audio.wav' 0 "
        f"{{RECORD_STEREO=true,accord_recording={recording}}}"
    )
    assert answer.startswith("+OK"), answer


def test_stops_a_recording_that_starts_on_an_unannounced_call(rig: Rig) -> None:
    call = rig.call()
    call.wait_bridged()
    assert call.variable("accord_state") == "unrecorded"
    rig.start_daemon()
    rig.wait_watching()
    _stray(rig, call)
    until("it is stopped", lambda: not rig.recorded_now(), 3)
    assert call.alive()


def test_stops_a_recording_found_on_an_unannounced_call(rig: Rig) -> None:
    call = rig.call()
    call.wait_bridged()
    assert call.variable("accord_state") == "unrecorded"
    _stray(rig, call)
    until("it is recorded", rig.recorded_now, 3)
    rig.start_daemon()
    rig.wait_watching()
    until("it is stopped", lambda: not rig.recorded_now(), 3)
    assert call.alive()
    assert not list(rig.spool.rglob("*.wav"))


def test_keeps_recordings_of_a_killed_switch(daemon: Rig) -> None:
    call, announced_call = daemon.call(), None
    call.wait_bridged()
    time.sleep(1.5)
    announced_call = daemon.call()
    _wait_for_announcement(announced_call)
    time.sleep(0.3)
    daemon.switch.stop()
    daemon.switch.start()
    take = call.wait_take(30)
    assert take.end.outcome == "recorded"
    sound = read_wav(take.audio)
    assert onset_of(sound[:, 1], daemon.prompt) is not None
    speech = level(sound[int(1.4 * RATE) :, 0], 440) > 0.2
    assert speech.sum() * 0.1 > 1.2
    lost_take = announced_call.wait_take(30)
    assert lost_take.end.outcome == "not_recorded"
    daemon.assert_only_announced_audio_is_kept()


@pytest.mark.long
def test_ongoing_hold_is_redacted_from_its_start_after_a_restart(daemon: Rig) -> None:
    """Holds of the internal party, with and without an observed start, and of the external party; the audio
    after each is kept."""
    sounds = set_every_line(daemon, "line")
    daemon.wait_watching()
    observed, unseen, theirs, ended = calls = [daemon.call() for _ in range(4)]
    for call in calls:
        until("they speak", lambda call=call: "bridged" in call.markers_now(), 30)
    phone = {call.caller: internal_leg_of(daemon, call) for call in calls}
    hold = lambda call: daemon.phones.esl.api(f"uuid_hold {phone[call.caller]}")  # noqa: E731
    time.sleep(1)
    hold(observed)
    ended.hold()
    for call, kind in ((observed, "internal_hold"), (ended, "hold")):
        until(kind, lambda call=call, kind=kind: kind in call.markers_now())
    time.sleep(0.7)
    daemon.kill_daemon()
    killed = datetime.now(UTC)
    time.sleep(0.7)
    hold(unseen)
    theirs.hold()
    ended.unhold()
    time.sleep(1.5)
    daemon.start_daemon()
    daemon.wait_watching()
    time.sleep(1.5)
    for call in (observed, unseen):
        daemon.phones.esl.api(f"uuid_hold off {phone[call.caller]}")
    theirs.unhold()
    time.sleep(2)
    for call in calls:
        call.hang_up()
    for call in calls:
        encoded_take, _raw, redacted = encoded(call, sounds)
        mine = "internal_hold" if call in (observed, unseen) else "hold"
        start = next(marker for marker in reversed(encoded_take.take.markers) if marker.kind == mine)
        over = next(
            marker for marker in encoded_take.take.markers if marker.kind == mine.replace("hold", "unhold")
        )
        since = encoded_take.take.first("recording_started")
        assert since is not None
        assert (start.at < killed) == (call in (observed, ended))
        assert (start.data, over.data) == (({}, LATER) if call is ended else (LATER, {}))
        (silent,) = [gap for gap in encoded_take.gaps if gap.reason == "hold"]
        assert silent.channel == "both"
        assert abs(silent.start_ms / 1000 - (start.at - since).total_seconds()) < 0.5
        if call in (
            observed,
            unseen,
        ):  # a caller's phone that holds sends nothing: it is not in the sound at all
            assert abs(silent.end_ms / 1000 - (over.at - since).total_seconds()) < 0.8
        hold_sound = redacted[silent.start_ms * 8 + RATE // 2 : silent.end_ms * 8 - RATE // 2]
        assert np.abs(hold_sound).max(initial=0) < 0.001, "what they say to nobody is not kept"
        talk = redacted[-3 * RATE // 2 : -RATE // 2]
        for channel, pitch in enumerate((440, 1000)):
            assert np.median(level(talk[:, channel], pitch)) > 0.2, "what is said after it is kept"


LATER = {"seen": "later"}
