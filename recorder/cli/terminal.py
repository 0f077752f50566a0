"""Text for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text without characters that a terminal would obey: it may quote what a library, a caller or a file
    says."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)
