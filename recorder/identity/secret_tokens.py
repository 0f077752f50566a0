"""Secret tokens of links, sessions and API clients: random, shown once, and stored as hashes."""

from __future__ import annotations

import base64
import hashlib

from recorder.ids import Entropy

BYTES = 32


def new_token(entropy: Entropy) -> str:
    """A random token."""
    return base64.urlsafe_b64encode(entropy(BYTES)).decode().rstrip("=")


def token_hash(token: str) -> str:
    """What is stored of a token: its SHA-256 in hex."""
    return hashlib.sha256(token.encode()).hexdigest()
