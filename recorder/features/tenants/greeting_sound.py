"""A customer's own greeting, from whatever a telephone or a computer records."""

from __future__ import annotations

from tempfile import TemporaryFile

import soundfile

from recorder.audio import decoder_process, wav
from recorder.audio.decoder_process import NotSound
from recorder.errors import ConfigError
from recorder.prompts.dsp import resample, wav_bytes
from recorder.prompts.sound_check import LONGEST_S, check_sound, read_wav

LARGEST = 11 << 20
"""Bytes of a file: a minute in the two channels and 44,100 Hz that computers record in."""

RATE = 16_000
"""Hz of a converted greeting, the higher of the two rates that prompts may have."""

_ROOM = round(2 * LONGEST_S) * 48_000 * wav.FRAME_BYTES
"""Bytes of decoded sound: twice the longest greeting, so that one that is too long is told its length."""

_PATIENCE_S = 30


def convert_greeting(content: bytes, name: str = "the greeting") -> bytes:
    """The WAV of a sound file: as it is, if it can be played into calls; otherwise of both its channels, at
    :data:`RATE`. ``name`` is what the error calls it. Raises :class:`ConfigError` (``prompt.*``) if it is no
    sound, or one that cannot be used."""
    try:
        read_wav(content, name)
    except ConfigError:
        content = _decode(content, name)
    check_sound(content, name)
    return content


def _decode(content: bytes, name: str) -> bytes:
    try:
        with TemporaryFile() as source, TemporaryFile() as target:
            source.write(content)
            source.flush()
            decoder_process.decode(source, target, _ROOM, patience_s=_PATIENCE_S)
            target.seek(0)
            samples, rate = soundfile.read(target, dtype="float32")
    except NotSound as error:
        raise ConfigError(
            "prompt.not_sound", f"{name} cannot be used: {error}", "save it as WAV, and choose it again"
        ) from error
    except OSError as error:
        raise ConfigError(
            "prompt.not_decoded",
            f"{name} cannot be decoded: {error}",
            "check the free space of the temporary folder",
        ) from error
    return wav_bytes(resample(samples.mean(axis=1), rate, RATE), RATE)
