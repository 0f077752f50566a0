"""Feature codes on a real switch: their effect on the recording, and the tones that either party hears."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recorder.audio.encoded_take import Encoded
from tests.freeswitch.lines import set_every_line
from tests.freeswitch.sound import redact
from tests.freeswitch.switches import NUMBER, PAUSE_SECONDS, RATE, CallUnderTest, Rig, level, read_wav, until
from tests.freeswitch.test_keep_question import internal_leg_of, markers
from tests.scenarios.files import Sounds

CALLS = 5
CALLER, CALLEE, PAUSED, RESUMED, BEEP = 440, 1000, 500, 700, 1400
"""Hz: what either says, and the tones."""


def dial(rig: Rig, call: CallUnderTest, digits: str) -> None:
    rig.phones.esl.api(f"uuid_send_dtmf {internal_leg_of(rig, call)} {digits}")


def start_calls(rig: Rig, count: int = CALLS) -> list[CallUnderTest]:
    calls = [rig.call() for _ in range(count)]
    for call in calls:
        until(f"{call.caller} speaks", lambda call=call: markers(call, "bridged"), 60)
    time.sleep(1)
    return calls


def each(calls: list[CallUnderTest], kind: str, seconds: float = 20) -> None:
    for call in calls:
        until(f"{call.caller}: {kind}", lambda call=call: markers(call, kind), seconds)


def zeros(samples: np.ndarray) -> list[tuple[int, int]]:
    """Return the stretches of at least 200 ms of zeros in both channels, in samples."""
    silent = np.concatenate([[False], ~samples.any(axis=1), [False]])
    edges = np.flatnonzero(np.diff(silent.astype(int))).reshape(-1, 2)
    return [(int(start), int(end)) for start, end in edges if end - start >= RATE // 5]


def encoded(call: CallUnderTest, sounds: Sounds) -> tuple[Encoded, np.ndarray, np.ndarray]:
    """Return the take, its audio as the switch left it, and as it is kept."""
    take = call.wait_take()
    encoded_take, redacted = redact(take, sounds.paths["announcement"])
    return encoded_take, read_wav(take.audio), redacted


def test_pause_is_silent_and_only_the_internal_party_hears_tones(daemon: Rig) -> None:
    sounds = set_every_line(daemon, "line")
    calls = start_calls(daemon)
    for call in calls:
        dial(daemon, call, "*6")
    each(calls, "paused")
    time.sleep(1)  # for the tone: where a phone sends a digit, it sends no sound for that to be mixed into
    for call in calls:
        call.key("4")  # a card's number
    time.sleep(2)
    for call in calls:
        dial(daemon, call, "*7")
    each(calls, "resumed")
    time.sleep(1)
    for call in calls:
        dial(daemon, call, "*8")
    each(calls, "moment_marked")
    time.sleep(1)
    for call in calls:
        call.hang_up()
    for call in calls:
        encoded_take, raw, redacted = encoded(call, sounds)
        ((start, end),) = zeros(raw[RATE * 2 :])
        start, end = start + 2 * RATE, end + 2 * RATE
        at = {marker.kind: marker.at for marker in encoded_take.take.markers}
        assert abs((end - start) / RATE - (at["resumed"] - at["paused"]).total_seconds()) < 0.3
        (gap,) = (gap for gap in encoded_take.gaps if gap.reason == "paused")
        assert (gap.channel, gap.start_ms, gap.end_ms) == ("both", -(-start // 8), end // 8)
        assert np.array_equal(raw[start - RATE :], redacted[start - RATE :]), "the rest is as it was"
        # Both speak until the colleague dials (a phone that does sends nothing else), and go on after it.
        before = RATE
        for part in (
            redacted[start - before - RATE // 2 : start - before],
            redacted[end + RATE // 10 : end + RATE // 2],
        ):
            assert np.median(level(part[:, 0], CALLER)) > 0.2
            assert np.median(level(part[:, 1], CALLEE)) > 0.2
        (moment,) = (marker for marker in encoded_take.markers if marker.kind == "moment_marked")
        assert end // 8 < moment.offset_ms < encoded_take.duration_ms
        assert len(spells(call.heard_by_callee, RESUMED)) == 2, "it goes on, and it is noted"
        for pitch in (PAUSED, RESUMED):
            assert level(read_wav(call.heard_by_callee)[:, 0], pitch).max() > 0.02, "the colleague hears it"
            assert level(read_wav(call.heard_by_caller)[:, 0], pitch)[40:].max() < 0.01, "nobody else does"
            assert level(redacted[end : -RATE // 2, 0], pitch).max() < 0.01, "and it is in no recording"


def test_pause_works_without_a_daemon_and_ends_by_itself(daemon: Rig) -> None:
    """One pause has ended when the daemon is back; the other ends later, which the switch does not report."""
    sounds = set_every_line(daemon, "line")
    over, call_on = calls = start_calls(daemon, 2)
    daemon.kill_daemon()
    dial(daemon, over, "*8")
    time.sleep(0.7)
    dial(daemon, over, "*6")
    time.sleep(PAUSE_SECONDS - 1)
    until("the first is over", lambda: not is_paused(over), 5)
    dial(daemon, call_on, "*6")
    daemon.start_daemon()
    daemon.wait_watching()
    each([call_on], "paused")
    until("the second is over", lambda: not is_paused(call_on), PAUSE_SECONDS + 3)
    time.sleep(2)
    for call in calls:
        call.hang_up()
    # Nobody was there to write the moment down: no tone says that it was.
    assert spells(over.heard_by_callee, RESUMED) == []
    for call in calls:
        encoded_take, raw, redacted = encoded(call, sounds)
        ((start, end),) = zeros(raw[RATE * 2 :])
        assert PAUSE_SECONDS - 1.5 < (end - start) / RATE < PAUSE_SECONDS + 1.5  # the scheduler's own second
        start, end = start + 2 * RATE, end + 2 * RATE
        gaps = [gap for gap in encoded_take.gaps if gap.start_ms >= start // 8]
        if call is over:
            assert gaps == []
            (away,) = (gap for gap in encoded_take.gaps if gap.reason == "unobserved")
            assert away.start_ms < start // 8 < end // 8 < away.end_ms
        else:
            assert [(gap.reason, gap.start_ms, gap.end_ms) for gap in gaps] == [
                ("paused", -(-start // 8), end // 8)
            ]
        talk = redacted[end + RATE // 10 : end + RATE * 3 // 2]
        assert np.array_equal(talk, raw[end + RATE // 10 : end + RATE * 3 // 2]), "what is said then is kept"
        for channel, pitch in enumerate((CALLER, CALLEE)):
            assert np.median(level(talk[:, channel], pitch)) > 0.2


def is_paused(call: CallUnderTest) -> bool:
    """Whether the switch has paused the call."""
    return call.variable("accord_paused") == "true"


def transferred(rig: Rig, call: CallUnderTest) -> Path:
    """Transfer to another internal phone; return the file of what it hears."""
    rig.switch.esl.api(f"uuid_transfer {call.leg} {NUMBER}02 XML public")
    recording = rig.phones_folder / f"callee-{NUMBER}02-{call.caller}.wav"
    until("they speak again", lambda: recording.exists() and call.markers_now().count("bridged") == 2, 20)
    return recording


def test_pause_survives_a_transfer_and_ignores_the_external_party(daemon: Rig) -> None:
    """The new internal party hears the tone; codes of the external party pause nothing."""
    sounds = set_every_line(daemon, "line")
    paused, with_keys = start_calls(daemon, 2)
    with_keys.key("*6")
    dial(daemon, paused, "*6")
    each([paused], "paused")
    time.sleep(1)
    assert not is_paused(with_keys)
    reminded, other = transferred(daemon, paused), transferred(daemon, with_keys)
    with_keys.key("*6")
    time.sleep(1)
    assert is_paused(paused)
    assert not is_paused(with_keys)
    for call in (paused, with_keys):
        call.hang_up()
    encoded_take, raw, _redacted = encoded(paused, sounds)
    ((start, end),) = zeros(raw[RATE * 2 :])
    assert end + 2 * RATE > len(raw) - RATE // 2, "masked to the end"
    bridged = [marker.offset_ms for marker in encoded_take.markers if marker.kind == "bridged"]
    assert start // 8 < bridged[-1] < encoded_take.duration_ms
    assert level(read_wav(reminded)[:, 0], PAUSED).max() > 0.045, "the new colleague is reminded"
    assert level(read_wav(other)[:, 0], PAUSED).max() < 0.035, "of nothing else"
    encoded_take, raw, _redacted = encoded(with_keys, sounds)
    assert zeros(raw[RATE * 2 :]) == [], "the external party pauses nothing"
    assert not {"paused", "resumed"} & {marker.kind for marker in encoded_take.markers}


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Rig]:
    """A rig on which a pause lasts a minute."""
    rig = Rig(tmp_path, extra={"ACCORD_PAUSE_SECONDS": "60"})
    try:
        rig.start()
        rig.start_daemon()
        yield rig
    finally:
        rig.stop()


@pytest.mark.long
def test_pause_tones_every_15_seconds_also_after_a_daemon_restart(
    patient: Rig,
) -> None:
    sounds = set_every_line(patient, "deletable")  # it beeps to both
    paused, passed_on, with_beeps = calls = start_calls(patient, 3)
    for call in (paused, passed_on):
        dial(patient, call, "*6")
    each([paused, passed_on], "paused")
    time.sleep(1)
    patient.kill_daemon()
    patient.start_daemon()
    patient.wait_watching()
    time.sleep(1)
    second = transferred(patient, passed_on)
    time.sleep(35)
    for call in calls:
        call.hang_up()
    assert len(spells(paused.heard_by_callee, PAUSED)) == 3
    assert len(spells(second, PAUSED)) == 3, "by the daemon that came"
    for path, offset in ((with_beeps.heard_by_callee, 0), (with_beeps.heard_by_caller, 14)):
        found = spells(path, BEEP, offset)
        assert len(found) == 3, found
        assert all(abs(gap - 15) < 0.3 for gap in np.diff(found))
    for path, offset in ((each.heard_by_caller, 14) for each in (paused, passed_on)):
        assert spells(path, PAUSED, offset) == [], "nobody else is reminded"
    for call in (paused, passed_on):
        _encoded, raw, _redacted = encoded(call, sounds)
        ((_start, end),) = zeros(raw[RATE * 2 :])
        assert end + 2 * RATE > len(raw) - RATE // 2, "masked to the end"


def spells(path: Path, pitch: int, offset: int = 0) -> list[float]:
    """Return when a tone is heard, in seconds, after the given tenths of a second of announcement."""
    loud = np.flatnonzero(level(read_wav(path)[:, 0], pitch)[offset:] > 0.02) / 10
    return [float(at) for at, gap in zip(loud, np.diff(loud, prepend=-1.0), strict=True) if gap > 0.5]


def test_beep_is_heard_as_configured_and_not_recorded(daemon: Rig) -> None:
    sounds = set_every_line(daemon, "deletable")  # both
    calls = start_calls(daemon, 2)
    time.sleep(1)
    for call in calls:
        call.hang_up()
    for call in calls:
        _encoded, raw, _redacted = encoded(call, sounds)
        for path, offset in ((call.heard_by_callee, 0), (call.heard_by_caller, 14)):
            assert level(read_wav(path)[:, 0], BEEP)[offset:].max() > 0.02
        talk = raw[RATE * 3 // 2 : -RATE // 2]
        assert level(talk[:, 0], BEEP).max() < 0.01
        assert level(talk[:, 1], BEEP).max() < 0.01
