"""Choices made from bytes: the same bytes make the same choices, whoever found them.

A check that needs structure (a list of events, a mutated document) draws it from here, so that hypothesis,
atheris and a file of the corpus all drive it alike.  When the bytes are used up every choice is the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

One = TypeVar("One")


class Choices:
    """Reads choices off the front of ``data``."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes that have not been used."""
        return len(self._data) - self._at

    def take(self, length: int) -> bytes:
        """The next bytes, fewer at the end."""
        piece = self._data[self._at : self._at + length]
        self._at += len(piece)
        return piece

    def rest(self) -> bytes:
        """The remaining bytes."""
        return self.take(self.left)

    def below(self, limit: int) -> int:
        """A number from 0 up to, not including, ``limit``."""
        if limit <= 1:
            return 0
        width = (limit - 1).bit_length() + 7 >> 3
        return int.from_bytes(self.take(width), "little") % limit

    def pick(self, options: Sequence[One]) -> One:
        return options[self.below(len(options))]

    def once_in(self, often: int) -> bool:
        """True about once in so many times; never when the bytes are used up."""
        return self.left > 0 and self.below(often) == often - 1

    def blob(self, longest: int = 64) -> bytes:
        """Some bytes with a length of their own."""
        return self.take(self.below(longest + 1))

    def text(self, longest: int = 64) -> str:
        """Any characters: each byte below 0x80 is itself, others choose among those that cause trouble."""
        return "".join(chr(b) if b < 0x80 else TROUBLE[b % len(TROUBLE)] for b in self.blob(longest))

    def cut(self, data: bytes, longest: int = 16) -> list[bytes]:
        """The bytes in pieces, as a network may bring them."""
        pieces = []
        while data:
            size = (1 + self.below(longest)) if self.left else len(data)
            pieces.append(data[:size])
            data = data[size:]
        return pieces


TROUBLE = (
    "é", "ß", "İ", "\u0130", "\u2028", "\u2029", "\x85", "\x0b", "\x1c", "\u200b", "\u202e", "\ufeff",
    "\ufffd",
    "\x00", "\r", "\n", "\r\n", "%0A", "%0d%0a", "%00", "%", "%25", "%%", "${", "}", "$${x}", "\\", "\\n",
    "'",
    '"', "`", ";", "|", "&", "<", ">", "../", "/..", "//", "٣", "²", "Ⅷ", "½", "\U0001f600", "e\u0301", "ﬃ",
    "K",
    "0", "-1", "00", "+", " ", "\t", "_undef_", ": ", "\n\n", "Content-Length: 5", "Unique-ID: evil",
    "variable_accord_state: announced", "accord_line", "999999999", "4294967296", "NaN", "1e400", "null",
)  # fmt: skip
"""Strings that have broken other programs."""
