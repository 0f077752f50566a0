"""The switch's disk is completely full, or the daemon's clock jumps: calls continue."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recorder.audio.encoding import encode
from recorder.spool import layout
from tests.faults.disks import MIB, SmallDisk
from tests.faults.test_clock import LIBRARIES, FakedClock
from tests.freeswitch.switches import RATE, WAIT_S, CallUnderTest, Rig, level, onset_of, read_wav, until


@pytest.fixture
def disk(rig: Rig) -> Iterator[SmallDisk]:
    """The spool on a disk of its own."""
    rig.spool.mkdir(exist_ok=True)
    own_disk = SmallDisk(rig.spool, "tmpfs", 12 * MIB)
    yield own_disk
    rig.kill_daemon()
    rig.hang_up_all()
    own_disk.end()


def talks_on(call: CallUnderTest, seconds: float) -> bool:
    """Whether the internal party hears the caller to the end."""
    before = call.heard_by_callee.stat().st_size
    time.sleep(seconds)
    return call.alive() and call.heard_by_callee.stat().st_size > before


def test_switchs_disk_fills_during_a_call(rig: Rig, disk: SmallDisk) -> None:
    rig.start_daemon(full_at=0.9, warn_at=0.5)
    rig.wait_watching()
    call = rig.call()
    call.wait_bridged()
    time.sleep(2)
    disk.fill()
    samples_written = read_wav(spool_of(call) / layout.AUDIO)
    log = rig.folder / "daemon.log"
    until("the daemon has seen it", lambda: b"disk.full" in log.read_bytes(), 5)
    # A new call: neither announced nor recorded, and connected at once.
    second = rig.call()
    second.wait_bridged()
    assert second.connected_after() < WAIT_S
    assert second.variable("accord_state") == "unrecorded"
    assert talks_on(call, 3)
    assert talks_on(second, 1)
    second.hang_up()
    call.hang_up()
    rig.switch.wait_empty()
    until("the call that was not recorded is kept", lambda: b"journal.kept" in log.read_bytes(), 5)
    assert b"make room" in log.read_bytes()
    disk.free()
    take = call.wait_take()
    assert second.wait_take().end.reason == "full_disk"
    assert take.end.outcome == "recorded"
    assert [marker.kind for marker in take.markers][-1] in ("recording_stopped", "hangup")
    # Nothing that was written is lost, and what is missing is told.
    samples = read_wav(take.audio)
    assert len(samples) >= len(samples_written)
    assert np.array_equal(samples[: len(samples_written)], samples_written)
    assert onset_of(samples[:, 1], rig.prompt) is not None
    prompt = rig.snapshot / "prompts" / f"{take.start.announcement.sha256}.wav"
    encoded = encode(take, prompt)
    assert encoded.announced is not None
    (gap,) = [gap for gap in encoded.gaps if gap.reason in ("write_error", "repair")]
    assert gap.start_ms == encoded.duration_ms
    clock_ms = (take.last("hangup") - take.first("recording_started")).total_seconds() * 1000
    assert abs(gap.end_ms - clock_ms) < 1500
    rig.assert_only_announced_audio_is_kept()


def spool_of(call: CallUnderTest) -> Path:
    folder = call.take()
    assert folder is not None
    return folder


def test_daemon_is_ended_and_killed_while_the_disk_is_full(rig: Rig, disk: SmallDisk) -> None:
    """The next daemon, with room, finishes the writes of the first."""
    rig.start_daemon(full_at=0.9)
    rig.wait_watching()
    call = rig.call()
    call.wait_bridged()
    time.sleep(1)
    disk.fill()
    log = rig.folder / "daemon.log"
    until("the daemon has seen it", lambda: b"disk.full" in log.read_bytes(), 5)
    second = rig.call()
    second.wait_bridged()
    second.hang_up()
    call.hang_up()
    rig.switch.wait_empty()
    until("the call that was not recorded is kept", lambda: b"journal.kept" in log.read_bytes(), 5)
    rig.kill_daemon()
    disk.free()
    rig.start_daemon(full_at=0.9)
    take = call.wait_take()
    assert take.end.outcome == "recorded"
    assert second.wait_take().end.reason == "full_disk"
    rig.assert_only_announced_audio_is_kept()


@pytest.mark.parametrize(
    "jump", ["-1d", *(pytest.param(jump, marks=pytest.mark.long) for jump in ("+5m", "+10y"))]
)
def test_daemons_clock_jumps_during_an_announcement(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: str
) -> None:
    """A call during its announcement, a connected call and a later one are all recorded and can be
    processed."""
    if not LIBRARIES:
        pytest.skip("libfaketime is not installed")
    clock = FakedClock(tmp_path)
    for name, value in clock.environment.items():
        monkeypatch.setenv(name, value)
    rig.start_daemon()
    rig.wait_watching()
    for name in clock.environment:
        monkeypatch.delenv(name)
    live_call = rig.call()
    live_call.wait_bridged()
    announced_call = rig.call()
    until("it is announced", lambda: announced_call.variable("accord_state") == "announcing", every=0.01)
    clock.set(jump)
    announced_call.wait_bridged()
    assert announced_call.variable("accord_state") == "announced"
    time.sleep(1.2)  # libfaketime looks at its file once a second
    after = rig.call()
    after.wait_bridged()
    assert after.variable("accord_state") == "announced"
    time.sleep(1)
    takes = []
    for call in (live_call, announced_call, after):
        call.hang_up()
        takes.append(call.wait_take())
    prompt = rig.snapshot / "prompts" / f"{takes[0].start.announcement.sha256}.wav"
    for take in takes:
        assert take.end.outcome == "recorded"
        encoded = encode(take, prompt)
        assert encoded.announced is not None
        assert level(read_wav(take.audio)[-RATE:, 0], 440).max() > 0.1
    rig.assert_only_announced_audio_is_kept()
    assert os.environ.get("LD_PRELOAD") is None
