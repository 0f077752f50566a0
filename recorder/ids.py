"""Identifiers: UUID version 7 (RFC 9562), from a given time and source of randomness."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

Entropy = Callable[[int], bytes]
"""Returns the given number of random bytes; ``os.urandom`` in production."""


def uuid7(now: datetime, entropy: Entropy = os.urandom) -> UUID:
    """A UUIDv7 (RFC 9562, section 5.7) whose first 48 bits are ``now`` (aware, any zone) in Unix
    milliseconds.

    Raises ``ValueError`` for a naive ``now``.
    """
    if now.tzinfo is None:
        raise ValueError("uuid7 needs a time with a zone")
    milliseconds = int(now.timestamp() * 1000)
    value = (milliseconds << 80) | int.from_bytes(entropy(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=value)
