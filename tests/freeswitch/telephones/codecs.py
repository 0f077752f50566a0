"""The voices of the test's phones, encoded packet by packet before a call begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol

import av
import numpy as np

TICK_MS = 20
WIDEST = 48000


@dataclass(frozen=True)
class Codec:
    """``clock`` is the RTP clock rate, ``rate`` the audio's sample rate, ``spoken`` the name in SDP."""

    spoken: str
    payload: int
    clock: int
    rate: int
    encoder: str
    fmtp: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @property
    def step(self) -> int:
        return self.clock * TICK_MS // 1000

    def lines(self) -> list[str]:
        """Return its SDP lines."""
        lines = [f"a=rtpmap:{self.payload} {self.spoken}"]
        return lines + ([f"a=fmtp:{self.payload} {self.fmtp}"] if self.fmtp else [])


_VOICE = (("frame_duration", "20"), ("application", "voip"))
PCMU = Codec("PCMU/8000", 0, 8000, 8000, "pcm_mulaw")
PCMA = Codec("PCMA/8000", 8, 8000, 8000, "pcm_alaw")
G722 = Codec("G722/8000", 9, 8000, 16000, "g722")
OPUS = Codec("opus/48000/2", 116, 48000, 48000, "libopus", "useinbandfec=1", _VOICE)
OPUS_DTX = Codec("opus/48000/2", 116, 48000, 48000, "libopus", "useinbandfec=1; usedtx=1", _VOICE)
OPUS_16 = Codec(
    "opus/48000/2", 116, 48000, 16000, "libopus", "maxplaybackrate=16000; sprop-maxcapturerate=16000", _VOICE
)
OPUS_8 = Codec(
    "opus/48000/2", 116, 48000, 8000, "libopus", "maxplaybackrate=8000; sprop-maxcapturerate=8000", _VOICE
)
OPUS_STEREO = Codec("opus/48000/2", 116, 48000, 48000, "libopus", "stereo=1; sprop-stereo=1", _VOICE)


@cache
def noise(seed: int, seconds: int) -> np.ndarray:
    """Return a noise without repetition, at 48 kHz: uniform from 200 Hz to 20 kHz, but stronger below 3.4
    kHz, like speech."""
    chance = np.random.default_rng(seed)
    spectrum = np.fft.rfft(chance.standard_normal(WIDEST * seconds))
    at = np.fft.rfftfreq(WIDEST * seconds, 1 / WIDEST)
    spectrum[(at < 200) | (at > 20000)] = 0
    spectrum[at > 3400] *= 0.4
    sound = np.fft.irfft(spectrum, WIDEST * seconds)
    return (0.1 * sound / np.sqrt(np.mean(sound**2))).astype(np.float32)


def at_rate(sound: np.ndarray, rate: int) -> np.ndarray:
    """Resample from 48 kHz to a lower rate."""
    if rate == WIDEST:
        return sound
    count = len(sound) * rate // WIDEST
    spectrum = np.fft.rfft(sound)[: count // 2 + 1]
    spectrum[int(len(spectrum) * 0.98) :] = 0
    return (np.fft.irfft(spectrum, count) * (rate / WIDEST)).astype(np.float32)


@cache
def packets(codec: Codec, seed: int, seconds: int) -> list[bytes]:
    """Return the payloads of a noise, one per 20 ms."""
    return encoded(codec, at_rate(noise(seed, seconds), codec.rate))


def encoded(codec: Codec, sound: np.ndarray) -> list[bytes]:
    """Return the payloads of a sound, one per 20 ms."""
    context = av.CodecContext.create(codec.encoder, "w")
    context.sample_rate, context.layout, context.format = codec.rate, "mono", "s16"
    if codec.encoder == "libopus":
        context.bit_rate = 64000
    context.options = dict(codec.options)
    size = codec.rate * TICK_MS // 1000
    out: list[bytes] = []
    samples = (np.clip(sound, -1, 1) * 32767).astype(np.int16)
    context.open()
    for at in range(0, len(samples) - size + 1, size):
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + size], format="s16", layout="mono")
        frame.sample_rate, frame.pts = codec.rate, at
        out += [bytes(packet) for packet in context.encode(frame)]
    return out


ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477)
PAD = ("123", "456", "789", "*0#")


def pitches(digit: str) -> tuple[int, int]:
    """Return the two tones of a key in Hz."""
    row = next(number for number, keys in enumerate(PAD) if digit in keys)
    return ROWS[row], COLUMNS[PAD[row].index(digit)]


@cache
def tones(codec: Codec, digit: str, seconds: float = 0.2) -> list[bytes]:
    """Return the payloads of a key's tones, one per 20 ms; only for stateless codecs."""
    at = np.arange(int(codec.rate * seconds)) / codec.rate
    sound = sum(0.25 * np.sin(2 * np.pi * pitch * at) for pitch in pitches(digit))
    return encoded(codec, np.asarray(sound))


@cache
def beeps(codec: Codec, hertz: int, on_s: float, off_s: float) -> list[bytes]:
    """Return the payloads of a tone and its pause; only for stateless codecs."""
    at = np.arange(int(codec.rate * on_s)) / codec.rate
    sound = 0.3 * np.sin(2 * np.pi * hertz * at)
    return encoded(codec, np.concatenate([sound, np.zeros(int(codec.rate * off_s))]))


class Speaker(Protocol):
    """The voice of a phone: a payload for each tick."""

    def payload(self, codec: Codec, tick: int) -> bytes: ...


@dataclass(frozen=True)
class Beeps:
    """A repeated tone, as fax machines send it."""

    hertz: int
    on_s: float
    off_s: float

    def payload(self, codec: Codec, tick: int) -> bytes:
        sounds = beeps(replace(codec, payload=0, fmtp=""), self.hertz, self.on_s, self.off_s)
        return sounds[tick % len(sounds)]


@dataclass(frozen=True)
class Voice:
    """A repeated noise, in any codec."""

    seed: int
    seconds: int

    def payload(self, codec: Codec, tick: int) -> bytes:
        sounds = packets(replace(codec, payload=0, fmtp=""), self.seed, self.seconds)
        return sounds[tick % len(sounds)]
