"""What a code for one's own call looks like, and for how long it works."""

from __future__ import annotations

import hmac
from typing import Final

from recorder.ids import Entropy

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


def code_mac(secret: bytes, code: str) -> str:
    """What is stored of a code, as somebody typed it: a MAC (hex) under the panel's ``secret``, so that a
    copy of the table opens nothing. Another secret ends all codes."""
    digits = "".join(each for each in code if each.isascii() and each.isdecimal())
    return hmac.digest(secret, f"own call\n{digits}".encode(), "sha256").hex()
