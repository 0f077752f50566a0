"""Decodes one untrusted audio file to a two-channel WAV, in its own process (``python -m
recorder.audio.decoder``, started by ``decoder_process.py``).

FFmpeg reads some two hundred formats, among them playlists that name other files. So the format is determined
from the first bytes, and FFmpeg is told to use only that one. The process inherits both files open and gives
up the right to open any other. Its memory and CPU time are limited; if it dies, the file is not imported.
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
import av.video.stream  # PyAV would load these four later, when no file can be opened
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer

from recorder.audio import wav
from recorder.audio.decoder_process import LARGEST, Decoded, NotSound

LONGEST_H = 12
"""Hours; no call is longer, and silence of any length compresses to a few kilobytes."""

RATES = range(4000, 192_001)
FIRST = 16
"""Bytes that identify the format."""

MEMORY = 2 << 30
CPU_S = 600

RIFF_SLACK, RIFF_UNKNOWN = 4096, 0x7FFF_0000
"""Bytes by which writers miscount, and the stated length from which on a WAV's length is unknown."""

SHORT_S = 1.0
"""By how many seconds a file may end before its stated length."""

CODECS = (
    "aac,aac_latm,alac,flac,mp1,mp1float,mp2,mp2float,mp3,mp3float,opus,libopus,vorbis,libvorbis,speex,"
    "adpcm_ima_wav,adpcm_ms,adpcm_g726,adpcm_g722,g722,g726,gsm,gsm_ms,amrnb,amrwb,"
    "pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,"
    "pcm_f64le,pcm_alaw,pcm_mulaw"
)


@dataclass(frozen=True, slots=True)
class Format:
    """FFmpeg's name of a container; ``says_length``: whether its header states the exact length."""

    name: str
    says_length: bool = False


def format_of(first: bytes) -> Format | None:
    """The container that a file's first bytes identify; ``None`` for any that is not accepted."""
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
    """Write a file's audio as WAV, at its own rate if calls have that one, otherwise at 48 kHz. ``room`` is
    the limit in bytes. Raises :class:`NotSound`, ``OSError`` (a full disk)."""
    first = source.read(FIRST)
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    found = format_of(first)
    if found is None:
        raise NotSound("it is not a WAV, FLAC, Ogg, MP3, AAC or MP4 file")
    if found.name == "wav":
        _check_riff(int.from_bytes(first[4:8], "little"), size)
    try:
        with av.open(source, "r", format=found.name, options=_options(found), io_open=_refuse) as container:
            return _write_wav(container, target, min(room, LARGEST), found)
    except NotSound:
        raise
    except MemoryError:
        raise NotSound("decoding needs too much memory") from None
    except av.FFmpegError as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        raise NotSound(f"it cannot be decoded: {error.strerror}") from error
    except (ValueError, OverflowError, ArithmeticError) as error:  # a change of channels, for instance
        raise NotSound(f"it cannot be decoded: {error}") from error


def _check_riff(stated: int, size: int) -> None:
    """Refuse a truncated WAV, which FFmpeg would read as a shorter one. A writer that could not seek back, or
    was killed, states no length or a very large one."""
    if size + RIFF_SLACK < stated < RIFF_UNKNOWN:
        raise NotSound(f"it is truncated: {size} of {stated} bytes")


def _options(found: Format) -> dict[str, str]:
    """Restricts FFmpeg to the identified format, to speech codecs, and to this file."""
    options = {"format_whitelist": found.name, "codec_whitelist": CODECS, "protocol_whitelist": "none"}
    return options | ({"enable_drefs": "0", "use_absolute_path": "0"} if found.name == "mov" else {})


def _refuse(url: str, _flags: int, _options: dict[str, str]) -> Never:
    raise NotSound("its audio is in another file")


def _write_wav(container: InputContainer, target: BinaryIO, room: int, found: Format) -> Decoded:
    if not container.streams.audio:
        raise NotSound("it contains no audio")
    stream = container.streams.audio[0]
    channels, own = _shape(stream)
    rate = own if own in wav.RATES else 48_000
    most = min(LONGEST_H * 3600 * rate, room // wav.FRAME_BYTES)
    if (stated := _stated_length(stream, found)) is not None and stated * rate > most + SHORT_S * rate:
        raise _too_long(most, rate)
    layout = "stereo" if channels == 2 else "mono"
    resampler = av.AudioResampler(format="s16", layout=layout, rate=rate)
    target.write(wav.wav_header(rate, 0))
    frames = 0
    for packet in container.demux(stream):
        for frame in packet.decode():
            if (frame.layout.nb_channels, frame.sample_rate) != (channels, own):
                raise NotSound("its channels or sample rate change")
            for part in resampler.resample(frame):
                frames += _write(target, part, channels)
            if frames > most:
                raise _too_long(most, rate)
    for part in resampler.resample(None):
        frames += _write(target, part, channels)
    if not frames:
        raise NotSound("it contains no audio")
    if stated is not None and frames / rate < stated - SHORT_S:
        raise NotSound(f"it is truncated: {frames / rate:.0f} of {stated:.0f} s")
    target.seek(0)
    target.write(wav.wav_header(rate, frames))
    target.flush()
    return Decoded(channels, -(-frames * 1000 // rate))


def _shape(stream: AudioStream) -> tuple[int, int]:
    context = stream.codec_context
    if context is None:
        raise NotSound("its codec is not supported")
    if context.name not in CODECS.split(","):
        raise NotSound(f"its codec {context.name} is not supported")
    if context.channels not in (1, 2):
        raise NotSound(f"it has {context.channels} channels instead of one or two")
    if context.sample_rate not in RATES:
        raise NotSound(
            f"its sample rate of {context.sample_rate} Hz is not within {RATES[0]} to {RATES[-1]} Hz"
        )
    return context.channels, context.sample_rate


def _too_long(most: int, rate: int) -> NotSound:
    if most >= LONGEST_H * 3600 * rate:
        return NotSound(f"it is longer than {LONGEST_H} hours")
    size = most * wav.FRAME_BYTES / (1 << 20)
    return NotSound(f"decoded, it is larger than the limit of {size:.0f} MiB")


def _stated_length(stream: AudioStream, found: Format) -> float | None:
    """Seconds stated in a file's header, if its format is reliable."""
    if not found.says_length or stream.duration is None or stream.time_base is None:
        return None
    return float(stream.duration * stream.time_base)


def _write(file: BinaryIO, frame: av.AudioFrame, channels: int) -> int:
    samples = frame.to_ndarray().reshape(-1, channels)
    both = samples if channels == 2 else np.repeat(samples, 2, axis=1)
    file.write(both.astype("<i2", copy=False).tobytes())
    return len(both)


def confine() -> None:
    """Open no further file; limit memory, CPU time and core dumps."""
    for kind, most in (
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def main() -> None:
    """``TARGET ROOM``: the source is standard input, the target an open descriptor."""
    descriptor, room = int(sys.argv[1]), int(sys.argv[2])
    av.logging.set_level(None)
    with os.fdopen(0, "rb", closefd=False) as source, os.fdopen(descriptor, "wb") as target:
        confine()
        try:
            audio = unpack(source, target, room)
            result: dict[str, object] = {"channels": audio.channels, "duration_ms": audio.duration_ms}
        except NotSound as error:
            result = {"why": str(error)}
        except OSError as error:
            result = {"errno": error.errno}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
