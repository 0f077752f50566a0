"""Calls on a real switch: everyone hears the announcement, each party is on its channel, and the call is
unaffected."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tests.freeswitch.switches import NUMBER, RATE, WAIT_S, Rig, heard_whole, level, onset_of, read_wav, until


def test_twenty_calls_half_of_them_simultaneous(daemon: Rig) -> None:
    calls = [daemon.call() for _ in range(10)]
    for _ in range(10):
        time.sleep(0.2)
        calls.append(daemon.call(f"{NUMBER}88"))
    for call in calls:
        call.wait_bridged()
    time.sleep(1.5)
    assert all(call.alive() for call in calls)
    assert len(daemon.recorded_now()) == 20
    for call in calls:
        call.hang_up()
    for call in calls:
        take = call.wait_take()
        assert (take.end.outcome, take.end.reason) == ("recorded", None)
        assert take.end.internal_party is not None
        assert take.end.internal_party.value == call.number
        kinds = [marker.kind for marker in take.markers]
        assert (
            kinds.index("recording_started") < kinds.index("announcement_finished") < kinds.index("bridged")
        )
        assert {"recording_stopped", "hangup"} <= set(kinds)
        sound = read_wav(take.audio)
        onset = onset_of(sound[:, 1], daemon.prompt)
        assert onset is not None
        assert onset < 0.3 * RATE
        # Left is the caller's pitch, right the callee's, once they speak with each other.
        bridged = take.first("bridged")
        assert bridged is not None
        from_bridge = int((bridged - take.start.started_at).total_seconds() * RATE) + RATE // 2
        assert np.median(level(sound[from_bridge:, 0], 440)) > 0.2
        assert np.median(level(sound[from_bridge:, 1], 1000)) > 0.2
        assert np.median(level(sound[from_bridge:, 0], 1000)) < 0.02
        assert np.median(level(sound[from_bridge:, 1], 440)) < 0.02
        # And so on their own phones.
        assert heard_whole(read_wav(call.heard_by_caller)[:, 0], daemon.prompt)
        samples = read_wav(call.heard_by_callee)[:, 0]
        assert np.median(level(samples[RATE // 2 :], 440)) > 0.2
    daemon.assert_only_announced_audio_is_kept()


def test_no_key_skips_the_announcement(daemon: Rig) -> None:
    keys = "0123456789*#"
    calls = dict(zip(keys, [daemon.call() for _ in keys], strict=True))

    until("all are announced", lambda: len(daemon.recorded_now()) == len(keys), every=0.01)
    for _ in range(4):
        for key, call in calls.items():
            call.key(key)
        time.sleep(0.1)
    for key, call in calls.items():
        # The called phone answers a moment before the switch says that the two are connected.
        until(f"{key} is connected", lambda call=call: "bridged" in call.markers_now())
        call.hang_up()
        take = call.wait_take()
        assert take.end.outcome == "recorded", key
        assert [marker.kind for marker in take.markers].count("announcement_started") == 1, key
        assert onset_of(read_wav(take.audio)[:, 1], daemon.prompt) is not None, key


def test_hold_restarts_the_announcement(daemon: Rig) -> None:
    call = daemon.call()
    until("it is announced", lambda: call.variable("accord_state") == "announcing", every=0.01)
    time.sleep(0.3)
    call.hold()
    time.sleep(0.5)
    call.unhold()
    call.wait_bridged()
    time.sleep(0.5)
    assert call.variable("accord_state") == "announced"
    call.hang_up()
    take = call.wait_take()
    assert take.end.outcome == "recorded"
    kinds = [marker.kind for marker in take.markers]
    assert kinds.count("announcement_started") == 2
    assert dict(next(m.data for m in take.markers if m.kind == "announcement_interrupted")) == {
        "reason": "hold"
    }
    assert (
        kinds.index("announcement_interrupted")
        < kinds.index("announcement_finished")
        < kinds.index("bridged")
    )
    # The one that counts is whole and lies behind the hold; a recording shrinks by holds, so not by clock.
    onset = onset_of(read_wav(take.audio)[:, 1], daemon.prompt)
    assert onset is not None
    assert onset > 0.5 * RATE


def test_hangup_during_the_announcement_keeps_nothing(daemon: Rig) -> None:
    call = daemon.call()
    until("it is announced", lambda: call.variable("accord_state") == "announcing", every=0.01)
    time.sleep(0.3)
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("not_recorded", "hung_up_in_announcement")
    assert not take.audio.exists()


def test_unanswered_call_keeps_nothing(daemon: Rig) -> None:
    busy, ringing = daemon.call(f"{NUMBER}86"), daemon.call(f"{NUMBER}87")
    until("it rings", lambda: ringing.variable("accord_state") == "announced")
    time.sleep(0.5)
    ringing.hang_up()
    for call in (busy, ringing):
        take = call.wait_take()
        assert (take.end.outcome, take.end.reason) == ("not_recorded", "never_connected")
        assert not take.audio.exists()


@pytest.mark.parametrize(
    ("number", "caller", "reason"),
    [(f"{NUMBER}95", None, "no_line"), (f"{NUMBER}89", None, "never_record"),
     (f"{NUMBER}99", None, "never_record"), ("112", None, "never_record"),
     (f"{NUMBER}01", f"{NUMBER}89", "never_record"), (f"{NUMBER}01", f"{NUMBER}99", "never_record"),
     (f"{NUMBER}01", "112", "never_record")],
)  # fmt: skip
def test_unrecorded_call_is_neither_announced_nor_delayed(
    daemon: Rig, number: str, caller: str | None, reason: str
) -> None:
    call = daemon.call(number, caller)
    call.wait_bridged()
    assert call.connected_after() < WAIT_S
    unrecorded_states = ("unrecorded", "passed"), ("never_record", "_undef_")
    assert (call.variable("accord_state"), call.variable("accord_left")) in unrecorded_states, (
        "the switch's bound let it go"
    )
    time.sleep(0.5)
    assert not daemon.recorded_now()
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("not_recorded", reason)
    assert not heard_whole(read_wav(call.heard_by_caller)[:, 0], daemon.prompt)
    assert not list(daemon.spool.rglob("*.wav"))


def test_damaged_prompt_is_not_played(daemon: Rig) -> None:
    sound = next((daemon.snapshot / "prompts").glob("*.wav"))
    daemon.write_snapshot(0.5 * daemon.prompt)
    damaged = max((daemon.snapshot / "prompts").glob("*.wav"), key=lambda path: path.stat().st_mtime_ns)
    assert damaged != sound
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-2] + b"\x01\x02")
    daemon.wait_snapshot()
    call = daemon.call()
    call.wait_bridged()
    call.hang_up()
    assert call.wait_take().end.reason == "prompt_damaged"
    damaged.write_bytes(content)


def test_call_continues_at_once_without_a_daemon(rig: Rig) -> None:
    call = rig.call()
    call.wait_bridged()
    assert call.connected_after() < WAIT_S
    assert call.variable("accord_left") == "waiting", "it waited for the switch's bound"
    assert call.alive()
    # It hangs up under a daemon that is back: written down with its reason.
    rig.start_daemon()
    rig.wait_watching()
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("not_recorded", "daemon_away")


def test_full_disk_loses_the_recording_only(rig: Rig) -> None:
    rig.start_daemon(full_at=1e-9)
    call = rig.call()
    call.wait_bridged()
    assert call.connected_after() < WAIT_S
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("not_recorded", "full_disk")


def test_unwritable_folder_loses_the_recording_only(rig: Rig) -> None:
    """call.json cannot be made durable after the announcement was requested: its audio must be destroyed."""
    rig.start_daemon(broken_disk=True)
    call = rig.call()
    call.wait_bridged()
    time.sleep(0.3)
    assert call.variable("accord_state") == "unrecorded"
    assert not rig.recorded_now()
    assert call.alive()
    call.hang_up()
    rig.switch.wait_empty()
    until("its sound is destroyed", lambda: not list(rig.spool.rglob("*.wav")))
