"""Repeatable randomness."""

from __future__ import annotations

import hashlib


class RepeatableEntropy:
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
