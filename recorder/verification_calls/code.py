"""The code of a verification call: six random digits, of which only a hash is stored."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from recorder.ids import Entropy

DIGITS: Final = 6


def new_code(entropy: Entropy) -> str:
    """A random code."""
    return f"{int.from_bytes(entropy(8), 'big') % 10**DIGITS:0{DIGITS}}"


def hash_code(call: str, code: str, entropy: Entropy) -> str:
    """The stored hash of a code: salted, and slow enough that a copy of the table is useless while the code
    is valid (``scrypt``, some 50 ms)."""
    salt = entropy(16)
    return f"{salt.hex()}:{_scrypt(call, code, salt)}"


def is_code(call: str, code: str, code_hash: str) -> bool:
    """Whether a code, as somebody typed it, is that of a call."""
    code = "".join(code.split())
    salt, _, digest = code_hash.partition(":")
    if not (code.isascii() and code.isdecimal() and len(code) == DIGITS):
        return False
    return hmac.compare_digest(_scrypt(call, code, bytes.fromhex(salt)), digest)


def commit_text(text: str, salt: str | None) -> str:
    """What the log contains in place of a number or a name: the SHA-256 (hex) of a random salt and the
    text."""
    return hashlib.sha256(f"{salt}\n{text}".encode()).hexdigest()


def _scrypt(call: str, code: str, salt: bytes) -> str:
    return hashlib.scrypt(f"{call}:{code}".encode(), salt=salt, n=2**14, r=8, p=1).hex()
