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
        began = time.monotonic()
        dialogue.leg.speaking = False
        dialogue.invite(codecs, self.direction)
        time.sleep(HOLD_S)
        dialogue.invite(codecs)
        dialogue.leg.speaking = True
        self.times.append((began, time.monotonic()))


def check(held: HeldCall, heard: PairRecording) -> None:
    made = heard.encoded
    holds = [gap for gap in made.gaps if gap.reason == "hold"]
    assert len(holds) == len(held.times), (made.gaps, made.drift_ms)
    redacted = read_wav(heard.take.folder / WAV)
    for gap, (began, over) in zip(holds, held.times, strict=True):
        assert abs((gap.end_ms - gap.start_ms) / 1000 - (over - began)) <= 0.1, (gap, began, over)
        assert gap.channel == "both"
        assert not np.any(redacted[gap.start_ms * 8 : gap.end_ms * 8])
    (first, _), (last, _) = held.times[0], held.times[-1]
    apart = holds[-1].start_ms - holds[0].start_ms
    assert abs(apart / 1000 - (last - first)) <= 0.1, holds
    assert abs(made.drift_ms) <= 150, (made.drift_ms, made.gaps)
    assert abs(len(redacted) / 8 - made.duration_ms) < 1
    # What the switch did write is all there, and nothing else is.
    assert len(redacted) - len(heard.sound) == pytest.approx(
        sum(over - began for began, over in held.times) * 8000, abs=0.1 * 8000 * len(holds)
    )


def test_external_hold_keeps_its_length_in_the_recording(tmp_path: Path) -> None:
    with phone_rig(tmp_path) as place:
        place.rig.wait_watching()
        held = [
            HeldCall(place.place(f"{direction} {times}", PCMU, PCMU), direction, [])
            for direction, times in (("sendonly", 1), ("inactive", 1), ("sendonly", 2))
        ]
        place.until_connected(*(one.pair for one in held))
        time.sleep(3)
        for one in (*held, held[-1]):
            one.holds()
            time.sleep(2)
        place.talk(1, *(one.pair for one in held))
        for one in held:
            recording = one.pair.listen()
            print(recording, one.times)
            check(one, recording)
