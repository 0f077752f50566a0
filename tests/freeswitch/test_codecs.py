"""Every codec and rate of a leg on a real switch: announced, kept in its band, and with its channels in sync.

Each packet that was sent is known (``telephones``), and located without the product."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
import pytest
import soundfile

from tests.freeswitch.telephones import alignment
from tests.freeswitch.telephones.codecs import (
    G722,
    OPUS,
    OPUS_8,
    OPUS_16,
    OPUS_DTX,
    OPUS_STEREO,
    PCMA,
    PCMU,
    Codec,
)
from tests.freeswitch.telephones.endpoints import bursts, jitters, loses
from tests.freeswitch.telephones.rig import Pair, PairRecording, PhoneRig, phone_rig

IN_STEP_S = 0.045
BRIDGE_S = 0.020
"""What the colleague says, the external party hears a frame of the switch later: so far behind is the right
channel, and that is no mistake."""

BUSY_S = 0.040
"""Two frames more, for a moment."""

WRONG_RATE_S = 0.3
"""What is written at another rate than it came at is a second and a half too short or too long here; while a
file is closed and opened for another codec, the call waits for the disk."""

PROMPT_S = 0.020
LATE_S = 0.060


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhoneRig]:
    with phone_rig(tmp_path_factory.mktemp("phone_rig")) as it:
        yield it


def check(recording: PairRecording, talk_s: float, late_s: float = 0.0, early_s: float = 0.0) -> None:
    """What holds of every recording, whatever its codec; the external party's packets came so late, or are
    recorded so early."""
    print(recording)
    assert recording.encoded.announced is not None, recording
    assert abs(recording.encoded.announced.offset_ms / 1000 - recording.announcement_s) <= PROMPT_S, recording
    assert len(recording.steps) >= talk_s / alignment.EVERY_S / 2, recording
    assert min(recording.trend) >= -IN_STEP_S - early_s, recording
    assert max(recording.trend) <= IN_STEP_S + late_s, recording
    assert min(recording.steps) >= -IN_STEP_S - early_s - BUSY_S, recording
    assert max(recording.steps) <= IN_STEP_S + late_s + BUSY_S, recording
    announcement_end = recording.encoded.announced.end_ms
    for sound in recording.encoded.sounds:
        if sound.name == "audio.wav":
            samples, rate = soundfile.read(sound.path, dtype="int16")
            assert rate == recording.rate
            assert not samples[: announcement_end * rate // 1000, 0].any(), recording


def band(recording: PairRecording, name: str, hertz: float) -> list[float]:
    """Of each channel of what is kept: how much of its power is above a pitch, in dB."""
    path = next(sound.path for sound in recording.encoded.sounds if sound.name == name)
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="stereo", rate=48000)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    sound = np.concatenate([frame.to_ndarray().reshape(-1, 2) for frame in frames])[-3 * 48000 : -24000]
    return [alignment.above(sound[:, side], 48000, hertz) for side in (0, 1)]


LEGS: dict[str, tuple[Codec, Codec, int]] = {
    "PCMU": (PCMU, PCMU, 8000),
    "PCMA, its colleague G.722": (PCMA, G722, 8000),
    "G.722": (G722, G722, 16000),
    "G.722, its colleague PCMA": (G722, PCMA, 16000),
    "G.722, its colleague Opus": (G722, OPUS, 16000),
    "Opus": (OPUS, OPUS, 48000),
    "Opus, its colleague G.722": (OPUS, G722, 48000),
    "Opus, its colleague PCMU": (OPUS, PCMU, 48000),
    "Opus of 16 kHz": (OPUS_16, G722, 16000),
    "Opus of 8 kHz": (OPUS_8, PCMU, 8000),
}


def test_each_codec_is_announced_and_kept_in_its_band_and_in_sync(place: PhoneRig) -> None:
    pairs = {name: place.place(name, out, inside) for name, (out, inside, _) in LEGS.items()}
    secure = place.place("SRTP", PCMA, PCMA, secure=True)
    stereo = place.place("Opus in stereo", OPUS_STEREO, PCMU)
    place.until_connected(*pairs.values(), secure, stereo)
    place.talk(6, *pairs.values(), secure, stereo)
    for name, pair in {**pairs, "SRTP": secure}.items():
        recording = pair.listen()
        check(recording, 6)
        assert recording.rate == (8000 if pair is secure else LEGS[name][2]), name
        assert abs(recording.encoded.drift_ms) < 300, recording
        assert recording.slower < IN_STEP_S, recording
        if recording.rate > 8000:
            wide = [leg.codec.rate > 8000 for leg in (pair.outside, pair.inside)]
            for text in ("audio.wav", "audio.opus"):
                for side, much in zip(wide, band(recording, text, 4500), strict=True):
                    assert (much > -15) is side, (name, text, much)
    # Both would be in both of its channels: it is not kept, and they speak with each other.
    take = stereo.take()
    assert (take.end.outcome, take.end.reason) == ("not_recorded", "recording_failed")
    assert not take.audio.exists()
    assert stereo.inside.packet_count > 100


def test_lost_late_and_absent_packets_keep_the_channels_in_sync(place: PhoneRig) -> None:
    pairs = [
        place.place("5 % lost", weather=loses(0.05)),
        place.place("20 % lost", weather=loses(0.2)),
        place.place("G.722, 20 % lost", G722, G722, weather=loses(0.2)),
        place.place("Opus, 20 % lost", OPUS, OPUS, weather=loses(0.2)),
        place.place("2 s lost of every 5", weather=bursts(5, 2)),
        place.place("late, out of order", weather=jitters(LATE_S)),
        place.place("silence suppressed", comfort=True),
        place.place("silence without comfort noise", G722, PCMU),
        place.place("Opus, its silence not sent", OPUS_DTX, OPUS),
    ]
    secure = place.place("SRTP, held and paused", PCMA, PCMA, secure=True)
    mute = place.place("sends nothing", PCMA, PCMA, speaks=False)
    place.until_connected(*pairs, mute, secure)
    place.talk(3)
    for pair in pairs[-3:]:
        pair.outside.speaks = False
    secure.dialogue.hold()
    place.talk(2)
    secure.dialogue.unhold()
    place.talk(2)
    for pair in pairs[-3:]:
        pair.outside.speaks = True
    pause(place, secure)
    place.talk(5, *pairs, mute, secure)
    for pair in pairs:
        recording = pair.listen()
        check(recording, 6, LATE_S if pair.name.startswith("late") else 0.0)
        assert abs(recording.encoded.drift_ms) < 300, recording
    recording = secure.listen()
    check(recording, 3)
    assert [gap.reason for gap in recording.encoded.gaps if gap.reason == "hold"] == ["hold"], (
        recording.encoded.gaps
    )
    assert recording.left[-1].at > 5, "nothing is heard after the hold"
    assert not recording.sound[-4 * recording.rate :].any(), recording
    recording = mute.listen()
    print(recording)
    assert recording.encoded.announced is not None
    assert not recording.left
    assert max(map(abs, alignment.trend(alignment.pace(recording.right, 20)))) < IN_STEP_S
    assert abs(recording.encoded.drift_ms) < 300, recording


def test_codec_change_keeps_speed_and_sync(place: PhoneRig) -> None:
    both = (G722, PCMU)
    wide = place.place("G.722, PCMU, G.722", G722, G722, codecs=both)
    narrow = place.place("PCMU, G.722, PCMU", PCMU, PCMU, codecs=both[::-1])
    best = place.place("Opus, PCMU, Opus", OPUS, OPUS, codecs=(OPUS, PCMU))
    same = place.place("PCMU, PCMA, PCMU", PCMU, PCMU, codecs=(PCMU, PCMA))
    pairs = {wide: (PCMU, G722), narrow: (G722, PCMU), best: (PCMU, OPUS), same: (PCMA, PCMU)}
    stereo = place.place("PCMU, Opus in stereo", PCMU, PCMU, codecs=(PCMU, OPUS_STEREO))
    early = [
        place.place("PCMU, G.722 while being told", PCMU, PCMU, codecs=both[::-1]),
        place.place("G.722, PCMU while being told", G722, PCMU, codecs=both),
    ]
    for pair, codec in zip(early, both, strict=True):
        pair.dialogue.wait("talking")
        pair.dialogue.invite((codec,))
    paused = place.place("paused, PCMU, G.722", PCMU, PCMU, codecs=both[::-1])
    place.until_connected(*pairs, stereo, paused, *early)
    pause(place, paused)
    for step in (0, 1):
        place.talk(3)
        for pair, codecs in pairs.items():
            pair.dialogue.invite((codecs[step],))
        if not step:
            stereo.dialogue.invite((OPUS_STEREO,))
            paused.dialogue.invite((G722,))
    place.talk(3, *pairs, stereo, paused, *early)
    for pair, rate in ((wide, 16000), (narrow, 8000), (best, 48000), (same, 8000)):
        recording = pair.listen()
        check(recording, 9)
        assert recording.rate == rate, recording
        assert recording.slower < 0.1, recording
        assert abs(recording.encoded.drift_ms) < 300, recording
    for pair in early:
        recording = pair.listen()
        check(recording, 6)
        assert recording.slower < 0.1, recording
    # From there on both would be in both channels: what is before is kept, and the rest is told as missing.
    recording = stereo.listen()
    check(recording, 2)
    last = recording.encoded.gaps[-1]
    assert (last.reason, last.channel) == ("write_error", "both"), recording.encoded.gaps
    assert 5000 < last.end_ms - last.start_ms < 8000, recording.encoded.gaps
    recording = paused.listen()
    print(recording)
    assert recording.left
    assert not recording.sound[-7 * recording.rate :].any(), recording  # the codec changed 6 s before the end


def test_codec_of_a_callee_changes(place: PhoneRig) -> None:
    """An outbound call is the callee's leg: their telephone goes on with another codec, and back."""
    pairs = {
        place.place_out("out, PCMU to G.722 and back"): (G722, PCMU),
        place.place_out("out, PCMA to Opus and back", PCMA, PCMA): (OPUS, PCMA),
    }
    for codec in (G722, OPUS):
        for pair in pairs:
            pair.outside.voice.payload(codec, 0)  # encoded before it is needed
    place.until_connected(*pairs)
    for step in (0, 1):
        place.talk(3)
        for pair, codecs in pairs.items():
            place.end_of(pair.outside).invite((codecs[step],))
    place.talk(3, *pairs)
    for pair in pairs:
        recording = pair.listen()
        check(recording, 9)
        assert recording.take.start.direction == "outbound"
        assert recording.rate == 8000, recording
        assert recording.slower < WRONG_RATE_S, recording
        assert abs(recording.encoded.drift_ms) < 1000 * WRONG_RATE_S, recording


def test_callees_leg_is_wideband_if_their_phone_is(place: PhoneRig) -> None:
    """Whatever the colleague's telephone speaks: the way out is as wide as the way in."""
    pairs = {
        place.place_out("out, G.722", G722, G722): 16000,
        place.place_out("out, G.722, its colleague PCMU", G722, PCMU): 16000,
        place.place_out("out, Opus", OPUS, OPUS): 48000,
    }
    place.until_connected(*pairs)
    place.talk(5, *pairs)
    for pair, rate in pairs.items():
        recording = pair.listen()
        check(recording, 5)
        assert recording.rate == rate, recording
        wide = [leg.codec.rate > 8000 for leg in (pair.outside, pair.inside)]
        for text in ("audio.wav", "audio.opus"):
            for side, much in zip(wide, band(recording, text, 4500), strict=True):
                assert (much > -15) is side, (pair.name, text, much)


def pause(place: PhoneRig, pair: Pair) -> None:
    """As a colleague's code does it: masked by the switch, until it is told otherwise."""
    leg = place.leg_of(pair)
    path = place.rig.switch.esl.api(f"uuid_getvar {leg} accord_recorded")
    assert place.rig.switch.esl.api(f"uuid_record {leg} mask '{path}'").startswith("+OK")
    place.rig.switch.esl.api(f"uuid_setvar {leg} accord_paused true")
