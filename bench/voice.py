"""How reliably a spoken answer is detected: answers in four languages, as they sound over a telephone, and as
many windows in which nobody spoke.

    python -m bench.voice            prints the answers missed and the sounds mistaken for a voice, as JSON

The words are the shipped ones (digits, as short as a "yes"); rooms, noises and losses are made from a seed,
so that every run measures the same sounds.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from demo.practice.sound import as_on_the_line
from recorder.audio import voice_detection, wav
from recorder.audio.voice_detection import VoiceSpan
from recorder.prompts.dsp import RATE as CLIPS
from recorder.prompts.dsp import measure_silence, resample, to_int16
from recorder.prompts.sound_sources import SOUNDS

RATE = 8000
FRAME = RATE // 50
"""One packet of 20 ms."""

BEFORE_S, WINDOW_S = 1.0, 4.0
"""Seconds of the question, and from its end to the colleague's key."""

LENGTH = int((BEFORE_S + WINDOW_S) * RATE)

SEED = 20260101

Sound = NDArray[np.float64]

LANGUAGES = ("fr", "nl", "de", "en")
ANSWERS, OTHERS = (1, 2, 3, 4, 6), (0, 5, 7, 8, 9)
"""The digits that are answers, and those that the colleague and other people say."""

CONDITIONS = ("quiet", "noisy", "distant", "lossy")


@dataclass(frozen=True, slots=True)
class Case:
    """A recording after a question, up to a second before its end: left what the external party said, right
    what they heard. ``spoken``: from when to when in milliseconds they speak, ``None`` if they do not."""

    name: str
    condition: str
    samples: NDArray[np.int16]
    spoken: tuple[int, int] | None


def answers() -> Iterator[Case]:
    """Eighty, twenty per language: five words, two of which last 250 ms, in four conditions each."""
    dice = random.Random(SEED)
    for language in LANGUAGES:
        for place, digit in enumerate(ANSWERS):
            sound = word(language, digit, 0.25 if place % 2 else None)
            for condition in CONDITIONS:
                yield answer(f"{language} {digit}", condition, sound, dice)


def answer(name: str, condition: str, sound: Sound, dice: random.Random) -> Case:
    """One word per window, at varying times; in every other window the colleague speaks, too."""
    draw = np.random.default_rng(dice.randrange(1 << 32))
    window, at = np.zeros(LENGTH), int((BEFORE_S + dice.uniform(0.3, 2.4)) * RATE)
    window[at : at + len(sound)] = sound
    left = by_telephone(_CONDITIONS[condition](window, draw), draw)
    right = by_telephone(right_channel(draw, talks=bool(dice.getrandbits(1))), draw)
    span = at * 1000 // RATE, (at + len(sound)) * 1000 // RATE
    return Case(name, condition, np.stack([left, right], axis=1), span)


def voiceless_cases() -> Iterator[Case]:
    """Eighty-eight windows in which the external party does not speak: each kind eight times, at various
    levels."""
    dice = random.Random(SEED + 1)
    for name, make in VOICELESS.items():
        for number in range(8):
            draw = np.random.default_rng(dice.randrange(1 << 32))
            right = right_channel(draw, talks=number % 2 == 0)
            sound = _echo(draw, right) if make is echo else make(draw)
            left = by_telephone(sound, draw, loss_rate=0.0 if number % 2 else 0.05)
            yield Case(f"{name} {number}", name, np.stack([left, by_telephone(right, draw)], axis=1), None)


def right_channel(draw: np.random.Generator, *, talks: bool) -> Sound:
    """What the external party heard: the end of the question, with or without the colleague repeating it."""
    channel = comfort(draw, -68)
    question, before = _question(LANGUAGES[int(draw.integers(4))]), int(BEFORE_S * RATE)
    channel[:before] += question[-before:]
    at = before + int(draw.uniform(0.1, 1.0) * RATE)
    for _ in range(int(draw.integers(1, 4)) if talks else 0):
        sound = word(LANGUAGES[int(draw.integers(4))], OTHERS[int(draw.integers(5))])
        channel[at : at + len(sound)] += sound
        at += len(sound) + int(draw.uniform(0.1, 0.5) * RATE)
    return channel


@cache
def _question(language: str) -> Sound:
    samples, rate = soundfile.read(SOUNDS / language / "yes-or-no.flac", dtype="float32")
    _, after = measure_silence(samples)
    return resample(samples[: len(samples) - int(after * rate)], CLIPS, RATE).astype(np.float64)


@cache
def _word(language: str, digit: int) -> Sound:
    samples, rate = soundfile.read(SOUNDS / language / f"digit-{digit}.flac", dtype="float32")
    assert rate == CLIPS
    before, after = measure_silence(samples)
    trimmed = samples[int(before * rate) : len(samples) - int(after * rate)]
    return resample(trimmed, CLIPS, RATE).astype(np.float64)


def word(language: str, digit: int, seconds: float | None = None) -> Sound:
    """A word at -26 dB; if it is to last ``seconds``, faster at the same pitch."""
    sound = _word(language, digit)
    if seconds is not None and len(sound) > seconds * RATE:
        sound = _faster(sound, len(sound) / (seconds * RATE))
    return set_level(sound, -26.0)


def _faster(sound: Sound, times: float) -> Sound:
    """Overlap-add: windows of 30 ms, further apart where they are read than where they are written."""
    size, hop = int(0.03 * RATE), int(0.015 * RATE)
    shape = np.hanning(size)
    count = int((len(sound) - size) / (hop * times)) + 1
    output = np.zeros(count * hop + size)
    weight = np.full(len(output), 1e-3)
    for number in range(count):
        start = int(number * hop * times)
        output[number * hop : number * hop + size] += sound[start : start + size] * shape
        weight[number * hop : number * hop + size] += shape
    return output / weight


def set_level(sound: Sound, dbfs: float) -> Sound:
    """With that mean power, in dB below full scale."""
    power = float(np.sqrt(np.mean(sound**2)))
    return sound * (10 ** (dbfs / 20) / power) if power else sound


# --- voices


def _quiet(window: Sound, draw: np.random.Generator) -> Sound:
    return window * 10 ** (draw.uniform(-6, 6) / 20) + comfort(draw, -65)


def _noisy(window: Sound, draw: np.random.Generator) -> Sound:
    """Ten to five decibels above street noise, hum, a fan, or many distant voices."""
    noise = (street, hum, ventilator, babble)[int(draw.integers(4))]
    return window + set_level(noise(draw), -26 - draw.uniform(5, 10))


def _distant(window: Sound, draw: np.random.Generator) -> Sound:
    """Across a room: 16 to 20 dB softer, mostly reverberation, without its highs."""
    length = int(0.35 * RATE)
    echo = draw.standard_normal(length) * np.exp(-np.arange(length) / (0.08 * RATE))
    echo[0] = 3.0
    far = np.convolve(window, echo)[: len(window)]
    far = shape_spectrum(far, lambda hertz: 1 / (1 + (hertz / 1800) ** 2))
    far *= np.sqrt(np.sum(window**2) / np.sum(far**2)) * 10 ** (-draw.uniform(16, 20) / 20)
    return far + comfort(draw, -62)


def _lossy(window: Sound, draw: np.random.Generator) -> Sound:
    """With a soft room; one packet in ten is lost, in bursts."""
    window = _quiet(window, draw)
    in_burst = False
    for start in range(0, len(window) - FRAME, FRAME):
        in_burst = draw.random() < (0.5 if in_burst else 0.06)
        if in_burst:
            window[start : start + FRAME] = 0.0
    return window


_CONDITIONS: dict[str, Callable[[Sound, np.random.Generator], Sound]] = {
    "quiet": _quiet,
    "noisy": _noisy,
    "distant": _distant,
    "lossy": _lossy,
}


def by_telephone(sound: Sound, draw: np.random.Generator, loss_rate: float = 0.01) -> NDArray[np.int16]:
    """300 to 3400 Hz, occasional packet loss, through G.711."""
    band = shape_spectrum(sound, lambda hertz: (hertz > 200) / (1 + (hertz / 3500) ** 16))
    for start in range(0, len(band) - FRAME, FRAME):
        if draw.random() < loss_rate:
            band[start : start + FRAME] = band[start - FRAME : start] * 0.5 if start else 0.0
    return as_on_the_line(to_int16(np.clip(band, -1, 1).astype(np.float32)))


# --- other sounds


def shape_spectrum(sound: Sound, gain: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Sound:
    """With another spectrum."""
    spectrum = np.fft.rfft(sound)
    signal: Sound = np.fft.irfft(spectrum * gain(np.fft.rfftfreq(len(sound), 1 / RATE)), len(sound))
    return signal


def _noise(draw: np.random.Generator) -> Sound:
    return draw.standard_normal(LENGTH)


def _time() -> Sound:
    return np.arange(LENGTH) / RATE


def silent(draw: np.random.Generator) -> Sound:
    return np.zeros(LENGTH)


def comfort(draw: np.random.Generator, dbfs: float | None = None) -> Sound:
    """Comfort noise by RFC 3389: soft noise whose level changes slightly now and then."""
    steps = np.repeat(10 ** (draw.uniform(-2, 2, LENGTH // (RATE // 5)) / 20), RATE // 5)
    noise = shape_spectrum(_noise(draw), lambda hertz: 1 / (1 + (hertz / 1500) ** 2)) * steps
    return set_level(noise, draw.uniform(-70, -45) if dbfs is None else dbfs)


def street(draw: np.random.Generator) -> Sound:
    """Cars that come and go: low noise that swells."""
    noise = shape_spectrum(_noise(draw), lambda hertz: 1 / (1 + (hertz / 400) ** 1.5))
    swell = 1 + 0.8 * np.sin(2 * np.pi * draw.uniform(0.1, 0.4) * _time() + draw.uniform(0, 6))
    return set_level(noise * swell, draw.uniform(-45, -28))


def hum(draw: np.random.Generator) -> Sound:
    """The mains, with its harmonics."""
    signal = sum(np.sin(2 * np.pi * 50 * k * _time() + draw.uniform(0, 6)) / k for k in range(1, 20))
    return set_level(signal + 0.02 * _noise(draw), draw.uniform(-45, -28))


def ventilator(draw: np.random.Generator) -> Sound:
    noise = shape_spectrum(_noise(draw), lambda hertz: 1 / (1 + (hertz / 900) ** 2))
    return set_level(noise * (1 + 0.3 * np.sin(2 * np.pi * 11 * _time())), draw.uniform(-45, -28))


def babble(draw: np.random.Generator) -> Sound:
    """Twelve people talking at once, at a distance: the spectrum of a voice without one voice in it."""
    signal = np.zeros(LENGTH)
    for _ in range(12):
        at = 0
        while at < len(signal):
            sound = _word(LANGUAGES[int(draw.integers(4))], OTHERS[int(draw.integers(5))])
            piece = sound[: len(signal) - at] * draw.uniform(0.3, 1)
            signal[at : at + len(piece)] += piece
            at += len(piece) + int(draw.uniform(0, 0.1) * RATE)
    return set_level(signal, draw.uniform(-50, -38))


def clicks(draw: np.random.Generator) -> Sound:
    """A keyboard, a handset that is moved, a pen."""
    signal = comfort(draw, -65)
    for _ in range(int(draw.integers(3, 16))):
        at, length = int(draw.integers(len(signal) - 400)), int(draw.integers(8, 300))
        knock = draw.standard_normal(length) * np.exp(-np.arange(length) / (length / 4))
        signal[at : at + length] += knock * draw.uniform(0.05, 0.5)
    return signal


def breathing(draw: np.random.Generator) -> Sound:
    """Into the mouthpiece: noise that swells and fades every second or two."""
    signal, at = comfort(draw, -65), int(draw.uniform(0, 0.8) * RATE)
    while at < len(signal):
        length = int(draw.uniform(0.5, 1.1) * RATE)
        noise = shape_spectrum(
            draw.standard_normal(length), lambda hertz: (hertz > 300) / (1 + (hertz / 1600) ** 2)
        )
        breath = set_level(noise * np.hanning(length), draw.uniform(-42, -30))
        signal[at : at + length] += breath[: len(signal) - at]
        at += length + int(draw.uniform(0.4, 0.9) * RATE)
    return signal


def digits(draw: np.random.Generator) -> Sound:
    """The colleague's keys, audible (ITU-T Q.23)."""
    signal, at = comfort(draw, -65), int(draw.uniform(0.2, 1) * RATE)
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477)
    for _ in range(int(draw.integers(1, 5))):
        length = int(draw.uniform(0.07, 0.35) * RATE)
        low, high = rows[int(draw.integers(4))], columns[int(draw.integers(3))]
        tone = np.sin(2 * np.pi * low * _time()[:length]) + np.sin(2 * np.pi * high * _time()[:length])
        piece = signal[at : at + length]
        piece += set_level(tone, draw.uniform(-40, -15))[: len(piece)]
        at += length + int(draw.uniform(0.1, 0.4) * RATE)
    return signal


def ringing(draw: np.random.Generator) -> Sound:
    """Another telephone, or its ringing tone: 425 Hz, or 400 and 450."""
    tones = [(425.0,), (400.0, 450.0), (440.0, 480.0), (1200.0, 1500.0)][int(draw.integers(4))]
    on = (_time() % 2.0) < draw.uniform(0.4, 1.2)
    signal = sum(np.sin(2 * np.pi * hertz * _time()) for hertz in tones) * on
    return set_level(signal, draw.uniform(-35, -20)) + comfort(draw, -65)


def echo(draw: np.random.Generator) -> Sound:
    """From their loudspeaker into their microphone; in a silent room none of it remains."""
    return _echo(draw, right_channel(draw, talks=True))


def _echo(draw: np.random.Generator, right: Sound) -> Sound:
    """20 to 35 dB softer than what was heard, 40 to 350 ms later, with the room's own reverberation."""
    length = int(0.2 * RATE)
    room = draw.standard_normal(length) * np.exp(-np.arange(length) / (0.04 * RATE))
    room[0] = 4.0
    echo = np.convolve(right, room)[: len(right)] / np.sqrt(np.sum(room**2))
    late = int(draw.uniform(0.04, 0.35) * RATE)
    echo = np.concatenate([np.zeros(late), echo[: len(echo) - late]])
    return echo * 10 ** (-draw.uniform(20, 35) / 20) + comfort(draw, -65)


VOICELESS: dict[str, Callable[[np.random.Generator], Sound]] = {
    "silence": silent,
    "comfort noise": comfort,
    "street": street,
    "hum": hum,
    "ventilator": ventilator,
    "clicks": clicks,
    "breathing": breathing,
    "digits": digits,
    "ringing": ringing,
    "babble": babble,
    "echo": echo,
}


def write_case(case: Case, folder: Path, rate: int = RATE) -> Path:
    """Write a case as the switch leaves a file in the middle of a call: with the header of an empty one."""
    path = folder / "audio.wav"
    both = case.samples
    if rate != RATE:
        channels = (resample(both[:, one].astype(np.float32) / 32768, RATE, rate) for one in (0, 1))
        both = np.stack([to_int16(one) for one in channels], axis=1)
    path.write_bytes(wav.wav_header(rate, 0) + both.astype("<i2").tobytes())
    return path


def detect(case: Case, folder: Path, rate: int = RATE) -> VoiceSpan | None:
    return voice_detection.find_answer(write_case(case, folder, rate), int(BEFORE_S * rate))


def right_place(case: Case, place: VoiceSpan) -> bool:
    """Whether the detected span overlaps the answer."""
    return case.spoken is not None and place.from_ms < case.spoken[1] and place.to_ms > case.spoken[0]


def main() -> None:
    missed: dict[str, list[str]] = {condition: [] for condition in CONDITIONS}
    alarms: dict[str, list[str]] = {kind: [] for kind in VOICELESS}
    elsewhere = 0
    cpu, seconds = 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for case in (*answers(), *voiceless_cases()):
            start = time.process_time()
            place = detect(case, Path(folder))
            cpu, seconds = cpu + time.process_time() - start, seconds + BEFORE_S + WINDOW_S
            if case.spoken is None and place is not None:
                alarms[case.condition].append(case.name)
            elif case.spoken is not None and place is None:
                missed[case.condition].append(case.name)
            elsewhere += place is not None and case.spoken is not None and not right_place(case, place)
    report = {
        "answers": 80,
        "missed": {kind: len(names) for kind, names in missed.items()},
        "found_elsewhere": elsewhere,
        "voiceless": 8 * len(VOICELESS),
        "taken_for_a_voice": {kind: len(names) for kind, names in alarms.items()},
        "which": sorted(name for names in (*missed.values(), *alarms.values()) for name in names),
        "times_real_time_by_cpu": round(seconds / cpu),
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
