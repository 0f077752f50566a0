"""What tests of several rooms share: a clock that is set, randomness that repeats, a fresh catalogue."""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.catalogue import models, schema


@dataclass
class Clock:
    """A clock that stands still until it is moved; each reading is the same time."""

    at: datetime = field(default_factory=lambda: datetime(2026, 11, 25, 9, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **by: float) -> datetime:
        self.at += timedelta(**by)
        return self.at


class Repeating:
    """Bytes that look random and are the same in every run."""

    def __init__(self, seed: str = "accord") -> None:
        self.seed = seed
        self.calls = 0

    def __call__(self, length: int) -> bytes:
        out = b""
        while len(out) < length:
            self.calls += 1
            out += hashlib.sha256(f"{self.seed}/{self.calls}".encode()).digest()
        return out[:length]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def entropy() -> Repeating:
    return Repeating()


@pytest.fixture
def catalogue_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'catalogue.db'}"


@pytest.fixture
def catalogue(catalogue_url: str) -> Iterator[str]:
    """A migrated catalogue that this process has open; its URL."""
    schema.migrate(catalogue_url)
    opened = models.open_catalogue(catalogue_url)
    yield catalogue_url
    opened.close()


@pytest.fixture
def tone() -> Callable[..., bytes]:
    """Makes a WAV of PCM 16 bit: a square wave is enough where nobody listens."""

    def make(ms: int = 1000, rate: int = 8000, channels: int = 1, level: int = 1000) -> bytes:
        out = io.BytesIO()
        with wave.open(out, "wb") as sound:
            sound.setnchannels(channels)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            frames = rate * ms // 1000
            samples = ((level if at // 10 % 2 else -level) for at in range(frames) for _ in range(channels))
            sound.writeframes(b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples))
        return out.getvalue()

    return make
