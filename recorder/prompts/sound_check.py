"""Checks whether an operator's own WAV can be played into a call, heard by people, and found in the audio
again."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from recorder.errors import ConfigError
from recorder.prompts.sound_memory import open_sound

RATES = (8000, 16000)
SHORTEST_S, LONGEST_S = 1.0, 60.0
SHORTEST_CLIP_S, LONGEST_CLIP_S = 0.2, 20.0

LARGEST = 4 << 20
"""Bytes of a file. PCM is not compressed, so this bounds the decoded size, too."""

SILENT_DBFS = -45.0
"""If its loudest half second is below this, it is inaudible on a phone (speech is near -20)."""

CLIPPED_SHARE = 0.0005
"""Share of samples that may be in flat tops; more is heard as distortion."""

REPEATS = 0.9
"""A sound that resembles itself elsewhere this much (a steady tone, a loop) has no unique place in a
recording."""

_CONVERT = "convert it: ffmpeg -i yours.wav -ac 1 -ar 8000 -c:a pcm_s16le announcement.wav"


@dataclass(frozen=True, slots=True)
class CheckedSound:
    """A usable sound: hex SHA-256 of the file's bytes, samples a second, milliseconds."""

    sha256: str
    sample_rate: int
    duration_ms: int


def check_sound(content: bytes, name: str) -> CheckedSound:
    """Check a WAV file: mono, 8 or 16 kHz, PCM 16 bit, 1 to 60 s, neither silent nor clipping, and not
    repetitive. ``name`` is what the error calls it.

    Raises :class:`ConfigError` (``prompt.*``) that says what is wrong and what to do.
    """
    samples, rate = read_wav(content, name)
    seconds = len(samples) / rate
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise ConfigError(
            "prompt.length",
            f"{name} is {seconds:.1f} s long",
            f"an announcement takes {SHORTEST_S:.0f} to {LONGEST_S:.0f} s; about ten is right",
        )
    _check_level(samples, rate, name)
    if _repeats(samples, rate) > REPEATS:
        raise ConfigError(
            "prompt.repeats",
            f"{name} is repetitive, so its place in a recording is ambiguous",
            "use a spoken sentence",
        )
    return CheckedSound(hashlib.sha256(content).hexdigest(), rate, round(seconds * 1000))


def check_clip(content: bytes, name: str) -> CheckedSound:
    """Check a person's recording of one sentence: as :func:`check_sound`, but 0.2 to 20 s.

    Raises :class:`ConfigError` (``prompt.*``)."""
    samples, rate = read_wav(content, name)
    seconds = len(samples) / rate
    if not SHORTEST_CLIP_S <= seconds <= LONGEST_CLIP_S:
        raise ConfigError(
            "prompt.length",
            f"{name} is {seconds:.1f} s long",
            f"one sentence takes {SHORTEST_CLIP_S:.1f} to {LONGEST_CLIP_S:.0f} s",
        )
    _check_level(samples, rate, name)
    return CheckedSound(hashlib.sha256(content).hexdigest(), rate, round(seconds * 1000))


def _check_level(samples: NDArray[np.int16], rate: int, name: str) -> None:
    level = _loudest_dbfs(samples, rate)
    if level < SILENT_DBFS:
        raise ConfigError(
            "prompt.silent",
            f"{name} is silent or nearly silent ({level:.0f} dBFS at its loudest)",
            "record it again, at about -20 dBFS",
        )
    if clipped_share(samples) > CLIPPED_SHARE:
        raise ConfigError(
            "prompt.clipping",
            f"{name} is too loud: it clips",
            "record it again with less gain, at about -20 dBFS",
        )


def read_file(path: Path, largest: int = LARGEST) -> bytes:
    """A sound file's bytes, read once, so that what is checked is what is used. Raises :class:`ConfigError`
    (``prompt.unreadable``, ``prompt.length``)."""
    try:
        # Non-blocking: a pipe without a writer would block.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError("it is no plain file")
            content = file.read(largest + 1)
    except OSError as error:
        raise ConfigError("prompt.unreadable", f"{path} cannot be read: {error}", "check the path") from error
    if len(content) > largest:
        longest = f"an announcement of {LONGEST_S:.0f} s at {RATES[-1]} Hz takes {LARGEST >> 21} MiB"
        raise ConfigError("prompt.length", f"{path} is larger than {largest >> 20} MiB", longest)
    return content


def read_wav(content: bytes, name: str) -> tuple[NDArray[np.int16], int]:
    """The samples of a WAV file and their rate: mono, PCM 16 bit, 8 or 16 kHz.

    Raises :class:`ConfigError`: ``prompt.not_wav``, ``prompt.form``, ``prompt.channels``, ``prompt.rate``.
    """
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":  # libsndfile would try its other formats
        raise ConfigError("prompt.not_wav", f"{name} is not a WAV file", _CONVERT)
    try:
        with open_sound(content) as file:
            _check_form(name, file)
            samples: NDArray[np.int16] = file.read(dtype="int16")
            return samples, int(file.samplerate)
    except soundfile.SoundFileError as error:
        raise ConfigError("prompt.not_wav", f"{name} is not a WAV file: {error}", _CONVERT) from error


def read_samples(content: bytes, name: str) -> tuple[NDArray[np.float32], int]:
    """:func:`read_wav`, full scale 1."""
    samples, rate = read_wav(content, name)
    return samples.astype(np.float32) / np.float32(32768), rate


def _check_form(name: str, file: soundfile.SoundFile) -> None:
    if file.format not in ("WAV", "WAVEX"):
        raise ConfigError("prompt.not_wav", f"{name} is {file.format}, not WAV", _CONVERT)
    if file.subtype != "PCM_16":
        raise ConfigError("prompt.form", f"{name} has {file.subtype} samples, not PCM 16 bit", _CONVERT)
    if file.channels != 1:
        raise ConfigError("prompt.channels", f"{name} has {file.channels} channels, not one", _CONVERT)
    if file.samplerate not in RATES:
        raise ConfigError("prompt.rate", f"{name} is at {file.samplerate} Hz, not 8000 or 16000", _CONVERT)


def _loudest_dbfs(samples: NDArray[np.int16], rate: int) -> float:
    size = min(rate // 2, len(samples))
    blocks = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    rms = float(np.sqrt((blocks**2).mean(axis=1)).max())
    return float(20 * np.log10(max(rms, 1e-3) / 32768))


def clipped_share(samples: NDArray[np.int16]) -> float:
    """Share of the samples that are in flat tops."""
    top = int(np.abs(samples.astype(np.int32)).max())
    if top < 16384:  # half of full scale: flat tops below it are a quiet square wave, not clipping
        return 0.0
    flat = np.abs(samples.astype(np.int32)) >= top - 1
    inside = flat[:-2] & flat[1:-1] & flat[2:]
    return float(inside.mean())


def _repeats(samples: NDArray[np.int16], rate: int) -> float:
    """The sound's greatest autocorrelation at a lag of 20 ms or more (up to half its length)."""
    x = samples.astype(np.float64)
    size = 1 << (2 * len(x) - 1).bit_length()
    spectrum = np.fft.rfft(x, size)
    product = np.fft.irfft(np.abs(spectrum) ** 2, size)[: len(x)]
    energy = np.concatenate([[0.0], np.cumsum(x**2)])
    lags = np.arange(rate // 50, len(x) // 2)
    ahead = energy[-1] - energy[lags]
    behind = energy[len(x) - lags]
    return float((product[lags] / np.sqrt(np.maximum(ahead * behind, 1.0))).max())
