"""The external party holds the call while the announcement plays: it is repeated, and found in the audio.

The switch keeps what it plays during a hold for the recording, and would let it push out the start of the
repetition."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder.audio import wav
from recorder.audio.encoding import WAV
from recorder.clock import utc_now
from recorder.domain.line_policy import (
    AT_PICKUP,
    BEFORE_CONNECTED,
    BEFORE_RINGING,
    ONCE_CONNECTED,
    Announcement,
    LinePolicy,
)
from recorder.spool import layout
from recorder.spool.snapshot import write_snapshot
from tests.announcements import announcement_in
from tests.freeswitch.switches import NUMBER, RATE, read_wav, until
from tests.freeswitch.telephones.codecs import PCMU
from tests.freeswitch.telephones.rig import Pair, PhoneRig, phone_rig

ENDS_S = (1.5, 3.1)
"""Lengths of the holds: one from 2.0 s ends while the announcement (5.4 s) still plays, or after it."""


def say_announcement(place: PhoneRig, *, connected: bool = False) -> np.ndarray:
    """Let every line announce in whole sentences, where ``connected`` once two parties are; return their
    samples."""
    announced = announcement_in("en")
    content = announced.path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    (place.prompts / f"{digest}.wav").write_bytes(content)
    samples, rate = soundfile.read(announced.path)
    assert rate == RATE
    announcement = Announcement(
        "whole", 1, "en", announced.text, ("agreement",), 30, digest, len(samples) * 1000 // rate
    )
    lines = [
        LinePolicy(
            "t1", f"l{n}", f"{NUMBER}{n:02}", "notice", AT_PICKUP if connected else BEFORE_RINGING, ("wav",),
            announcement, outbound=ONCE_CONNECTED if connected else BEFORE_CONNECTED,
        )
        for n in range(90)
    ]  # fmt: skip
    write_snapshot(place.rig.snapshot, lines, [], utc_now())
    place.rig.start_daemon()
    place.rig.wait_watching()
    return np.asarray(samples)


def hold_in_announcement(place: PhoneRig, pair: Pair, start_s: float, length_s: float, speaks: bool) -> None:
    until("the announcement plays", lambda: pair.outside.packet_count, 20, 0.005)
    dialogue = place.end_of(pair.outside)
    time.sleep(start_s)
    dialogue.leg.speaks = speaks
    dialogue.invite((dialogue.leg.codec,), "sendonly")
    time.sleep(length_s)
    dialogue.invite((dialogue.leg.codec,))
    dialogue.leg.speaks = True


def likeness(samples: np.ndarray, prompt: np.ndarray) -> float:
    """Normalised correlation of a prompt with what is at its place."""
    samples = samples[: len(prompt)]
    return float(samples @ prompt / np.sqrt((samples @ samples) * (prompt @ prompt) + 1e-12))


@pytest.mark.parametrize("outbound", [False, True], ids=["inbound", "outbound"])
def test_announcement_repeated_after_a_hold_is_found(tmp_path: Path, outbound: bool) -> None:
    with phone_rig(tmp_path) as place:
        prompt = say_announcement(place)
        ways = list(product((2.0, 4.0), ENDS_S, (True, False)))
        places = place.place_out if outbound else place.place
        pairs = [places(f"hold at {at} s for {length} s", PCMU, PCMU) for at, length, _ in ways]
        for pair in pairs:
            assert pair.dialogue
        with ThreadPoolExecutor(len(pairs)) as pool:
            holds = [
                pool.submit(hold_in_announcement, place, pair, *way)
                for pair, way in zip(pairs, ways, strict=True)
            ]
            for hold in holds:
                hold.result()
        for pair in pairs:
            until(f"{pair.name} is announced", lambda pair=pair: "bridged" in kinds(place, pair), 40)
        place.talk(1, *pairs)
        for pair in pairs:
            recording = pair.listen()
            print(recording)
            markers = [marker.kind for marker in recording.take.markers]
            assert markers.count("announcement_started") == 2, (pair.name, markers)
            assert "announcement_interrupted" in markers, (pair.name, markers)
            found = recording.encoded.announced
            assert found is not None, pair.name
            sound = read_wav(recording.take.folder / WAV)[found.offset_ms * RATE // 1000 :, 1]
            assert likeness(sound, prompt) > 0.97, pair.name
            assert recording.encoded.duration_ms > wav.inspect(recording.take.audio).duration_ms
            (gap,) = (each for each in recording.encoded.gaps if each.reason == "before_announcement_end")
            assert gap.start_ms == 0
            assert gap.end_ms == found.end_ms
            assert gap.channel == "left"


@pytest.mark.parametrize("outbound", [False, True], ids=["inbound", "outbound"])
def test_announcement_to_both_is_repeated_after_a_hold(tmp_path: Path, outbound: bool) -> None:
    """At pick-up the recording begins again after the hold, with the announcement."""
    with phone_rig(tmp_path) as place:
        prompt = say_announcement(place, connected=True)
        ways = list(product((2.0, 4.0), ENDS_S, (True,)))
        places = place.place_out if outbound else place.place
        pairs = [places(f"hold at {at} s for {length} s", PCMU, PCMU) for at, length, _ in ways]
        for pair in pairs:
            assert pair.dialogue
        with ThreadPoolExecutor(len(pairs)) as pool:
            holds = [
                pool.submit(hold_in_announcement, place, pair, *way)
                for pair, way in zip(pairs, ways, strict=True)
            ]
            for hold in holds:
                hold.result()
        for pair in pairs:
            until(
                f"{pair.name} is announced",
                lambda pair=pair: "announcement_finished" in kinds(place, pair),
                40,
            )
        place.talk(1, *pairs)
        for pair in pairs:
            recording = pair.listen()
            print(recording)
            markers = [marker.kind for marker in recording.take.markers]
            assert markers.count("announcement_started") == 2, (pair.name, markers)
            found = recording.encoded.announced
            assert found is not None, pair.name
            sound = read_wav(recording.take.folder / WAV)
            begin = found.offset_ms * RATE // 1000
            assert likeness(sound[begin:, 1], prompt) > 0.97, pair.name
            assert not sound[: found.end_ms * RATE // 1000, 0].any(), f"{pair.name}: kept"
            assert not sound[:begin, 1].any(), pair.name


def kinds(place: PhoneRig, pair: Pair) -> list[str]:
    for path in place.rig.spool.glob(f"*/{layout.CALL}"):
        if layout.read_start(path.parent).external_party.value.endswith(pair.caller):
            return [marker.kind for marker in layout.read_markers(path.parent)]
    return []
