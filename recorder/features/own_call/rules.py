"""What a code for one's own call looks like, and for how long it works."""

from __future__ import annotations

import hmac
from typing import Final

from recorder.ids import Entropy
from recorder.seal.keyring import Keyring

DIGITS: Final = 9
"""Three groups of three, as they are told on the telephone. Whoever guesses one has another person's
telephone rung, and nothing else."""

SHORTEST_DAYS, USUAL_DAYS, LONGEST_DAYS = 1, 14, 90
"""For how many days a code works, as the customer chooses."""


def new_code(entropy: Entropy) -> str:
    """A random code."""
    return f"{int.from_bytes(entropy(8), 'big') % 10**DIGITS:0{DIGITS}}"


def grouped(code: str) -> str:
    """A code as people read it out."""
    return " ".join(code[place : place + 3] for place in range(0, DIGITS, 3))


def code_keys(keyring: Keyring) -> tuple[bytes, ...]:
    """The keys of codes, that of new ones first: a code lasts while its key-encryption key is there."""
    return tuple(keyring.own_call_key(each).key for each in keyring.ids())


def code_mac(key: bytes, code: str) -> str:
    """What is stored of a code, as somebody typed it: a MAC (hex) under one of :func:`code_keys`, so that a
    copy of the table opens nothing."""
    digits = "".join(each for each in code if each.isascii() and each.isdecimal())
    return hmac.digest(key, f"own call\n{digits}".encode(), "sha256").hex()
