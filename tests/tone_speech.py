"""A speech engine for tests."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from recorder.prompts.dsp import RATE, Samples


class Tone:
    """A tone for every text, which is kept."""

    name = "tone"
    texts: ClassVar[list[str]] = []

    def speaks(self, language: str) -> bool:
        return True

    def speak(self, text: str, language: str) -> Samples:
        self.texts.append(text)
        return (np.sin(np.arange(2 * RATE) * 2 * np.pi * 440 / RATE) * 0.3).astype(np.float32)
