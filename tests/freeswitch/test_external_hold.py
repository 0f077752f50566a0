"""The external party's phone puts the call on hold and sends nothing meanwhile (re-INVITE), so the switch
writes nothing: the recording is as long as the call, and marks the silence as a gap."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from recorder.audio.encoding import WAV
from tests.freeswitch.switches import read_wav
from tests.freeswitch.telephones.codecs import PCMU
from tests.freeswitch.telephones.rig import Pair, PairRecording, phone_rig

HOLD_S = 2.8


@dataclass
class HeldCall:
    """A call with its hold's start and end."""

    pair: Pair
    direction: str
    times: list[tuple[float, float]]

    def holds(self) -> None:
        dialogue, codecs = self.pair.dialogue, (self.pair.dialogue.leg.codec,)
        start = time.monotonic()
        dialogue.leg.speaks = False
        dialogue.invite(codecs, self.direction)
        time.sleep(HOLD_S)
        dialogue.invite(codecs)
        dialogue.leg.speaks = True
        self.times.append((start, time.monotonic()))


def check(call: HeldCall, recording: PairRecording) -> None:
    encoded = recording.encoded
    holds = [gap for gap in encoded.gaps if gap.reason == "hold"]
    assert len(holds) == len(call.times), (encoded.gaps, encoded.drift_ms)
    redacted = read_wav(recording.take.folder / WAV)
    for gap, (start, over) in zip(holds, call.times, strict=True):
        # Up to a tenth of a second wider at either end.
        assert -0.02 <= (gap.end_ms - gap.start_ms) / 1000 - (over - start) <= 0.2, (gap, start, over)
        assert gap.channel == "both"
        assert not np.any(redacted[gap.start_ms * 8 : gap.end_ms * 8])
    (first, _), (last, _) = call.times[0], call.times[-1]
    apart = holds[-1].start_ms - holds[0].start_ms
    assert abs(apart / 1000 - (last - first)) <= 0.1, holds
    assert abs(encoded.drift_ms) <= 150, (encoded.drift_ms, encoded.gaps)
    assert abs(len(redacted) / 8 - encoded.duration_ms) < 1
    # What the switch did write is all there, and nothing else is.
    assert len(redacted) - len(recording.sound) == pytest.approx(
        sum(over - start for start, over in call.times) * 8000, abs=0.1 * 8000 * len(holds)
    )


def test_external_hold_keeps_its_length_in_the_recording(tmp_path: Path) -> None:
    with phone_rig(tmp_path) as place:
        place.rig.wait_watching()
        calls_on_hold = [
            HeldCall(place.place(f"{direction} {times}", PCMU, PCMU), direction, [])
            for direction, times in (("sendonly", 1), ("inactive", 1), ("sendonly", 2))
        ]
        place.until_connected(*(one.pair for one in calls_on_hold))
        time.sleep(3)
        for one in (*calls_on_hold, calls_on_hold[-1]):
            one.holds()
            time.sleep(2)
        place.talk(1, *(one.pair for one in calls_on_hold))
        for one in calls_on_hold:
            recording = one.pair.listen()
            print(recording, one.times)
            check(one, recording)
