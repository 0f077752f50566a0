"""Samples: loudness by the standard's reference tones, trimming, resampling, joining."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from recorder.prompts import dsp
from recorder.prompts.dsp import RATE


def tone(hertz: float, dbfs: float, seconds: float, rate: int = RATE) -> dsp.Samples:
    at = np.arange(round(seconds * rate))
    return (10 ** (dbfs / 20) * np.sin(2 * np.pi * hertz * at / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_loudness_matches_the_standard(rate: int) -> None:
    # BS.1770: a sine of 997 Hz at full scale in one channel is -3.01 LUFS
    assert dsp.loudness(tone(997, 0, 3, rate), rate) == pytest.approx(-3.01, abs=0.1)
    assert dsp.loudness(tone(997, -20, 3, rate), rate) == pytest.approx(-23.01, abs=0.1)


def test_loudness_ignores_pauses() -> None:
    sound = tone(997, -20, 2)
    pause = dsp.make_silence(2)
    assert dsp.loudness(np.concatenate([sound, pause, sound])) == pytest.approx(-23.3, abs=0.4)
    room = np.random.default_rng(1).normal(0, 10 ** (-45 / 20), len(pause)).astype(np.float32)
    noisy = np.concatenate([sound, room, sound])
    assert dsp.loudness(noisy) == pytest.approx(dsp.loudness(np.concatenate([sound, pause, sound])), abs=0.2)
    assert dsp.loudness(pause) == -np.inf
    assert dsp.loudness(pause[:0]) == -np.inf
    assert dsp.loudness(tone(997, -20, 0.1)) == pytest.approx(-23.01, abs=0.3)


def test_normalises_without_clipping() -> None:
    for dbfs in (-40.0, -3.0):
        assert dsp.loudness(dsp.normalise(tone(500, dbfs, 1))) == pytest.approx(dsp.LOUDNESS, abs=0.1)
    click = np.zeros(RATE, dtype=np.float32)
    click[8000:8010] = 0.5
    assert np.abs(dsp.normalise(click)).max() == pytest.approx(dsp.PEAK)
    assert not np.any(dsp.normalise(dsp.make_silence(1)))


def test_trims_silence_to_the_same_length() -> None:
    sound = tone(500, -20, 1)
    for before, after in ((0.0, 0.0), (0.3, 1.2), (2.0, 0.0)):
        whole = np.concatenate([dsp.make_silence(before), sound, dsp.make_silence(after)])
        short = dsp.trim_silence(whole)
        assert len(short) / RATE == pytest.approx(1.1, abs=0.09)
        first, last = dsp.measure_silence(short)
        assert 0.04 <= first <= 0.08
        assert 0.04 <= last <= 0.12
    noise = (np.random.default_rng(1).normal(0, 0.0008, RATE)).astype(np.float32)
    short = dsp.trim_silence(np.concatenate([noise, sound, noise]))
    assert len(short) / RATE == pytest.approx(1.15, abs=0.06), "background noise is trimmed"


def test_resampling_keeps_the_telephone_band() -> None:
    def power(samples: dsp.Samples, hertz: float, rate: int) -> float:
        at = np.arange(len(samples)) / rate
        return float(np.abs(np.mean(samples * np.exp(-2j * np.pi * hertz * at))) * 2)

    sound = dsp.resample(tone(1000, -6, 2), RATE, 8000)
    assert len(sound) == 16000
    assert power(sound, 1000, 8000) == pytest.approx(0.501, rel=0.01)
    audio = dsp.resample(tone(5000, -6, 2), RATE, 8000)
    assert np.abs(audio[800:-800]).max() < 0.001, "it would alias to 3 kHz"
    click = np.zeros(RATE, dtype=np.float32)
    click[8001] = 1.0
    far = np.delete(dsp.resample(click, RATE, 8000), np.arange(3900, 4100))
    assert np.abs(far).max() < 0.0002, "it would ring"
    back = dsp.resample(sound, 8000, RATE)
    assert power(back, 1000, RATE) == pytest.approx(0.501, rel=0.01)
    same = tone(1000, -6, 1)
    assert np.array_equal(dsp.resample(same, RATE, RATE), same)


def test_joins_clips_with_pauses() -> None:
    one, two = tone(500, -20, 0.5), tone(700, -20, 0.25)
    whole = dsp.join_clips([one, two], [9.0, 0.25])
    assert len(whole) == RATE
    assert not np.any(whole[8000:12000])
    content = dsp.wav_bytes(whole, RATE)
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        assert (file.format, file.subtype, file.channels, file.samplerate) == ("WAV", "PCM_16", 1, RATE)
        assert np.array_equal(file.read(dtype="int16"), dsp.to_int16(whole))
    assert content == dsp.wav_bytes(whole.copy(), RATE)
    assert len(dsp.join_clips([], [])) == 0


def test_clips_beyond_full_scale() -> None:
    assert dsp.to_int16(np.array([1.5, -1.5, 0.0], dtype=np.float32)).tolist() == [32767, -32768, 0]
