"""Takes at every rate that a channel can have are processed like one at 8 kHz."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from recorder.audio import wav
from recorder.audio.encoding import encode
from tests.announcements import AnnouncementFile

OTHERS = [rate for rate in wav.RATES if rate != 8000]
OPUS_RATE = 48_000


def at_rate(sound: NDArray[np.int16], rate: int) -> NDArray[np.int16]:
    """Resample with ffmpeg, independently of the product's resampler."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    frame = av.AudioFrame.from_ndarray(sound[None, :], format="s16", layout="mono")
    frame.sample_rate = 8000
    parts = [out.to_ndarray()[0] for out in (*resampler.resample(frame), *resampler.resample(None))]
    return np.concatenate(parts)


@pytest.mark.long
@pytest.mark.parametrize("rate", OTHERS)
def test_processes_a_take_of_every_rate(
    tmp_path: Path, lab: ModuleType, english: AnnouncementFile, rate: int
) -> None:
    call = lab.ordinary(english)
    wide = replace(call, left=at_rate(call.left, rate), right=at_rate(call.right, rate), rate=rate)
    encoded = encode(wide.make(tmp_path), english.path)
    assert encoded.sample_rate == rate
    assert encoded.announced is not None
    assert abs(encoded.announced.offset_ms - lab.LEAD_MS) <= 2
    assert abs(encoded.announced.end_ms - lab.LEAD_MS - len(lab.sound_of(english)) / 8) <= 2
    assert encoded.announced.score > 0.95
    announced = encoded.announced.end_ms * rate // 1000
    paths = {sound.name: sound.path for sound in encoded.sounds}
    samples, kept_rate = soundfile.read(paths["audio.wav"], dtype="int16")
    assert kept_rate == rate
    assert len(samples) == len(wide.left)
    assert not samples[:announced, 0].any()
    with av.open(str(paths["audio.opus"])) as container:
        opus = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert abs(opus.shape[1] / OPUS_RATE - len(samples) / rate) < 0.002
    assert np.abs(opus[0, : (encoded.announced.end_ms - 20) * OPUS_RATE // 1000]).max() < 0.001
    # The same level at the same place, in steps of a tenth of a second.
    for side in (0, 1):
        assert np.corrcoef(loudness(opus[side], OPUS_RATE), loudness(samples[:, side], rate))[0, 1] > 0.98
    outline = json.loads(paths["peaks"].read_bytes())
    assert (outline["sample_rate"], outline["frames"]) == (rate, len(samples))


def loudness(sound: NDArray[np.generic], rate: int) -> NDArray[np.float64]:
    count = 10 * len(sound) // rate - 1
    pieces = sound[: count * rate // 10].astype(float).reshape(count, rate // 10)
    return np.asarray(np.sqrt((pieces**2).mean(axis=1)))


def test_keeps_the_bandwidth_of_the_leg(tmp_path: Path, lab: ModuleType, english: AnnouncementFile) -> None:
    """Hiss at 6 kHz of a 16 kHz leg is kept in both formats; at 8 kHz it cannot exist."""
    call = lab.ordinary(english)
    right = at_rate(call.right, 16000)
    at = np.arange(16000 * 2)
    right[-len(at) :] = 6000 * np.sin(2 * np.pi * 6000 * at / 16000)
    wide = replace(call, left=at_rate(call.left, 16000), right=right, rate=16000, law="PCM_16")
    for sound in encode(wide.make(tmp_path), english.path).sounds:
        if sound.name == "peaks":
            continue
        with av.open(str(sound.path)) as container:
            resampler = av.AudioResampler(format="flt", layout="stereo", rate=16000)
            frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        decoded = np.concatenate([frame.to_ndarray().reshape(-1, 2) for frame in frames])[:, 1]
        assert lab.power(decoded[-20000:-4000], 6000, 16000) > -20, sound.name
