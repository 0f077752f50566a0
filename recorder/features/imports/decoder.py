"""Decodes one untrusted sound file to a two-channel WAV, in a process of its own
(``python -m recorder.features.imports.decoder``, started by ``features/imports/audio.py``).

FFmpeg reads some two hundred formats, among them playlists that name other files.  So the format is
determined from the first bytes, and FFmpeg is told which one it is.  The process inherits both files open and
gives up the right to open any other.  Its memory and CPU time are limited; if it dies, the file is not
imported.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
from dataclasses import dataclass
from typing import BinaryIO, Never

import av
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext
import av.video.stream  # these four: PyAV loads them on the way, when no file is opened any more
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer

from recorder.audio import wav

LONGEST_H = 12
"""No call is longer; silence of any length packs into a few kilobytes."""

LARGEST = (1 << 32) - (1 << 20)
"""Bytes of sound: a WAV says its length in 32 bits."""

RATES = range(4000, 192_001)
FIRST = 16
"""Bytes that say what a file is."""

MEMORY = 2 << 30
CPU_S = 600

RIFF_SLACK, RIFF_UNKNOWN = 4096, 0x7FFF_0000
"""Bytes by which writers miscount, and from where on a WAV's head says that it does not know."""

SHORT_S = 1.0
"""By how much a file may end before it says."""

CODECS = (
    "aac,aac_latm,alac,flac,mp1,mp1float,mp2,mp2float,mp3,mp3float,opus,libopus,vorbis,libvorbis,speex,"
    "adpcm_ima_wav,adpcm_ms,adpcm_g726,adpcm_g722,g722,g726,gsm,gsm_ms,amrnb,amrwb,"
    "pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,"
    "pcm_f64le,pcm_alaw,pcm_mulaw"
)


@dataclass(frozen=True, slots=True)
class Format:
    """FFmpeg's name of a container; whether its head says exactly how long it is."""

    name: str
    says_length: bool = False


class NotSound(Exception):
    """Why a file is not taken: it goes on with its name."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was written: ``channels`` is how many the file had (1 or 2)."""

    channels: int
    duration_ms: int


def format_of(first: bytes) -> Format | None:
    """The container that a file's first bytes announce; ``None`` for any that is not taken."""
    if first[:4] in (b"RIFF", b"RF64") and first[8:12] == b"WAVE":
        return Format("wav", says_length=True)
    if first[:4] == b"fLaC":
        return Format("flac", says_length=True)
    if first[4:8] == b"ftyp":
        return Format("mov", says_length=True)
    if first[:4] == b"OggS":
        return Format("ogg")
    if first[:3] == b"ID3":
        return Format("mp3")
    if len(first) > 1 and first[0] == 0xFF and first[1] & 0xE0 == 0xE0:
        return Format("mp3") if first[1] & 0x06 else Format("aac")
    return None


def unpack(source: BinaryIO, target: BinaryIO, room: int = LARGEST) -> Decoded:
    """Write a file's sound as WAV, at its own rate where calls have that one, else at 48 kHz.  ``room`` is
    how many bytes there may be.  Raises :class:`NotSound`, ``OSError`` (a full disk)."""
    first = source.read(FIRST)
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    found = format_of(first)
    if found is None:
        raise NotSound("it is none of WAV, FLAC, Ogg, MP3, AAC and MP4, whatever its name says")
    if found.name == "wav":
        _check_riff(int.from_bytes(first[4:8], "little"), size)
    try:
        with av.open(source, "r", format=found.name, options=_options(found), io_open=_refuse) as container:
            return _write_wav(container, target, min(room, LARGEST), found)
    except NotSound:
        raise
    except MemoryError:
        raise NotSound("it needs more memory than a recording does") from None
    except av.FFmpegError as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        raise NotSound(f"it cannot be decoded: {error.strerror}") from error
    except (ValueError, OverflowError, ArithmeticError) as error:  # it changes its channels on the way, say
        raise NotSound(f"it cannot be decoded: {error}") from error


def _check_riff(said: int, size: int) -> None:
    """FFmpeg takes a WAV that was copied half for a shorter one.  A writer that could not go back, or was
    killed, says nothing or a very large number."""
    if size + RIFF_SLACK < said < RIFF_UNKNOWN:
        raise NotSound(f"it breaks off: it says {said} bytes, and {size} are there")


def _options(found: Format) -> dict[str, str]:
    """What FFmpeg may use of itself: the format that was seen, codecs of speech, and no other file."""
    given = {"format_whitelist": found.name, "codec_whitelist": CODECS, "protocol_whitelist": "none"}
    return given | ({"enable_drefs": "0", "use_absolute_path": "0"} if found.name == "mov" else {})


def _refuse(url: str, _flags: int, _options: dict[str, str]) -> Never:
    raise NotSound("its sound lies in another file")


def _write_wav(container: InputContainer, target: BinaryIO, room: int, found: Format) -> Decoded:
    if not container.streams.audio:
        raise NotSound("it holds no sound")
    stream = container.streams.audio[0]
    channels, own = _shape(stream)
    rate = own if own in wav.RATES else 48_000
    most = min(LONGEST_H * 3600 * rate, room // wav.FRAME_BYTES)
    if (said := _said_length(stream, found)) is not None and said * rate > most + SHORT_S * rate:
        raise _too_long(most, rate)
    layout = "stereo" if channels == 2 else "mono"
    resampler = av.AudioResampler(format="s16", layout=layout, rate=rate)
    target.write(wav.wav_header(rate, 0))
    frames = 0
    for packet in container.demux(stream):
        for frame in packet.decode():
            if (frame.layout.nb_channels, frame.sample_rate) != (channels, own):
                raise NotSound("it changes its channels or its rate on the way")
            for part in resampler.resample(frame):
                frames += _write(target, part, channels)
            if frames > most:
                raise _too_long(most, rate)
    for part in resampler.resample(None):
        frames += _write(target, part, channels)
    if not frames:
        raise NotSound("it holds no sound")
    if said is not None and frames / rate < said - SHORT_S:
        raise NotSound(f"it breaks off: it says {said:.0f} s, and {frames / rate:.0f} s are there")
    target.seek(0)
    target.write(wav.wav_header(rate, frames))
    target.flush()
    return Decoded(channels, -(-frames * 1000 // rate))


def _shape(stream: AudioStream) -> tuple[int, int]:
    context = stream.codec_context
    if context is None:
        raise NotSound("its kind of sound is not taken")
    if context.name not in CODECS.split(","):
        raise NotSound(f"its sound is {context.name}, which is not taken")
    if context.channels not in (1, 2):
        raise NotSound(f"it has {context.channels} channels, neither one nor two")
    if context.sample_rate not in RATES:
        raise NotSound(f"it has {context.sample_rate} samples a second, not {RATES[0]} to {RATES[-1]}")
    return context.channels, context.sample_rate


def _too_long(most: int, rate: int) -> NotSound:
    if most >= LONGEST_H * 3600 * rate:
        return NotSound(f"it is longer than {LONGEST_H} hours")
    size = most * wav.FRAME_BYTES / (1 << 20)
    return NotSound(f"unpacked it is larger than the {size:.0f} MiB that there may be")


def _said_length(stream: AudioStream, found: Format) -> float | None:
    """Seconds that a file's head says, where it is believed."""
    if not found.says_length or stream.duration is None or stream.time_base is None:
        return None
    return float(stream.duration * stream.time_base)


def _write(file: BinaryIO, frame: av.AudioFrame, channels: int) -> int:
    samples = frame.to_ndarray().reshape(-1, channels)
    both = samples if channels == 2 else np.repeat(samples, 2, axis=1)
    file.write(both.astype("<i2", copy=False).tobytes())
    return len(both)


def confine() -> None:
    """Open no file from now on, whatever is read; no more memory, time and core than a recording needs."""
    for kind, most in (
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def main() -> None:
    """``TARGET ROOM``: the source is standard input, the target a descriptor that is open."""
    descriptor, room = int(sys.argv[1]), int(sys.argv[2])
    av.logging.set_level(None)
    with os.fdopen(0, "rb", closefd=False) as source, os.fdopen(descriptor, "wb") as target:
        confine()
        try:
            done = unpack(source, target, room)
            said: dict[str, object] = {"channels": done.channels, "duration_ms": done.duration_ms}
        except NotSound as error:
            said = {"why": str(error)}
        except OSError as error:
            said = {"errno": error.errno}
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
