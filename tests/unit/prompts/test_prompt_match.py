"""A composed announcement is found in a recorded call, and another announcement is not mistaken for it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder.prompts.composer import Rendered, announcement
from recorder.prompts.purposes import LANGUAGES
from tests.unit.audio.prompt_search import find

LEAD_MS = 500


def opt_out(language: str, keep_days: int = 30, purposes: tuple[str, ...] = ("agreement",)) -> Rendered:
    return announcement(language, mode="opt-out", purposes=purposes, keep_days=keep_days)


def put(folder: Path, prompt: Rendered) -> Path:
    path = folder / f"{prompt.sha256}.wav"
    path.write_bytes(prompt.wav)
    return path


def call(folder: Path, prompt: Rendered) -> Path:
    """A call with the announcement after half a second, through G.711, which then continues."""
    samples = np.frombuffer(prompt.wav[44:], dtype="<i2")
    lead = np.full(LEAD_MS * 8, -1, dtype=np.int16)
    right = np.concatenate([lead, samples, np.full(16_000, -1, dtype=np.int16)])
    buffer = io.BytesIO()
    soundfile.write(buffer, right, 8000, subtype="ULAW", format="WAV")
    buffer.seek(0)
    right = soundfile.read(buffer, dtype="int16")[0]
    path = folder / "audio.wav"
    soundfile.write(path, np.stack([np.full_like(right, -1), right], axis=1), 8000, subtype="PCM_16")
    return path


@pytest.mark.parametrize("language", LANGUAGES)
def test_finds_a_composed_announcement(tmp_path: Path, language: str) -> None:
    prompt = opt_out(language)
    found = find(put(tmp_path, prompt), call(tmp_path, prompt))
    assert found is not None
    assert abs(found.offset_ms - LEAD_MS) <= 1
    assert abs(found.end_ms - LEAD_MS - prompt.duration_ms) <= 2
    assert found.score > 0.95


def test_does_not_find_another_announcement(tmp_path: Path) -> None:
    samples = call(tmp_path, opt_out("en"))
    for other in (opt_out("en", keep_days=60), opt_out("en", purposes=("agreement", "quality"))):
        assert find(put(tmp_path, other), samples) is None
