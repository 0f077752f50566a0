"""Rules about notes and labels, without I/O."""

from __future__ import annotations

import unicodedata
from typing import Final

from recorder.domain.roles import ADMIN, CUSTOMER
from recorder.errors import NoteError

NOTE: Final = "note"
LABEL: Final = "label"

LONGEST_NOTE: Final = 2000
LONGEST_LABEL: Final = 40
MOST_NOTES: Final = 200
"""Per recording; each is a leaf in the log."""
MOST_LABELS: Final = 20
"""Per recording."""

AUTHORS: Final = frozenset({ADMIN, CUSTOMER})
"""Roles that write notes."""


def check_note(text: str) -> str:
    """A note's text as it is kept: lines without trailing space. Raises :class:`NoteError` (``note.text``,
    ``note.too_long``)."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    found = "\n".join(lines).strip()
    if not found or any(_is_control(each) for each in found if each not in "\n\t"):
        raise NoteError("note.text", "a note needs text, without control characters", "write some text")
    if len(found) > LONGEST_NOTE:
        raise NoteError(
            "note.too_long",
            f"a note has at most {LONGEST_NOTE} characters",
            "shorten it, or write a second note",
        )
    return found


def check_label(text: str) -> str:
    """A label as it is kept: one line. Raises :class:`NoteError` (``label.text``)."""
    found = " ".join(text.split())
    if not found or len(found) > LONGEST_LABEL or not found.isprintable():
        raise NoteError(
            "label.text", f"a label has 1 to {LONGEST_LABEL} printable characters", "shorten or rewrite it"
        )
    return found


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn")


def parse_place(text: str, duration_ms: int) -> int | None:
    """A place in a recording, as people type it (``1:23``, ``1:02:03``), in milliseconds; ``None`` if it is
    empty. Raises :class:`NoteError` (``note.place``)."""
    parts = text.strip().split(":")
    if parts == [""]:
        return None
    if len(parts) > 3 or not all(part.isascii() and part.isdigit() and len(part) <= 5 for part in parts):
        raise NoteError("note.place", f"not a place in a recording: {text!r}", "for example 1:23")
    seconds = 0
    for part in parts:
        seconds = seconds * 60 + int(part)
    if seconds * 1000 > duration_ms:
        raise NoteError("note.place", "this place is after the end of the recording", "for example 1:23")
    return seconds * 1000
