"""Sounds of known content, and a speech engine that produces only tones."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder.prompts import dsp
from recorder.prompts.composer import announcement


@dataclass
class Hum:
    """Speaks a text as a tone of proportional length."""

    languages: tuple[str, ...] = ("fr", "nl", "de", "en")
    name: str = "hum"
    texts: list[tuple[str, str]] = field(default_factory=list)

    def speaks(self, language: str) -> bool:
        return language in self.languages

    def speak(self, text: str, language: str) -> dsp.Samples:
        self.texts.append((text, language))
        at = np.arange(len(text) * dsp.RATE // 15) / dsp.RATE
        return dsp.trim_silence((0.2 * np.sin(2 * np.pi * (300 + 40 * at) * at)).astype(np.float32))


@pytest.fixture
def hum() -> Hum:
    return Hum()


@pytest.fixture
def speech() -> np.ndarray:
    """A few seconds of speech: int16 at 16 kHz."""
    rendered = announcement("en", mode="notice", purposes=["quality"], keep_days=7, sample_rate=16000)
    return np.frombuffer(rendered.wav[44:], dtype="<i2").copy()


@pytest.fixture
def voice(tmp_path: Path, speech: np.ndarray) -> Path:
    """A folder with one recorded sentence: soft, and with long silence around it."""
    folder = tmp_path / "voice"
    (folder / "en").mkdir(parents=True)
    quiet = np.concatenate([np.zeros(16000), speech[:40000] / 4, np.zeros(24000)]).astype(np.int16)
    soundfile.write(folder / "en" / "recorded.wav", quiet, 16000, subtype="PCM_16")
    return folder
