"""From a finished take to the plain files that will be sealed: find the announcement, redact, encode, compute
peaks.

The one entry is :func:`encode`. It reads files and writes files, so it can run in its own process, be
killed and be repeated. It only reads the take's own files.
"""

from __future__ import annotations

import hashlib
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Protocol

import av
import numpy as np
from av.audio.stream import AudioStream

from recorder.audio import (
    missing_audio,
    pause_redaction,
    prompt_detection,
    prompt_match,
    redaction,
    talk_over,
    timeline,
    wav,
)
from recorder.audio.encoded_take import Encoded, EncodedSound, LocatedAnnouncement, Prompt, write_encoded
from recorder.audio.peaks import Peaks
from recorder.domain.markers import LocatedMarker
from recorder.errors import TakeError
from recorder.spool import atomic_files
from recorder.spool.layout import Take, read_take

OPUS, WAV, PEAKS = "audio.opus", "kept.wav", "peaks"
"""Files in the take's folder. ``kept.wav`` becomes the object ``audio.wav``: the take's own ``audio.wav`` is
not redacted and never leaves the spool."""

NOTE = "note"
"""The operator's note about an imported recording, UTF-8: a file in the take's folder, and an object of the
same name."""

BLOCK_FRAMES = 1 << 16
"""Frames in memory at once: 256 KiB, whatever the call's length."""

BIT_RATES = {8000: 40_000, 12000: 40_000}
WIDE_BIT_RATE = 48_000
"""For both channels together. At 16 kb/s libopus turns 8 kHz stereo into mono, which loses who spoke. From 32
kb/s, crosstalk is 40 dB down while both talk and 80 dB down while one does."""

NARROW = {"compression_level": "1", "frame_duration": "60"}
"""libopus options at those rates. Its default complexity is 10; complexity 1 at 40 kb/s matches complexity 10
at 32 kb/s (PESQ of quiet, noisy and overlapping speech, within 0.02) for less than half the CPU time. Packets
of 60 ms instead of 20 do not change PESQ, and libav's cost is per packet."""

OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
"""Sample rates that Opus supports; audio at any other rate is encoded at 48 kHz."""

SEARCH_MARGIN_MS = 10_000
"""The announcement is first searched for up to this much later than the clock says."""


class _Output(Protocol):
    def add(self, samples: wav.Samples) -> None: ...

    def finish(self) -> None: ...


def encode_take(folder: Path, prompt: Path) -> int:
    """Encode the take in ``folder``, and write ``encoded.json``.

    Returns the length of its audio in milliseconds. ``prompt`` is the announcement's sound file, in the
    folder of all prompts. Raises as :func:`encode` does.
    """
    encoded = encode(read_take(folder), prompt)
    write_encoded(encoded)
    return encoded.duration_ms


def encode(take: Take, prompt: Path) -> Encoded:
    """Make the take's objects in its folder: the formats of its line, and ``peaks``.

    ``prompt`` is the announcement's sound file. Other prompts are beside it as ``<sha256>.wav``; a missing
    one is not searched for. Every file is written atomically, and a repetition gives the same bytes.

    Raises :class:`TakeError`: ``take.impossible`` for a take that must go into quarantine, with the reason;
    ``take.prompt`` if the announcement's sound is missing or different. Raises ``OSError`` (for example, a
    full disk), after which it can be repeated."""
    announcement = take.start.announcement
    if announcement is None or not take.start.formats:
        raise wav.impossible_take(
            take.folder, "it has no announcement or no format, so it should not have been recorded"
        )
    sound = wav.inspect(take.audio)
    _check_prompt(prompt, announcement.sha256)
    located = timeline.locate_take(take, sound, _find_announcement(take, sound, prompt))
    located = prompt_detection.find_prompts(located, prompt.parent)
    located = pause_redaction.locate_pauses(located)
    located = missing_audio.fill(located)
    plan = redaction.plan(located)
    return _write_objects(take, located.sound, plan, located.announcement, located.prompts)


def encode_import(take: Take) -> Encoded:
    """Encode an imported recording, without a search and without a redaction, and with its note
    (:data:`NOTE`)."""
    imported = (marker for marker in take.markers if marker.kind == "imported")
    markers = tuple(LocatedMarker(marker.at, marker.kind, marker.data, 0) for marker in imported)
    return _write_objects(take, wav.inspect(take.audio), redaction.RedactionPlan(0, (), (), markers, 0))


def _write_objects(
    take: Take,
    sound: wav.Wav,
    plan: redaction.RedactionPlan,
    found: LocatedAnnouncement | None = None,
    prompts: tuple[Prompt, ...] = (),
) -> Encoded:
    _write_formats(take, sound, plan)
    outputs = [(OPUS, OPUS, "audio/ogg")] if "opus" in take.start.formats else []
    outputs += [(WAV, "audio.wav", "audio/wav")] if "wav" in take.start.formats else []
    outputs += [(PEAKS, PEAKS, "application/json")]
    outputs += [(NOTE, NOTE, "text/plain; charset=utf-8")] if (take.folder / NOTE).exists() else []
    return Encoded(
        take=take,
        duration_ms=sound.duration_ms,
        sample_rate=sound.sample_rate,
        announced=found,
        gaps=plan.gaps,
        markers=plan.markers,
        drift_ms=plan.drift_ms,
        sounds=tuple(_hash_object(take.folder / file, name, kind) for file, name, kind in outputs),
        prompts=prompts,
    )


def _check_prompt(prompt: Path, sha256: str) -> None:
    try:
        found = hashlib.sha256(prompt.read_bytes()).hexdigest()
    except OSError as error:
        found = str(error)
    if found != sha256:
        raise TakeError(
            "take.prompt",
            f"{prompt} is not the announcement of this take ({found})",
            "the worker writes it again from the catalogue; the take waits in the spool",
        )


def _find_announcement(take: Take, sound: wav.Wav, prompt: Path) -> LocatedAnnouncement | None:
    signal = prompt_match.load_prompt(prompt, sound.sample_rate)
    clock = timeline.locate_take(take, sound).clock
    # The expected end, by the last marker that gives one.
    due = [clock.unbounded(at) for kind in ("announcement_finished", "bridged") if (at := take.last(kind))]
    until = max(due) + SEARCH_MARGIN_MS if due else None
    match = prompt_match.find_last_playing(signal, sound, channel=1, until_ms=until)
    found = None if match is None else prompt_match.to_milliseconds(match, sound.sample_rate)
    return None if found is None or talk_over.is_talked_over(sound, found) else found


def _write_formats(take: Take, sound: wav.Wav, plan: redaction.RedactionPlan) -> None:
    """Read the take once, and write every format from the same redacted blocks."""
    outline = Peaks(sound.sample_rate, sound.frames)
    with ExitStack() as stack:
        outputs: list[_Output] = []
        if "opus" in take.start.formats:
            path = stack.enter_context(atomic_files.replace_file(take.folder / OPUS))
            outputs.append(_OpusFile(path, sound.sample_rate, take.start.recording, stack))
        if "wav" in take.start.formats:
            path = stack.enter_context(atomic_files.replace_file(take.folder / WAV))
            outputs.append(_WavFile(stack.enter_context(open(path, "wb")), sound))
        at = 0
        for block in wav.read_blocks(sound, BLOCK_FRAMES):
            samples = redaction.silence(block, at, sound.sample_rate, plan)
            outline.add(samples)
            for output in outputs:
                output.add(samples)
            at += len(block)
        for output in outputs:
            output.finish()
    atomic_files.write_file(take.folder / PEAKS, outline.to_json())


class _WavFile:
    """The redacted sound at its own rate, with a correct header."""

    def __init__(self, file: BinaryIO, sound: wav.Wav) -> None:
        self._file = file
        self._file.write(wav.wav_header(sound.sample_rate, sound.frames))

    def add(self, samples: wav.Samples) -> None:
        self._file.write(samples.astype("<i2", copy=False).tobytes())

    def finish(self) -> None:
        self._file.close()


class _OpusFile:
    """Ogg Opus (RFC 7845) by libopus, tuned for voice.

    Everything that ffmpeg randomises is fixed, so the same take gives the same bytes: ``bitexact`` omits
    versions, and the stream's serial number is derived from the recording's id.
    """

    def __init__(self, path: Path, sample_rate: int, recording: str, stack: ExitStack) -> None:
        serial = zlib.crc32(recording.encode()) & 0x7FFFFFFF
        self._container = stack.enter_context(
            av.open(
                str(path),
                "w",
                format="ogg",
                options={"fflags": "+bitexact", "serial_offset": str(serial), "page_duration": "1000000"},
            )
        )
        rate = sample_rate if sample_rate in OPUS_RATES else 48_000
        self._resampler = (
            None if rate == sample_rate else av.AudioResampler(format="s16", layout="stereo", rate=rate)
        )
        options = {"application": "voip"} | (NARROW if sample_rate in BIT_RATES else {})
        stream = self._container.add_stream("libopus", rate=rate, options=options)
        assert isinstance(stream, AudioStream)
        stream.layout = "stereo"
        stream.bit_rate = BIT_RATES.get(sample_rate, WIDE_BIT_RATE)
        self._stream = stream
        self._sample_rate = sample_rate
        self._at = 0

    def add(self, samples: wav.Samples) -> None:
        interleaved = np.ascontiguousarray(samples).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(interleaved, format="s16", layout="stereo")
        frame.sample_rate = self._sample_rate
        if self._resampler is None:
            self._encode(frame)
        else:
            for resampled in self._resampler.resample(frame):
                self._encode(resampled)

    def _encode(self, frame: av.AudioFrame) -> None:
        frame.pts = self._at
        self._at += frame.samples
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        if self._resampler is not None:
            for rest in self._resampler.resample(None):
                self._encode(rest)
        self._container.mux(self._stream.encode(None))
        self._container.close()


def _hash_object(path: Path, name: str, media_type: str) -> EncodedSound:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return EncodedSound(name, path, media_type, digest, path.stat().st_size)
