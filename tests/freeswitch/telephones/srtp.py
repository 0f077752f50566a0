"""SRTP (RFC 3711) in one direction, for AES_CM_128_HMAC_SHA1_80 with a key from SDP (RFC 4568)."""

from __future__ import annotations

import base64
import hmac
import os
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SUITE = "AES_CM_128_HMAC_SHA1_80"
TAG = 10


def new_key() -> str:
    """Return a new master key and salt, in base64."""
    return base64.b64encode(os.urandom(30)).decode()


def _stream(key: bytes, block: int, length: int) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CTR((block << 16).to_bytes(16, "big"))).encryptor()
    return cipher.update(bytes(length))


@dataclass
class Protector:
    """Encrypts the packets of one side, which come in order and without repetition."""

    inline: str
    _rollover: int = 0
    _last: int = -1
    _session: tuple[bytes, bytes, int] = field(init=False)

    def __post_init__(self) -> None:
        master = base64.b64decode(self.inline)
        key, salt = master[:16], int.from_bytes(master[16:30], "big")
        derive = [_stream(key, salt ^ (label << 48), size) for label, size in ((0, 16), (1, 20), (2, 14))]
        self._session = (derive[0], derive[1], int.from_bytes(derive[2], "big"))

    def protect(self, packet: bytes) -> bytes:
        """Protect an RTP packet with a header of twelve bytes."""
        number, source = int.from_bytes(packet[2:4], "big"), int.from_bytes(packet[8:12], "big")
        if self._last >= 0 and number < self._last - 32768:
            self._rollover += 1
        self._last = number
        key, auth, salt = self._session
        block = salt ^ (source << 48) ^ ((self._rollover << 16) + number)
        head, payload = packet[:12], packet[12:]
        body = bytes(a ^ b for a, b in zip(payload, _stream(key, block, len(payload)), strict=True))
        signed = head + body
        return signed + hmac.digest(auth, signed + self._rollover.to_bytes(4, "big"), "sha1")[:TAG]
