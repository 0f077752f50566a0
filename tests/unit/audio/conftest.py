"""Takes of known content: announcements and speech, through real G.711, with a known truth."""

from __future__ import annotations

import hashlib
import io
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from recorder.domain.line_policy import Announcement
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.spool import layout
from recorder.spool.layout import CallEnd, CallStart, Take
from tests.announcements import AnnouncementFile, announcement_in

Sound = NDArray[np.int16]

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
RATE = 8000


def g711(sound: Sound, law: str, rate: int = RATE) -> Sound:
    """Encode and decode with libsndfile (``ULAW``, ``ALAW``, or ``PCM_16`` for none)."""
    buffer = io.BytesIO()
    soundfile.write(buffer, sound, rate, subtype=law, format="WAV")
    buffer.seek(0)
    back: Sound = soundfile.read(buffer, dtype="int16")[0]
    return back


def silence(ms: int) -> Sound:
    """Silence as the switch writes it: minus one, not zero (observed)."""
    return np.full(ms * RATE // 1000, -1, dtype=np.int16)


def tone(ms: int, hertz: float, level: float = 6000) -> Sound:
    at = np.arange(ms * RATE // 1000)
    return (level * np.sin(2 * np.pi * hertz * at / RATE)).astype(np.int16)


def power(sound: Sound | NDArray[np.float64], hertz: float, rate: int = RATE) -> float:
    """Level of a tone in dBFS, at its loudest tenth of a second (Goertzel in blocks)."""
    size = rate // 10
    blocks = sound[: len(sound) // size * size].astype(np.float64).reshape(-1, size)
    if np.issubdtype(sound.dtype, np.integer):
        blocks = blocks / 32768
    wave = np.exp(-2j * np.pi * hertz * np.arange(size) / rate)
    return float(20 * np.log10(np.abs(blocks @ wave).max() * 2 / size + 1e-12))


def speech(language: str, side: str) -> Sound:
    import demo.practice

    assert demo.practice.__file__ is not None
    path = Path(demo.practice.__file__).parent / "speech" / language / f"{side}.wav"
    sound: Sound = soundfile.read(path, dtype="int16")[0]
    return sound


def sound_of(announced: AnnouncementFile) -> Sound:
    sound: Sound = soundfile.read(announced.path, dtype="int16")[0]
    return sound


@dataclass
class Call:
    """A call of which a take is made: ``left`` and ``right`` start at the same moment; markers are in
    milliseconds of the call's clock."""

    left: Sound
    right: Sound
    announced: AnnouncementFile
    markers: list[tuple[int, str]] = field(default_factory=list)
    rate: int = RATE
    formats: tuple[str, ...] = ("opus", "wav")
    law: str = "ULAW"

    def make(self, spool_folder: Path, recording: str = "0192f000-0000-7000-8000-000000000001") -> Take:
        length = max(len(self.left), len(self.right))
        stereo = np.full((length, 2), -1, dtype=np.int16)
        stereo[: len(self.left), 0] = g711(self.left, self.law, self.rate)
        stereo[: len(self.right), 1] = g711(self.right, self.law, self.rate)
        announcement = Announcement(
            id="a",
            version=1,
            language=self.announced.language,
            text=self.announced.text,
            purposes=self.announced.purposes,
            keep_days=self.announced.keep_days,
            sha256=hashlib.sha256(self.announced.path.read_bytes()).hexdigest(),
            duration_ms=len(sound_of(self.announced)) * 1000 // RATE,
        )
        start = CallStart(
            recording=recording,
            tenant="t",
            line="l",
            number="3221234567",
            direction="inbound",
            node="n",
            channel="c",
            external_party=Party("e164", "+3221234568"),
            started_at=START,
            formats=self.formats,
            announcement=announcement,
        )
        folder = layout.open_take(spool_folder, start)
        soundfile.write(folder / layout.AUDIO, stereo, self.rate, subtype="PCM_16")
        length_ms = length * 1000 // self.rate
        markers = self.markers or [(0, "recording_started")]
        for ms, kind in [
            *markers,
            *([] if any(k == "hangup" for _, k in markers) else [(length_ms, "hangup")]),
        ]:
            layout.append_marker(folder, Marker(START + timedelta(milliseconds=ms), kind))
        end = CallEnd("recorded", None, START + timedelta(milliseconds=length_ms), None)
        layout.close_take(folder, end)
        return layout.read_take(folder)


@pytest.fixture(params=["en", "fr"])
def announced(request: pytest.FixtureRequest) -> AnnouncementFile:
    return announcement_in(request.param)


@pytest.fixture
def english() -> AnnouncementFile:
    return announcement_in("en")


@pytest.fixture
def lab() -> ModuleType:
    """This module's sounds and calls, for tests: ``lab.tone(...)``, ``lab.ordinary(announced)``."""
    return sys.modules[__name__]


LEAD_MS, RING_MS, BEFORE, TALK = 154, 3000, 1000.0, 1900.0


def ordinary(announced: AnnouncementFile) -> Call:
    """An announced call: silence, announcement, ringing, speech. The caller sends a tone of ``BEFORE`` Hz
    until the bridge, and one of ``TALK`` Hz in the last second."""
    prompt = sound_of(announced)
    prompt_ms = len(prompt) // 8
    lead = silence(LEAD_MS)
    until = LEAD_MS + prompt_ms + RING_MS
    right = np.concatenate(
        [lead, prompt, silence(RING_MS), speech(announced.language, "callee"), silence(1000)]
    )
    left = np.concatenate([tone(until, BEFORE), speech(announced.language, "caller"), tone(1000, TALK)])
    length = min(len(left), len(right))
    return Call(
        left[:length],
        right[:length],
        announced,
        [
            (0, "recording_started"),
            (LEAD_MS - 30, "announcement_started"),
            (LEAD_MS + prompt_ms + 10, "announcement_finished"),
            (until + 10, "bridged"),
        ],
    )
